"""The authenticator by itself: what it refuses, in which order, and that nothing else comes out of it."""

import hashlib
import os
import random

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from fleetd.auth import Authenticator, Inbound
from fleetd.enroll import nonce, registry
from fleetd.enroll.registry import Registry
from fleetd.enroll.signed import SignedAuthenticator
from fleetd.refusal import Refusal
from routerd.wire import signing
from routerd.wire.answers import PROTOCOL, PROTOCOL_HEADER
from routerd.wire.base64url import encode
from routerd.wire.ed25519 import SigningKey
from routerd.wire.signing import Boot, Target
from tests.fleetd.enroll_kit import ANA, NOW, Box, enrolled

HOST = "in.example"
KEYS = [b"k" * 32]
CODES = {"signature_malformed", "signature_bad", "nonce_invalid", "key_unknown", "digest_mismatch"}


class Watched(SignedAuthenticator):
    """Counts how often a signature is verified."""

    verified = 0

    def check(self, *arguments: object) -> None:
        self.verified += 1
        super().check(*arguments)  # type: ignore[arg-type]


class Sender:
    """Signs requests of one box and lets a test spoil them."""

    def __init__(self, held: Registry) -> None:
        self.box, self.device = enrolled(held)
        self.boot, self.count = encode(os.urandom(16)), 0
        self.authenticator = Watched(held, KEYS, frozenset({HOST}), now_ms=lambda: NOW)

    def request(self, key: SigningKey | None = None, made_ms: int = NOW, **changed: str) -> Inbound:
        self.count += 1
        minted = nonce.mint(made_ms, os.urandom(8), KEYS[0])
        target = Target("POST", HOST, "/v1/ingest")
        signed = signing.sign(
            target, signing.content_digest(b"{}"), Boot(self.boot, self.count), minted, key or self.box.key
        )
        sent = CIMultiDict(signed | {PROTOCOL_HEADER: PROTOCOL} | {k.replace("_", "-"): v for k, v in changed.items()})
        return Inbound("POST", HOST, "/v1/ingest", CIMultiDictProxy(sent), hashlib.sha256(b"{}").digest())

    def code(self, inbound: Inbound) -> str:
        with pytest.raises(Refusal) as refused:
            self.authenticator.authenticate(inbound)
        return refused.value.code


@pytest.fixture
def sender(held: Registry) -> Sender:
    return Sender(held)


def test_a_signed_request_is_its_devices_once(sender: Sender) -> None:
    authenticator: Authenticator = sender.authenticator
    inbound = sender.request()
    assert authenticator.authenticate(inbound) == sender.device
    assert sender.code(inbound) == "replayed"


def test_nothing_is_verified_for_what_is_refused_anyway(sender: Sender) -> None:
    cheap = {
        "signature_malformed": sender.request(Signature="x"),
        "protocol_major": sender.request(Routerd_Protocol="2.0"),
        "nonce_stale": sender.request(made_ms=NOW - nonce.LIFE_MS - 1),
        "key_unknown": sender.request(key=Box(5).key),
    }
    assert [sender.code(inbound) for inbound in cheap.values()] == list(cheap)
    twice = CIMultiDict(sender.request().headers)
    twice.add("Signature", "sig=:x:")
    inbound = Inbound("POST", HOST, "/v1/ingest", CIMultiDictProxy(twice), hashlib.sha256(b"{}").digest())
    assert sender.code(inbound) == "signature_malformed"
    assert sender.authenticator.verified == 0


@pytest.mark.parametrize(
    "changed", [{"method": "PUT"}, {"path": "/v1/poll"}, {"path": "/v1/ingest?x"}, {"authority": "other.example"}]
)
def test_a_request_is_good_for_its_target_only(sender: Sender, changed: dict[str, str]) -> None:
    made = sender.request()
    target = {"method": made.method, "authority": made.authority, "path": made.path} | changed
    inbound = Inbound(**target, headers=made.headers, content_sha256=made.content_sha256)
    assert sender.code(inbound) == "signature_bad"


def test_standing_is_told_to_nobody_who_has_not_proven_to_be_the_device(sender: Sender, held: Registry) -> None:
    held.revoke(sender.device, ANA)
    assert sender.code(sender.request()) == "device_revoked"
    assert sender.code(sender.request(Signature=f"sig=:{'A' * 86}==:")) == "signature_bad"
    held.reinstate(sender.device, ANA)
    held.retire(sender.device, 0, ANA)
    assert sender.code(sender.request()) == "device_disabled"


def test_uploads_of_a_device_that_two_hold_wait(sender: Sender, held: Registry) -> None:
    held.conflict(sender.device, "clone", NOW)
    assert sender.code(sender.request()) == "identity_conflict"
    assert sender.authenticator.identify(sender.request()).status == registry.CONFLICT


def test_a_body_that_differs_from_what_was_signed_is_noticed_by_the_digest(sender: Sender) -> None:
    """Ingest holds the body to `content_sha256`; the signature covers the header that it was read from."""
    made = sender.request()
    headers = dict(made.headers) | {"Content-Digest": signing.content_digest(b"other")}
    inbound = Inbound(made.method, made.authority, made.path, headers, hashlib.sha256(b"other").digest())
    assert sender.code(inbound) == "signature_bad"
    inbound = Inbound(made.method, made.authority, made.path, made.headers, hashlib.sha256(b"other").digest())
    assert sender.code(inbound) == "digest_mismatch"


def test_headers_of_any_bytes_are_refused_and_break_nothing(sender: Sender) -> None:
    chance = random.Random(24)
    good = sender.request()
    names = [name for name in good.headers if name != PROTOCOL_HEADER]
    for _ in range(5000):
        headers = CIMultiDict(good.headers)
        name = chance.choice(names)
        value = list(headers[name])
        for _ in range(chance.randrange(1, 4)):
            value[chance.randrange(len(value))] = chr(chance.choice([0, 10, 34, 59, 61, 65, 97, 128, 0xDC80, 0x20AC]))
        headers[name] = "".join(value)
        if headers[name] == good.headers[name]:
            continue
        inbound = Inbound("POST", HOST, "/v1/ingest", CIMultiDictProxy(headers), good.content_sha256)
        assert sender.code(inbound) in CODES


def test_a_window_outlives_no_process_and_needs_not(held: Registry) -> None:
    """Another process has other nonce keys: what was captured before is not taken again."""
    sender = Sender(held)
    inbound = sender.request()
    sender.authenticator.authenticate(inbound)
    again = SignedAuthenticator(held, [b"n" * 32], frozenset({HOST}), now_ms=lambda: NOW)
    with pytest.raises(Refusal, match="nonce"):
        again.authenticate(inbound)
