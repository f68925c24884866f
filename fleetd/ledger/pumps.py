"""Which pump a lost ticket was of. Pure.

A pump's numbers are full of holes, so it is named only where a prepay's rollback names it or no other pump skipped a
number just then. On the genuine days, with one record taken away at a time, that names each of 159 completions at pumps
and 45 of 292 pump sales; for the others the candidates hold the right one, two or three pumps of eight for 7 in 10.
"""

import re
from collections.abc import Iterable, Sequence

from fleetd.ledger.base import COMPLETION, ROLLBACK
from fleetd.ledger.serials import SerialHole, hours, is_number, number_in
from fleetd.ledger.verdict import BY_ROLLBACK, BY_SERIAL, HeldTicket, Missing

PUMP = re.compile(r"#\s*0*(\d+)\s*$")  # `PREPAY CA #05`


def completion_losses(
    tickets: Sequence[HeldTicket], holes: Sequence[SerialHole], tills: set[str], tills_lost: bool
) -> Iterable[Missing]:
    """Prepays whose rollback arrived and whose completion did not: the prepay's line names the pump.

    A prepay is completed within minutes, so its completion is in the first hole behind it. If that one is a till's, so
    was the completion, and it is already missed.
    """
    done = {number_in(held.ticket.linked) for held in tickets if COMPLETION in held.ticket.flags}
    prepaid = {held.ticket.number: int(held.ticket.serial) for held in tickets if is_number(held.ticket.serial)}
    tills_own = [hole.last - hole.first + 1 - hole.left for hole in holes]
    for held in sorted(tickets, key=lambda one: one.ticket.number):
        number = held.ticket.number
        if ROLLBACK not in held.ticket.flags or number in done:
            continue
        done.add(number)
        start = prepaid.get(number, -1)
        place = next((n for n, one in enumerate(holes) if one.last > start and (one.left or tills_own[n])), None)
        if place is None:
            if not tills_lost:
                yield _completion(held, None, tickets, tills)
        elif holes[place].left:
            holes[place].left -= 1
            yield _completion(held, holes[place], tickets, tills)
        else:
            tills_own[place] -= 1


def _completion(
    rollback: HeldTicket, hole: SerialHole | None, tickets: Iterable[HeldTicket], tills: set[str]
) -> Missing:
    pumps = {held.ticket.register for held in tickets if held.ticket.serial} - tills
    fuel = [line for line in rollback.ticket.lines if line.kind == "fuel"]
    named = {found[1] for line in fuel if (found := PUMP.search(line.description))}
    # pumps are numbered alike, 901, 902 …: the line's pump has a register even if it sold nothing else
    likely = {pump[0] + name.zfill(len(pump) - 1) for pump in pumps for name in named}
    after = (hole.start if hole else "") or rollback.ticket.pos_time
    before = hole.end if hole else ""
    serials = (str(hole.first), str(hole.last)) if hole else ("", "")
    register = likely.pop() if len(likely) == 1 else ""
    return Missing(
        register,
        *(("", "") if register else serials),
        1,
        after,
        before,
        hours(after, before),
        candidates=() if register else tuple(sorted(pumps)),
        side="inside",
        seen_by=BY_ROLLBACK,
        is_proven=hole is not None and hole.is_ordinary,
    )


def pump_loss(hole: SerialHole, tickets: Iterable[HeldTicket], tills: set[str]) -> Missing:
    """What no till misses was a pump's: one that skipped numbers just then, or whose edge of the day it is."""
    ranges: dict[str, tuple[str, str]] = {}
    for pump in sorted({held.ticket.register for held in tickets if held.ticket.serial} - tills):
        serials = {
            int(held.ticket.serial): held.ticket.number
            for held in tickets
            if held.ticket.register == pump and is_number(held.ticket.serial)
        }
        after = max((serial for serial in serials if serial < hole.first), default=None)
        before = min((serial for serial in serials if serial > hole.last), default=None)
        if after is None or before is None:
            ranges[pump] = ("", "")
            continue
        low, high = serials[after], serials[before]
        if not (is_number(low) and is_number(high)) or int(high) <= int(low):
            ranges[pump] = ("", "")
        elif int(high) - int(low) > 1:
            ranges[pump] = (str(int(low) + 1), str(int(high) - 1))
    [only] = ranges if len(ranges) == 1 else [""]
    first, last = ranges[only] if only else (str(hole.first), str(hole.last))
    others = () if only else tuple(ranges)
    return Missing(
        only,
        first,
        last,
        hole.left,
        hole.start,
        hole.end,
        hours(hole.start, hole.end),
        others,
        seen_by=BY_SERIAL,
        is_proven=hole.is_brisk,
    )
