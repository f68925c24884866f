"""The site's own count of tickets, and the stretches of it that nobody holds. Pure.

Measured on the genuine days: tickets in the order of their serials are in the order of their times but for 14 seconds,
and the longest quiet between two of them is 46 minutes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from fleetd.ledger.verdict import HeldTicket

RESET_JUMP = 3000  # five times the busiest genuine day: no day loses more, so past it a new count has begun
MAX_DIGITS = 18  # past any count, and short of where reading a number takes time
LONGEST_QUIET = timedelta(hours=1)  # beyond it, or when time runs back, a controller may have restarted between
SHORTEST_RESTART = timedelta(minutes=4)  # a controller takes five to be up again, and may skip serials meanwhile
CLOCK_SLACK = timedelta(minutes=1)


@dataclass(slots=True)
class SerialHole:
    """A stretch of the site's serials that nobody holds; `left` of them are not yet accounted for.

    is_ordinary: its neighbours follow each other, within the period, as they do while a controller runs. is_brisk: so
    fast that it cannot have restarted between them.
    """

    first: int
    last: int
    after: HeldTicket | None
    before: HeldTicket | None
    left: int
    is_ordinary: bool
    is_brisk: bool

    @property
    def start(self) -> str:
        """POS time of the ticket before it, "" at the edge of the day."""
        return self.after.ticket.pos_time if self.after else ""

    @property
    def end(self) -> str:
        """POS time of the ticket behind it, "" at the edge of the day."""
        return self.before.ticket.pos_time if self.before else ""


@dataclass(frozen=True, slots=True)
class Edges:
    """What a period's edges say: the last serial before it and the first behind it, and the POS times at which it was
    opened and closed; "" for what is not known."""

    serial_before: str = ""
    serial_after: str = ""
    opened: str = ""
    closed: str = ""

    def quiet(self, after: HeldTicket | None, before: HeldTicket | None) -> timedelta | None:
        """The time between two tickets; None if one is not there, says none, or is not of the period's time, and if
        time runs back between them.

        Whether a controller that restarts skips serials is not known, so a hole across a restart is no proof of a
        loss, nor is one across the close of a day: controllers restart at night.
        """
        if after is None or before is None:
            return None
        start, end = local(after.ticket.pos_time), local(before.ticket.pos_time)
        if start is None or end is None or end < start - CLOCK_SLACK:
            return None
        opened, closed = local(self.opened), local(self.closed)
        if (opened and min(start, end) < opened - CLOCK_SLACK) or (closed and max(start, end) > closed + CLOCK_SLACK):
            return None
        return end - start


def serial_holes(tickets: Iterable[HeldTicket], edges: Edges) -> list[SerialHole]:
    """The holes, lowest first; the serials next to the day's own close its edges if they are known."""
    beside = (edges.serial_before, edges.serial_after)
    known: dict[int, HeldTicket | None] = {int(text): None for text in beside if is_number(text)}
    for held in tickets:
        if is_number(held.ticket.serial):
            known[int(held.ticket.serial)] = held
    return [_hole(low, high, known, edges) for low, high in pairwise(sorted(known)) if 1 < high - low <= RESET_JUMP]


def _hole(low: int, high: int, known: Mapping[int, HeldTicket | None], edges: Edges) -> SerialHole:
    after, before = known[low], known[high]
    quiet = edges.quiet(after, before)
    is_ordinary = quiet is not None and quiet <= LONGEST_QUIET
    is_brisk = quiet is not None and quiet <= SHORTEST_RESTART
    return SerialHole(low + 1, high - 1, after, before, high - low - 1, is_ordinary, is_brisk)


def claim(
    holes: Sequence[SerialHole], after: HeldTicket | None, before: HeldTicket | None, count: int
) -> tuple[int, bool]:
    """Account for up to `count` serials missing between two tickets; how many there were, and whether every hole they
    were taken from is an ordinary one."""
    ends = [int(held.ticket.serial) if held else None for held in (after, before)]
    if after and before:
        ends.sort(key=lambda end: end or 0)  # a count that began anew between them
    low, high = ends
    claimed, is_ordinary = 0, True
    for hole in holes:
        if (low is None or hole.first > low) and (high is None or hole.last < high):
            part = min(hole.left, count - claimed)
            hole.left -= part
            claimed += part
            is_ordinary = is_ordinary and (hole.is_ordinary or not part)
    return claimed, is_ordinary


def hours(after_time: str, before_time: str) -> tuple[int, ...]:
    """The local hours of day from one ISO time to another, in that order; one of them may be "" or unreadable."""
    times = [when for text in (after_time, before_time) if (when := local(text)) is not None]
    if not times:
        return ()
    first, last = min(times), max(times)
    steps = int((last.replace(minute=0, second=0) - first.replace(minute=0, second=0)) / timedelta(hours=1))
    return tuple((first.hour + step) % 24 for step in range(min(steps, 23) + 1))


def local(text: str) -> datetime | None:
    """The time of day and date an ISO text says, its offset aside; None if it says none."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None, microsecond=0)
    except ValueError:
        return None


def is_number(text: str) -> bool:
    """Whether a POS can have counted so far; what else stands in a number's place counts nothing."""
    return len(text) <= MAX_DIGITS and text.isascii() and text.isdigit()


def number_in(linked: str) -> str:
    """`1014447` of a link to a ticket, `101/1014447` or however it is written; "" if there is none."""
    return next(reversed(re.findall(r"\d+", linked)), "")
