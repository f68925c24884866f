"""Orders for backfill as the book keeps them: given, repeated and closed. What to order is decided in `orders`."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby, pairwise
from typing import Any

from fleetd.ledger import orders
from fleetd.ledger.evidence import PERIOD
from fleetd.ledger.risk import WINDOWS, Window
from fleetd.ledger.schema import DONE as LAYER
from fleetd.ledger.verdict import COMPLETE, DayVerdict
from fleetd.ledger.verdicts import SETTLED, JudgedDay, judged
from fleetd.sqlite_spans import Spans

OPEN, DONE, EXPIRED = "open", "done", "expired"
HOLE_GRACE_MS = 600_000  # numbers that no gap declares lost are most likely on their way, behind the document
JUMP_GRACE_MS = 3_600_000  # a router that was away catches up by itself, in an order of its own

MAX_DAYS = 400  # before and behind today; four times the longest window of a POS
EARLIEST_DAY = "2000-01-01"  # no POS that is read is older

_ORDER = """
SELECT id, device, source, first_day, last_day, is_by_hand, reason, state, created_ms, times, sent_ms, closed_ms
FROM backfill
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """An order: business days of a source, ISO dates, both included. times, sent_ms: how often and when it last went
    out in an answer. reason: a status, or `support` for one by hand."""

    id: int
    device: str
    source: str
    first_day: str
    last_day: str
    is_by_hand: bool
    reason: str
    state: str
    created_ms: int
    times: int
    sent_ms: int | None
    closed_ms: int | None


def revise(db: sqlite3.Connection, device_nos: Iterable[int], now_ms: int) -> None:
    """Inside a transaction: close what is met or past, order what is newly missed."""
    for device_no in sorted(device_nos):
        (device,) = db.execute("SELECT id FROM device WHERE no = ?", (device_no,)).fetchone()
        known = list(judged(db, device_no))
        windows = {one.source: window for one in known if (window := window_of(db, device_no, one.source))}
        for order in kept(db, device):
            if order.state == OPEN and (state := _closed(order, known, windows.get(order.source), now_ms)):
                db.execute("UPDATE backfill SET state = ?, closed_ms = ? WHERE id = ?", (state, now_ms, order.id))
        standing = [order for order in kept(db, device) if order.state != DONE]
        for wanted in orders.wanted(_claims(db, device_no, known, now_ms), windows, now_ms):
            if days := _uncovered(wanted, standing):
                give(db, device, (wanted.source, days[0], days[-1]), "missing", now_ms)


def give(
    db: sqlite3.Connection, device: str, span: tuple[str, str, str], reason: str, now_ms: int, *, by_hand: bool = False
) -> int:
    """Inside a transaction: a new open order for (source, first day, last day); its id."""
    insert = """INSERT INTO backfill (device, source, first_day, last_day, is_by_hand, reason, state, created_ms)
                VALUES (?, ?, ?, ?, ?, ?, 'open', ?)"""
    return db.execute(insert, (device, *span, by_hand, reason, now_ms)).lastrowid or 0


def note_sent(db: sqlite3.Connection, sent: Iterable[tuple[int, int]]) -> None:
    """Inside a transaction: orders (id, when) that went out in an answer."""
    db.executemany("UPDATE backfill SET times = times + 1, sent_ms = ?2 WHERE id = ?1", list(sent))


def kept(db: sqlite3.Connection, device: str = "") -> list[Kept]:
    """All orders of a device (or of all), by id, closed ones included."""
    found = db.execute(f"{_ORDER} WHERE ? IN ('', device) ORDER BY id", (device,))
    return [_kept(row) for row in found]


def standing(db: sqlite3.Connection, device: str) -> list[Kept]:
    """The open orders of a device, by id."""
    found = db.execute(f"{_ORDER} WHERE device = ? AND state = 'open' ORDER BY id", (device,))
    return [_kept(row) for row in found]


def window_of(db: sqlite3.Connection, device_no: int, source: str) -> Window | None:
    """For how long the POS behind a source can give a day again; None if it never gave a document."""
    pos = pos_of(db, device_no, source)
    return None if pos == "journal" else WINDOWS[pos]


def pos_of(db: sqlite3.Connection, device_no: int, source: str) -> str:
    """A key of `risk.WINDOWS`: what kind of POS a source's documents tell of; without any it says everything once."""
    select = "SELECT name FROM document WHERE device_no = ? AND source = ? ORDER BY record_no DESC LIMIT 1"
    row = db.execute(select, (device_no, source)).fetchone()
    if row is None:
        return "journal"
    return "commander" if PERIOD.fullmatch(row[0]) else "passport"


