"""The cold tier: a page ring in one SQLite file of fixed size (why, with measurements: ARCHITECTURE.md).

Every row is written once when the file is made and only ever overwritten in place, with a body of the same length. So
a group costs one write of its pages and one fdatasync, no b-tree changes, a full disk cannot reach it, and
`journal_mode=MEMORY` is safe: a torn row is a torn page, which its checksum finds.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiosqlite

from routerd.errors import CorruptError, PermanentError, TransientError
from routerd.fsio import set_aside, sync_directory
from routerd.model import SegmentInfo, Stamp
from routerd.spool import page
from routerd.spool.page import PAGE_BYTES, UNDATED, Frame, Place
from routerd.wire.batch import unpack_segments

SCHEMA_VERSION = 1
_SQLITE_PAGE = 4096
_BODY_AT = _SQLITE_PAGE - PAGE_BYTES  # in a leaf with one row, the row's last column ends the page
_SCAN_ROWS = 16  # 64 KiB at a time
_SETTINGS = ("PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=MEMORY", "PRAGMA synchronous=FULL")
_SMALL = ("PRAGMA cache_size=-256", "PRAGMA mmap_size=0", "PRAGMA temp_store=MEMORY")
_REFUSALS = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}
_WRITE = f"UPDATE ring SET body = substr(?1, (id - ?2) * {PAGE_BYTES} + 1, {PAGE_BYTES}) WHERE id BETWEEN ?2 AND ?3"  # noqa: S608


class Live(NamedTuple):
    """A frame that was found: where it stands, what it holds, and when the oldest record of that was captured."""

    place: Place
    infos: list[SegmentInfo]
    since: Stamp


@dataclass(slots=True)
class Recovered:
    """What opening found: the live frames in order; the rest is for the conditions."""

    frames: list[Live] = field(default_factory=list)
    damaged_pages: int = 0
    torn_pages: int = 0
    set_aside: Path | None = None


class Ring:
    """One owner: nobody else touches the file. All methods may raise TransientError for the disk's refusals."""

    def __init__(self, path: Path, database: aiosqlite.Connection, rows: int) -> None:
        self.path = path
        self.rows = rows
        self.bytes_written = 0
        self.writes = 0
        self._database = database
        self._used = bytearray(rows + 1)
        self._used[0] = 1  # row 0 does not exist
        self.free_rows = rows
        self._next_row = 1
        self._next_generation = 1

    @classmethod
    async def open(cls, path: Path, rows: int) -> tuple["Ring", Recovered]:
        """Open the ring at `path`, or make one of `rows` pages.

        A damaged file is set aside, and what its pages still hold is salvaged into a new one. Raises PermanentError
        for a newer schema, TransientError when the disk refuses (full, read-only, failing).
        """
        with disk_errors(path):
            await asyncio.to_thread(_settle, path, rows)
            try:
                ring, recovered = await cls._scanned(path)
            except sqlite3.DatabaseError as exc:
                if _is_refusal(exc):
                    raise
                return await cls._salvaged(path, rows, 1)
            if recovered.damaged_pages:
                await ring.close()
                return await cls._salvaged(path, rows, recovered.damaged_pages)
            return ring, recovered

    @classmethod
    async def _scanned(cls, path: Path) -> tuple["Ring", Recovered]:
        ring = await cls._attach(path)
        try:
            return ring, await ring._scan()
        except BaseException:
            await ring.close()
            raise

    @classmethod
    async def _attach(cls, path: Path) -> "Ring":
        database = await aiosqlite.connect(path, isolation_level=None)
        try:
            for pragma in (*_SETTINGS, *_SMALL):
                await database.execute_fetchall(pragma)
            [(version,)] = await database.execute_fetchall("PRAGMA user_version")
            if version > SCHEMA_VERSION:
                reason = f"{path} was written by a newer routerd (schema {version}): install that version"
                raise PermanentError("spool.newer_schema", reason)
            [(rows,)] = await database.execute_fetchall("SELECT max(id) FROM ring")
            if not rows:
                raise sqlite3.DatabaseError("the ring has no rows")
            return cls(path, database, rows)
        except BaseException:
            await database.close()
            raise

    @classmethod
    async def _salvaged(cls, path: Path, rows: int, damaged_pages: int) -> tuple["Ring", Recovered]:
        """A new ring with all that the pages of the old file still hold; the old file stays beside it.

        The new one is whole before it takes the old one's name, so an end in between, or a disk without room for both,
        leaves the damaged file in its place for the next attempt.
        """
        draft = _draft_of(path)
        await asyncio.to_thread(draft.unlink, missing_ok=True)
        await asyncio.to_thread(_make, draft, rows)
        ring = await cls._attach(draft)
        try:
            for place, _, since in await asyncio.to_thread(_whole_frames, path):
                segments = await asyncio.to_thread(_read_pages, path, place)
                if await ring.write(segments, 0, since) is None:  # only if the ring has been configured smaller since
                    raise TransientError("spool.no_room", f"{path}: raise ring_mb: what was salvaged has no room")
        finally:
            await ring.close()
        aside = await asyncio.to_thread(set_aside, path)
        await asyncio.to_thread(_take_name, draft, path)
        ring, recovered = await cls._scanned(path)
        recovered.damaged_pages, recovered.set_aside = damaged_pages, aside
        return ring, recovered

    async def _scan(self) -> Recovered:
        scan = _Scan()
        for low in range(1, self.rows + 1, _SCAN_ROWS):
            for row, body in await self._bodies(low, min(low + _SCAN_ROWS - 1, self.rows)):
                scan.add(row, body)
        recovered = scan.result(self.rows)
        for place, *_ in recovered.frames:
            self._claim(place.row, place.rows)
        if scan.newest:
            self._next_generation = scan.newest.generation + 1
            self._next_row = scan.newest.row + scan.newest.rows
        return recovered

    async def _bodies(self, low: int, high: int) -> list[tuple[int, bytes | None]]:
        query = "SELECT id, body FROM ring WHERE id BETWEEN ? AND ?"
        pairs: list[tuple[int, bytes | None]] = []
        with contextlib.suppress(sqlite3.DatabaseError):
            pairs = [(row, body) for row, body in await self._database.execute_fetchall(query, (low, high))]
        if len(pairs) == high - low + 1:
            return pairs
        if low == high:
            return [(low, None)]
        return [pair for row in range(low, high + 1) for pair in await self._bodies(row, row)]

    def room_for(self, rows: int) -> bool:
        return self._find(rows) is not None

    async def write(self, segments: bytes, oldest_live: int, since: Stamp = UNDATED) -> Place | None:
        """Commit one frame; None if no run of pages is free. On return it is durable.

        `since` is when the oldest record in it was captured.
        """
        rows = page.pages_needed(len(segments))
        row = self._find(rows)
        if row is None:
            return None
        generation = self._next_generation
        self._next_generation += 1
        self._claim(row, rows)
        try:
            with disk_errors(self.path):
                pages = page.pack(generation, min(oldest_live, generation), segments, since)
                cursor = await self._database.execute(_WRITE, (pages, row, row + rows - 1))
                if cursor.rowcount != rows:
                    raise sqlite3.DatabaseError(f"{self.path}: {rows - cursor.rowcount} rows went bad: restart")
        except BaseException:
            self.free(Place(generation, row, rows))
            raise
        self._next_row = row + rows
        self.bytes_written += rows * _SQLITE_PAGE
        self.writes += 1
        return Place(generation, row, rows)

    async def read(self, places: Iterable[Place]) -> dict[int, bytes]:
        """The segments' bytes of each place, by generation; a place that cannot be read any more is absent."""
        wanted = list(places)
        assembler = page.Assembler()
        where = " OR ".join("id BETWEEN ? AND ?" for _ in wanted)
        limits = [limit for place in wanted for limit in (place.row, place.row + place.rows - 1)]
        with disk_errors(self.path):
            try:
                query = f"SELECT id, body FROM ring WHERE {where}"  # noqa: S608 (placeholders only)
                rows: Iterable[Any] = await self._database.execute_fetchall(query, limits)
            except sqlite3.DatabaseError as exc:
                if _is_refusal(exc):
                    raise
                rows = [pair for p in wanted for pair in await self._bodies(p.row, p.row + p.rows - 1)]
        pages = [(row, intact) for row, body in rows if body and (intact := page.unpack_page(body))]
        frames = [assembler.add(row, intact) for row, intact in pages]
        return {frame.generation: frame.segments for frame in frames if frame}

    def free(self, place: Place) -> None:
        """The place may be overwritten: nothing in it is needed any more. Costs no write."""
        self.free_rows += self._used.count(1, place.row, place.row + place.rows)
        self._used[place.row : place.row + place.rows] = bytes(place.rows)

    async def close(self) -> None:
        await self._database.close()

    def _claim(self, row: int, rows: int) -> None:
        self.free_rows -= self._used.count(0, row, row + rows)
        self._used[row : row + rows] = b"\1" * rows

    def _find(self, rows: int) -> int | None:
        """The first free run at or after the head, so that wear spreads evenly over the whole file."""
        gap = bytes(rows)
        row = self._used.find(gap, self._next_row)
        if row < 0:
            row = self._used.find(gap)
        return row if row >= 0 else None


