"""Who is let in: the decision table of enrolment, first match wins, every combination decided.

`decide` sees facts only. Whoever gathers them looks the serial up under the tenant of the claim (or of the old key), so
no fact of another tenant can reach it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Key(StrEnum):
    """What is known of the key that signed the request."""

    UNKNOWN = "unknown"
    CURRENT = "current"  # of a device that is active, retiring or in conflict, and has this serial
    OTHER_SERIAL = "other_serial"  # of such a device, but with another serial: the key was copied
    SUPERSEDED = "superseded"
    RETIRED = "retired"
    REVOKED = "revoked"  # whatever the serial: conflict is a living state, no request may lead there from here
    REJECTED = "rejected"  # a person said no to it


class Place(StrEnum):
    """What the serial stands for under its tenant."""

    UNKNOWN = "unknown"
    SEEN = "seen"  # in the tenant's history, with no row now
    EXPECTED = "expected"  # a manifest row waits for it
    LAPSED = "lapsed"  # one did, its time is over
    AMBIGUOUS = "ambiguous"  # several rows fit
    ACTIVE = "active"  # from here on a device is bound to it
    RETIRING = "retiring"
    CONFLICT = "conflict"
    REVOKED = "revoked"
    RETIRED = "retired"


class Prev(StrEnum):
    """The old key's signature under the new key."""

    ABSENT = "absent"
    BAD = "bad"  # does not verify, or is not the current key of the device bound to this serial
    VALID = "valid"


class Claim(StrEnum):
    """The image's credential for asking."""

    INVALID = "invalid"  # missing, unknown or not signed by it
    BUSY = "busy"  # too many new keys within the hour
    DISABLED = "disabled"  # switched off, past its end or used up: it still asks for what is known already
    USABLE = "usable"


class Macs(StrEnum):
    """The request's permanent MAC addresses beside those on record. COMMON: at least one, or none are on record."""

    EQUAL = "equal"
    COMMON = "common"
    DISJOINT = "disjoint"


class Queue(StrEnum):
    """Whether a person may be asked: CLOSED when the tenant takes nobody it does not expect."""

    OPEN = "open"
    FULL = "full"
    CLOSED = "closed"


class Effect(StrEnum):
    """What is written."""

    NONE = "none"
    SAME = "same"  # nothing new: the device this key has
    BIND = "bind"  # a new device
    REKEY = "rekey"  # the bound device, its old key superseded
    QUEUE = "queue"  # a person decides
    CONFLICT = "conflict"  # the key's device is held by two


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the decision depends on.

    proof: the request is signed by the key it carries. has_ticket: a reset ticket is open for the serial. allows_rekey:
    the tenant's policy lets a silent device's board come back with a new key. is_silent: the incumbent was not heard of
    for as long as that policy asks. same_ip: the request comes from the incumbent's established public address.
    """

    proof: bool
    key: Key
    prev: Prev
    place: Place
    claim: Claim
    macs: Macs
    has_ticket: bool
    allows_rekey: bool
    is_silent: bool
    same_ip: bool
    queue: Queue


@dataclass(frozen=True, slots=True)
class Decision:
    """The HTTP status, the stable code (empty when let in), what is written, the alarm it raises (empty for none)."""

    status: int
    code: str
    effect: Effect
    alarm: str = ""
    spends_ticket: bool = False


INCUMBENTS = frozenset({Place.ACTIVE, Place.RETIRING, Place.CONFLICT, Place.REVOKED})
_SAME = Decision(200, "", Effect.SAME)
_BIND = Decision(201, "", Effect.BIND)
_FULL = Decision(429, "queue_full", Effect.NONE)
_BY_KEY = {
    Key.REVOKED: Decision(403, "device_revoked", Effect.NONE),
    Key.OTHER_SERIAL: Decision(409, "key_serial_mismatch", Effect.CONFLICT, "key_serial_mismatch"),
    Key.CURRENT: _SAME,
    Key.REJECTED: Decision(403, "enrollment_rejected", Effect.NONE),
    Key.SUPERSEDED: Decision(202, "key_superseded", Effect.QUEUE, "superseded_key_used"),
    Key.RETIRED: Decision(202, "serial_retired", Effect.QUEUE),
}


def decide(facts: Facts) -> Decision:
    if not facts.proof:
        return Decision(401, "signature_bad", Effect.NONE)
    if facts.key in _BY_KEY:
        return _BY_KEY[facts.key]
    if facts.prev is Prev.VALID and (found := _by_old_key(facts)):
        return found
    if facts.claim is Claim.INVALID:
        return Decision(403, "claim_invalid", Effect.NONE)
    if facts.claim is Claim.BUSY:
        return Decision(429, "claim_busy", Effect.NONE)
    found = _by_place(facts)
    return _FULL if found.effect is Effect.QUEUE and facts.queue is Queue.FULL else found


def _by_old_key(facts: Facts) -> Decision | None:
    """The old key vouches for the new one. In conflict two hold it, so the board and its line must vouch too."""
    if facts.place is Place.REVOKED:
        return _BY_KEY[Key.REVOKED]
    if facts.place in (Place.ACTIVE, Place.RETIRING) or (facts.place is Place.CONFLICT and _is_established(facts)):
        return Decision(200, "", Effect.REKEY)
    if facts.place is Place.CONFLICT:
        return _FULL if facts.queue is Queue.FULL else _queued("conflict_review")
    return None


def _by_place(facts: Facts) -> Decision:
    """Nothing vouches but the claim."""
    is_usable = facts.claim is Claim.USABLE
    if facts.place is Place.EXPECTED and is_usable:
        return _queued("mac_mismatch") if facts.macs is Macs.DISJOINT else _BIND
    if facts.place in (Place.ACTIVE, Place.RETIRING) and facts.has_ticket:
        return Decision(200, "", Effect.REKEY, spends_ticket=True)
    if facts.place is Place.ACTIVE and is_usable and facts.allows_rekey and facts.is_silent and _is_established(facts):
        return Decision(200, "", Effect.REKEY, "auto_rekey")
    if facts.place in _WAITS:
        reason = _WAITS[facts.place]
        return _queued(reason, reason if facts.place in INCUMBENTS else "")
    if not is_usable and facts.place is not Place.UNKNOWN:
        return _queued(
            "claim_disabled"
        )  # the claim burnt into the image is all that a reset board has: it never bricks
    if not is_usable or facts.queue is Queue.CLOSED:
        return Decision(403, "serial_unknown", Effect.NONE)
    return _queued("not_in_manifest")


_WAITS = {
    Place.ACTIVE: "serial_in_use",
    Place.RETIRING: "serial_in_use",
    Place.CONFLICT: "conflict_review",
    Place.REVOKED: "serial_revoked",
    Place.RETIRED: "serial_retired",
    Place.LAPSED: "manifest_lapsed",
    Place.AMBIGUOUS: "serial_ambiguous",
}


def _is_established(facts: Facts) -> bool:
    return facts.macs is Macs.EQUAL and facts.same_ip


def _queued(reason: str, alarm: str = "") -> Decision:
    return Decision(202, reason, Effect.QUEUE, alarm)


def approval(place: Place) -> Effect:
    """What a person's yes to a queued key does. NONE: not before the device bound to this serial is reinstated."""
    if place is Place.REVOKED:
        return Effect.NONE
    return Effect.REKEY if place in INCUMBENTS else Effect.BIND
