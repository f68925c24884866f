"""What one transaction of the follower writes into the book. Lives as long as its transaction."""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple

from fleetd.ledger import dating
from fleetd.ledger.base import Decoded, Line, Marker, Ticket, Totals
from fleetd.ledger.schema import DONE
from fleetd.sqlite_spans import Spans
from fleetd.store import Device, StoredRecord
from routerd.errors import CorruptError
from routerd.model import Document, Gap, Stream

Outcome = tuple[Decoded, ...] | Gap | Document | CorruptError
"""What reading a record gave: what it says, a declared loss, a document's contents, or why it is set aside."""

_BOOT = """
SELECT no, epoch, upper_ms, upper_received_ms, is_live, router_ms, router_mono_ms, first_mono_ms, last_mono_ms,
       first_received_ms, last_received_ms FROM boot WHERE device_no = ? AND id = ?
"""
_UPDATE_BOOT = """
UPDATE boot SET epoch = ?, upper_ms = ?, upper_received_ms = ?, is_live = ?, router_ms = ?, router_mono_ms = ?,
    first_mono_ms = ?, last_mono_ms = ?, first_received_ms = ?, last_received_ms = ? WHERE no = ?
"""
_REACH = """
UPDATE stream SET boot_no = ?2, first_mono_ms = min(coalesce(first_mono_ms, ?3), ?3),
    last_mono_ms = max(coalesce(last_mono_ms, ?3), ?3), first_ms = coalesce(first_ms, ?4), last_ms = ?4 WHERE no = ?1
"""
_SUPERSEDE = """
UPDATE ticket SET superseded_by = ?1
WHERE store = ?2 AND identity = ?3 AND record_no != ?1 AND superseded_by IS NULL
"""
_MAX_MS = 1 << 60  # thirty million years


