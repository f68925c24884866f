"""The small durable state: how often we started, what the cloud refused, what was lost, what links noted.
A few writes a day.

DELETE with `synchronous=EXTRA`: with plain FULL, 43 of 180 simulated power cuts lost the last committed row, because
the journal's unlink was not synced. The file is opened for each use, so it costs no thread and no memory in between.
"""

import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Iterable
from dataclasses import astuple, dataclass
from pathlib import Path

import aiosqlite

from routerd.errors import PermanentError, TransientError
from routerd.fsio import set_aside
from routerd.model import SegmentInfo

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE run (id INTEGER PRIMARY KEY CHECK (id = 1), starts INTEGER NOT NULL);
INSERT INTO run VALUES (1, 0);
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY, source TEXT NOT NULL, records INTEGER NOT NULL, bytes INTEGER NOT NULL,
    reason TEXT NOT NULL, segment BLOB NOT NULL
);
CREATE TABLE incident (
    cause TEXT NOT NULL, subject TEXT NOT NULL, times INTEGER NOT NULL, records INTEGER NOT NULL,
    bytes INTEGER NOT NULL, last_wall_ms INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (cause, subject)
) WITHOUT ROWID;
CREATE TABLE note (
    source TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (source, key)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Refused:
    """What stands in quarantine of one source: segments' records and packed bytes, and why the last one does."""

    records: int
    packed_bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class Incident:
    """A kind of loss or damage, counted since the spool was made. `cause` is a gap's cause or `spool.damaged`.

    `subject` is a source or a file's name, `bytes` what was lost before compression. `epoch` and `seq` are where the
    gap record stands that tells the cloud of the last one; 0 if there is none.
    """

    cause: str
    subject: str
    times: int
    records: int
    bytes: int
    last_wall_ms: int
    epoch: int = 0
    seq: int = 0


def mint_epoch(starts: int) -> int:
    """31 bits of count, so that epochs sort, and 32 bits of chance, so that none returns even if the count is lost."""
    return (starts & 0x7FFFFFFF) << 32 | int.from_bytes(os.getrandom(4), "big")


class State:
    """Raises TransientError when the disk refuses, PermanentError for a newer schema."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def begin_run(self) -> int:
        """Count this start durably and mint its epoch."""
        async with self._database() as database:
            await database.execute("INSERT OR IGNORE INTO run VALUES (1, 0)")
            await database.execute("UPDATE run SET starts = starts + 1")
            await database.commit()
            [(starts,)] = await database.execute_fetchall("SELECT starts FROM run")
        return mint_epoch(int(starts))

    async def quarantine(self, info: SegmentInfo, packed: bytes, reason: str) -> None:
        async with self._database() as database:
            row = (info.stream.source, info.count, len(packed), reason, packed)
            query = "INSERT INTO quarantine (source, records, bytes, reason, segment) VALUES (?, ?, ?, ?, ?)"
            await database.execute(query, row)
            await database.commit()

    async def quarantined(self) -> dict[str, Refused]:
        """By source, without reading the segments themselves."""
        async with self._database() as database:
            query = "SELECT source, sum(records), sum(bytes), reason, max(id) FROM quarantine GROUP BY source"
            rows = await database.execute_fetchall(query)
        return {source: Refused(records, size, reason) for source, records, size, reason, _ in rows}

    async def incidents(self) -> list[Incident]:
        async with self._database() as database:
            rows = await database.execute_fetchall("SELECT * FROM incident ORDER BY last_wall_ms")
        return [Incident(*row) for row in rows]

    async def count(self, incidents: Iterable[Incident]) -> None:
        """Keep these totals in the place of what was kept of the same cause and subject."""
        async with self._database() as database:
            query = "INSERT OR REPLACE INTO incident VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            await database.executemany(query, [astuple(incident) for incident in incidents])
            await database.commit()

    async def note(self, source: str, key: str, text: str) -> None:
        """Keep `text` durably; "" forgets the key. Nothing is written that is already so."""
        async with self._database() as database:
            if await self._noted(database, source, key) == text:
                return
            if text:
                await database.execute("INSERT OR REPLACE INTO note VALUES (?, ?, ?)", (source, key, text))
            else:
                await database.execute("DELETE FROM note WHERE source = ? AND key = ?", (source, key))
            await database.commit()

    async def noted(self, source: str, key: str) -> str:
        async with self._database() as database:
            return await self._noted(database, source, key)

    async def _noted(self, database: aiosqlite.Connection, source: str, key: str) -> str:
        query = "SELECT text FROM note WHERE source = ? AND key = ?"
        rows = list(await database.execute_fetchall(query, (source, key)))
        return str(rows[0][0]) if rows else ""

    @contextlib.asynccontextmanager
    async def _database(self) -> AsyncIterator[aiosqlite.Connection]:
        try:
            async with aiosqlite.connect(self.path) as database:
                await database.execute("PRAGMA synchronous=EXTRA")
                await self._check(database)
                yield database
        except (sqlite3.OperationalError, OSError) as exc:
            raise TransientError("spool.disk", f"{self.path}: {exc}: check free space and the flash") from exc

    async def _check(self, database: aiosqlite.Connection) -> None:
        [(version,)] = await database.execute_fetchall("PRAGMA user_version")
        if version > SCHEMA_VERSION:
            reason = f"{self.path} was written by a newer routerd (schema {version}): install that version"
            raise PermanentError("spool.newer_schema", reason)
        if version == 0:
            self.path.chmod(0o600)
            await database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")

    def set_aside_if_damaged(self) -> Path | None:
        """Move a file that SQLite finds damaged, or that is a newer routerd's, out of the way; returns its new name.
        Blocking: call off the loop."""
        if not self.path.exists():
            return None
        try:
            with contextlib.closing(sqlite3.connect(self.path)) as database:
                [(verdict,)] = database.execute("PRAGMA quick_check(1)").fetchall()
                [(version,)] = database.execute("PRAGMA user_version").fetchall()
        except sqlite3.OperationalError:
            return None
        except sqlite3.DatabaseError:
            verdict, version = "unreadable", 0
        if verdict == "ok" and version <= SCHEMA_VERSION:
            return None
        return set_aside(self.path)
