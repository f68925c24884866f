"""The judgement of a day: what the POS says it sold against what arrived. Pure.

Order never matters, only identity and sums: a backlog written hours late, registers interleaved, clocks that run back
and counts that start again leave the verdict as it is. Which numbers prove a loss is in `registers`.

A day is complete if the money is equal to the cent, no record is known to be lost, and no hole in the site's serials
proves a loss: one between neighbours of the period that follow each other as usual, where a register skipped a number
too or time was too short for a restart. With equal money such a hole is a void, a prepay or a zero, or losses that
cancel out: the day is `short` by 0.00. A hole that proves nothing (a number that nothing sold under, a serial skipped
in a restart) is told in the reasons of a day that is complete.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from fleetd.ledger.base import Marker, Totals
from fleetd.ledger.registers import missing
from fleetd.ledger.serials import Edges
from fleetd.ledger.verdict import (
    BY_MONEY,
    COMPLETE,
    LATE,
    OPEN,
    OVER,
    SHORT,
    UNKNOWN,
    DayVerdict,
    Evidence,
    HeldTicket,
    Missing,
    described,
    is_counted,
    money,
)

LATE_AFTER_MS = 3_600_000  # an hour: the longest a healthy router lets a record wait; what comes later was retried
LONG_OPEN_MS = 26 * 3_600_000  # a day that the clocks made an hour longer, and an hour of closing
SIDES = (("inside", "insideSales"), ("outside", "outsideSales"))


def judge(evidence: Evidence, now_ms: int) -> DayVerdict:
    """The verdict on one period. now_ms serves to say how long an open day has been open; it changes no status."""
    held = distinct(evidence.tickets)
    counted = [one for one in held if is_counted(one.ticket)]
    pos_cents = pos_total(evidence)
    ledger_cents = sum(one.ticket.counted_cents for one in counted)
    difference = None if pos_cents is None else ledger_cents - pos_cents
    lost = missing(held, evidence.markers, _edges(evidence))
    sides = _sides(evidence, counted)
    unproven: tuple[Missing, ...] = ()
    if difference == 0:
        unproven = tuple(one for one in lost if not one.is_proven)
        lost = tuple(one for one in lost if one.is_proven)
    elif difference is not None and difference < 0:
        lost = _of_short_day(lost, counted, sides)
    late = _late(held, evidence.closed_received_ms)
    status = _status(evidence, difference, lost, late)
    day, period = _day_and_period(evidence, held)
    return DayVerdict(
        evidence.store,
        day,
        period,
        status,
        pos_cents,
        ledger_cents,
        difference,
        len(held),
        len(counted),
        _by_register(counted),
        lost,
        late,
        tuple(_reasons(evidence, counted, (status, difference, sides), unproven, now_ms)),
    )


def _edges(evidence: Evidence) -> Edges:
    sides = [side for side in (evidence.start, evidence.end) if side]  # the start has the head's facts
    opened = next((side.opened for side in sides if side.opened), "")
    closed = next((side.closed for side in sides if side.closed), "")
    return Edges(evidence.serial_before, evidence.serial_after, opened, closed)


def distinct(tickets: Iterable[HeldTicket]) -> tuple[HeldTicket, ...]:
    """Each ticket once, as it first arrived, in the order of arrival."""
    first: dict[tuple[object, ...], HeldTicket] = {}
    for held in sorted(tickets, key=lambda one: (one.received_ms, one.place)):
        ticket = held.ticket
        has_number = ticket.number or ticket.serial
        key = (
            ticket.store,
            ticket.register,
            ticket.number,
            ticket.serial,
            ticket.kind,
            ticket.flags,
            ticket.pos_time,
            ticket.total_cents,
            None if has_number else (held.source, held.place),
        )
        first.setdefault(key, held)
    return tuple(first.values())


def pos_total(evidence: Evidence) -> int | None:
    """What the POS says it sold, in cents: by its running totals, else by the period's own close; None if neither."""
    total = _growth(evidence.start, evidence.end, "overallSales")
    if total is not None:
        return total
    closes = {
        (marker.register, marker.total_cents): marker.total_cents
        for marker in evidence.markers
        if marker.kind == "period" and marker.total_cents is not None and _is_of(marker, evidence)
    }
    return sum(closes.values()) if closes else None


def _is_of(marker: Marker, evidence: Evidence) -> bool:
    return not marker.period or marker.period.split(":")[0] == evidence.kind


def _growth(start: Totals | None, end: Totals | None, name: str) -> int | None:
    before, after = (dict(side.sums).get(name) if side else None for side in (start, end))
    return None if before is None or after is None else after - before


def _late(held: Iterable[HeldTicket], closed_received_ms: int | None) -> int:
    if closed_received_ms is None:
        return 0
    return sum(one.received_ms > closed_received_ms + LATE_AFTER_MS for one in held)


