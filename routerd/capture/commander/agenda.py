"""What a link that pulls periods does next, and when. Pure: times are seconds of any clock that only rises."""

from collections.abc import Iterable
from dataclasses import dataclass

from routerd.capture.commander.periods import Period, newest

MAX_SLOWDOWN = 8  # eight default polls are 40 minutes, still well before the day closes
_NOW = float("-inf")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds between polls, between lists, and between closed documents."""

    poll_s: float
    list_s: float
    spacing_s: float


class Agenda:
    """Polls, lists and the queue of closed periods: those owed first (oldest first), then those asked for."""

    def __init__(self, kind: str, rhythm: Rhythm) -> None:
        """`kind` is the one whose running period is polled."""
        self._kind = kind
        self._rhythm = rhythm
        self._poll_at_s = self._list_at_s = self._closed_at_s = self._hold_until_s = _NOW
        self._slowdown = 1
        self._owed: list[Period] = []
        self._asked: list[Period] = []
        self._anew: set[str] = set()
        self._has_closed = False
        self._just_closed = ""

    @property
    def waiting(self) -> tuple[str, ...]:
        return tuple(each.name for each in self._owed + self._asked)

    @property
    def slowdown(self) -> int:
        return self._slowdown

    def rest_s(self, now_s: float) -> float:
        """Seconds until something is due; 0 for now."""
        due_s = min(self._poll_at_s, self._list_at_s, self._next_closed_s())
        return max(0.0, due_s - now_s, self._hold_until_s - now_s)

    def wants_poll(self, now_s: float) -> bool:
        return now_s >= self._poll_at_s

    def wants_list(self, now_s: float) -> bool:
        return now_s >= self._list_at_s

    def closed(self, now_s: float) -> Period | None:
        """The closed period to read now."""
        return (self._owed + self._asked)[0] if now_s >= self._next_closed_s() else None

    def is_anew(self, period: Period) -> bool:
        return period.name in self._anew

    def polled(self, now_s: float, *, was_slow: bool) -> None:
        self._slowdown = min(MAX_SLOWDOWN, self._slowdown * 2) if was_slow else max(1, self._slowdown // 2)
        self._poll_at_s = now_s + self._rhythm.poll_s * self._slowdown

    def period_changed(self) -> None:
        """The running period is another one, so one has closed."""
        self._list_at_s = _NOW
        self._has_closed = True

    def listed(self, now_s: float, owed: Iterable[Period]) -> None:
        self._list_at_s = now_s + self._rhythm.list_s
        self._owed = list(owed)
        self._asked = [each for each in self._asked if each not in self._owed]
        last = newest(self._owed, self._kind)
        if self._has_closed and last:
            self._just_closed = last.name
        self._has_closed = False

    def ask(self, periods: Iterable[Period], *, anew: bool) -> None:
        for period in periods:
            if anew:
                self._anew.add(period.name)
            if period not in self._owed + self._asked:
                self._asked.append(period)

    def finished(self, now_s: float, period: Period) -> None:
        """It was read, or is not to be had."""
        self._owed = [each for each in self._owed if each != period]
        self._asked = [each for each in self._asked if each != period]
        self._anew.discard(period.name)
        self.postpone(now_s)

    def postpone(self, now_s: float) -> None:
        """The next closed document keeps its distance, even the one that just closed."""
        self._just_closed = ""
        self._closed_at_s = now_s + self._rhythm.spacing_s

    def hold(self, now_s: float, wait_s: float) -> None:
        """Nothing at all until then."""
        self._hold_until_s = now_s + wait_s

    def slow_down(self, now_s: float) -> None:
        """The POS did not answer as it should: twice the wait of last time."""
        self._slowdown = min(MAX_SLOWDOWN, self._slowdown * 2)
        self.hold(now_s, self._rhythm.poll_s * self._slowdown)

    def stand_by(self, now_s: float) -> None:
        """Somebody must act first; the POS need not be spared."""
        self.hold(now_s, self._rhythm.poll_s)

    def _next_closed_s(self) -> float:
        queue = self._owed + self._asked
        if not queue:
            return float("inf")
        return _NOW if queue[0].name == self._just_closed else self._closed_at_s
