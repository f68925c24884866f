"""What can be asked of the database: one query, one function. Rows are read as they are wanted."""

import sqlite3
from collections.abc import Iterator
from typing import Any

from fleetd.sqlite_schema import CONFLICT, CONTRADICTS, HELD, SETTLED, TRANSACTION
from fleetd.sqlite_spans import Span, Spans, holes
from fleetd.store import Conflict, DeclaredGap, InvalidSegment, Query, StoredRecord, StreamState, Transaction
from routerd.model import GAP, Draft, Gap, Record, Stamp, Stream

# Columns stand in the order of the class they become, then what the query itself needs; `no` says which came last.
_TRANSACTION = """
SELECT d.id, s.source, s.epoch, r.seq, r.identity, r.pos_kind, r.pos_time, r.wall_ms, r.received_ms, r.bytes,
       coalesce(i.copies, 0), r.boot, r.mono_ms, {raw}, r.no AS no, d.no
FROM record r {by} JOIN stream s ON s.no = r.stream_no JOIN device d ON d.no = s.device_no
LEFT JOIN identity i ON i.device_no = d.no AND i.identity = r.identity AND i.digest = r.digest AND i.record_no = r.no
WHERE r.role = {role}
"""
_STREAM = """
SELECT d.id AS device, s.source AS source, s.epoch AS epoch, s.no, s.copies, s.received_ms AS no
FROM stream s JOIN device d ON d.no = s.device_no WHERE 1
"""
_GAP = """
SELECT d.id, s.source, s.epoch, r.first, r.last, r.cause, r.lost_bytes, r.from_ms, r.to_ms, r.received_ms,
       s.no, r.no AS no
FROM gap r JOIN device d ON d.no = r.device_no
JOIN stream s ON s.device_no = r.device_no AND s.source = r.source AND s.epoch = r.epoch WHERE 1
"""
_INVALID = """
SELECT d.id, s.source, s.epoch, s.first_seq, s.count, s.code, s.reason, s.times, s.first_ms, s.last_ms, s.size,
       t.no AS stream_no, s.no AS no
FROM invalid s JOIN device d ON d.no = s.device_no
LEFT JOIN stream t ON t.device_no = s.device_no AND t.source = s.source AND t.epoch = s.epoch WHERE 1
"""
_FIRST_VERSION = """
SELECT s.source, s.epoch, r.seq FROM identity i JOIN record r ON r.no = i.record_no JOIN stream s ON s.no = r.stream_no
WHERE i.device_no = ? AND i.identity = ? ORDER BY i.record_no LIMIT 1
"""
_RECORDS_AFTER = """
SELECT r.no, d.id, s.source, s.epoch, r.seq, r.boot, r.mono_ms, r.wall_ms, r.synced, r.kind, coalesce(r.raw, o.raw),
       r.identity, r.pos_time, r.pos_kind, r.received_ms, r.copy_of
FROM record r JOIN stream s ON s.no = r.stream_no JOIN device d ON d.no = s.device_no
LEFT JOIN record o ON o.no = r.copy_of WHERE r.no > ? ORDER BY r.no
"""
_CAPTURED = """
SELECT r.raw, r.lead, r.trail, o.raw FROM device d JOIN stream s ON s.device_no = d.no
JOIN record r ON r.stream_no = s.no LEFT JOIN record o ON o.no = r.copy_of
WHERE d.id = :device AND s.source = :source AND (:epoch IS NULL OR s.epoch = :epoch) AND r.kind != :gap
ORDER BY s.epoch, r.seq
"""


def transactions(db: sqlite3.Connection, query: Query, *, raw: bool) -> Iterator[Transaction]:
    by = "" if query.since_ms is None else "INDEXED BY record_received"  # the planner would rather scan in order of no
    sql = _TRANSACTION.format(role=TRANSACTION, raw="r.raw" if raw else "x''", by=by)
    for row in _rows(db, sql, query, since="r.received_ms"):
        yield Transaction(*row[:14])


