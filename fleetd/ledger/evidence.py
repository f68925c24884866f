"""What arrived of one period, gathered from the book for judgement."""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC

from fleetd.ledger.base import ROLLBACK, Line, Marker, Ticket, Totals
from fleetd.ledger.clocks import Redating
from fleetd.ledger.serials import local
from fleetd.ledger.verdict import Evidence, HeldTicket

_DOCUMENT = """
SELECT c.device_no, c.source, c.name, c.frames, c.received_ms, d.store
FROM document c JOIN device d ON d.no = c.device_no WHERE c.record_no = ?
"""
# A record that stands in a document twice is one record: DISTINCT. A number nobody holds is simply absent.
_CONTENT = """
SELECT p.record_no, count(*) FROM run r CROSS JOIN stream s ON s.device_no = ?1 AND s.source = ?2 AND s.epoch = r.epoch
CROSS JOIN place p ON p.stream_no = s.no AND p.seq BETWEEN r.first AND r.last WHERE r.document_no = ?3
GROUP BY p.record_no
"""
TICKET = """
SELECT no, site, register, number, kind, serial, cashier, business_day, periods, pos_time, flags, total_cents,
       counted_cents, is_outside, linked, age_check, device_no, boot_no, mono_ms, received_ms, source, epoch, seq, part
FROM ticket
"""
_MARKER = """
SELECT site, register, kind, pos_time, business_day, period, first, last, count, total_cents FROM marker
"""
_LINE = "SELECT number, kind, description FROM line WHERE ticket_no = ? ORDER BY place"
_TOTALS = "SELECT side, site, period, business_day, opened, closed, sums FROM totals WHERE record_no = ?"
_BEFORE = """
SELECT document_no, is_settled FROM day
WHERE device_no = ? AND source = ? AND name LIKE ? AND business_day <= ? ORDER BY business_day DESC LIMIT 1
"""
_AFTER = """
SELECT document_no, is_settled FROM day
WHERE device_no = ? AND source = ? AND name LIKE ? AND business_day >= ? ORDER BY business_day LIMIT 1
"""
_SERIALS = """
SELECT min(CAST(t.serial AS INTEGER)), max(CAST(t.serial AS INTEGER))
FROM run r CROSS JOIN stream s ON s.device_no = ?1 AND s.source = ?2 AND s.epoch = r.epoch
CROSS JOIN place p ON p.stream_no = s.no AND p.seq BETWEEN r.first AND r.last
CROSS JOIN ticket t ON t.record_no = p.record_no
WHERE r.document_no = ?3 AND t.serial GLOB '[0-9]*' AND t.serial NOT GLOB '*[^0-9]*'
"""
PERIOD = re.compile(r"(daily|shift)/(\d{4}-\d\d-\d\d)\.(\d{1,18})")
"""The name of a Commander's period: kind, the day it was closed, and the POS's running number of its kind."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """The evidence on one document. missing: its records that are not held; unread: those held and set aside."""

    evidence: Evidence
    missing: int
    unread: int


def of_document(db: sqlite3.Connection, document_no: int, dates: Redating) -> Gathered:
    """Everything a document names, as far as it is held."""
    row = db.execute(_DOCUMENT, (document_no,)).fetchone()
    device_no, source, name, frames, received_ms, store = row
    held = list(db.execute(_CONTENT, (device_no, source, document_no)))
    numbers = [number for number, _ in held]
    missing = frames - sum(count for _, count in held)
    tickets: list[HeldTicket] = []
    markers: list[Marker] = []
    totals: dict[str, Totals] = {}
    unread = 0
    for number in numbers:
        tickets += [held_ticket(db, one, dates) for one in db.execute(f"{TICKET} WHERE record_no = ?", (number,))]
        markers += [Marker(*one) for one in db.execute(f"{_MARKER} WHERE record_no = ?", (number,))]
        for *head, sums in db.execute(_TOTALS, (number,)):
            side, store, period, business_day, opened, closed = head
            said = tuple(json.loads(sums).items())
            totals[side] = Totals(side, store, period, business_day, opened, closed, said)
        unread += bool(db.execute("SELECT 1 FROM undecodable WHERE record_no = ?", (number,)).fetchone())
    before, after = beside(db, device_no, source, name)
    evidence = Evidence(
        name,
        kind_of(name),
        store,
        totals.get("start"),
        totals.get("end"),
        tuple(tickets),
        tuple(markers),
        missing,
        received_ms,
        _serials(db, device_no, source, before)[1],
        _serials(db, device_no, source, after)[0],
        unread,
    )
    return Gathered(evidence, missing, unread)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The document of a period next to another one, and whether it is proven complete."""

    document_no: int
    is_settled: bool


