"""How a device asks for an identity, changes its key and says goodbye (JSON, signed with the key each one names).

    POST /v1/enroll     the **new** key      {"v", "pub", "serial", "macs", "model", "board", "fw", "claim"?, "prev"?,
                                              "hints", "buffer"}
       200, 201         {"v", "status": "active", "device_id", "epoch", "poll": {"wait_s"}, "trust_version"}
       202              {"v", "status": "pending", "ticket", "reason", "retry_after_s"}
    POST /v1/key        the **old** key      {"v", "pub", "sig_new"}                        200 {"v": 1}
    POST /v1/farewell   the device's key     {"v", "reason"}                                204

Three messages are signed beside the request itself; the nonce is the one in that request's `Signature-Input`, so none
fits another key, serial or moment:

    claim     "routerd-claim-v1\\0" + nonce + "\\0" + key id + "\\0" + serial      by the image's claim key
    prev      "routerd-rekey-v1\\0" + nonce + "\\0" + key id                      by the key the device had before
    sig_new   "routerd-newkey-v1\\0" + nonce + "\\0" + old key id + "\\0" + new key id    by the new key
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from routerd.wire import base64url, ed25519, fields

MAX_ENROLL_BYTES = 8 << 10
MAX_ANSWER_BYTES = 8 << 10
HINTS = ("hostname", "wan_proto", "lan_cidr", "site_tag")  # what a person may be shown; never decides
_SERIAL = re.compile(r"[A-Z0-9._-]{1,64}")
_MAC = re.compile("[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_KEY_ID = re.compile("[0-9a-f]{32}")
_CLAIM_ID = re.compile("[A-Za-z0-9._-]{1,64}")
_MAX_MACS = 16
# What makers leave in the field when nobody filled it in; all-equal digits are caught by rule.
_PLACEHOLDERS = {"12345678", "123456789", "1234567890", "NONE", "N-A", "NA", "UNKNOWN", "DEFAULT", "EMPTY"}
_PLACEHOLDER_STARTS = ("TOBEFILLED", "DEFAULTSTRING", "SYSTEMSERIAL", "NOTSPECIFIED", "NOTAPPLICABLE")


@dataclass(frozen=True, slots=True)
class Proof:
    """A signature by another key, found by `id`: a claim id, or the key id the device had before."""

    id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a router holds that the cloud has not: so that a person sees data is waiting."""

    rows: int = 0
    oldest_ms: int | None = None
    foreign_rows: int = 0


@dataclass(frozen=True, slots=True)
class EnrollRequest:
    """`serial`: `normal_serial` of the board's, or `serial_of_mac` of its lowest MAC. `macs`: permanent, sorted."""

    public: bytes
    serial: str
    macs: tuple[str, ...]
    model: str = ""
    board: str = ""
    firmware: Mapping[str, str] = field(default_factory=dict)
    claim: Proof | None = None
    previous: Proof | None = None
    hints: Mapping[str, str] = field(default_factory=dict)
    waiting: Waiting = Waiting()


@dataclass(frozen=True, slots=True)
class Enrolled:
    """200 and 201: this key is a device's. `epoch` counts its assignments to stores."""

    device_id: str
    epoch: int
    wait_s: int
    trust_version: int


