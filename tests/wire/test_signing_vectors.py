"""The golden vectors of what is signed rule: what they say is what travels, whatever the code thinks."""

import json
from pathlib import Path
from typing import Any

from routerd.wire import base64url, commands, enrollment, polling, signing, trust
from routerd.wire.ed25519 import SigningKey

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "signing-v1.json").read_text("utf-8"))
KEYS = {name: SigningKey(bytes.fromhex(seed)) for name, seed in VECTORS["seeds"].items()}
DEVICE = KEYS["device"]
NONCE = VECTORS["nonce"]
TARGET = signing.Target(**VECTORS["target"])
BOOT = signing.Boot(**VECTORS["boot"])
BODY = VECTORS["enroll_body"].encode()


def test_a_key_is_named_as_the_vector_says() -> None:
    assert (DEVICE.public.hex(), DEVICE.id) == (VECTORS["device_public_hex"], VECTORS["device_key_id"])


def test_a_request_is_signed_as_the_vector_says() -> None:
    headers = signing.sign(TARGET, signing.content_digest(BODY), BOOT, NONCE, DEVICE)
    assert headers == VECTORS["headers"]
    signed = signing.read(VECTORS["headers"])
    assert (signed.boot, signed.nonce, signed.key_id) == (BOOT, NONCE, DEVICE.id)
    assert signed.signature == DEVICE.sign(VECTORS["signature_base"].encode())
    signing.check_signature(TARGET, signed, DEVICE.public)


def test_an_enrollment_is_packed_and_proven_as_the_vector_says() -> None:
    request = enrollment.read_enroll(BODY)
    assert enrollment.pack_enroll(request) == BODY
    assert request.claim is not None
    assert request.previous is not None
    claim = enrollment.claim_message(NONCE, DEVICE.id, request.serial)
    assert request.claim.signature == KEYS["claim"].sign(claim)
    assert request.previous.id == KEYS["before"].id
    assert request.previous.signature == KEYS["before"].sign(enrollment.rekey_message(NONCE, DEVICE.id))


def test_its_answers_are_packed_as_the_vector_says() -> None:
    enrolled, pending = VECTORS["enrolled"].encode(), VECTORS["pending"].encode()
    assert enrollment.read_answer(enrolled) == enrollment.Enrolled("d_4711", 1, 55, 8)
    assert enrollment.read_answer(pending) == enrollment.Pending("7F3K-Q2", "not_in_manifest", 300)
    assert enrollment.pack_enrolled(enrollment.Enrolled("d_4711", 1, 55, 8)) == enrolled
    assert enrollment.pack_pending(enrollment.Pending("7F3K-Q2", "not_in_manifest", 300)) == pending


def test_a_new_key_is_offered_as_the_vector_says() -> None:
    change = enrollment.read_key_change(VECTORS["key_change"].encode())
    assert change.public == DEVICE.public
    assert change.signature == DEVICE.sign(enrollment.new_key_message(NONCE, KEYS["before"].id, DEVICE.id))
    assert enrollment.pack_key_change(change).decode() == VECTORS["key_change"]


def test_the_time_is_signed_as_the_vector_says() -> None:
    body = VECTORS["time_body"].encode()
    challenge = base64url.encode(bytes(range(64, 80)))
    statement = trust.read_time(body, VECTORS["time_header"], challenge, {"t1": KEYS["time"].public})
    assert statement == trust.TimeStatement(challenge, 1_790_000_000_123, NONCE, 8)
    assert trust.pack_time(statement) == body
    signature = KEYS["time"].sign(trust.time_message(body))
    assert trust.time_signature("t1", signature) == VECTORS["time_header"]


def test_a_trust_bundle_is_packed_and_signed_as_the_vector_says() -> None:
    [bundle] = trust.read_chain(VECTORS["trust_chain"].encode())
    assert bundle.payload.decode() == VECTORS["trust_payload"]
    assert trust.pack_trust(trust.read_trust(bundle.payload)) == bundle.payload
    assert trust.pack_chain([bundle]).decode() == VECTORS["trust_chain"]
    message = trust.trust_message(bundle.payload)
    assert bundle.signatures == tuple((kid, KEYS[kid].sign(message)) for kid in ("root-a", "root-c"))


def test_a_poll_and_its_answer_are_packed_as_the_vector_says() -> None:
    poll, answer = VECTORS["poll"].encode(), VECTORS["poll_answer"].encode()
    assert polling.pack_poll(polling.read_poll(poll)) == poll
    assert polling.pack_poll_answer(polling.read_poll_answer(answer)) == answer


def test_a_command_is_signed_as_the_vector_says() -> None:
    [envelope] = polling.read_poll_answer(VECTORS["poll_answer"].encode()).commands
    assert envelope.payload.decode() == VECTORS["command_payload"]
    assert envelope.signature == KEYS["command"].sign(commands.command_message(envelope.payload))
    keys = {"c1": trust.CommandKey(KEYS["command"].public, frozenset({"read"}))}
    command = commands.check(envelope, "d_4711", keys, 1_790_000_001_000)
    assert commands.pack_command(command) == envelope.payload
