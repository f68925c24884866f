"""What the tests of folder links share: a clock that moves poll by poll, a disk with troubles at will."""

import asyncio
import errno
import os
from collections.abc import Callable, Set
from dataclasses import replace
from pathlib import Path
from threading import Event

from routerd.backoff import Backoff
from routerd.capture.folder.directory import Directory
from routerd.capture.folder.listing import Entry, Sight
from routerd.capture.folder.transport import FolderTransport
from routerd.model import FolderLink

DEADLINE_S = 10.0


class Polls:
    """Time stands while a round of the link runs, and goes on by what it waits when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.waits_s: list[float] = []
        self._resting = asyncio.Event()
        self._go = asyncio.Semaphore(0)

    def clock(self) -> float:
        return self.now_s

    async def sleep(self, wait_s: float) -> None:
        self.waits_s.append(wait_s)
        self._resting.set()
        await self._go.acquire()
        self.now_s += wait_s

    async def rest(self) -> None:
        """The round that runs is over."""
        async with asyncio.timeout(DEADLINE_S):
            await self._resting.wait()

    def go(self) -> None:
        """Let the next round begin."""
        self._resting.clear()
        self._go.release()

    async def rounds(self, count: int = 1) -> None:
        """Let the running round end, and as many more."""
        await self.rest()
        for _ in range(count):
            self.go()
            await self.rest()


class FakeDisk:
    """A real directory with faults: `broken` for the directory, `held` by file name, `gate` to let every call hang."""

    def __init__(self, path: Path, pattern: str = "*.xml") -> None:
        self._real = Directory(path, pattern)
        self.broken = 0
        self.held: dict[str, int] = {}
        self.mounted: bool | None = None
        self.gate: Event | None = None
        self.begun: Callable[[], None] = lambda: None
        self.passed_over: set[str] = set()
        self.looks: list[Sight] = []
        self.pieces: list[tuple[str, int, int]] = []
        self.reading: Callable[[Entry, int], None] = lambda entry, offset: None

    def look(self, known: Set[str], again: Set[str]) -> Sight:
        self._pass(self.broken)
        sight = self._real.look(known, again)
        present = sight.present - self.passed_over
        entries = [entry for entry in sight.entries if entry.name in present]
        mounted = sight.mounted if self.mounted is None else self.mounted
        self.looks.append(replace(sight, present=present, entries=entries, mounted=mounted))
        return self.looks[-1]

    def piece(self, entry: Entry, offset: int) -> bytes:
        self._pass(self.held.get(entry.name, 0))
        self.reading(entry, offset)
        piece = self._real.piece(entry, offset)
        self.pieces.append((entry.name, offset, len(piece)))
        return piece

    def _pass(self, fault: int) -> None:
        self.begun()
        if self.gate:
            self.gate.wait(DEADLINE_S)
        if fault:
            raise OSError(fault, os.strerror(fault))

    @property
    def read(self) -> list[str]:
        """Names of the files that were begun, in order."""
        return [name for name, offset, _ in self.pieces if not offset]


class Shop:
    """A folder, the files a POS writes into it, and a link that reads it."""

    def __init__(self, path: Path) -> None:
        path.mkdir()
        self.path = path
        self.polls = Polls()
        self.disk = FakeDisk(path)

    def link(self, **settings: float) -> FolderTransport:
        return FolderTransport(
            FolderLink(self.path, **settings),  # type: ignore[arg-type]
            backoff=Backoff(base_s=20.0),
            chance=lambda: 0.5,
            clock=self.polls.clock,
            sleep=self.polls.sleep,
            disk=self.disk,
        )

    def write(self, name: str, data: bytes, mtime_s: float = 1_772_000_000.0) -> str:
        """Put a file; returns what it is called as a document."""
        path = self.path / name
        path.write_bytes(data)
        os.utime(path, ns=(0, int(mtime_s * 1e9)))
        return document(path)


def document(path: Path) -> str:
    seen = path.stat()
    return f"{path.name}@{seen.st_size}-{seen.st_mtime_ns}"


HEAD = b"<NAXML-POSJournal version='3.4'><TransmissionHeader/><JournalReport><JournalHeader/>"
TAIL = b"</JournalReport></NAXML-POSJournal>"


def sale(number: int) -> bytes:
    return (
        b"<SaleEvent><EventSequenceID>%d</EventSequenceID><RegisterID>1</RegisterID><TransactionID>%d</TransactionID>"
        b"<EventStartDate>2026-02-25</EventStartDate></SaleEvent>" % (number, number)
    )


def journal(*numbers: int) -> bytes:
    return HEAD + b"".join(sale(number) for number in numbers) + TAIL


LOCKS = (errno.EACCES, errno.EBUSY, errno.ETXTBSY, errno.EIO, errno.EAGAIN)
ABSENCES = (errno.ENOENT, errno.ESTALE, errno.EHOSTDOWN, errno.EIO, errno.ENOTDIR, errno.EACCES, errno.ETIMEDOUT)
