"""A serial journal as witness of an XML source: two accounts of one register's tickets, laid side by side. Pure.

Both number alike, the register before its running number: TRAN#1028376 of register 102, trSeq 1014449 of register 101
(in the genuine files; no register of them stands in both). A number comes again when the running part wraps or is set
back, so a pair is also near in time. Both times are the register's own clock, so its error cancels out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from fleetd.ledger.base import ROLLBACK, SUSPENDED, VOID
from fleetd.ledger.serials import local
from fleetd.ledger.skew import MINUTE_MS, Skew
from fleetd.ledger.verdict import HeldTicket

NEAR_MS = 12 * 3_600_000  # a register sells far fewer than 9,999 tickets in twice that
EXCUSED = frozenset({SUSPENDED, VOID, ROLLBACK})  # what either side may leave out: no money changed hands


@dataclass(frozen=True, slots=True)
class Witness:
    """matched: pairs (journal, book). differing: those of them whose totals are not equal.

    only_journal, only_book: tickets that the other side should have. explained: tickets that it need not have.
    """

    matched: tuple[tuple[HeldTicket, HeldTicket], ...]
    differing: tuple[tuple[HeldTicket, HeldTicket], ...]
    only_journal: tuple[HeldTicket, ...]
    only_book: tuple[HeldTicket, ...]
    explained: tuple[HeldTicket, ...]


def compare(journal: Iterable[HeldTicket], book: Iterable[HeldTicket], skew: Skew) -> Witness:
    """Compare what both say of the registers that the journal covers, over the span the caller chose for both.

    skew: that of the journal's register; it dates a ticket that has no POS time of its own.
    """
    said = _once(journal, skew)
    registers = {held.ticket.register for held in said}
    kept = _once((held for held in book if held.ticket.register in registers), skew)
    by_number: dict[tuple[str, str], list[HeldTicket]] = {}
    for held in kept:
        by_number.setdefault(_key(held), []).append(held)
    matched: list[tuple[HeldTicket, HeldTicket]] = []
    alone: list[HeldTicket] = []
    for held in said:
        others = [one for one in by_number.get(_key(held), []) if abs(_at(one, skew) - _at(held, skew)) <= NEAR_MS]
        if not others:
            alone.append(held)
            continue
        nearest = min(others, key=lambda one: abs(_at(one, skew) - _at(held, skew)))
        by_number[_key(held)].remove(nearest)
        matched.append((held, nearest))
    rest = [held for held in kept if any(held is one for one in by_number[_key(held)])]
    return Witness(
        tuple(matched),
        tuple(pair for pair in matched if _differ(*pair)),
        tuple(held for held in alone if not _is_excused(held)),
        tuple(held for held in rest if not _is_excused(held)),
        tuple(held for held in (*alone, *rest) if _is_excused(held)),
    )


def _once(tickets: Iterable[HeldTicket], skew: Skew) -> list[HeldTicket]:
    """Each ticket once, in the order of time; a rollback has the number of its prepay and is no ticket of its own."""
    first: dict[tuple[str, str, int], HeldTicket] = {}
    for held in sorted(tickets, key=lambda one: (ROLLBACK in one.ticket.flags, _at(one, skew))):
        place = _at(held, skew)
        if ROLLBACK in held.ticket.flags and any(key[:2] == _key(held) for key in first):
            continue
        first.setdefault((*_key(held), place), held)
    return sorted(first.values(), key=lambda one: _at(one, skew))


def _key(held: HeldTicket) -> tuple[str, str]:
    return held.ticket.register, held.ticket.number


def _at(held: HeldTicket, skew: Skew) -> int:
    """The register's local time of a ticket as ms, as if it were UTC."""
    when: datetime | None = local(held.ticket.pos_time)
    if when is None:
        return held.captured_ms + skew.median_ms + skew.zone_minutes * MINUTE_MS
    return int(when.replace(tzinfo=UTC).timestamp() * 1000)


def _differ(one: HeldTicket, other: HeldTicket) -> bool:
    totals = one.ticket.total_cents, other.ticket.total_cents
    return None not in totals and totals[0] != totals[1]


def _is_excused(held: HeldTicket) -> bool:
    return bool(held.ticket.flags & EXCUSED)
