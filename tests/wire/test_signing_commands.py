"""A command is run by whom it is for, within its time, when its key may order it; what is hostile raises one error."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.errors import CorruptError
from routerd.wire import commands, enrollment, health, polling
from routerd.wire.commands import Command, Envelope, Result
from routerd.wire.ed25519 import SigningKey
from routerd.wire.trust import CommandKey

READER, OPERATOR, DESTROYER = (SigningKey(bytes([n]) * 32) for n in (5, 6, 7))
KEYS = {
    "c1": CommandKey(READER.public, frozenset({"read"})),
    "c2": CommandKey(OPERATOR.public, frozenset({"read", "operate"})),
    "c9": CommandKey(DESTROYER.public, frozenset({"destroy"})),
}
NOW_MS = 1_790_000_000_000
PING = Command("01J9Z3K4M5N6P7Q8R9S0T1V2W3", "d_1", "ping", {"deep": False}, NOW_MS, NOW_MS + 8_000, "ana@mnsp7", "T-1")


def sealed(command: Command = PING, kid: str = "c1", key: SigningKey = READER) -> Envelope:
    payload = commands.pack_command(command)
    return Envelope(payload, kid, key.sign(commands.command_message(payload)))


def refusal(envelope: Envelope, device: str = "d_1", now_ms: int | None = NOW_MS) -> str:
    with pytest.raises(CorruptError) as caught:
        commands.check(envelope, device, KEYS, now_ms)
    return caught.value.code


def test_a_command_in_order_is_taken() -> None:
    assert commands.check(commands.read_envelope(commands.envelope_values(sealed())), "d_1", KEYS, NOW_MS) == PING


def test_a_command_is_refused_for_the_first_thing_wrong() -> None:
    assert refusal(sealed(kid="c3")) == "command.unknown_key"
    assert refusal(sealed(key=OPERATOR)) == "command.signature"
    payload = commands.pack_command(PING)
    assert refusal(Envelope(payload, "c1", READER.sign(payload))) == "command.signature"
    assert refusal(replace(sealed(), payload=payload.replace(b"ping", b"wipe"))) == "command.signature"
    assert refusal(sealed(), device="d_2") == "command.other_device"
    assert refusal(sealed(replace(PING, kind="format"))) == "command.unknown_kind"
    assert refusal(sealed(replace(PING, id="../../etc/passwd-12345678"))) == "command.malformed"


@pytest.mark.parametrize("kind", commands.SCOPE_OF)
def test_a_key_orders_what_its_scope_covers_and_nothing_else(kind: str) -> None:
    scope = commands.SCOPE_OF[kind]
    for kid, key in (("c1", READER), ("c2", OPERATOR), ("c9", DESTROYER)):
        envelope = sealed(replace(PING, kind=kind), kid, key)
        if scope in KEYS[kid].scopes:
            assert commands.check(envelope, "d_1", KEYS, NOW_MS).kind == kind
        else:
            assert refusal(envelope) == "command.scope"


def test_only_a_key_for_destruction_can_order_a_wipe() -> None:
    assert [kind for kind, scope in commands.SCOPE_OF.items() if scope == "destroy"] == ["wipe"]


def test_a_command_lives_from_five_minutes_early_to_its_end() -> None:
    envelope = sealed()
    for now_ms in (NOW_MS - commands.EARLY_MS, NOW_MS, PING.expires_ms):
        commands.check(envelope, "d_1", KEYS, now_ms)
    assert refusal(envelope, now_ms=NOW_MS - commands.EARLY_MS - 1) == "command.early"
    assert refusal(envelope, now_ms=PING.expires_ms + 1) == "command.expired"
    assert refusal(envelope, now_ms=None) == "command.no_clock"
    day = replace(PING, expires_ms=NOW_MS + commands.MAX_LIFE_MS)
    commands.check(sealed(day), "d_1", KEYS, NOW_MS)
    assert refusal(sealed(replace(day, expires_ms=day.expires_ms + 1))) == "command.too_long"


@pytest.mark.parametrize("state", commands.RESULT_STATES)
def test_a_result_is_read_as_written(state: str) -> None:
    for result in (Result(PING.id, state), Result(PING.id, state, 12, {"rows": 3})):
        assert commands.read_result(commands.result_values(result)) == result


@pytest.mark.parametrize("change", [{"state": "done"}, {"id": "x"}, {"took_ms": -1}, {"took_ms": True}, {"data": []}])
def test_a_malformed_result_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(CorruptError):
        commands.read_result(commands.result_values(Result(PING.id, "ok")) | change)


READERS = [
    commands.read_command,
    enrollment.read_enroll,
    enrollment.read_answer,
    enrollment.read_key_change,
    enrollment.read_farewell,
    polling.read_poll,
    polling.read_poll_answer,
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["v", "pub", "macs", "next"]), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("read", READERS)
@given(values=JSON)
def test_hostile_documents_raise_one_error(read: Any, values: Any) -> None:
    for data in (json.dumps(values).encode(), json.dumps({"v": 1, "status": values, "macs": values}).encode()):
        with pytest.raises(CorruptError):
            read(data)


def test_a_document_past_its_limit_is_refused_unread() -> None:
    with pytest.raises(CorruptError):
        enrollment.read_farewell(enrollment.pack_farewell("x") + b" " * enrollment.MAX_ANSWER_BYTES)


@pytest.mark.parametrize(
    ("text", "serial"),
    [
        (" sn-47 11\n", "SN-4711"),
        ("MX12.3_4", "MX12.3_4"),
        ("0", ""),
        ("00000000", ""),
        ("12345678", ""),
        ("To be filled by O.E.M.", ""),
        ("Default string", ""),
        ("n/a", ""),
        ("", ""),
        ("X" * 65, ""),
        ("sérial", ""),
        ("serial#\0\0", ""),
    ],
)
def test_a_serial_is_compared_in_one_form_and_placeholders_are_none(text: str, serial: str) -> None:
    assert enrollment.normal_serial(text) == serial


@pytest.mark.parametrize(
    ("text", "mac"),
    [
        ("94:83:C4:00:53:02", "94:83:c4:00:53:02"),
        ("94-83-c4-00-53-02", "94:83:c4:00:53:02"),
        ("9483.c400.5302", "94:83:c4:00:53:02"),
        ("00:00:00:00:00:00", ""),
        ("ff:ff:ff:ff:ff:ff", ""),
        ("01:00:5e:00:00:01", ""),
        ("94:83:c4:00:53", ""),
        ("94:83:c4:00:53:0g", ""),
        ("", ""),
    ],
)
def test_an_address_is_compared_in_one_form(text: str, mac: str) -> None:
    assert enrollment.normal_mac(text) == mac


@pytest.mark.parametrize("macs", [(), ("94:83:C4:00:53:02",), ("94:83:c4:00:53:02", "02:00:5e:00:53:01"), ("x",)])
def test_addresses_travel_sorted_and_in_one_form(macs: tuple[str, ...]) -> None:
    with pytest.raises(CorruptError):
        enrollment.read_enroll(enrollment.pack_enroll(enrollment.EnrollRequest(READER.public, "SN1", macs)))


def test_a_health_document_comes_out_whole_whatever_went_in() -> None:
    document, faults = health.read({"v": 1, "queue": {"rows": 3, "bytes": "x"}, "pos": [{"id": "till-1"}], "new": 1})
    assert document["queue"]["rows"] == 3
    assert document["queue"]["bytes"] is None
    assert document["pos"][0]["id"] == "till-1"
    assert document["wan"]["up"] is None
    assert "new" not in document
    assert {"queue.bytes", "queue.cap_bytes", "pos[].link", "wan.up"} <= set(faults)
    assert health.read(document | {"partial": []})[1] == []


@given(JSON)
def test_a_hostile_health_document_raises_one_error_or_comes_out_clean(values: Any) -> None:
    for hostile in ({"v": 1, "sys": {"load1": values, "temp_c": {"a": values}}, "pos": values, "partial": values},):
        document, _ = health.read(hostile)
        json.dumps(document, allow_nan=False).encode("ascii")
    with pytest.raises(CorruptError):
        health.read([values])
