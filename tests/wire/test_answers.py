"""The error table: what an answer makes a router do, and that no answer deletes."""

import pytest

from routerd.wire.answers import Reaction, meaning


@pytest.mark.parametrize(
    ("status", "code", "protocol", "reaction"),
    [
        (200, "", "1.0", Reaction.TAKE),
        (200, "", "1.7", Reaction.TAKE),
        (200, "", None, Reaction.CAPTIVE),
        (404, "", None, Reaction.CAPTIVE),
        (302, "", "1.0", Reaction.CAPTIVE),
        (511, "", "1.0", Reaction.CAPTIVE),
        (200, "", "2.0", Reaction.HOLD),
        (400, "digest_mismatch", "1.0", Reaction.RETRY),
        (400, "batch_invalid", "1.0", Reaction.QUARANTINE),
        (422, "batch_invalid", "1.0", Reaction.QUARANTINE),
        (400, "something_new", "1.0", Reaction.RETRY),
        (401, "nonce_stale", "1.0", Reaction.RETRY),
        (401, "key_unknown", "1.0", Reaction.HOLD),
        (401, "signature_bad", "1.0", Reaction.HOLD),
        (403, "device_disabled", "1.0", Reaction.HOLD),
        (404, "", "1.0", Reaction.RETRY),
        (409, "replayed", "1.0", Reaction.RETRY),
        (413, "too_large", "1.0", Reaction.HALVE),
        (415, "", "1.0", Reaction.PLAIN),
        (406, "", "1.0", Reaction.PLAIN),
        (426, "protocol_major", "1.0", Reaction.HOLD),
        (429, "busy", "1.0", Reaction.RETRY),
        (503, "busy", "1.0", Reaction.RETRY),
        (500, "", "1.0", Reaction.RETRY),
        (599, "", "1.0", Reaction.RETRY),
    ],
)
def test_the_table(status: int, code: str, protocol: str | None, reaction: Reaction) -> None:
    assert meaning(status, code, protocol).reaction is reaction


def test_every_reaction_a_person_must_know_of_says_what_to_do() -> None:
    for status in range(200, 600):
        for protocol in ("1.0", "9.0", None):
            said = meaning(status, "", protocol)
            assert said.reaction is Reaction.TAKE or (said.code.startswith("cloud.") and said.remedy)
