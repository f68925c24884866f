"""The periods a Verifone site controller lists, and which of them to read. Pure.

A closed period is named by its kind and the controller's file name, `daily/2026-07-16.311`: the business day it counts
for and its number, which counts closings and never goes back unless the controller was reloaded.
Source: "Site Controller URL Reference Guide" 2.00.01 (Verifone, 2016), vtlogpdlist; a genuine answer of 92 entries.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from routerd.errors import PermanentError

CODES = {"shift": "1", "daily": "2"}  # kind -> the controller's period (URL Reference Guide, vtransset)
CURRENT = "current"
MAX_WISH_DAYS = 400  # a controller keeps about 91 days; the bound keeps a mistyped year from filling memory
_MAX_AHEAD_DAYS = 2
_MAX_PART_BYTES = 1 << 16
_KINDS = {code: kind for kind, code in CODES.items()}
_PART = re.compile(
    rb"<(?:[\w.-]+:)?(periodInfo|period|reportParameter)\b([^<>]*)>([^<]*)"  # one pass: a list cannot make it slow
)
_SYSID = re.compile(rb"""\bsysid\s*=\s*["'](\d+)["']""")
_FILE_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})\.(\d{1,9})", re.A)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A closed period. Ordered by day, then number."""

    day: str
    number: int
    kind: str
    file_name: str

    @property
    def name(self) -> str:
        return f"{self.kind}/{self.file_name}"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a POS has for a wish: closed periods, oldest first, and days without any."""

    present: tuple[Period, ...]
    absent: tuple[str, ...]


def period(kind: str, file_name: str) -> Period | None:
    """None for `current` and for names that are none of ours: they would go into a request."""
    found = _FILE_NAME.fullmatch(file_name)
    return Period(found[1], int(found[2]), kind, file_name) if found and kind in CODES else None


def named(name: str) -> Period | None:
    """The period called `daily/2026-07-16.311`, None if that is no name of one."""
    kind, _, file_name = name.partition("/")
    return period(kind, file_name)


def listed(body: bytes) -> tuple[Period, ...]:
    """The closed periods in a whole `periodList`, oldest first."""
    listing = Listing()
    listing.feed(body)
    return listing.end()


class Listing:
    """A `periodList` being read, in pieces of any size. `feed` each, then `end`."""

    def __init__(self) -> None:
        self._found: set[Period] = set()
        self._kind = ""
        self._rest = b""

    def feed(self, piece: bytes) -> None:
        data = self._rest + piece
        whole = max(0, data.rfind(b"<"))  # a part ends where the next begins
        self._take(data[:whole])
        self._rest = data[whole:][:_MAX_PART_BYTES]

    def end(self) -> tuple[Period, ...]:
        """The closed periods, oldest first, whatever the list's order."""
        self._take(self._rest)
        self._rest = b""
        return tuple(sorted(self._found))

    def _take(self, data: bytes) -> None:
        for part, attributes, text in _PART.findall(data):
            if part == b"periodInfo":
                self._kind = ""
            elif part == b"period" and (sysid := _SYSID.search(attributes)):
                self._kind = _KINDS.get(sysid[1].decode(), "")
            elif b"period" in attributes:
                self._kind = _KINDS.get(text.strip().decode("ascii", "replace"), self._kind)
            elif b"filename" in attributes:
                closed = period(self._kind, text.strip().decode("ascii", "replace"))
                self._found |= {closed} if closed else set()


def newest(periods: Iterable[Period], kind: str) -> Period | None:
    """The newest of those that are not dated ahead of all others."""
    closed = [each for each in periods if each.kind == kind]
    horizon = _horizon(closed)
    return max((each for each in closed if each.day <= horizon), default=None)


def due(
    periods: Iterable[Period],
    kinds: tuple[str, ...],
    taken: Callable[[str], bool],
    *,
    catch_up_days: int,
    all_days: bool = False,
) -> list[Period]:
    """What is to be read without being asked, oldest first; of one day, the kind configured first comes first.

    Per kind: what is newer than the newest that was taken, by day or by number. Where none was, or with `all_days` (the
    numbering began anew), what was not taken of the last `catch_up_days`, at least one, up to the newest in the list:
    the router's own clock may be wrong. Closings dated ahead of all others (the POS's clock was wrong once) are due,
    and hide no other.
    """
    chosen = []
    for kind in kinds:
        closed = sorted(each for each in periods if each.kind == kind)
        horizon = _horizon(closed)
        held = {each for each in closed if taken(each.name)}
        left = [each for each in closed if each not in held]
        last = max((each for each in held if each.day <= horizon), default=None)
        if last and not all_days:
            top = max(each.number for each in held)
            chosen += [each for each in left if each > last or each.number > top]
        else:
            since = _days_before(horizon, max(1, catch_up_days))
            chosen += [each for each in left if each.day > since]
    return sorted(chosen, key=lambda each: (each.day, kinds.index(each.kind), each.number))


def choose(periods: Iterable[Period], kinds: tuple[str, ...], first: str, last: str) -> Choice:
    """What there is for the business days `first`..`last`.

    Raises PermanentError backfill.bad_range, and backfill.beyond_window where the list has no day of the wish.
    """
    wished = days(first, last)
    ours = [each for each in periods if each.kind in kinds]
    present = sorted(
        (each for each in ours if first <= each.day <= last),
        key=lambda each: (each.day, kinds.index(each.kind), each.number),
    )
    if not present:
        kept = f"its closed days are {min(ours).day} to {max(ours).day}" if ours else "it lists no closed day"
        raise PermanentError("backfill.beyond_window", f"the POS has nothing of {first} to {last}: {kept}")
    found = {each.day for each in present}
    return Choice(tuple(present), tuple(day for day in wished if day not in found))


def days(first: str, last: str) -> list[str]:
    """The days `first`..`last` (ISO dates), both included. PermanentError backfill.bad_range."""
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError as exc:
        raise PermanentError("backfill.bad_range", f"{first} to {last}: days are written 2026-07-16") from exc
    count = (end - begin).days + 1
    if not 0 < count <= MAX_WISH_DAYS or (begin.isoformat(), end.isoformat()) != (first, last):
        message = f"{first} to {last}: name the earlier day first, at most {MAX_WISH_DAYS} days, as 2026-07-16"
        raise PermanentError("backfill.bad_range", message)
    return [(begin + timedelta(days=each)).isoformat() for each in range(count)]


def _horizon(closed: Iterable[Period]) -> str:
    """The newest day but for a few that a gap parts from most of the list; "" where there is none.

    After a real gap (a shop that was shut) this lags by those few days, which costs nothing: they are due all the same.
    """
    known = sorted({each.day for each in closed if _ordinal(each.day)})
    for few in (3, 2, 1):
        if len(known) >= 2 * few and _ordinal(known[-few]) - _ordinal(known[-few - 1]) > _MAX_AHEAD_DAYS:
            return known[-few - 1]
    return known[-1] if known else ""


def _ordinal(day: str) -> int:
    """0 for a day that the calendar does not know."""
    try:
        return date.fromisoformat(day).toordinal()
    except ValueError:
        return 0


def _days_before(day: str, days: int) -> str:
    """The day `days` before `day`; a day that the calendar does not know counts as its text, so nothing precedes it."""
    try:
        return (date.fromisoformat(day) - timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return ""
