"""What a router believes, and how it learns of a change: the signed time and the chain of trust bundles.

Both documents authenticate themselves, so both may be fetched over a connection that nobody vouches for.

    time     GET /v1/time?c=<22 chars>      a JSON body and `Routerd-Time-Signature: <kid>:<signature>` over
                                            "routerd-time-v1\\0" + body
    trust    GET /v1/trust?have=<version>   {"v": 1, "bundles": [bundle, …]}, the next versions in order
    bundle   {"payload": <bytes>, "sigs": [{"kid": …, "sig": <signature>}, …]}, each signature over
             "routerd-trust-v1\\0" + payload

Bytes travel as base64url without padding. A payload is signed and kept as the bytes that travelled.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from routerd.errors import CorruptError
from routerd.wire import base64url, ed25519, fields
from routerd.wire.fields import Fields

TIME_SIGNATURE_HEADER = "Routerd-Time-Signature"
CHALLENGE_BYTES = 16  # as text: 22 characters
MAX_TIME_BYTES = 4 << 10
MAX_TRUST_BYTES = 64 << 10  # a payload; three anchors and ten keys take 6 KB
MAX_CHAIN_BYTES = 1 << 20
MAX_CHAIN = 64  # bundles in one answer: who lacks more asks again
READ, OPERATE, DESTROY = "read", "operate", "destroy"
SCOPES = (READ, OPERATE, DESTROY)
_TIME_PREFIX = b"routerd-time-v1\0"
_TRUST_PREFIX = b"routerd-trust-v1\0"
_KID = re.compile("[a-z0-9][a-z0-9-]{0,31}")
_HOST = re.compile(r"[a-z0-9][a-z0-9.-]{0,252}(:[1-9][0-9]{0,4})?")
_TIME_SIGNATURE = re.compile("([a-z0-9][a-z0-9-]{0,31}):([A-Za-z0-9_-]{86})")
_MAX_KEYS, _MAX_ANCHORS, _MAX_HOSTS, _MAX_PEM_CHARS = 16, 8, 8, 8192


@dataclass(frozen=True, slots=True)
class TimeStatement:
    """The cloud's clock, said for one challenge (16 random bytes as text). `nonce` is the next to sign with."""

    challenge: str
    at_ms: int
    nonce: str
    trust_version: int
    min_major: int = 1
    max_major: int = 1


@dataclass(frozen=True, slots=True)
class CommandKey:
    """A key that may sign commands of these scopes."""

    public: bytes
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Trust:
    """One version of what is trusted. Keys by kid; anchors are PEM certificates; hosts are `name` or `name:port`."""

    version: int
    issued_ms: int
    roots: Mapping[str, bytes]
    threshold: int
    tls_anchors: tuple[str, ...]
    hosts: tuple[str, ...]
    command_keys: Mapping[str, CommandKey]
    time_keys: Mapping[str, bytes]
    min_major: int = 1


@dataclass(frozen=True, slots=True)
class Bundle:
    """A payload as it travelled and who signed it (kid, signature). Not yet believed."""

    payload: bytes
    signatures: tuple[tuple[str, bytes], ...]


def pack_time(statement: TimeStatement) -> bytes:
    """The body; its signature covers `time_message` of exactly these bytes."""
    said = {"c": statement.challenge, "t_ms": statement.at_ms, "nonce": statement.nonce}
    majors = {"min_major": statement.min_major, "max_major": statement.max_major}
    return fields.pack({**said, "trust_version": statement.trust_version, **majors})


def time_message(body: bytes) -> bytes:
    return _TIME_PREFIX + body


def time_signature(kid: str, signature: bytes) -> str:
    """The value of `Routerd-Time-Signature`."""
    return f"{kid}:{base64url.encode(signature)}"


def read_time(body: bytes, header: str, challenge: str, keys: Mapping[str, bytes]) -> TimeStatement:
    """A time that one of `keys` (kid to public key) signed for this challenge.

    Raises CorruptError `time.malformed`, `time.unsigned`, or `time.replayed` when it answers another challenge. How
    long the answer took is the caller's to judge: the statement is worth its round trip.
    """
    match = _TIME_SIGNATURE.fullmatch(header)
    if not match or len(body) > MAX_TIME_BYTES:
        raise CorruptError("time.malformed", "the time has no well-formed signature")
    public = keys.get(match[1])
    signature = _decoded(match[2])
    if public is None or not ed25519.verify(public, time_message(body), signature):
        raise CorruptError("time.unsigned", f"the time is not signed by a key we know ({match[1]})")
    document = fields.read(body, "time", MAX_TIME_BYTES)
    if document.text("c") != challenge:
        raise CorruptError("time.replayed", "the time was signed for another question")
    return TimeStatement(
        challenge,
        document.integer("t_ms"),
        base64url.encode(document.blob("nonce", 32)),
        document.integer("trust_version"),
        document.integer("min_major", 1, 99),
        document.integer("max_major", 1, 99),
    )


def pack_trust(trust: Trust) -> bytes:
    """The payload of a bundle."""
    keys = [_key(kid, key.public) | {"scopes": sorted(key.scopes)} for kid, key in trust.command_keys.items()]
    said = {
        "version": trust.version,
        "issued_ms": trust.issued_ms,
        "roots": [_key(kid, public) for kid, public in trust.roots.items()],
        "threshold": trust.threshold,
        "tls_anchors": list(trust.tls_anchors),
        "hosts": list(trust.hosts),
        "command_keys": keys,
        "time_keys": [_key(kid, public) for kid, public in trust.time_keys.items()],
        "min_major": trust.min_major,
    }
    return fields.pack(said)


