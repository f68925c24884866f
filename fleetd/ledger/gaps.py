"""What is missing and not proven harmless: declared losses, missing numbers, days without a document, hours in which a
router was off."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from fleetd.ledger import backfill
from fleetd.ledger.clocks import Redating, devices
from fleetd.ledger.schema import DONE
from fleetd.ledger.verdicts import SETTLED, JudgedDay, judged
from fleetd.sqlite_spans import Spans, holes

OFF_MS = 900_000  # three polls of a Commander: a shorter silence around a restart is an update, not an outage
MISSING, OFF, ABSENT = "number missing", "router off", "no document"
DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class OpenGap:
    """A gap that no complete day covers. from_ms, to_ms: re-dated, None where nothing tells. first, last: sequence
    numbers, 0 where none were given. until_ms: how long the POS can still give it, None if it never can."""

    device: str
    store: str
    source: str
    cause: str
    from_ms: int | None
    to_ms: int | None
    epoch: int
    first: int
    last: int
    lost_bytes: int
    until_ms: int | None
    order: str


def open_gaps(db: sqlite3.Connection, *, device: str = "", store: str = "") -> Iterator[OpenGap]:
    """By store, device and source. A gap is closed once every period it touches is complete."""
    for device_no, name, shop, _ in devices(db, device, store):
        days = list(judged(db, device_no))
        standing = backfill.standing(db, name)
        gathered = [*_found(db, device_no), *_undocumented(days, standing)]
        for found in sorted(gathered, key=lambda one: (one[0], one[2] or 0)):
            source, cause, from_ms, to_ms, epoch, first, last, lost = found
            if _is_covered(days, source, from_ms, to_ms):
                continue
            window = backfill.window_of(db, device_no, source)
            until_ms = (to_ms or from_ms or 0) + window.days * DAY_MS if window and (to_ms or from_ms) else None
            order = next((_order(one) for one in standing if one.source == source), "")
            yield OpenGap(name, shop, source, cause, from_ms, to_ms, epoch, first, last, lost, until_ms, order)


_Found = tuple[str, str, int | None, int | None, int, int, int, int]


def _found(db: sqlite3.Connection, device_no: int) -> Iterator[_Found]:
    """(source, cause, from, to, epoch, first, last, lost bytes)."""
    dates = Redating(db)
    yield from _declared(db, device_no, dates)
    yield from _missing_numbers(db, device_no, dates)
    yield from _off(db, device_no, dates)


def _declared(db: sqlite3.Connection, device_no: int, dates: Redating) -> Iterator[_Found]:
    select = """SELECT g.source, g.epoch, g.first, g.last, g.cause, g.lost_bytes, g.from_wall_ms, g.to_wall_ms,
                       g.boot_no, g.mono_ms, g.wall_ms,
                       (SELECT count(*) FROM place p JOIN stream s ON s.no = p.stream_no WHERE s.device_no = g.device_no
                        AND s.source = g.source AND s.epoch = g.epoch AND p.seq BETWEEN g.first AND g.last)
                FROM gap g WHERE g.device_no = ?"""
    for source, epoch, first, last, cause, lost, *times, boot_no, mono_ms, wall_ms, arrived in db.execute(
        select, (device_no,)
    ):
        if first and arrived == last - first + 1:
            continue  # it came after all
        ahead_ms = dates.captured_ms(device_no, boot_no, mono_ms) - wall_ms  # what the router's clock was behind
        from_ms, to_ms = (told + ahead_ms if told else None for told in times)
        yield source, cause, from_ms, to_ms, epoch, first, last, lost


def _missing_numbers(db: sqlite3.Connection, device_no: int, dates: Redating) -> Iterator[_Found]:
    """Dated by the first and the last record of their stream: they lie somewhere between."""
    spans = Spans(db, DONE)
    select = "SELECT no, source, epoch, boot_no, first_mono_ms, last_mono_ms FROM stream WHERE device_no = ?"
    for stream_no, source, epoch, boot_no, first_ms, last_ms in db.execute(select, (device_no,)):
        for first, last in holes(spans.all(stream_no)):
            known = boot_no is not None
            begin = dates.captured_ms(device_no, boot_no, first_ms) if known else None
            end = dates.captured_ms(device_no, boot_no, last_ms) if known else None
            yield source, MISSING, begin, end, epoch, first, last, 0


def _off(db: sqlite3.Connection, device_no: int, dates: Redating) -> Iterator[_Found]:
    """No record and no contact between two runs, for each source that both runs, or only the earlier, had."""
    select = """SELECT source, epoch, boot_no, first_mono_ms, last_mono_ms FROM stream
                WHERE device_no = ? AND boot_no IS NOT NULL ORDER BY epoch"""
    runs: dict[int, tuple[int, int, set[str]]] = {}
    for source, epoch, boot_no, first_ms, last_ms in db.execute(select, (device_no,)):
        begin, end, sources = runs.get(epoch, (1 << 62, -(1 << 62), set()))
        first = dates.captured_ms(device_no, boot_no, first_ms)
        last = dates.captured_ms(device_no, boot_no, last_ms)
        runs[epoch] = (min(begin, first), max(end, last), sources | {source})
    ordered = sorted(runs.items())
    for (epoch, before), (_, after) in pairwise(ordered):
        if after[0] - before[1] >= OFF_MS:
            for source in sorted(before[2]):
                yield source, OFF, before[1], after[0], epoch, 0, 0, 0


def _undocumented(days: Sequence[JudgedDay], standing: Sequence[backfill.Kept]) -> Iterator[_Found]:
    """Business days that the ledger ordered because no document of them ever came, dated by the calendar."""
    known = {(one.source, one.verdict.business_day) for one in days}
    for order in standing:
        for day in () if order.is_by_hand else backfill.days_of(order.first_day, order.last_day):
            if (order.source, day) not in known:
                begin_ms = int(datetime.fromisoformat(f"{day}T00:00+00:00").timestamp() * 1000)
                yield order.source, ABSENT, begin_ms, begin_ms + DAY_MS, 0, 0, 0, 0


def _is_covered(days: Sequence[JudgedDay], source: str, from_ms: int | None, to_ms: int | None) -> bool:
    """Whether complete periods of the source, end to end, hold the whole stretch."""
    if from_ms is None or to_ms is None:
        return False
    reached = from_ms
    own = [one for one in days if one.source == source and one.verdict.status in SETTLED]
    for one in sorted(own, key=lambda one: one.opened_ms or 0):
        if one.opened_ms is not None and one.closed_ms is not None and one.opened_ms <= reached:
            reached = max(reached, one.closed_ms)
    return reached >= to_ms and reached > from_ms


def _order(order: backfill.Kept) -> str:
    return f"order {order.id}: {order.first_day} to {order.last_day}, given {order.times} times"