def beside(db: sqlite3.Connection, device_no: int, source: str, name: str) -> tuple[Neighbour | None, Neighbour | None]:
    """The periods of the same kind that the POS closed just before and just after this one, as far as they are held."""
    period = PERIOD.fullmatch(name)
    if period is None:
        return None, None
    kind, day, number = period[1], period[2], int(period[3])
    found = []
    for select, other in ((_BEFORE, number - 1), (_AFTER, number + 1)):
        row = db.execute(select, (device_no, source, f"{kind}/%.{other}", day)).fetchone()
        found.append(Neighbour(row[0], bool(row[1])) if row else None)
    return found[0], found[1]


def _serials(db: sqlite3.Connection, device_no: int, source: str, one: Neighbour | None) -> tuple[str, str]:
    """The lowest and the highest serial of a neighbour, "" twice if it may lack some at its own edge."""
    if one is None or not one.is_settled:
        return "", ""
    low, high = db.execute(_SERIALS, (device_no, source, one.document_no)).fetchone()
    return ("", "") if low is None else (str(low), str(high))


def of_day(db: sqlite3.Connection, device_no: int, store: str, source: str, day: str) -> Evidence:
    """A business day of a source whose documents are no periods: whatever its records say of that day."""
    dates = Redating(db)
    where = "WHERE device_no = ? AND source = ? AND day = ?"
    asked = (device_no, source, day)
    held = tuple(
        held_ticket(db, one, dates) for one in db.execute(f"{TICKET} {where} AND superseded_by IS NULL", asked)
    )
    said = tuple(Marker(*one) for one in db.execute(f"{_MARKER} {where}", asked))
    closed = (one.period.partition(":")[0] for one in said if one.kind == "period" and one.period)
    kind = next(closed, "day")
    return Evidence(f"{kind}/{day}", kind, store, None, None, held, said, 0, None)


def live_since(db: sqlite3.Connection, device_no: int, since_ms: int) -> Iterator[HeldTicket]:
    """The tickets of a router's sources that give no documents, the versions that count."""
    dates = Redating(db)
    where = """WHERE device_no = ?1 AND received_ms >= ?2 AND superseded_by IS NULL
               AND source NOT IN (SELECT source FROM document WHERE device_no = ?1)"""
    for row in db.execute(f"{TICKET} {where}", (device_no, since_ms)).fetchall():
        yield held_ticket(db, row, dates)


def clock_samples(tickets: Iterable[HeldTicket]) -> Iterator[tuple[int, int]]:
    """(POS local time as if it were UTC, captured time) of every ticket that has a time, in milliseconds."""
    for held in tickets:
        if (when := local(held.ticket.pos_time)) is not None:
            yield int(when.replace(tzinfo=UTC).timestamp() * 1000), held.captured_ms


def kind_of(document: str) -> str:
    """`daily` or `shift` for a period's document, `file` for any other."""
    kind = document.partition("/")[0]
    return kind if kind in ("daily", "shift") else "file"


def held_ticket(db: sqlite3.Connection, row: tuple[object, ...], dates: Redating) -> HeldTicket:
    """A row of TICKET."""
    number, *said, device_no, boot_no, mono_ms, received_ms, source, epoch, seq, part = row
    ticket = _ticket(said)
    if ROLLBACK in ticket.flags:  # its line names the pump whose completion it makes way for
        lines = tuple(Line(*one) for one in db.execute(_LINE, (number,)))
        ticket = replace(ticket, lines=lines)
    captured_ms = dates.captured_ms(_int(device_no), _int(boot_no), _int(mono_ms))
    return HeldTicket(ticket, captured_ms, _int(received_ms), str(source), (f"{source}/{epoch}", _int(seq), _int(part)))


def _ticket(said: list[object]) -> Ticket:
    """The head of a ticket."""
    *names, business_day, periods, pos_time, flags, total, counted, is_outside, linked, age_check = said
    site, register, number, kind, serial, cashier = map(str, names)
    return Ticket(
        site,
        register,
        number,
        kind,
        serial,
        cashier,
        str(business_day),
        tuple(str(periods).split()),
        str(pos_time),
        frozenset(str(flags).split()),
        None if total is None else _int(total),
        _int(counted),
        bool(is_outside),
        str(linked),
        age_check=str(age_check),
    )


def _int(value: object) -> int:
    assert isinstance(value, int)  # noqa: S101  STRICT tables hold nothing else there
    return value