@dataclass(frozen=True, slots=True)
class Pending:
    """202: a person or a manifest must decide. `ticket` is what support reads out, `reason` a stable code."""

    ticket: str
    reason: str
    retry_after_s: int


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A new key, offered under the old one."""

    public: bytes
    signature: bytes


def claim_message(nonce: str, key_id: str, serial: str) -> bytes:
    return f"routerd-claim-v1\0{nonce}\0{key_id}\0{serial}".encode("ascii")


def rekey_message(nonce: str, key_id: str) -> bytes:
    return f"routerd-rekey-v1\0{nonce}\0{key_id}".encode("ascii")


def new_key_message(nonce: str, old_key_id: str, new_key_id: str) -> bytes:
    return f"routerd-newkey-v1\0{nonce}\0{old_key_id}\0{new_key_id}".encode("ascii")


def normal_serial(text: str) -> str:
    """A serial as both sides compare it: upper case, without blanks; empty for a placeholder or what cannot be one."""
    serial = re.sub(r"[\s\0]+", "", text).upper()
    letters = re.sub("[^A-Z0-9]", "", serial)
    if not _SERIAL.fullmatch(serial) or len(set(letters)) < 2:  # "0", "00000000", "XXXX"
        return ""
    return "" if serial in _PLACEHOLDERS or letters.startswith(_PLACEHOLDER_STARTS) else serial


def serial_of_mac(mac: str) -> str:
    """What stands for the serial of a board without one: its lowest permanent MAC, `AABBCCDDEEFF`."""
    return mac.replace(":", "").upper()


def normal_mac(text: str) -> str:
    """`aa:bb:cc:dd:ee:ff`, or empty for what is no address of one device (all zero, multicast, not six bytes)."""
    digits = re.sub("[:.-]", "", text.strip().lower())
    mac = ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))
    is_mac = bool(_MAC.fullmatch(mac)) and len(digits) == 12
    return mac if is_mac and int(digits, 16) and not int(digits[:2], 16) & 1 else ""


def pack_enroll(request: EnrollRequest) -> bytes:
    waiting = {
        "rows": request.waiting.rows,
        "oldest_ms": request.waiting.oldest_ms,
        "foreign_rows": request.waiting.foreign_rows,
    }
    said = {
        "pub": base64url.encode(request.public),
        "serial": request.serial,
        "macs": list(request.macs),
        "model": request.model,
        "board": request.board,
        "fw": dict(request.firmware),
        "claim": request.claim and {"id": request.claim.id, "sig": base64url.encode(request.claim.signature)},
        "prev": request.previous and _previous(request.previous),
        "hints": dict(request.hints),
        "buffer": {name: value for name, value in waiting.items() if value is not None},
    }
    return fields.pack(said)


def read_enroll(data: bytes) -> EnrollRequest:
    """Raises CorruptError `enroll.malformed`. Whether `public` signed the request is the cloud's to check."""
    document = fields.read(data, "enroll", MAX_ENROLL_BYTES)
    macs = document.texts("macs", _MAX_MACS)
    if not macs or any(normal_mac(mac) != mac for mac in macs) or tuple(sorted(set(macs))) != macs:
        raise document.malformed("macs")
    buffer = document.table("buffer")
    oldest_ms = buffer.integer("oldest_ms") if buffer.has("oldest_ms") else None
    return EnrollRequest(
        document.blob("pub", ed25519.PUBLIC_BYTES),
        document.word("serial", _SERIAL),
        macs,
        document.text("model", 64, 0),
        document.text("board", 64, 0),
        _texts(document, "fw", ("routerd", "openwrt", "build")),
        _proof(document, "claim", "id", _CLAIM_ID),
        _proof(document, "prev", "keyid", _KEY_ID),
        _texts(document, "hints", HINTS),
        Waiting(buffer.integer("rows"), oldest_ms, buffer.integer("foreign_rows")),
    )


def pack_enrolled(answer: Enrolled) -> bytes:
    said = {"status": "active", "device_id": answer.device_id, "epoch": answer.epoch}
    return fields.pack({**said, "poll": {"wait_s": answer.wait_s}, "trust_version": answer.trust_version})


def pack_pending(answer: Pending) -> bytes:
    said = {"status": "pending", "ticket": answer.ticket, "reason": answer.reason}
    return fields.pack({**said, "retry_after_s": answer.retry_after_s})


def read_answer(data: bytes) -> Enrolled | Pending:
    """Raises CorruptError `enrolled.malformed`."""
    document = fields.read(data, "enrolled", MAX_ANSWER_BYTES)
    match document.text("status"):
        case "active":
            wait_s = document.table("poll").integer("wait_s", 0, 240)
            return Enrolled(
                document.text("device_id", 64), document.integer("epoch"), wait_s, document.integer("trust_version")
            )
        case "pending":
            return Pending(
                document.text("ticket", 32), document.text("reason", 64), document.integer("retry_after_s", 1, 86_400)
            )
    raise document.malformed("status")


def pack_key_change(change: KeyChange) -> bytes:
    return fields.pack({"pub": base64url.encode(change.public), "sig_new": base64url.encode(change.signature)})


def read_key_change(data: bytes) -> KeyChange:
    """Raises CorruptError `key.malformed`."""
    document = fields.read(data, "key", MAX_ANSWER_BYTES)
    return KeyChange(document.blob("pub", ed25519.PUBLIC_BYTES), document.blob("sig_new", ed25519.SIGNATURE_BYTES))


def pack_farewell(reason: str) -> bytes:
    return fields.pack({"reason": reason})


def read_farewell(data: bytes) -> str:
    """The reason. Raises CorruptError `farewell.malformed`."""
    return fields.read(data, "farewell", MAX_ANSWER_BYTES).text("reason", 256)


def _previous(proof: Proof) -> dict[str, Any]:
    return {"keyid": proof.id, "sig": base64url.encode(proof.signature)}


def _proof(document: fields.Fields, name: str, id_name: str, pattern: re.Pattern[str]) -> Proof | None:
    if not document.has(name):
        return None
    table = document.table(name)
    return Proof(table.word(id_name, pattern), table.blob("sig", ed25519.SIGNATURE_BYTES))


def _texts(document: fields.Fields, name: str, known: tuple[str, ...]) -> dict[str, str]:
    table = document.table(name)
    return {key: table.text(key, 64, 0) for key in known if table.has(key)}