def read_trust(payload: bytes) -> Trust:
    """Raises CorruptError `trust.malformed`. A bundle's signatures are `successor`'s to judge."""
    document = fields.read(payload, "trust", MAX_TRUST_BYTES)
    roots = _keys(document, "roots")
    return Trust(
        document.integer("version", 1),
        document.integer("issued_ms"),
        roots,
        document.integer("threshold", 2, len(roots)),  # one stolen root is never enough
        tuple(_pem(document, row) for row in document.rows("tls_anchors", _MAX_ANCHORS)),
        tuple(_host(document, row) for row in document.rows("hosts", _MAX_HOSTS)),
        _command_keys(document),
        _keys(document, "time_keys"),
        document.integer("min_major", 1, 99),
    )


def trust_message(payload: bytes) -> bytes:
    """What a root signs."""
    return _TRUST_PREFIX + payload


def pack_bundle(bundle: Bundle) -> bytes:
    return fields.pack(bundle_values(bundle))


def bundle_values(bundle: Bundle) -> dict[str, Any]:
    """A bundle as a JSON object."""
    signatures = [{"kid": kid, "sig": base64url.encode(signature)} for kid, signature in bundle.signatures]
    return {"v": 1, "payload": base64url.encode(bundle.payload), "sigs": signatures}


def read_bundle(data: bytes) -> Bundle:
    """Raises CorruptError `trust.malformed`."""
    return bundle_of(fields.read(data, "trust", 2 * MAX_TRUST_BYTES))


def bundle_of(document: Fields) -> Bundle:
    """A bundle from a JSON object within another document. Raises CorruptError `<document>.malformed`."""
    signatures = tuple((row.word("kid", _KID), row.blob("sig", 64)) for row in document.tables("sigs", _MAX_KEYS))
    return Bundle(document.blob("payload"), signatures)


def pack_chain(bundles: Iterable[Bundle]) -> bytes:
    """The answer to `GET /v1/trust`: empty when there is nothing newer."""
    return fields.pack({"bundles": [bundle_values(bundle) for bundle in bundles]})


def read_chain(data: bytes) -> list[Bundle]:
    """Raises CorruptError `trust.malformed`."""
    document = fields.read(data, "trust", MAX_CHAIN_BYTES)
    return [bundle_of(Fields(row, "trust")) for row in document.rows("bundles", MAX_CHAIN)]


def successor(held: Trust, bundle: Bundle) -> Trust:
    """The next version, if enough roots of the version held signed it, and enough of its own where they changed.

    Raises CorruptError: `trust.malformed`; `trust.rollback` for a version at or below the one held (also when it is the
    same version with other bytes: that one needs an alarm); `trust.gap` for one too far ahead; `trust.unsigned`.
    A bundle has no end date: it would brick who slept through it.
    """
    offered = read_trust(bundle.payload)
    if offered.version <= held.version:
        raise CorruptError("trust.rollback", f"trust {offered.version} is offered, {held.version} is held")
    if offered.version != held.version + 1:
        raise CorruptError("trust.gap", f"trust {offered.version} does not follow {held.version}")
    if offered.issued_ms < held.issued_ms:
        raise CorruptError("trust.malformed", f"trust {offered.version} is older than the one before it")
    for trust in (held, offered):
        if _signers(trust.roots, bundle) < trust.threshold:
            raise CorruptError("trust.unsigned", f"trust {offered.version} lacks signatures of {trust.version}'s roots")
    return offered


def _signers(roots: Mapping[str, bytes], bundle: Bundle) -> int:
    """How many different root keys signed: one key under two names counts once."""
    message = trust_message(bundle.payload)
    signed = [(roots[kid], signature) for kid, signature in bundle.signatures if kid in roots]
    return len({public for public, signature in signed if ed25519.verify(public, message, signature)})


def _key(kid: str, public: bytes) -> dict[str, Any]:
    return {"kid": kid, "pub": base64url.encode(public)}


def _keys(document: Fields, name: str) -> dict[str, bytes]:
    rows = document.tables(name, _MAX_KEYS)
    found = {row.word("kid", _KID): row.blob("pub", ed25519.PUBLIC_BYTES) for row in rows}
    if len(set(found.values())) != len(rows):
        raise document.malformed(name)
    return found


def _command_keys(document: Fields) -> dict[str, CommandKey]:
    publics = _keys(document, "command_keys")
    rows = {row.word("kid", _KID): row for row in document.tables("command_keys", _MAX_KEYS)}
    return {kid: CommandKey(publics[kid], frozenset(row.texts("scopes", 8))) for kid, row in rows.items()}


def _pem(document: Fields, row: Any) -> str:
    is_pem = isinstance(row, str) and row.isascii() and row.startswith("-----BEGIN CERTIFICATE-----\n")
    if not is_pem or len(row) > _MAX_PEM_CHARS:
        raise document.malformed("tls_anchors")
    return str(row)


def _host(document: Fields, row: Any) -> str:
    if not isinstance(row, str) or not _HOST.fullmatch(row):
        raise document.malformed("hosts")
    return row


def _decoded(text: str) -> bytes:
    try:
        return base64url.decode(text, ed25519.SIGNATURE_BYTES)
    except CorruptError as exc:
        raise CorruptError("time.malformed", "the time's signature is malformed") from exc
