"""The real spool with its clock moved by hand: a store's day in seconds.

What is real: `Spool`, its ring, SQLite, the file system, the block device. What is emulated, because the kernel's
timers do not follow our clock: the journal's commit (an fsync of the ring `commit_s` after the first write since the
last one) and the write-back of the block cache (30 s after that). The cloud's ack comes _ACK_S after the sealing.
"""

import heapq
import os
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from routerd.conditions import Conditions
from routerd.config import SpoolConfig
from routerd.model import Draft, Stamp
from routerd.spool.index import Held
from routerd.spool.spool import Spool
from routerd.wire import codec, dictionaries

SOURCE = "till"
_BOOT = "0f0e0d0c"
_COARSE_CLOCK = 5  # CLOCK_REALTIME_COARSE, clock_gettime(2)
_WRITEBACK_S = 30.0  # vm.dirty_expire_centisecs
_TICK_S = time.clock_getres(_COARSE_CLOCK) + 0.001  # what file times move by
_ACK_S = 0.1  # a round trip over a store's line
_BATCH_BYTES = 256 << 10
# When to look after a record, in seconds: its seal, and its deadline, which lies within the last quarter of the hold
_HOLD = SpoolConfig()
_LATE_S = 0.001  # a timer never fires early
_LOOKS_S = (_HOLD.seal_after_s + _LATE_S, *(_HOLD.safe_within_s * share / 40 + _LATE_S for share in range(30, 41)))
_AFTER_S = 10.0  # the last record's deadline is long past
RING_MB = 24


class HandClock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def mono_ns(self) -> int:
        return int(self.now_s * 1e9)

    def wall_ms(self) -> int:
        return 1_790_000_000_000 + int(self.now_s * 1e3)

    def stamp(self) -> Stamp:
        return Stamp(_BOOT, self.mono_ns(), self.wall_ms(), True)


class Timers:
    """The kernel's two timers on our clock; `sync_blocks` writes the device's cache back. Without it, none."""

    def __init__(self, ring: Path, commit_s: float, sync_blocks: Callable[[], None] | None) -> None:
        self._ring = ring
        self._commit_s = commit_s
        self._sync_blocks = sync_blocks
        self._written_s = self._journaled_s = 0.0

    def wrote(self, now_s: float) -> None:
        """A file's time moves with the kernel's tick only: between two commits of a real day there are many."""
        time.sleep(_TICK_S)
        self._written_s = self._written_s or now_s

    def pass_to(self, now_s: float) -> None:
        if self._sync_blocks is None:
            return
        if self._written_s and now_s - self._written_s >= self._commit_s:
            fd = os.open(self._ring, os.O_RDWR)
            os.fsync(fd)
            os.close(fd)
            self._written_s, self._journaled_s = 0.0, self._journaled_s or now_s
        if self._journaled_s and now_s - self._journaled_s >= _WRITEBACK_S:
            self._sync_blocks()
            self._journaled_s = 0.0


@dataclass(slots=True)
class Day:
    """What a run gave: bytes captured, the moments at which something was committed, the ring's own counts."""

    captured: int = 0
    commits_s: list[float] = field(default_factory=list)
    ring_bytes: int = 0
    ring_writes: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A day: what arrives when (in seconds from its start), and from when to when the cloud is away."""

    arrivals: Sequence[tuple[float, Draft]]
    dictionary: str
    outage: tuple[float, float] = (0.0, 0.0)

    def is_away(self, at_s: float) -> bool:
        return self.outage[0] <= at_s < self.outage[1]


OFFLINE = (0.0, float("inf"))


@dataclass(frozen=True, slots=True)
class Witness:
    """How a run is watched: `started` is called when the spool stands ready and has captured nothing, `counter` changes
    with every write to flash."""

    started: Callable[[], None]
    counter: Callable[[], int]


async def live(folder: Path, plan: Plan, timers: Timers, witness: Witness) -> Day:
    """Run a spool in `folder` through a day, then close it."""
    clock = HandClock()
    content = dictionaries.load(plan.dictionary)
    dict_id = codec.dictionary_id(content)
    with tempfile.TemporaryDirectory(prefix="routerd-bench-", dir="/dev/shm") as hot:
        config = SpoolConfig(data_dir=folder, hot_dir=Path(hot), ring_mb=RING_MB, ephemeral=True)
        book = codec.Codebook({dict_id: content})
        spool = Spool(config, clock, Conditions(clock), book, frozenset())
        await spool.open({SOURCE: dict_id})
        spool.use_codec(book.codecs[0])
        witness.started()
        runner = _Runner(spool, clock, plan, timers, witness)
        for at_s, draft in plan.arrivals:
            await runner.until(at_s)
            runner.take(draft)
        await runner.until(runner.now_s + _AFTER_S)
        view = spool.snapshot()
        runner.day.ring_bytes, runner.day.ring_writes = view.flash_bytes, view.flash_writes
        runner.day.lost = sum(counts.gaps for counts in view.counts.values())
        await spool.close()
    return runner.day


class _Runner:
    """Moves the clock from one moment at which something may be due to the next."""

    def __init__(self, spool: Spool, clock: HandClock, plan: Plan, timers: Timers, witness: Witness) -> None:
        self.day = Day()
        self._spool = spool
        self._clock = clock
        self._plan = plan
        self._timers = timers
        self._counter = witness.counter
        self.now_s = 0.0
        self._start_s = clock.now_s
        self._due = [edge for edge in plan.outage if 0 < edge < float("inf")]
        self._waiting = 0
        self._away = False
        self._sent: deque[tuple[float, Held]] = deque()

    def take(self, draft: Draft) -> None:
        self._spool.append(SOURCE, [draft], self._clock.stamp())
        self.day.captured += len(draft.data)
        self._waiting += 1
        for after_s in (0.0, *_LOOKS_S):
            heapq.heappush(self._due, self.now_s + after_s)

    async def until(self, at_s: float) -> None:
        while self._due and self._due[0] <= at_s:
            due_s = heapq.heappop(self._due)
            if self._waiting or due_s in self._plan.outage:
                self._move(max(self.now_s, due_s))
                await self._turn()
        self._move(at_s)

    def _move(self, to_s: float) -> None:
        self.now_s = to_s
        self._clock.now_s = self._start_s + to_s

    async def _turn(self) -> None:
        self._look_at_the_sky()
        self._take_acks()
        self._timers.pass_to(self.now_s)
        before = self._counter()
        await self._spool.tend()
        if self._counter() != before:
            self._timers.wrote(self.now_s)
            self.day.commits_s.append(self.now_s)
        if not self._away:
            await self._send()

    def _look_at_the_sky(self) -> None:
        away = self._plan.is_away(self.now_s)
        if away != self._away:
            self._away = away
            self._spool.cloud_is(reachable=not away)
            self._spool.release(held for _, held in self._sent)
            self._sent.clear()

    def _take_acks(self) -> None:
        while self._sent and self._sent[0][0] <= self.now_s:
            _, held = self._sent.popleft()
            self._spool.settle(held)
            self._spool.process(held.info.stream, held.info.last_seq)
            self._waiting -= held.info.count

    async def _send(self) -> None:
        taken = self._spool.take_live(_BATCH_BYTES) if self._spool.live_ready.is_set() else []
        if self._spool.backlog_ready.is_set():
            taken += await self._spool.take_backlog(_BATCH_BYTES)
        if taken:
            acked_s = self.now_s + _ACK_S
            self._sent += [(acked_s, held) for held, _ in taken]
            heapq.heappush(self._due, acked_s)
