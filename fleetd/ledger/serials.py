"""The site's own count of tickets, and the stretches of it that nobody holds. Pure.

Measured on the genuine days: tickets in the order of their serials are in the order of their times but for 14 seconds,
and the longest quiet between two of them is 46 minutes.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from fleetd.ledger.verdict import HeldTicket

RESET_JUMP = 3000  # five times the busiest genuine day: no day loses more, so past it a new count has begun
MAX_DIGITS = 18  # past any count, and short of where reading a number takes time
LONGEST_QUIET = timedelta(hours=1)  # beyond it, or when time runs back, a controller may have restarted between
CLOCK_SLACK = timedelta(minutes=1)


@dataclass(slots=True)
class SerialHole:
    """A stretch of the site's serials that nobody holds; `left` of them are not yet accounted for."""

    first: int
    last: int
    after: HeldTicket | None
    before: HeldTicket | None
    left: int

    @property
    def start(self) -> str:
        """POS time of the ticket before it, "" at the edge of the day."""
        return self.after.ticket.pos_time if self.after else ""

    @property
    def end(self) -> str:
        """POS time of the ticket behind it, "" at the edge of the day."""
        return self.before.ticket.pos_time if self.before else ""

    @property
    def is_ordinary(self) -> bool:
        """Whether the neighbours follow each other as they do while a controller runs.

        Whether one that restarts skips serials is not known, so a hole across a restart is no proof of a loss, nor is
        one across the close of a day: controllers restart at night.
        """
        if self.after is None or self.before is None:
            return False
        start, end = local(self.start), local(self.end)
        return start is None or end is None or -CLOCK_SLACK <= end - start <= LONGEST_QUIET


def serial_holes(tickets: Iterable[HeldTicket], serial_before: str, serial_after: str) -> list[SerialHole]:
    """The holes, lowest first; the serials next to the day's own close its edges if they are known."""
    known: dict[int, HeldTicket | None] = {int(text): None for text in (serial_before, serial_after) if is_number(text)}
    for held in tickets:
        if is_number(held.ticket.serial):
            known[int(held.ticket.serial)] = held
    serials = sorted(known)
    return [
        SerialHole(low + 1, high - 1, known[low], known[high], high - low - 1)
        for low, high in pairwise(serials)
        if 1 < high - low <= RESET_JUMP
    ]


def claim(holes: Sequence[SerialHole], after: HeldTicket | None, before: HeldTicket | None, count: int) -> int:
    """Account for up to `count` serials missing between two tickets; how many there were."""
    ends = [int(held.ticket.serial) if held else None for held in (after, before)]
    if after and before:
        ends.sort(key=lambda end: end or 0)  # a count that began anew between them
    low, high = ends
    claimed = 0
    for hole in holes:
        if (low is None or hole.first > low) and (high is None or hole.last < high):
            part = min(hole.left, count - claimed)
            hole.left -= part
            claimed += part
    return claimed


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
