"""What a judgement is made from, and what it says. Pure nouns; every sum is whole cents, every instant milliseconds."""

from dataclasses import dataclass

from fleetd.ledger.base import PREPAY, ROLLBACK, SUSPENDED, VOID, Marker, Ticket, Totals

COMPLETE, SHORT, OVER, LATE, OPEN, UNKNOWN = "complete", "short", "over", "late", "open", "unknown"
NOT_COUNTED = frozenset({VOID, ROLLBACK, PREPAY, SUSPENDED})

# What told of a missing ticket; `registers` says what each is worth.
BY_NUMBER_AND_SERIAL, BY_SERIAL, BY_NUMBER = "number and serial", "serial", "number"
BY_CLOSE, BY_ROLLBACK, BY_MONEY = "cashier's close", "rollback", "money"


@dataclass(frozen=True, slots=True)
class HeldTicket:
    """A ticket that arrived. captured_ms: the router's clock; received_ms: the cloud's; place: (stream, seq, part)."""

    ticket: Ticket
    captured_ms: int
    received_ms: int
    source: str
    place: tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that arrived of one period of one store, in any order, repeats included.

    kind: `daily`, `shift`, `file` … start, end: the envelope's running totals, None while they have not arrived.
    missing_records: records the router numbered and lost. closed_received_ms: when the close arrived, None if open.
    unread: records that arrived and could not be read.
    serial_before, serial_after: the last serial of the period before and the first of the one after, "" if not
    known; they show a loss at the very edge of the day that nothing inside it can show.
    """

    document: str
    kind: str
    store: str
    start: Totals | None
    end: Totals | None
    tickets: tuple[HeldTicket, ...]
    markers: tuple[Marker, ...]
    missing_records: int
    closed_received_ms: int | None
    serial_before: str = ""
    serial_after: str = ""
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Missing:
    """Tickets that the POS wrote and that did not arrive.

    register: "" where it cannot be known; then `candidates` are those it may be. first, last: the range of the
    register's own numbers in which `count` are missing, or of the site's serials where the register is ""; "" where
    not known. count: 0 where only the money tells of it.
    after_time, before_time: POS time of the neighbours that did arrive, "" at an edge of the day. hours: local hours
    of the day the stretch may touch. side: `inside`, `outside` or "". is_proven: the site's serials miss it between
    neighbours of the period that follow each other as usual, so it is lost even if the money is equal.
    """

    register: str
    first: str
    last: str
    count: int
    after_time: str
    before_time: str
    hours: tuple[int, ...]
    candidates: tuple[str, ...] = ()
    side: str = ""
    seen_by: str = BY_NUMBER
    is_proven: bool = False


@dataclass(frozen=True, slots=True)
class DayVerdict:
    """What is known of one period of one store.

    status: `complete` money equal and nothing missing; `late` the same, but records came long after the close;
        `short` something is missing: money, or a ticket that carries none (difference 0); `over` more arrived than
        the POS says; `open` not closed yet; `unknown` the source gives no total, or it has not arrived.
    difference_cents: ledger - POS, negative when short. tickets: distinct ones; counted: those the POS counts.
    by_register: (register, counted tickets, cents). late: tickets that came long after the close.
    """

    store: str
    business_day: str
    period: str
    status: str
    pos_cents: int | None
    ledger_cents: int
    difference_cents: int | None
    tickets: int
    counted: int
    by_register: tuple[tuple[str, int, int], ...]
    missing: tuple[Missing, ...]
    late: int
    reasons: tuple[str, ...]


def is_counted(ticket: Ticket) -> bool:
    """Whether the POS counts it, be it at 0.00."""
    return ticket.counted_cents != 0 or (ticket.total_cents is not None and not ticket.flags & NOT_COUNTED)


def money(cents: int) -> str:
    """`-1,234.50` for -123450."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100:,}.{abs(cents) % 100:02d}"


def described(lost: Missing) -> str:
    """`101: 1 ticket missing, number 1014448, 06:15-06:18`, for a line of text."""
    who = lost.register or (f"one of {' '.join(lost.candidates)}" if lost.candidates else "a register")
    if lost.seen_by == BY_MONEY:
        return f"{who}: no number is missing, so it was before the first or after the last ticket that arrived"
    numbers = f", {'number' if lost.register else 'serial'} {lost.first}" if lost.first else ""
    if lost.first != lost.last:
        numbers += f"-{lost.last}"
    return f"{who}: {lost.count} ticket{'' if lost.count == 1 else 's'} missing{numbers}{_between(lost)}"


def _between(lost: Missing) -> str:
    after, before = lost.after_time[11:16], lost.before_time[11:16]
    if after and before:
        return f", {after}-{before}"
    return f", after {after}" if after else f", before {before}" if before else ""
