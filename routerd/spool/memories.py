"""The memories of all sources that can be read again, and when they go to flash.

A memory may be older than the data, never newer: an entry goes to flash when its record is acknowledged or in the
ring, and records that were lost or refused are forgotten. What a power cut takes of it is captured again.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from routerd.clock import Clock
from routerd.errors import TransientError
from routerd.model import SegmentInfo
from routerd.spool.index import Index
from routerd.spool.journal import Journal
from routerd.spool.memory import ENTRY_BYTES, Memory, walk
from routerd.spool.writer import Writer

log = logging.getLogger("routerd.spool")

COMMIT_AFTER_S = 6 * 3600.0  # a power cut costs reading six hours again, which is cheap; each commit wears flash
_FORGET_AFTER_S = 3600.0  # a record that is lost should not stay remembered through a power cut for long


class Memories:
    """`damaged` is told of a file that was set aside."""

    def __init__(
        self, data_dir: Path, hot_dir: Path, clock: Clock, index: Index, damaged: Callable[[Path], None]
    ) -> None:
        self.due_ns: int | None = None  # when the next commit is wanted; None while nothing waits
        self._data_dir = data_dir
        self._hot_dir = hot_dir
        self._clock = clock
        self._index = index
        self._damaged = damaged
        self._held: dict[str, tuple[Memory, Journal]] = {}

    def of(self, source: str, writer: Writer) -> Memory:
        """The source's memory, with all that earlier runs kept. A source's files outlive its configuration."""
        if source in self._held:
            return self._held[source][0]
        journal = Journal(source, self._data_dir, self._hot_dir)

        def keep(entries: bytes) -> None:
            try:
                journal.append(entries, memory.epoch)
                self._want(COMMIT_AFTER_S)
            except OSError as exc:
                log.warning("%s: %s: what is captured now is captured again after a restart", source, exc.strerror)

        memory = Memory(writer.stream(source).epoch, keep, lambda: writer.is_stored(source))
        self._held[source] = memory, journal
        try:
            parts, asides = journal.read()
        except OSError as exc:
            log.warning("%s: the memory of what was captured cannot be read: %s", source, exc)
            return memory
        memory.replay(parts)
        for aside in asides:
            self._damaged(aside)
        if journal.pending_bytes:
            self._want(COMMIT_AFTER_S)
        return memory

    def forget(self, info: SegmentInfo, writer: Writer) -> None:
        """These records are lost or refused: the next reading shall capture them again."""
        source = info.stream.source
        if source not in self._held and not Journal(source, self._data_dir, self._hot_dir).exists():
            return
        if self.of(source, writer).forget(info.stream.epoch, info.first_seq, info.last_seq):
            self._want(_FORGET_AFTER_S)

    async def commit(self, writer: Writer) -> None:
        """Bring to flash what may go there. Raises TransientError when the disk refuses."""
        self.due_ns = None
        for source, (_, journal) in self._held.items():
            try:
                pending = journal.pending()
                safe_bytes = _safe_bytes(pending, self._unsafe(source, writer))
                if any(key for key, _, _ in walk(pending[:safe_bytes])):
                    await asyncio.to_thread(journal.commit, pending[:safe_bytes])
                    journal.cut(safe_bytes)
                if journal.pending_bytes:
                    self._want(COMMIT_AFTER_S)
            except OSError as exc:
                self._want(0)
                path = self._data_dir / f"{source}.memory"
                raise TransientError("spool.disk", f"{path}: {exc.strerror}: check free space and the flash") from exc

    def close(self) -> None:
        for _, journal in self._held.values():
            journal.close()

    def _unsafe(self, source: str, writer: Writer) -> dict[int, int]:
        """Of each epoch the first record that only RAM holds."""
        first: dict[int, int] = {}
        for held in self._index.hot.values():
            info = held.info
            if info.stream.source == source:
                first[info.stream.epoch] = min(info.first_seq, first.get(info.stream.epoch, info.first_seq))
        epoch = writer.stream(source).epoch
        first[epoch] = min(writer.open_seq(source), first.get(epoch, writer.open_seq(source)))
        return first

    def _want(self, within_s: float) -> None:
        due_ns = self._clock.mono_ns() + int(within_s * 1e9)
        self.due_ns = due_ns if self.due_ns is None else min(self.due_ns, due_ns)


def _safe_bytes(entries: bytes, unsafe: dict[int, int]) -> int:
    for number, (_, epoch, seq) in enumerate(walk(entries)):
        if seq and epoch in unsafe and seq >= unsafe[epoch]:
            return number * ENTRY_BYTES
    return len(entries)