class _Scan:
    """Reads all rows once and says what they hold. Memory: the frames' descriptions, not their bytes."""

    def __init__(self) -> None:
        self.newest: Place | None = None
        self._assembler = page.Assembler()
        self._oldest_live = 0
        self._frames: list[Live] = []
        self._bad: set[int] = set()
        self._unwritable: set[int] = set()  # SQLite does not find the row: it could not be written again, either

    def add(self, row: int, body: bytes | None) -> None:
        intact = page.unpack_page(body) if body else None
        if intact is None:
            if body is None or not page.is_blank(body):
                self._bad.add(row)
            if body is None:
                self._unwritable.add(row)
            return
        frame = self._assembler.add(row, intact)
        if frame:
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        place = Place(frame.generation, frame.row, frame.total)
        try:
            infos = [segment.info for segment in unpack_segments(frame.segments)]
        except CorruptError:
            self._bad.add(frame.row)
            return
        self._frames.append(Live(place, infos, frame.since))
        self._oldest_live = max(self._oldest_live, frame.oldest_live)
        if self.newest is None or place.generation > self.newest.generation:
            self.newest = place

    def result(self, rows: int) -> Recovered:
        """Live frames in order; bad rows judged: torn by the last write, or damaged."""
        live = [frame for frame in self._frames if frame.place.generation >= self._oldest_live and frame.infos]
        live.sort(key=lambda frame: frame.place.generation)
        occupied = {row for place, *_ in live for row in range(place.row, place.row + place.rows)}
        head = self.newest.row + self.newest.rows if self.newest else 1
        torn = _torn(self._bad, occupied, head, rows) - self._unwritable
        return Recovered(live, len(self._bad) - len(torn), len(torn))


