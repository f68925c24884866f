"""Which tickets never arrived: holes in the numbers that the POS gives. Pure.

Measured on two genuine Commander days of one site (1,099 financial records, 8 pumps, 1 till):

* `trUniqueSN` is one count for the whole site over sales, prepays, suspended and voided tickets. It had no hole within
  a day nor between the two days. Only rollback copies and what sells nothing (payin, payout, safe drop, clock, no-sale)
  are without it.
* `trSeq` of a till had no hole either, within or between the days; but what sells nothing takes numbers of it too, so
  a hole in it is a lost ticket only if the site's serials have one at the same place.
* `trSeq` of a pump is full of holes (up to 28 beside 39 tickets): a pump's number alone proves nothing.
* A prepay and its rollback share a number; every one of 169 rollbacks had one completion, at the pump that the prepay's
  line names or, 10 times, at the till under a number of its own.
* A cashier's close states the first and last number of the till exactly. Its count does not equal the tickets between
  (276 of 277, 265 of 266, one suspended ticket on either day), so it is not used.

So: the serial says how many are missing and when; the till's number says which; what is left was a pump's.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from fleetd.ledger.base import COMPLETION, RECALLED, ROLLBACK, Marker
from fleetd.ledger.pumps import completion_losses, pump_loss
from fleetd.ledger.serials import RESET_JUMP, Edges, SerialHole, claim, hours, is_number, number_in, serial_holes
from fleetd.ledger.verdict import BY_CLOSE, BY_NUMBER, BY_NUMBER_AND_SERIAL, HeldTicket, Missing

NO_EDGES = Edges()


def missing(
    tickets: Sequence[HeldTicket], markers: Iterable[Marker] = (), around: Edges = NO_EDGES
) -> tuple[Missing, ...]:
    """The stretches of tickets that did not arrive, in any order given; repeats and resets of a count do no harm."""
    edges = _edge_numbers(markers)
    tills = _tills(tickets)
    if not any(is_number(held.ticket.serial) for held in tickets):
        return tuple(_by_number_alone(tickets, edges))
    holes = serial_holes(tickets, around)
    found: list[Missing] = []
    for register in sorted(tills | edges.keys()):
        found += _till_losses(register, tickets, holes, edges.get(register), around)
    found += completion_losses(tickets, holes, tills, bool(found))
    found += [pump_loss(hole, tickets, tills) for hole in holes if hole.left > 0]
    return tuple(found)


def _tills(tickets: Iterable[HeldTicket]) -> set[str]:
    """Registers that sold anything inside by themselves; the others are pumps."""
    return {
        held.ticket.register
        for held in tickets
        if held.ticket.serial and not held.ticket.is_outside and COMPLETION not in held.ticket.flags
    }


def _edge_numbers(markers: Iterable[Marker]) -> dict[str, tuple[int, int]]:
    edges: dict[str, tuple[int, int]] = {}
    for marker in markers:
        if marker.kind != "close" or not (is_number(marker.first) and is_number(marker.last)) or int(marker.last) == 0:
            continue  # a cashier who sold nothing closes from 0 to 0
        first, last = int(marker.first), int(marker.last)
        low, high = edges.get(marker.register, (first, last))
        edges[marker.register] = (min(low, first), max(high, last))
    return edges


def _till_losses(
    register: str,
    tickets: Iterable[HeldTicket],
    holes: Sequence[SerialHole],
    edge: tuple[int, int] | None,
    around: Edges,
) -> Iterable[Missing]:
    """Holes in a till's numbers that the serials confirm, and what its close says was before the first or after
    the last that arrived."""
    known: dict[int, HeldTicket] = {}
    others: set[int] = set()  # numbers taken by what has no serial; a rollback only repeats its prepay's
    for held in tickets:
        if held.ticket.register == register and is_number(held.ticket.number):
            if is_number(held.ticket.serial):
                known[int(held.ticket.number)] = held
            elif ROLLBACK not in held.ticket.flags:
                others.add(int(held.ticket.number))
    numbers = sorted(known)
    for low, high in pairwise(numbers):
        lost = _lost(low, high, others)
        count, is_ordinary = claim(holes, known[low], known[high], len(lost))
        if count:
            told = _missing(register, lost, known[low], known[high], count, BY_NUMBER_AND_SERIAL)
            is_proven = is_ordinary and around.quiet(known[low], known[high]) is not None
            yield replace(told, is_proven=is_proven)
    if edge and not numbers and (lost := _lost(edge[0] - 1, edge[1] + 1, others)):
        claim(holes, None, None, len(lost))
        yield _missing(register, lost, None, None, len(lost), BY_CLOSE)
    if edge and numbers:
        yield from _edge_losses(register, known, others, edge, holes)


def _edge_losses(
    register: str,
    known: dict[int, HeldTicket],
    others: set[int],
    edge: tuple[int, int],
    holes: Sequence[SerialHole],
) -> Iterable[Missing]:
    low, high = min(known), max(known)
    if early := _lost(edge[0] - 1, low, others):
        claim(holes, None, known[low], len(early))
        yield _missing(register, early, None, known[low], len(early), BY_CLOSE)
    if late := _lost(high, edge[1] + 1, others):
        claim(holes, known[high], None, len(late))
        yield _missing(register, late, known[high], None, len(late), BY_CLOSE)


def _lost(low: int, high: int, others: set[int]) -> list[int]:
    """The numbers between two that nothing took; none where a new count has begun between them."""
    return [number for number in range(low + 1, high) if number not in others] if high - low <= RESET_JUMP else []


def _missing(
    register: str,
    lost: Sequence[int],
    after: HeldTicket | None,
    before: HeldTicket | None,
    count: int,
    seen_by: str,
) -> Missing:
    start, end = after.ticket.pos_time if after else "", before.ticket.pos_time if before else ""
    return Missing(
        register,
        str(lost[0]),
        str(lost[-1]),
        count,
        start,
        end,
        hours(start, end),
        side="inside",
        seen_by=seen_by,
    )


def _by_number_alone(tickets: Iterable[HeldTicket], edges: dict[str, tuple[int, int]]) -> Iterable[Missing]:
    """Holes in the numbers of a source that has no serial; a recalled ticket tells of the one it was suspended as."""
    known: dict[str, dict[int, HeldTicket | None]] = {}
    for held in tickets:
        numbers = known.setdefault(held.ticket.register, {})
        if RECALLED in held.ticket.flags and is_number(number := number_in(held.ticket.linked)):
            numbers.setdefault(int(number), None)
    for held in tickets:
        if is_number(held.ticket.number):
            known[held.ticket.register][int(held.ticket.number)] = held
    for register, numbers in sorted(known.items()):
        if register in edges and numbers:
            first, last = edges[register]
            numbers.setdefault(first - 1, None)
            numbers.setdefault(last + 1, None)
        ordered = sorted(numbers)
        for low, high in pairwise(ordered):
            if 1 < high - low <= RESET_JUMP:
                lost = range(low + 1, high)
                yield _missing(register, lost, numbers[low], numbers[high], len(lost), BY_NUMBER)
