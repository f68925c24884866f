"""What an answer means for a device's standing: one state, one event, one next state. Pure.

    clocking ──signed time──► enrolling ──200, 201──► active ◄──► held          retiring ──drained──► retired
                                 │  ▲                    │ signed retire ─────────►│
                          202 ──►pending   403 ──►blocked└ signed identity_conflict ──► reidentify ──► enrolling
    426 from anywhere ──► incompatible ──the majors fit──► clocking      403 device_revoked ──► revoked

Capture runs in every state but retired. No state deletes anything, and none is reached by silence.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from routerd.backoff import Backoff
from routerd.wire.commands import IDENTITY_CONFLICT, RETIRE


class State(StrEnum):
    CLOCKING = "clocking"  # asks for signed time, and with it for the first nonce
    ENROLLING = "enrolling"
    PENDING = "pending"  # a person or a manifest must decide
    BLOCKED = "blocked"  # the cloud does not want this claim or serial
    ACTIVE = "active"
    HELD = "held"  # refused for now: data waits, others probe
    REVOKED = "revoked"
    RETIRING = "retiring"  # capture is off, the rest drains
    RETIRED = "retired"
    INCOMPATIBLE = "incompatible"  # another protocol version
    REIDENTIFY = "reidentify"  # two holders of one key: a new one is made


ASKS_TIME = frozenset({State.CLOCKING, State.INCOMPATIBLE})
ASKS_IDENTITY = frozenset({State.ENROLLING, State.PENDING, State.BLOCKED})
SPEAKS = frozenset({State.ACTIVE, State.RETIRING, State.HELD, State.REVOKED})  # signs requests as a device
_ENROLLED = SPEAKS | {State.RETIRED}

_NETWORK = Backoff(2.0, 300.0)  # 100,000 routers at this ceiling offer 667 requests a second, and no more
_HELD = Backoff(60.0, 3600.0)
_INCOMPATIBLE = Backoff(300.0, 21_600.0)
_BLOCKED_S = (3600.0, 86_400.0)
_REVOKED_S = 21_600.0
_RETRY_AFTER_S = (1.0, 3600.0)  # a cloud may slow a router, not silence it
_UNKNOWN_TIMES, _UNKNOWN_FOR_S = 3, 600.0  # a cloud restored from yesterday does not know today's keys


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device stands. `wait_s`: before what the state does next. `enrolled`: the cloud gave it a device id.

    `goal` is the state that signed time leads to. `unknown` counts the `key_unknown` in a row since `unknown_since_s`.
    """

    state: State = State.CLOCKING
    goal: State = State.ENROLLING
    wait_s: float = 0.0
    failures: int = 0
    unknown: int = 0
    unknown_since_s: float = 0.0

    @property
    def enrolled(self) -> bool:
        return (self.goal if self.state in ASKS_TIME else self.state) in _ENROLLED


@dataclass(frozen=True, slots=True)
class Heard:
    """An answer of our cloud that was no success, or none at all (status 0). `code` is the error body's."""

    status: int = 0
    code: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Worked:
    """The cloud took something from us: the only thing that ends a backoff."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A signed time was accepted. `fits`: the cloud speaks our protocol's major."""

    fits: bool


@dataclass(frozen=True, slots=True)
class Admitted:
    """200 or 201 to an enrollment."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """202 to an enrollment."""

    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Ordered:
    """A command that was checked: signed, for this device, within its time."""

    kind: str


@dataclass(frozen=True, slots=True)
class Drained:
    """Nothing waits any more."""


Event = Heard | Worked | Timed | Admitted | Deferred | Ordered | Drained


def start(status: str) -> Place:
    """Every start asks the time first. `status` is the record's: empty, active, retiring or retired."""
    if status == State.RETIRED:
        return Place(State.RETIRED)
    return Place(goal=State(status) if status in (State.ACTIVE, State.RETIRING) else State.ENROLLING)


