"""The store on SQLite."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from fleetd import sqlite_reads, sqlite_schema
from fleetd.sqlite_intake import Intake
from fleetd.store import (
    Conflict,
    DeclaredGap,
    Delivery,
    Device,
    InvalidSegment,
    Query,
    Receipt,
    StoredRecord,
    StreamState,
    Transaction,
)
from routerd.errors import PermanentError, TransientError

_DEVICE = "SELECT id, status, created_ms, secret_sha256, store, timezone FROM device"
_ADD_DEVICE = """
INSERT INTO device (id, status, created_ms, secret_sha256, store, timezone) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""


class SqliteStore:
    """A `Store` over one database file, which `sqlite_schema.create` made. Several may be open on it at once, in any
    process: one that commits, others that read or register devices."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Raises PermanentError (`store.missing`, `store.foreign`, `store.schema`) or TransientError."""
        if not path.is_file():
            raise PermanentError("store.missing", f"there is no {path}: run `fleetd init --data {path.parent}` first")
        with _translated():
            self._db = sqlite_schema.connect(path, read_only=read_only)
            try:
                sqlite_schema.check(self._db, path)
            except BaseException:
                self._db.close()
                raise

    def commit(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        with self._transaction():
            intake = Intake(self._db)
            return [intake.take(delivery) for delivery in deliveries]

    def add_device(self, device: Device) -> None:
        row = (device.id, device.status, device.created_ms, device.secret_sha256, device.store, device.timezone)
        with self._transaction():
            if not self._db.execute(_ADD_DEVICE, row).rowcount:
                raise PermanentError("device.exists", f"device {device.id} exists: choose another id")

    def set_status(self, device_id: str, status: str) -> None:
        self._change("UPDATE device SET status = ? WHERE id = ?", status, device_id)

    def set_store(self, device_id: str, store: str, timezone: str) -> None:
        self._change("UPDATE device SET store = ?, timezone = ? WHERE id = ?", store, timezone, device_id)

    def device(self, device_id: str) -> Device | None:
        with _translated():
            row = self._db.execute(f"{_DEVICE} WHERE id = ?", (device_id,)).fetchone()
        return Device(*row) if row else None

    def devices(self) -> list[Device]:
        with _translated():
            return [Device(*row) for row in self._db.execute(f"{_DEVICE} ORDER BY id")]

    def transactions(self, query: Query, *, raw: bool = False) -> Iterator[Transaction]:
        with _translated():
            yield from sqlite_reads.transactions(self._db, query, raw=raw)

    def conflicts(self, query: Query) -> Iterator[Conflict]:
        with _translated():
            yield from sqlite_reads.conflicts(self._db, query)

    def streams(self, query: Query) -> Iterator[StreamState]:
        with _translated():
            yield from sqlite_reads.streams(self._db, query)

    def gaps(self, query: Query) -> Iterator[DeclaredGap]:
        with _translated():
            yield from sqlite_reads.gaps(self._db, query)

    def invalid(self, query: Query) -> Iterator[InvalidSegment]:
        with _translated():
            yield from sqlite_reads.invalid(self._db, query)

    def records_after(self, no: int) -> Iterator[StoredRecord]:
        with _translated():
            yield from sqlite_reads.records_after(self._db, no)

    def last_record(self) -> int:
        with _translated():
            return int(self._db.execute("SELECT coalesce(max(no), 0) FROM record").fetchone()[0])

    def captured(self, device: str, source: str, epoch: int | None = None) -> Iterator[bytes]:
        with _translated():
            yield from sqlite_reads.captured(self._db, device, source, epoch)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _change(self, update: str, *values: str) -> None:
        """`update` ends with the id of the device it is about."""
        with self._transaction():
            if not self._db.execute(update, values).rowcount:
                raise PermanentError("device.unknown", f"there is no device {values[-1]}: see `fleetctl device list`")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


@contextmanager
def _translated() -> Iterator[None]:
    """What the engine has trouble with passes (a full disk, a lock held too long); a wrong statement is a bug."""
    try:
        yield
    except (sqlite3.OperationalError, sqlite3.DatabaseError) as exc:
        if isinstance(exc, (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError)):
            raise
        raise TransientError("store.unavailable", f"the database does not answer: {exc}") from exc