class Entries:
    """The records of one transaction, in order of arrival; then `finish`."""

    def __init__(self, db: sqlite3.Connection, devices: Mapping[str, Device]) -> None:
        self._db = db
        self._devices = devices
        self._done = Spans(db, DONE)
        self._device_nos: dict[str, int] = {}
        self._stream_nos: dict[tuple[int, Stream], int] = {}
        self._boots: dict[tuple[int, bytes], tuple[int, dating.Boot]] = {}
        self._reached: dict[int, list[tuple[int, int]]] = {}  # stream -> sequence numbers dealt with, as ranges
        self.documents: list[int] = []
        """The numbers of the records that brought a document."""
        self.touched: dict[tuple[int, str, int], tuple[int, int]] = {}
        """(device, source, epoch) of every record that was placed, with the lowest and the highest number placed."""

    def take(self, stored: StoredRecord, outcome: Outcome) -> None:
        record = stored.record
        device_no = self.device(stored.device)
        stream_no = self._stream(device_no, record.stream)
        boot_no = self._learn(device_no, stored)
        holder = stored.no if stored.copy_of is None else stored.copy_of
        self._db.execute("INSERT OR REPLACE INTO place VALUES (?, ?, ?)", (stream_no, record.seq, holder))
        mono_ms = _plausible(record.stamp.mono_ns // 1_000_000)
        self._db.execute(_REACH, (stream_no, boot_no, mono_ms, stored.received_ms))
        self._reach(stream_no, record.seq, record.seq)
        self._touch(device_no, record.stream, record.seq)
        if stored.copy_of is None:
            self._enter(device_no, boot_no, stored, outcome)

    def again(self, stored: StoredRecord, outcome: Outcome) -> None:
        """A record that was set aside, read once more."""
        device_no = self.device(stored.device)
        self._db.execute("DELETE FROM undecodable WHERE record_no = ?", (stored.no,))
        self._enter(device_no, self._learn(device_no, stored), stored, outcome)
        self._touch(device_no, stored.record.stream, stored.record.seq)

    def _touch(self, device_no: int, stream: Stream, seq: int) -> None:
        place = (device_no, stream.source, stream.epoch)
        low, high = self.touched.get(place, (seq, seq))
        self.touched[place] = (min(low, seq), max(high, seq))

    def finish(self, position: int) -> None:
        """Write what was gathered: clocks, how far each stream is dealt with, and how far the reading is."""
        rows = [(*astuple(boot), boot_no) for boot_no, boot in self._boots.values()]
        self._db.executemany(_UPDATE_BOOT, rows)
        for stream_no, spans in self._reached.items():
            for span in spans:
                self._done.add(stream_no, span)
            moved = "UPDATE stream SET watermark = ?1, moved = ?2 WHERE no = ?3 AND watermark != ?1"
            self._db.execute(moved, (self._done.watermark(stream_no), position, stream_no))
        self._db.execute("UPDATE position SET no = ?", (position,))

    def device(self, device_id: str) -> int:
        """The device's number in the book; its store is kept as fleetd's registry has it."""
        if device_id not in self._device_nos:
            known = self._devices.get(device_id)
            store, zone = (known.store, known.timezone) if known else (device_id, "")
            insert = """INSERT INTO device (id, store, timezone) VALUES (?, ?, ?)
                        ON CONFLICT (id) DO UPDATE SET store = excluded.store, timezone = excluded.timezone
                        RETURNING no"""
            self._device_nos[device_id] = int(self._db.execute(insert, (device_id, store, zone)).fetchone()[0])
        return self._device_nos[device_id]

    def _enter(self, device_no: int, boot_no: int, stored: StoredRecord, outcome: Outcome) -> None:
        """Write what a record says whole; what no table can hold (money of thirty digits) is set aside."""
        self._db.execute("SAVEPOINT record")
        try:
            self._write(device_no, boot_no, stored, outcome)
        except (OverflowError, ValueError, sqlite3.IntegrityError) as exc:
            self._db.execute("ROLLBACK TO record")
            refused = CorruptError("ledger.value", f"{type(exc).__name__}: {exc}")
            self._write(device_no, boot_no, stored, refused)
        self._db.execute("RELEASE record")

    def _write(self, device_no: int, boot_no: int, stored: StoredRecord, outcome: Outcome) -> None:
        if isinstance(outcome, CorruptError):
            draft = stored.record.draft
            row = (stored.no, device_no, *_place(stored), draft.kind, draft.pos_kind, stored.received_ms)
            marks = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
            insert = f"INSERT OR REPLACE INTO undecodable VALUES ({marks})"  # noqa: S608
            self._db.execute(insert, (*row, outcome.code, str(outcome)))
        elif isinstance(outcome, Gap):
            self._gap(device_no, boot_no, stored, outcome)
        elif isinstance(outcome, Document):
            self._document(device_no, stored, outcome)
        else:
            for part, said in enumerate(outcome):
                self._said(device_no, boot_no, stored, part, said)

    def _said(self, device_no: int, boot_no: int, stored: StoredRecord, part: int, said: Decoded) -> None:
        if isinstance(said, Ticket):
            self._ticket(device_no, boot_no, stored, part, said)
        elif isinstance(said, Marker):
            name = (stored.no, part, device_no, stored.record.stream.source, said.store, said.register, said.kind)
            when = (said.pos_time, said.business_day, said.period)
            row = (*name, *when, said.first, said.last, said.count, said.total_cents, _day(said))
            self._insert("marker", [row])
        elif isinstance(said, Totals):
            head = (said.side, said.store, said.period, said.business_day, said.opened, said.closed)
            self._insert("totals", [(stored.no, part, *head, json.dumps(dict(said.sums)))])

    def _ticket(self, device_no: int, boot_no: int, stored: StoredRecord, part: int, ticket: Ticket) -> None:
        known = self._devices.get(stored.device)
        store = known.store if known else stored.device
        identity = stored.record.draft.identity or None
        stamp = stored.record.stamp
        place = (stored.no, part, device_no, *_place(stored), identity, None)
        time = (boot_no, stamp.mono_ns // 1_000_000, stamp.wall_ms, stored.received_ms)
        name = (store, ticket.store, ticket.register, ticket.number, ticket.kind, ticket.serial, ticket.cashier)
        period = (ticket.business_day, " ".join(ticket.periods), _day(ticket))
        told = (ticket.pos_time, " ".join(sorted(ticket.flags)))
        money = (ticket.total_cents, ticket.counted_cents, ticket.is_outside, ticket.linked, ticket.age_check)
        row = (None, *place, *time, *name, *period, *told, *money)
        number = self._insert("ticket", [row])
        if identity:
            self._db.execute(_SUPERSEDE, (stored.no, store, identity))
        self._insert("line", [_line(number, at, one) for at, one in enumerate(ticket.lines)])
        taken = [(number, at, *one) for at, line in enumerate(ticket.lines) for one in _numbered(line.promotions)]
        self._insert("promotion", taken)
        self._insert("tender", [(number, *one) for one in _numbered(ticket.tenders)])
        self._insert("loyalty", [(number, *one) for one in _numbered(ticket.loyalty)])

    def _gap(self, device_no: int, boot_no: int, stored: StoredRecord, gap: Gap) -> None:
        lost = (gap.stream.source, gap.stream.epoch, gap.first, gap.last, gap.cause, gap.lost_bytes)
        stamp = stored.record.stamp
        time = (boot_no, stamp.mono_ns // 1_000_000, stamp.wall_ms, stored.received_ms)
        self._insert("gap", [(stored.no, device_no, *lost, gap.from_wall_ms, gap.to_wall_ms, *time)])
        if gap.first:
            self._reach(self._stream(device_no, gap.stream), gap.first, gap.last)

    def _document(self, device_no: int, stored: StoredRecord, document: Document) -> None:
        source = stored.record.stream.source
        row = (stored.no, device_no, source, document.name, document.frames, document.frames, stored.received_ms)
        self._insert("document", [row])
        runs = [(stored.no, at, run.epoch, run.first, run.last) for at, run in enumerate(document.runs)]
        self._insert("run", runs)
        self.documents.append(stored.no)

    def _insert(self, table: str, rows: Sequence[tuple[object, ...]]) -> int:
        """The number of the last row."""
        number = 0
        for row in rows:
            marks = ", ".join("?" * len(row))
            number = self._db.execute(f"INSERT INTO {table} VALUES ({marks})", row).lastrowid or 0  # noqa: S608
        return number

    def _learn(self, device_no: int, stored: StoredRecord) -> int:
        """The number of the boot in which the record was captured."""
        stamp, epoch = stored.record.stamp, stored.record.stream.epoch
        times = (_plausible(stamp.mono_ns // 1_000_000), _plausible(stamp.wall_ms))
        sample = dating.Sample(*times, stamp.synced, stored.received_ms)
        key = (device_no, bytes.fromhex(stamp.boot_id))
        if key not in self._boots:
            row = self._db.execute(_BOOT, key).fetchone()
            if row:
                self._boots[key] = (row[0], dating.Boot(row[1], row[2], row[3], bool(row[4]), *row[5:]))
            else:
                boot = dating.begin(sample, epoch)
                marks = ", ".join("?" * 13)
                new = (None, *key, *astuple(boot))
                number = self._db.execute(f"INSERT INTO boot VALUES ({marks})", new).lastrowid  # noqa: S608
                self._boots[key] = (number or 0, boot)
        number, boot = self._boots[key]
        self._boots[key] = (number, dating.learn(boot, sample, epoch))
        return number

    def _stream(self, device_no: int, stream: Stream) -> int:
        key = (device_no, stream)
        if key not in self._stream_nos:
            insert = """INSERT INTO stream (device_no, source, epoch) VALUES (?, ?, ?)
                        ON CONFLICT (device_no, source, epoch) DO UPDATE SET source = excluded.source RETURNING no"""
            row = self._db.execute(insert, (device_no, stream.source, stream.epoch)).fetchone()
            self._stream_nos[key] = int(row[0])
        return self._stream_nos[key]

    def _reach(self, stream_no: int, first: int, last: int) -> None:
        spans = self._reached.setdefault(stream_no, [])
        if spans and spans[-1][1] + 1 == first:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))


def _day(said: Ticket | Marker) -> str:
    return said.business_day or said.pos_time[:10]


def _plausible(time_ms: int) -> int:
    """A hostile router may claim any 63 bits; differences of what it claims must fit in them as well."""
    return max(-_MAX_MS, min(_MAX_MS, time_ms))


def _place(stored: StoredRecord) -> tuple[str, int, int]:
    return stored.record.stream.source, stored.record.stream.epoch, stored.record.seq


def _numbered(rows: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return [(at, *row) for at, row in enumerate(rows)]


def _line(ticket_no: int, at: int, line: Line) -> tuple[object, ...]:
    what = (line.number, line.kind, line.description, line.upc, line.upc_modifier, line.entry, line.department)
    money = (line.quantity_milli, line.unit_price_cents, line.amount_cents, line.is_void, line.is_duplicate)
    return (ticket_no, at, *what, *money)