def conflicts(db: sqlite3.Connection, query: Query) -> Iterator[Conflict]:
    sql = _TRANSACTION.format(role=CONFLICT, raw="x''", by="")
    for row in _rows(db, sql, query, since="r.received_ms"):
        source, epoch, seq = db.execute(_FIRST_VERSION, (row[15], row[4])).fetchone()
        yield Conflict(Transaction(*row[:14]), (source, epoch, seq))


def streams(db: sqlite3.Connection, query: Query) -> Iterator[StreamState]:
    for row in _rows(db, _STREAM, query, since="s.received_ms", order="device, source, epoch"):
        device, source, epoch, no, copies, received_ms = row
        held, settled = _layers(db, no)
        yield StreamState(
            device,
            source,
            epoch,
            records=sum(last - first + 1 for first, last in held),
            copies=copies,
            watermark=settled[0][1] if settled and settled[0][0] == 1 else 0,
            highest=settled[-1][1] if settled else 0,
            holes=holes(settled),
            received_ms=received_ms,
        )


def gaps(db: sqlite3.Connection, query: Query) -> Iterator[DeclaredGap]:
    held = Spans(db, HELD)
    for row in _rows(db, _GAP, query, since="r.received_ms"):
        device, source, epoch, first, last, *told, received_ms, stream_no, _ = row
        arrived = held.count_in(stream_no, (first, last)) if first else 0
        yield DeclaredGap(device, Gap(Stream(source, epoch), first, last, *told), arrived, received_ms)


def invalid(db: sqlite3.Connection, query: Query) -> Iterator[InvalidSegment]:
    settled = Spans(db, SETTLED)
    for *told, stream_no, _ in _rows(db, _INVALID, query, since="s.last_ms"):
        first, count, code = told[3:6]
        known = settled.count_in(stream_no, (first, first + count - 1)) if stream_no else 0
        told.append(known == count and code != CONTRADICTS)
        yield InvalidSegment(*told)


def records_after(db: sqlite3.Connection, no: int) -> Iterator[StoredRecord]:
    for row in db.execute(_RECORDS_AFTER, (no,)):
        number, device, source, epoch, seq, boot, mono_ms, wall_ms, synced, *said, received_ms, copy_of = row
        stamp = Stamp(boot.hex(), mono_ms * 1_000_000, wall_ms, bool(synced))
        record = Record(Stream(source, epoch), seq, stamp, Draft(*said))
        yield StoredRecord(number, device, record, received_ms, copy_of)


def captured(db: sqlite3.Connection, device: str, source: str, epoch: int | None) -> Iterator[bytes]:
    where = {"device": device, "source": source, "epoch": epoch, "gap": GAP}
    for raw, lead, trail, original in db.execute(_CAPTURED, where):
        yield raw if raw is not None else lead + original.strip() + trail


def _rows(db: sqlite3.Connection, sql: str, query: Query, *, since: str, order: str = "no") -> Iterator[Any]:
    """The rows that pass the filter, ascending by `order`; with a limit, those with the highest `no`."""
    wanted = {"device": query.device, "source": query.source, "since": query.since_ms, "limit": query.limit}
    filters = {"device": "d.id = :device", "source": "s.source = :source", "since": f"{since} >= :since"}
    sql += "".join(f" AND {test}" for name, test in filters.items() if wanted[name] not in (None, ""))
    if query.limit is not None:
        sql = f"SELECT * FROM ({sql} ORDER BY no DESC LIMIT :limit)"  # noqa: S608  built from constants
    # with `yield from`, a reader that leaves early would close the cursor of a database that is closed already
    for row in db.execute(f"{sql} ORDER BY {order}", wanted):  # noqa: UP028
        yield row


def _layers(db: sqlite3.Connection, stream_no: int) -> tuple[list[Span], list[Span]]:
    """What is held and what is settled, from one statement: a commit in between cannot tear them apart."""
    rows = list(db.execute("SELECT layer, first, last FROM span WHERE stream_no = ? ORDER BY first", (stream_no,)))
    held = [(first, last) for layer, first, last in rows if layer == HELD]
    return held, [(first, last) for layer, first, last in rows if layer == SETTLED]
