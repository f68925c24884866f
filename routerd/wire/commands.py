"""What the cloud may order: signed, addressed, scoped, expiring, run at most once.

    envelope   {"v": 1, "payload": <bytes>, "kid": …, "sig": <signature over "routerd-cmd-v1\\0" + payload>}
    payload    {"v": 1, "id", "dev", "kind", "args", "iat_ms", "exp_ms", "actor", "reason"}
    result     {"v": 1, "id", "state", "data"?, "took_ms"}

The bytes signed are the bytes that travel: nothing is made canonical. A router, in this order: `read_envelope`,
`check`, then looks the id up in its log, writes it there, and only then runs it. An id seen before is answered with the
result kept; one that was begun by a process that died is `outcome_unknown` and never run again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from routerd.errors import CorruptError
from routerd.wire import base64url, ed25519, fields
from routerd.wire.fields import Fields
from routerd.wire.trust import DESTROY, OPERATE, READ, CommandKey

MAX_COMMAND_BYTES = 16 << 10
MAX_RESULT_BYTES = 96 << 10  # logs.tail brings 64 KiB
MAX_LIFE_MS = 24 * 3_600_000
EARLY_MS = 300_000  # how far the signer's clock may be ahead of a router's
OK, ERROR, REFUSED, EXPIRED, OUTCOME_UNKNOWN = "ok", "error", "refused", "expired", "outcome_unknown"
RESULT_STATES = (OK, ERROR, REFUSED, EXPIRED, OUTCOME_UNKNOWN)
IDENTITY_CONFLICT, IDENTITY_ROTATE, RETIRE, WIPE = "identity_conflict", "identity.rotate", "retire", "wipe"
PING = "ping"
SCOPE_OF = {
    PING: READ,
    "logs.tail": READ,
    "rescan": OPERATE,
    "drain.now": OPERATE,
    "drain.pause": OPERATE,
    "config.set": OPERATE,
    "restart": OPERATE,
    IDENTITY_ROTATE: OPERATE,
    IDENTITY_CONFLICT: OPERATE,
    RETIRE: OPERATE,
    WIPE: DESTROY,
}
DEADLINE_S = {
    PING: 10.0,
    "logs.tail": 30.0,
    "rescan": 120.0,
    "drain.now": 10.0,
    "drain.pause": 10.0,
    "config.set": 10.0,
    "restart": 60.0,
}  # how long running one may take; kinds without one are done when they are done
_PREFIX = b"routerd-cmd-v1\0"
_KID = re.compile("[a-z0-9][a-z0-9-]{0,31}")
_ID = re.compile("[0-9A-HJKMNP-TV-Z]{26}")  # a ULID: sorts by time, and is a safe path and file name


@dataclass(frozen=True, slots=True)
class Envelope:
    """A command as it travels. Not yet believed."""

    payload: bytes
    kid: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Command:
    """An order to one device. Times are the cloud's; `actor` and `reason` say who asked and why, for the audit."""

    id: str
    device: str
    kind: str
    args: Mapping[str, Any]
    issued_ms: int
    expires_ms: int
    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a command."""

    id: str
    state: str
    took_ms: int = 0
    data: Mapping[str, Any] | None = None


def pack_command(command: Command) -> bytes:
    """The payload; a signer signs `command_message` of exactly these bytes."""
    times = {"iat_ms": command.issued_ms, "exp_ms": command.expires_ms}
    said = {"id": command.id, "dev": command.device, "kind": command.kind, "args": dict(command.args)}
    return fields.pack({**said, **times, "actor": command.actor, "reason": command.reason})


def command_message(payload: bytes) -> bytes:
    return _PREFIX + payload


def envelope_values(envelope: Envelope) -> dict[str, Any]:
    """An envelope as a JSON object, for an answer to a poll."""
    signature = base64url.encode(envelope.signature)
    return {"v": 1, "payload": base64url.encode(envelope.payload), "kid": envelope.kid, "sig": signature}


def read_envelope(values: Any) -> Envelope:
    """From a JSON object that was read. Raises CorruptError `command.malformed`."""
    document = Fields(values, "command")
    payload = document.blob("payload")
    if len(payload) > MAX_COMMAND_BYTES:
        raise document.malformed("payload")
    return Envelope(payload, document.word("kid", _KID), document.blob("sig", ed25519.SIGNATURE_BYTES))


def read_command(payload: bytes) -> Command:
    """Raises CorruptError `command.malformed`. Says nothing about who signed it."""
    document = fields.read(payload, "command", MAX_COMMAND_BYTES)
    return Command(
        document.word("id", _ID),
        document.text("dev", 64),
        document.text("kind", 32),
        document.values("args"),
        document.integer("iat_ms"),
        document.integer("exp_ms"),
        document.text("actor", 128),
        document.text("reason", 256, 0),
    )


def check(envelope: Envelope, device: str, keys: Mapping[str, CommandKey], now_ms: int | None) -> Command:
    """The command, if this device may run it now. `now_ms` is the trusted clock, None while there is none.

    Raises CorruptError whose code names the first thing wrong: `command.malformed`, `command.unknown_key`,
    `command.signature`, `command.other_device`, `command.unknown_kind`, `command.scope`, `command.no_clock`,
    `command.early`, `command.expired`, `command.too_long` (a life of more than a day).
    """
    key = keys.get(envelope.kid)
    if key is None:
        raise CorruptError("command.unknown_key", f"no key {envelope.kid} is trusted")
    if not ed25519.verify(key.public, command_message(envelope.payload), envelope.signature):
        raise CorruptError("command.signature", "the signature does not fit the command")
    command = read_command(envelope.payload)
    scope = SCOPE_OF.get(command.kind)
    if command.device != device:
        raise CorruptError("command.other_device", "the command is for another device")
    if scope is None:
        raise CorruptError("command.unknown_kind", f"{command.kind} is no command")
    if scope not in key.scopes:
        raise CorruptError("command.scope", f"key {envelope.kid} may not order {command.kind}")
    _check_time(command, now_ms)
    return command


def _check_time(command: Command, now_ms: int | None) -> None:
    if now_ms is None:
        raise CorruptError("command.no_clock", "there is no trusted time to hold the command against")
    if now_ms < command.issued_ms - EARLY_MS:
        raise CorruptError("command.early", "the command is from the future")
    if now_ms > command.expires_ms:
        raise CorruptError("command.expired", "the command has expired")
    if command.expires_ms - command.issued_ms > MAX_LIFE_MS:
        raise CorruptError("command.too_long", "a command lives a day at most")


def result_values(result: Result) -> dict[str, Any]:
    """A result as a JSON object, for a poll or for `POST /v1/results/<id>`."""
    said: dict[str, Any] = {"v": 1, "id": result.id, "state": result.state, "took_ms": result.took_ms}
    return said if result.data is None else said | {"data": dict(result.data)}


def read_result(values: Any) -> Result:
    """From a JSON object that was read. Raises CorruptError `result.malformed`."""
    document = Fields(values, "result")
    state = document.text("state", 32)
    if state not in RESULT_STATES:
        raise document.malformed("state")
    data = document.values("data") if document.has("data") else None
    return Result(document.word("id", _ID), state, document.integer("took_ms"), data)
