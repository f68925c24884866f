"""What one commit does to the tables. Lives as long as its transaction; knows nothing of connections or threads."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence

from fleetd.sqlite_schema import CONFLICT, CONTRADICTS, COPY, HELD, OTHER, SETTLED, TRANSACTION
from fleetd.sqlite_spans import Span, Spans
from fleetd.store import Delivery, Item, Receipt, Unusable, Usable
from routerd.errors import PermanentError
from routerd.model import RECORD, Gap, Stream
from routerd.wire.batch import DUPLICATE, INVALID, STORED, Ack, pack_segment

MAX_AUTOPSY_BYTES = 64 << 10  # of a refused segment: a sealed segment fits whole
MAX_INVALID = 500  # refused segments kept per device, so that a mad one fills 32 MiB and not the disk
_LOOKUP_SIZES = (1, 8, 64, 512)  # identities per statement: few shapes, so that each is prepared once
_INSERT_RECORD = f"INSERT INTO record VALUES ({', '.join('?' * 19)})"  # noqa: S608  placeholders only
_INSERT_GAP = f"INSERT INTO gap VALUES (NULL, {', '.join('?' * 11)})"  # noqa: S608
_INSERT_INVALID = """
INSERT INTO invalid (device_no, sha256, source, epoch, first_seq, count, code, reason, first_ms, last_ms, size, packed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (device_no, sha256) DO UPDATE SET times = times + 1, last_ms = excluded.last_ms
"""
_FORGET_INVALID = """
DELETE FROM invalid WHERE device_no = ?1
    AND no <= (SELECT no FROM invalid WHERE device_no = ?1 ORDER BY no DESC LIMIT 1 OFFSET ?2)
"""
_ADD_COPIES = "UPDATE identity SET copies = copies + 1 WHERE device_no = ? AND identity = ? AND digest = ?"

_Known = dict[str, dict[bytes, int]]  # identity -> digest -> the record that keeps this content


class Intake:
    """The deliveries of one transaction, in order."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._held, self._settled = Spans(db, HELD), Spans(db, SETTLED)
        self._device_nos: dict[str, int] = {}
        self._stream_nos: dict[tuple[int, Stream], int] = {}
        self._next_no = db.execute("SELECT coalesce(max(no), 0) + 1 FROM record").fetchone()[0]

    def take(self, delivery: Delivery) -> Receipt:
        device_no = self._device(delivery.device)
        acks = []
        touched: dict[Stream, None] = {}
        for judged in delivery.segments:
            info = judged.info
            status = self._segment(device_no, judged, delivery.received_ms)
            acks.append(Ack(info.stream, info.first_seq, info.count, status))
            touched[info.stream] = None
            if isinstance(judged, Usable) and status != INVALID:
                touched |= dict.fromkeys(item.gap.stream for item in judged.items if item.gap)
        if any(ack.status == INVALID for ack in acks):
            self._db.execute(_FORGET_INVALID, (device_no, MAX_INVALID))
        processed = tuple((stream, self._watermark(device_no, stream)) for stream in touched)
        return Receipt(tuple(acks), processed)

    def _segment(self, device_no: int, judged: Usable | Unusable, now_ms: int) -> str:
        if isinstance(judged, Unusable):
            self._refuse(device_no, judged, now_ms)
            return INVALID
        info = judged.info
        stream_no = self._stream(device_no, info.stream, now_ms)
        held = self._held.overlapping(stream_no, (info.first_seq, info.last_seq))
        if held and (seq := self._contradiction(stream_no, judged)):
            reason = f"record {seq} differs from the one kept under this number"
            self._refuse(device_no, Unusable(judged.segment, CONTRADICTS, reason), now_ms)
            return INVALID
        fresh = list(_outside(judged.items, held))
        if not fresh:
            return DUPLICATE
        self._keep(device_no, stream_no, fresh, now_ms)
        self._held.add(stream_no, (info.first_seq, info.last_seq))
        self._settled.add(stream_no, (info.first_seq, info.last_seq))
        for item in fresh:
            if item.gap and item.gap.first:
                lost_no = self._stream(device_no, item.gap.stream, now_ms)
                self._settled.add(lost_no, (item.gap.first, item.gap.last))
        return STORED

    def _keep(self, device_no: int, stream_no: int, fresh: Sequence[Item], now_ms: int) -> None:
        """Insert records that are new under their numbers, and what follows from them."""
        known = self._identities(device_no, fresh)
        rows, versions, repeats, gaps = [], [], [], []
        for no, item in enumerate(fresh, self._next_no):
            identity = _identity(item)
            role, original = TRANSACTION if item.record.draft.kind == RECORD else OTHER, None
            if identity:
                contents = known.setdefault(identity, {})
                original = contents.get(item.digest)
                if original is not None:
                    role = COPY
                    repeats.append((device_no, identity, item.digest))
                else:
                    role = CONFLICT if contents else TRANSACTION
                    contents[item.digest] = no
                    versions.append((device_no, identity, item.digest, no))
            if item.gap:
                gaps.append((no, device_no, *_gap_row(item.gap), now_ms))
            rows.append((no, stream_no, *_record_row(item, role, original, now_ms)))
        self._next_no += len(fresh)
        self._db.executemany(_INSERT_RECORD, rows)
        if versions:
            self._db.executemany("INSERT INTO identity VALUES (?, ?, ?, ?, 0)", versions)
        if repeats:
            self._db.executemany(_ADD_COPIES, repeats)
        if gaps:
            self._db.executemany(_INSERT_GAP, gaps)
        progress = "UPDATE stream SET received_ms = ?, copies = copies + ? WHERE no = ?"
        self._db.execute(progress, (now_ms, len(repeats), stream_no))

    def _identities(self, device_no: int, items: Sequence[Item]) -> _Known:
        """Every stored version of the identities that `items` name."""
        asked = list({identity: None for item in items if (identity := _identity(item))})
        known: _Known = {}
        for start in range(0, len(asked), _LOOKUP_SIZES[-1]):
            chunk = asked[start : start + _LOOKUP_SIZES[-1]]
            size = next(size for size in _LOOKUP_SIZES if size >= len(chunk))
            marks = ", ".join("?" * size)
            rows = self._db.execute(
                f"SELECT identity, digest, record_no FROM identity WHERE device_no = ? AND identity IN ({marks})",  # noqa: S608
                (device_no, *chunk, *chunk[-1:] * (size - len(chunk))),
            )
            for identity, digest, record_no in rows:
                known.setdefault(identity, {})[digest] = record_no
        return known

    def _contradiction(self, stream_no: int, usable: Usable) -> int | None:
        """The first number under which something else is kept. Acking that as a duplicate would lose a record: an
        epoch was used twice (a cloned router, flash restored from a copy)."""
        info = usable.info
        rows = self._db.execute(
            "SELECT seq, kind, digest FROM record WHERE stream_no = ? AND seq BETWEEN ? AND ? ORDER BY seq",
            (stream_no, info.first_seq, info.last_seq),
        )
        for seq, kind, digest in rows:
            item = usable.items[seq - info.first_seq]
            if (item.record.draft.kind, item.digest) != (kind, digest):
                return int(seq)
        return None

    def _refuse(self, device_no: int, unusable: Unusable, now_ms: int) -> None:
        packed, info = pack_segment(unusable.segment), unusable.info
        place = (info.stream.source, info.stream.epoch, info.first_seq, info.count)
        told = (unusable.code, unusable.reason, now_ms, now_ms, len(packed), packed[:MAX_AUTOPSY_BYTES])
        self._db.execute(_INSERT_INVALID, (device_no, hashlib.sha256(packed).digest(), *place, *told))

    def _device(self, device_id: str) -> int:
        if device_id not in self._device_nos:
            row = self._db.execute("SELECT no FROM device WHERE id = ?", (device_id,)).fetchone()
            if row is None:
                raise PermanentError("device.unknown", f"device {device_id} is not registered")
            self._device_nos[device_id] = row[0]
        return self._device_nos[device_id]

    def _stream(self, device_no: int, stream: Stream, now_ms: int) -> int:
        """The stream's number; it is made if this is the first that is heard of it."""
        found = self._known_stream(device_no, stream)
        if found is None:
            row = (device_no, stream.source, stream.epoch, now_ms)
            insert = "INSERT INTO stream (device_no, source, epoch, received_ms) VALUES (?, ?, ?, ?) RETURNING no"
            found = int(self._db.execute(insert, row).fetchone()[0])
            self._stream_nos[device_no, stream] = found
        return found

    def _known_stream(self, device_no: int, stream: Stream) -> int | None:
        key = (device_no, stream)
        if key not in self._stream_nos:
            select = "SELECT no FROM stream WHERE device_no = ? AND source = ? AND epoch = ?"
            row = self._db.execute(select, (device_no, stream.source, stream.epoch)).fetchone()
            if row is None:
                return None
            self._stream_nos[key] = row[0]
        return self._stream_nos[key]

    def _watermark(self, device_no: int, stream: Stream) -> int:
        stream_no = self._known_stream(device_no, stream)
        return 0 if stream_no is None else self._settled.watermark(stream_no)


def _identity(item: Item) -> str | None:
    """Only records make transactions, and an empty identity names none."""
    return item.record.draft.identity or None if item.record.draft.kind == RECORD else None


def _outside(items: Sequence[Item], held: Sequence[Span]) -> Iterator[Item]:
    if not held:
        yield from items
        return
    for item in items:
        if not any(first <= item.record.seq <= last for first, last in held):
            yield item


def _record_row(item: Item, role: int, original: int | None, now_ms: int) -> tuple[object, ...]:
    stamp, draft = item.record.stamp, item.record.draft
    time = (bytes.fromhex(stamp.boot_id), stamp.mono_ns // 1_000_000, stamp.wall_ms, stamp.synced, now_ms)
    said = (draft.identity, draft.pos_time, draft.pos_kind, item.digest, len(draft.data))
    content = (None, None, draft.data) if original is None else (*_around(draft.data), None)
    return (item.record.seq, draft.kind, role, original, *time, *said, *content)


def _around(data: bytes) -> tuple[bytes, bytes]:
    """The white space before and after the content; all of it before when there is no content."""
    if not data.strip():
        return data, b""
    return data[: len(data) - len(data.lstrip())], data[len(data.rstrip()) :]


def _gap_row(gap: Gap) -> tuple[object, ...]:
    lost = (gap.stream.source, gap.stream.epoch, gap.first, gap.last)
    return (*lost, gap.cause, gap.lost_bytes, gap.from_wall_ms, gap.to_wall_ms)