def _status(evidence: Evidence, difference: int | None, lost: Sequence[Missing], late: int) -> str:
    if difference is None:
        start = evidence.start
        is_running = start and not start.closed and evidence.end is None and "overallSales" in dict(start.sums)
        return OPEN if is_running else UNKNOWN
    if difference > 0:
        return OVER
    if difference < 0 or lost or evidence.missing_records or evidence.unread:
        return SHORT
    return LATE if late else COMPLETE


def _day_and_period(evidence: Evidence, held: Sequence[HeldTicket]) -> tuple[str, str]:
    ends = [end for end in (evidence.end, evidence.start) if end]
    period = next((end.period for end in ends if end.period), "")
    day = next((end.business_day for end in ends if end.business_day), "")
    if not day:
        days = Counter(one.ticket.business_day or one.ticket.pos_time[:10] for one in held)
        day = max(sorted(days), key=lambda name: days[name], default="")
    return day, period or evidence.document


def _by_register(counted: Iterable[HeldTicket]) -> tuple[tuple[str, int, int], ...]:
    sums: dict[str, tuple[int, int]] = {}
    for held in counted:
        tickets, cents = sums.get(held.ticket.register, (0, 0))
        sums[held.ticket.register] = (tickets + 1, cents + held.ticket.counted_cents)
    return tuple((register, *sums[register]) for register in sorted(sums))


def _sides(evidence: Evidence, counted: Iterable[HeldTicket]) -> dict[str, int]:
    """side -> what arrived of it less what the POS says, in cents; only those of which the POS says anything."""
    sums = {"inside": 0, "outside": 0}
    for held in counted:
        sums["outside" if held.ticket.is_outside else "inside"] += held.ticket.counted_cents
    said = {side: _growth(evidence.start, evidence.end, name) for side, name in SIDES}
    return {side: sums[side] - cents for side, cents in said.items() if cents is not None}


def _of_short_day(
    lost: Sequence[Missing], counted: Sequence[HeldTicket], sides: Mapping[str, int]
) -> tuple[Missing, ...]:
    """The losses with the side they must be of, and one more for a side whose money none of them can explain."""
    short = [side for side, cents in sides.items() if cents < 0]
    if len(short) == 1:
        lost = [one if one.side else replace(one, side=short[0]) for one in lost]
    told = {one.side for one in lost}
    unexplained = [] if "" in told else [side for side in short or [""] if side not in told]
    return (*lost, *(_edge_loss(counted, side) for side in unexplained))


def _edge_loss(counted: Iterable[HeldTicket], side: str) -> Missing:
    """Money is missing and no number is: it was before the first or after the last ticket that arrived."""
    registers = {held.ticket.register for held in counted if not side or (side == "outside") == held.ticket.is_outside}
    return Missing("", "", "", 0, "", "", (), tuple(sorted(registers)), side, BY_MONEY)


def _reasons(
    evidence: Evidence,
    counted: Sequence[HeldTicket],
    money_facts: tuple[str, int | None, Mapping[str, int]],
    unproven: Sequence[Missing],
    now_ms: int,
) -> Iterable[str]:
    status, difference, sides = money_facts
    if status == OPEN and evidence.start:
        yield from _open_reasons(evidence.start, now_ms)
    if status == UNKNOWN:
        yield _unknown_reason(evidence)
    for name, cents in (("", difference or 0), *sides.items()):
        if cents:
            yield f"{name} {'short' if cents < 0 else 'over'} by {money(abs(cents))}".lstrip()
    if evidence.missing_records:
        yield f"{_many(evidence.missing_records, 'record')} of this period never arrived"
    if evidence.unread:
        yield f"{_many(evidence.unread, 'record')} arrived and could not be read: see `fleetctl undecodable`"
    for one in unproven:
        yield f"the money is equal, though {described(one)}"
    if difference is not None and difference > 0:
        yield from _repeated_serials(counted)


def _open_reasons(start: Totals, now_ms: int) -> Iterable[str]:
    yield "not closed yet"
    try:
        opened_ms = int(datetime.fromisoformat(start.opened).timestamp() * 1000)
    except ValueError:
        return
    if now_ms - opened_ms > LONG_OPEN_MS:
        yield f"open for {(now_ms - opened_ms) // 3_600_000} hours: the close was forgotten or did not arrive"


def _unknown_reason(evidence: Evidence) -> str:
    start, end = (side is not None and bool(side.sums) for side in (evidence.start, evidence.end))
    if start == end:
        return "the source gives no total"
    return f"the totals at the {'end' if start else 'start'} never arrived"


def _repeated_serials(counted: Iterable[HeldTicket]) -> Iterable[str]:
    serials = Counter(held.ticket.serial for held in counted if held.ticket.serial)
    for serial in sorted(serial for serial, times in serials.items() if times > 1):
        yield f"serial {serial} stands on {serials[serial]} tickets"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