def days_of(first: str, last: str) -> list[str]:
    """The ISO dates of a span, both ends included."""
    begin = date.fromisoformat(first)
    return [(begin + timedelta(days=n)).isoformat() for n in range((date.fromisoformat(last) - begin).days + 1)]


def _kept(row: Sequence[Any]) -> Kept:
    fields = list(row)
    fields[5] = bool(fields[5])
    return Kept(*fields)


def _claims(
    db: sqlite3.Connection, device_no: int, known: Sequence[JudgedDay], now_ms: int
) -> Iterator[tuple[str, DayVerdict]]:
    """The verdicts that orders are decided from. What must not be ordered, or not yet, stands in as complete: a day
    still on its way, one that arrived and cannot all be read, and dates on which the POS closed no period, as its own
    count of them shows."""
    spans = Spans(db, LAYER)
    dailies = {one.source for one in known if one.kind == "daily"}
    own = [one for one in known if one.kind == "daily" or one.source not in dailies]
    own = [one for one in own if _is_plausible(one.verdict.business_day, now_ms)]
    for source, found in groupby(sorted(own, key=lambda one: one.source), key=lambda one: one.source):
        periods = list(found)
        for one in periods:
            waits = _is_under_way(db, spans, device_no, one, now_ms)
            is_here = one.unread and not one.missing_records  # the POS would give again what cannot be read
            yield source, _excused(one.verdict, one.verdict.business_day) if waits or is_here else one.verdict
        for before, after in pairwise(periods):
            if not _skips(before, after, now_ms):
                for day in days_of(before.verdict.business_day, after.verdict.business_day)[1:-1]:
                    yield source, _excused(after.verdict, day)


def _is_plausible(day: str, now_ms: int) -> bool:
    """Whether a document can be of this day: a POS whose clock is wrong closes periods of any."""
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    reach = timedelta(days=MAX_DAYS)
    return max(EARLIEST_DAY, (today - reach).isoformat()) <= day <= (today + reach).isoformat()


def _skips(before: JudgedDay, after: JudgedDay, now_ms: int) -> bool:
    """Whether the POS closed a period between these two that never came."""
    one, two = PERIOD.fullmatch(before.name), PERIOD.fullmatch(after.name)
    if one and two and int(two[3]) <= int(one[3]) + 1:
        return False
    return now_ms - after.received_ms >= JUMP_GRACE_MS


def _excused(verdict: DayVerdict, day: str) -> DayVerdict:
    return replace(verdict, business_day=day, status=COMPLETE, missing=())


def _is_under_way(db: sqlite3.Connection, spans: Spans, device_no: int, one: JudgedDay, now_ms: int) -> bool:
    """Whether what a document misses may still come: numbers that were neither declared lost nor long awaited."""
    if not one.missing_records or now_ms - one.received_ms >= HOLE_GRACE_MS:
        return False
    select = """SELECT s.no, r.first, r.last FROM run r LEFT JOIN stream s
                ON s.device_no = ? AND s.source = ? AND s.epoch = r.epoch WHERE r.document_no = ?"""
    for stream_no, first, last in db.execute(select, (device_no, one.source, one.document_no)):
        if not stream_no or spans.count_in(stream_no, (first, last)) < last - first + 1:
            return True
    return False


def _closed(order: Kept, known: Iterable[JudgedDay], window: Window | None, now_ms: int) -> str:
    """What became of an open order: DONE, EXPIRED, or "" while it stands. One by hand wants the days read anew."""
    fresh_ms = order.created_ms if order.is_by_hand else 0
    settled = {
        one.verdict.business_day
        for one in known
        if one.source == order.source and one.verdict.status in SETTLED and one.received_ms >= fresh_ms
    }
    ordered = date.fromisoformat(order.last_day) - date.fromisoformat(order.first_day)
    if sum(order.first_day <= day <= order.last_day for day in settled) == ordered.days + 1:
        return DONE
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    kept_days = (window or WINDOWS["commander"]).days + 1  # wherever on earth the store's midnight is
    return EXPIRED if today - date.fromisoformat(order.last_day) > timedelta(days=kept_days) else ""


def _uncovered(wanted: orders.Wanted, standing: Iterable[Kept]) -> list[str]:
    """The wanted days that no order asks for, or asked for in vain."""
    spans = [(order.first_day, order.last_day) for order in standing if order.source == wanted.source]
    days = days_of(wanted.first_day, wanted.last_day)
    return [day for day in days if not any(first <= day <= last for first, last in spans)]