def follow(place: Place, event: Event, now_s: float, chance: float) -> Place:
    """The next place. `now_s` is monotonic, `chance` uniform in [0, 1)."""
    if place.state in (State.RETIRED, State.REIDENTIFY):
        return place
    match event:
        case Timed(fits):
            return _timed(place, fits, chance)
        case Admitted() if place.state in ASKS_IDENTITY:
            return Place(State.ACTIVE)
        case Deferred(retry_after_s) if place.state in ASKS_IDENTITY:
            return Place(State.PENDING, wait_s=_clamped(retry_after_s))
        case Worked():
            back = State.ACTIVE if place.state in (State.HELD, State.REVOKED) else place.state
            return replace(place, state=back, failures=0, unknown=0, wait_s=0.0)
        case Ordered(kind) if place.enrolled:
            return _ordered(place, kind)
        case Drained() if place.state is State.RETIRING:
            return Place(State.RETIRED)
        case Heard():
            return _heard(place, event, now_s, chance)
    return place


def _timed(place: Place, fits: bool, chance: float) -> Place:
    if place.state not in ASKS_TIME:
        return place
    if not fits:
        return _incompatible(place, chance)
    return replace(place, state=place.goal, wait_s=0.0)


def _ordered(place: Place, kind: str) -> Place:
    if kind == IDENTITY_CONFLICT:
        return Place(State.REIDENTIFY)
    if kind == RETIRE:
        return Place(State.RETIRING)
    return place


def _heard(place: Place, heard: Heard, now_s: float, chance: float) -> Place:
    if heard.status == 426:
        return _incompatible(place, chance)
    if heard.status == 403 and heard.code == "device_revoked":
        if not place.enrolled:
            return Place(State.BLOCKED, wait_s=_REVOKED_S * (0.9 + 0.2 * chance))
        return replace(place, state=State.REVOKED, goal=State.ACTIVE, wait_s=_REVOKED_S * (0.9 + 0.2 * chance))
    if (heard.status, heard.code) == (401, "key_unknown") and place.enrolled:
        return _unknown(place, now_s, chance)
    refused = heard.status in (401, 403) or (heard.status, heard.code) == (409, "key_serial_mismatch")
    if refused and not heard.code.startswith("nonce_"):
        return _refused(place, chance)
    wait_s = _NETWORK.wait_s(place.failures, chance)
    if heard.retry_after_s is not None:
        wait_s = _clamped(heard.retry_after_s)  # exactly: the cloud has spread them
    return replace(place, failures=place.failures + 1, wait_s=wait_s)


def _unknown(place: Place, now_s: float, chance: float) -> Place:
    since_s = place.unknown_since_s if place.unknown else now_s
    count = place.unknown + 1
    if count >= _UNKNOWN_TIMES and now_s - since_s >= _UNKNOWN_FOR_S:
        return Place(State.ENROLLING)  # with the same key
    return replace(_refused(place, chance), unknown=count, unknown_since_s=since_s)


def _refused(place: Place, chance: float) -> Place:
    if place.enrolled:
        state = place.goal if place.state in ASKS_TIME else place.state
        kept = State.RETIRING if state is State.RETIRING else State.HELD  # a retiring device goes on to retire
        wait_s = _HELD.wait_s(place.failures, chance)
        return replace(place, state=kept, goal=kept, failures=place.failures + 1, wait_s=wait_s)
    low, high = _BLOCKED_S
    wait_s = min(high, low * 2.0 ** min(place.failures, 5)) * (0.75 + 0.25 * chance)
    return Place(State.BLOCKED, failures=place.failures + 1, wait_s=max(low, wait_s))


def _incompatible(place: Place, chance: float) -> Place:
    goal = place.goal if place.state in ASKS_TIME else place.state
    if goal in (State.PENDING, State.BLOCKED):
        goal = State.ENROLLING
    wait_s = _INCOMPATIBLE.wait_s(place.failures, chance)
    return replace(place, state=State.INCOMPATIBLE, goal=goal, failures=place.failures + 1, wait_s=wait_s)


def _clamped(seconds: float) -> float:
    low, high = _RETRY_AFTER_S
    return min(high, max(low, seconds))