def _torn(bad: set[int], occupied: set[int], head: int, rows: int) -> set[int]:
    """The bad rows that the next write after `head` can have been at: in the first free run that fits it.

    Damage to the newest frame itself looks the same: its pages are the first behind the newest that is whole. Only a
    mark written after its commit could tell, and that would double what a commit costs.
    """
    longest = 0
    run: list[int] = []
    for row in [*range(head, rows + 1), 0, *range(1, head), 0]:  # 0 ends a run: no frame goes round the end
        if row and row not in occupied:
            run.append(row)
            continue
        torn = bad.intersection(run)
        if torn and len(run) > longest:
            return torn
        longest = max(longest, len(run))
        run = []
    return set()


def _whole_frames(path: Path) -> list[Live]:
    """The live frames in a ring file, read past SQLite: pages describe themselves and stand in row order."""
    scan = _Scan()
    with path.open("rb") as file:
        number = 0
        while body := file.read(_SQLITE_PAGE):
            number += 1
            intact_page = body[_BODY_AT:]
            if page.unpack_page(intact_page):
                scan.add(number, intact_page)
    return scan.result(max(number, 1)).frames


def _read_pages(path: Path, place: Place) -> bytes:
    assembler = page.Assembler()
    frame = None
    with path.open("rb") as file:
        file.seek((place.row - 1) * _SQLITE_PAGE)
        for row in range(place.row, place.row + place.rows):
            intact = page.unpack_page(file.read(_SQLITE_PAGE)[_BODY_AT:])
            frame = assembler.add(row, intact) if intact else None
    return frame.segments if frame else b""


def _draft_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.salvaged")


def _take_name(draft: Path, path: Path) -> None:
    draft.rename(path)
    sync_directory(path.parent)


def _settle(path: Path, rows: int) -> None:
    """Make sure there is a ring file: the one there is, one whose salvage was cut short by a name, or a new one."""
    if path.exists():
        return
    if _draft_of(path).exists():  # it is whole: the damaged file gives its name away last
        _take_name(_draft_of(path), path)
    else:
        _make(path, rows)


def _make(path: Path, rows: int) -> None:
    """Write a whole new ring, then give it its name: a half-made one is never seen."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    try:
        with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as database:
            for pragma in (f"PRAGMA page_size={_SQLITE_PAGE}", "PRAGMA auto_vacuum=0", *_SETTINGS, *_SMALL):
                database.execute(pragma)
            database.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            database.execute("CREATE TABLE ring (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
            numbers = "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < ?)"
            database.execute(f"{numbers} INSERT INTO ring SELECT v, zeroblob({PAGE_BYTES}) FROM n", (rows,))  # noqa: S608
        draft.chmod(0o600)
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _is_refusal(exc: Exception) -> bool:
    """Whether the disk would not serve us now; any other SQLite error says that the file itself is damaged."""
    code = getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return isinstance(exc, OSError) or code in _REFUSALS


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Translates the disk's refusals into TransientError."""
    try:
        yield
    except (sqlite3.DatabaseError, OSError) as exc:
        if not _is_refusal(exc):
            raise
        raise TransientError("spool.disk", f"{path}: {exc}: check free space and the flash") from exc
