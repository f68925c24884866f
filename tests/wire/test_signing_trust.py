"""Time and trust authenticate themselves: nothing forged, replayed, rolled back or half signed is believed."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.errors import CorruptError
from routerd.wire import base64url, trust
from routerd.wire.ed25519 import SigningKey
from routerd.wire.trust import Bundle, CommandKey, TimeStatement, Trust

ROOTS = {f"root-{name}": SigningKey(bytes([16 + at]) * 32) for at, name in enumerate("abcd")}
TIME = SigningKey(bytes([4]) * 32)
CHALLENGE = base64url.encode(bytes(16))
NONCE = base64url.encode(bytes(32))
STATEMENT = TimeStatement(CHALLENGE, 1_790_000_000_123, NONCE, 8)


def held(version: int = 7, names: str = "abc") -> Trust:
    roots = {f"root-{name}": ROOTS[f"root-{name}"].public for name in names}
    keys = {"c1": CommandKey(TIME.public, frozenset({"read"}))}
    return Trust(version, 1_789_000_000_000, roots, 2, (), ("ingest.example",), keys, {"t1": TIME.public})


def signed(offered: Trust, signers: str, message: bytes | None = None) -> Bundle:
    payload = trust.pack_trust(offered)
    message = trust.trust_message(payload) if message is None else message
    return Bundle(payload, tuple((f"root-{name}", ROOTS[f"root-{name}"].sign(message)) for name in signers))


def refusal(bundle: Bundle, before: Trust | None = None) -> str:
    with pytest.raises(CorruptError) as caught:
        trust.successor(before or held(), bundle)
    return caught.value.code


@pytest.mark.parametrize("signers", ["ab", "ac", "bc", "abc", "dab"])
def test_two_of_three_roots_make_the_next_version(signers: str) -> None:
    assert trust.successor(held(), signed(held(8), signers)) == held(8)


@pytest.mark.parametrize("signers", ["", "a", "aa", "ad", "d"])
def test_fewer_than_two_roots_make_nothing(signers: str) -> None:
    assert refusal(signed(held(8), signers)) == "trust.unsigned"


def test_signatures_count_only_over_these_bytes_as_a_bundle() -> None:
    payload = trust.pack_trust(held(8))
    assert refusal(signed(held(8), "abc", payload)) == "trust.unsigned"
    assert refusal(replace(signed(held(8), "abc"), payload=payload.replace(b"ingest", b"invest"))) == "trust.unsigned"


@pytest.mark.parametrize(("version", "code"), [(7, "trust.rollback"), (6, "trust.rollback"), (9, "trust.gap")])
def test_versions_follow_each_other(version: int, code: str) -> None:
    assert refusal(signed(held(version), "abc")) == code


def test_new_roots_need_the_old_ones_word_and_their_own() -> None:
    offered = held(8, "bcd")
    assert trust.successor(held(), signed(offered, "bc")) == offered
    assert refusal(signed(held(8, "bcd"), "ab")) == "trust.unsigned"  # one of the new
    assert refusal(signed(held(8, "bcd"), "bd")) == "trust.unsigned"  # one of the old


def test_one_key_under_two_names_counts_once() -> None:
    same = ROOTS["root-a"].public
    payload = trust.pack_trust(held(8))
    signature = ROOTS["root-a"].sign(trust.trust_message(payload))
    doubled = replace(held(), roots={"root-a": same, "root-b": same})
    assert refusal(Bundle(payload, (("root-a", signature), ("root-b", signature))), doubled) == "trust.unsigned"
    with pytest.raises(CorruptError):
        trust.read_trust(trust.pack_trust(doubled))


@pytest.mark.parametrize("threshold", [0, 1, 4])
def test_a_threshold_of_one_or_beyond_the_roots_is_malformed(threshold: int) -> None:
    assert refusal(signed(replace(held(8), threshold=threshold), "abc")) == "trust.malformed"


def test_a_version_that_is_older_than_the_one_before_it_is_refused() -> None:
    assert refusal(signed(replace(held(8), issued_ms=1), "abc")) == "trust.malformed"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_hostile_bundles_raise_one_error(data: bytes) -> None:
    for read in (trust.read_bundle, trust.read_chain, trust.read_trust):
        with pytest.raises(CorruptError):
            read(data)


@pytest.mark.parametrize("data", [b"[" * 50_000, b'{"v":1,"a":' * 20_000, b'{"v":NaN}', b'{"v":true}', b"\xff"])
def test_deep_or_odd_json_raises_one_error(data: bytes) -> None:
    with pytest.raises(CorruptError):
        trust.read_chain(data)


def said(statement: TimeStatement = STATEMENT, key: SigningKey = TIME) -> tuple[bytes, str]:
    body = trust.pack_time(statement)
    return body, trust.time_signature("t1", key.sign(trust.time_message(body)))


def time_refusal(body: bytes, header: str, challenge: str = CHALLENGE) -> str:
    with pytest.raises(CorruptError) as caught:
        trust.read_time(body, header, challenge, {"t1": TIME.public})
    return caught.value.code


def test_a_signed_time_that_answers_the_question_is_taken() -> None:
    assert trust.read_time(*said(), CHALLENGE, {"t1": TIME.public}) == STATEMENT


def test_a_replayed_forged_or_changed_time_is_refused() -> None:
    body, header = said()
    assert time_refusal(body, header, base64url.encode(bytes([1]) * 16)) == "time.replayed"
    assert time_refusal(*said(key=ROOTS["root-a"])) == "time.unsigned"
    assert time_refusal(body, header.replace("t1:", "t2:")) == "time.unsigned"
    assert time_refusal(body, trust.time_signature("t1", TIME.sign(body))) == "time.unsigned"
    for at in range(len(body)):
        assert time_refusal(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :], header) == "time.unsigned"
    for changed in ("", "t1:", header + "\n", header[:-1], header[:-1] + "é", header.replace(":", " ")):
        assert time_refusal(body, changed) == "time.malformed"
