"""A serial journal as witness of an XML source: two accounts of one register's tickets, laid side by side. Pure.

Both number alike, the register before its running number: TRAN#1028376 of register 102, trSeq 1014449 of register 101
(in the genuine files; no register of them stands in both); a site that writes only one of the two with its register,
or with zeros in front, is matched all the same. A number comes again when the running part wraps or is set back, so a
pair is also near in time. Both times are the register's own clock, so its error cancels out.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from fleetd.ledger.base import COMPLETION, ROLLBACK, SUSPENDED, VOID
from fleetd.ledger.serials import local, number_in
from fleetd.ledger.skew import MINUTE_MS, Skew
from fleetd.ledger.verdict import HeldTicket

NEAR_MS = 12 * 3_600_000  # a register sells far fewer than 9,999 tickets in twice that
SETTLING_MS = MINUTE_MS  # a ticket may be written into the XML that much behind one with a later time
RUNNING_DIGITS = 4  # of a number that stands without its register
# What either side may leave out: no money changed hands, or, at a completion, it was paid with the prepay. A pump's
# register has no journal; whether one prints what a till completes under a number of its own is not known.
EXCUSED = frozenset({SUSPENDED, VOID, ROLLBACK, COMPLETION})


@dataclass(frozen=True, slots=True)
class Reach:
    """What the two accounts cover, in ms of the POS's local time as if it were UTC: the journal from journal_ms on, the
    book from book_ms to book_end_ms."""

    journal_ms: int = -(1 << 62)
    book_ms: int = -(1 << 62)
    book_end_ms: int = 1 << 62


EVERYTHING = Reach()


def reach(journal_begin: str, book_begin: str, book_end: str) -> Reach:
    """From POS local times, ISO 8601; one that says none is no border."""
    borders = (
        (journal_begin, EVERYTHING.journal_ms),
        (book_begin, EVERYTHING.book_ms),
        (book_end, EVERYTHING.book_end_ms),
    )
    return Reach(*(_ms(when) if (when := local(text)) else default for text, default in borders))


@dataclass(frozen=True, slots=True)
class Witness:
    """matched: pairs (journal, book). differing: those of them whose totals are not equal.

    only_journal, only_book: tickets that the other side should have. explained: tickets that it need not have.
    beyond: tickets from before the other account began, or that the next reading of the XML may still bring.
    """

    matched: tuple[tuple[HeldTicket, HeldTicket], ...]
    differing: tuple[tuple[HeldTicket, HeldTicket], ...]
    only_journal: tuple[HeldTicket, ...]
    only_book: tuple[HeldTicket, ...]
    explained: tuple[HeldTicket, ...]
    beyond: tuple[HeldTicket, ...] = ()


def compare(
    journal: Iterable[HeldTicket], book: Iterable[HeldTicket], skew: Skew, reach: Reach = EVERYTHING
) -> Witness:
    """Compare what both say of the registers that the journal covers, and of the completions of what those prepaid,
    over the span the caller chose for both.

    skew: that of the journal's register; it dates a ticket that has no POS time of its own.
    """
    said = _once(journal, skew)
    kept = _once(_concerned(said, book), skew)
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
    book_end_ms = reach.book_end_ms - SETTLING_MS
    early = [held for held in rest if _at(held, skew) < reach.journal_ms]
    unread = [held for held in alone if not reach.book_ms <= _at(held, skew) <= book_end_ms]
    beyond = {id(held) for held in (*early, *unread)}
    return Witness(
        tuple(matched),
        tuple(pair for pair in matched if _differ(*pair)),
        tuple(held for held in alone if id(held) not in beyond and not _is_excused(held)),
        tuple(held for held in rest if id(held) not in beyond and not _is_excused(held)),
        tuple(held for held in (*alone, *rest) if _is_excused(held)),
        tuple(held for held in (*unread, *early) if not _is_excused(held)),
    )


def _concerned(said: Iterable[HeldTicket], book: Iterable[HeldTicket]) -> Iterable[HeldTicket]:
    """What the book says of the journal's registers, and of what their prepays became."""
    numbers = {_key(held) for held in said}
    registers = {register for register, _ in numbers}
    for held in book:
        register, _ = _key(held)
        if register in registers or (COMPLETION in held.ticket.flags and _prepay(held, registers) & numbers):
            yield held


def _prepay(completion: HeldTicket, registers: Iterable[str]) -> set[tuple[str, str]]:
    """As which tickets of these registers its prepay may be known."""
    number = number_in(completion.ticket.linked)
    return {(register, _running(register, number)) for register in registers}


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
    register = held.ticket.register.lstrip("0")
    return register, _running(register, held.ticket.number)


def _running(register: str, number: str) -> str:
    """A register's running number, whether it is written behind the register's or not."""
    found = number.lstrip("0")
    if len(found) > RUNNING_DIGITS:
        found = found.removeprefix(register)
    return found.lstrip("0")


def _at(held: HeldTicket, skew: Skew) -> int:
    """The register's local time of a ticket as ms, as if it were UTC."""
    when = local(held.ticket.pos_time)
    if when is None:
        return held.captured_ms + skew.median_ms + skew.zone_minutes * MINUTE_MS
    return _ms(when)


def _ms(when: datetime) -> int:
    return int(when.replace(tzinfo=UTC).timestamp() * 1000)


def _differ(one: HeldTicket, other: HeldTicket) -> bool:
    totals = one.ticket.total_cents, other.ticket.total_cents
    return None not in totals and totals[0] != totals[1]


def _is_excused(held: HeldTicket) -> bool:
    return bool(held.ticket.flags & EXCUSED)
