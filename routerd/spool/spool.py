"""The room: records in from capture, segments out to forward, acks back."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path

from routerd.clock import Clock
from routerd.conditions import Conditions
from routerd.config import SpoolConfig
from routerd.errors import TransientError
from routerd.model import NOISE, Draft, Segment, Stamp, Stream
from routerd.spool import recovery, snapshot
from routerd.spool.faults import Faults
from routerd.spool.hot import HotFiles, Tail
from routerd.spool.index import Held, Index
from routerd.spool.keeper import Keeper, report_disk
from routerd.spool.memories import Memories
from routerd.spool.memory import Memory
from routerd.spool.quarantine import Quarantine
from routerd.spool.snapshot import SpoolSnapshot
from routerd.spool.state import State
from routerd.spool.tally import Tally
from routerd.spool.timing import Timing
from routerd.spool.writer import Sealed, Writer
from routerd.wire import body
from routerd.wire.batch import pack_segment
from routerd.wire.codec import Codebook

log = logging.getLogger("routerd.spool")

_SQLITE_PAGE = 4096
_RETRY_S = 2.0  # between attempts on a disk that refuses
_LATENCIES = 512  # the last segments' times from capture to ack, for the percentiles shown


class Spool:
    """See the package's invariants. `cannot_wait` names the sources that lose data when they are not read."""

    def __init__(
        self, config: SpoolConfig, clock: Clock, conditions: Conditions, codebook: Codebook, cannot_wait: frozenset[str]
    ) -> None:
        self.live_ready = asyncio.Event()
        self.backlog_ready = asyncio.Event()
        self._config = config
        self._clock = clock
        self._conditions = conditions
        self._codebook = codebook
        self._cannot_wait = cannot_wait
        self._index = Index()
        self._tally = Tally()
        self._files = HotFiles(config.hot_dir, conditions)
        self._state = State(config.data_dir / "state.db")
        self._timing = Timing(config)
        self._faults = Faults(self._state, config.data_dir, clock, conditions)
        self._quarantine = Quarantine(self._state, clock, conditions)
        self._memories = Memories(config.data_dir, config.hot_dir, clock, self._index, self._faults.damaged)
        self._writer: Writer
        self._keeper: Keeper
        self._tails: dict[str, Tail] = {}
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._armed_ns: int | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._retry_ns = 0
        self._has_state = False
        self._latencies_ns: deque[int] = deque(maxlen=_LATENCIES)
        self._locks: list[int] = []

    async def open(self, dictionaries: Mapping[str, int]) -> None:
        """Recover everything that waits and get ready. `dictionaries` maps sources to dictionary ids.

        Raises PermanentError when a place to write to is unfit or held by another daemon.
        """
        try:
            await self._open(dictionaries)
        except BaseException:
            await self._let_go()  # the ring's thread would keep a failed start alive
            raise

    async def _open(self, dictionaries: Mapping[str, int]) -> None:
        config = self._config
        for aside in [*recovery.clear_way(config.data_dir), *recovery.clear_way(config.hot_dir)]:
            self._faults.damaged(aside)
        self._locks = [recovery.take_directory(config, path) for path in (config.data_dir, config.hot_dir)]
        epoch = await recovery.begin_run(self._state, self._faults.damaged)
        self._writer = Writer(epoch, self._files, self._codebook, dictionaries)
        self._keeper = Keeper(self._index, self._files, self._writer, self._tally, self._clock, self._cannot_wait)
        try:
            await self._open_ring()
        except TransientError as exc:
            self._disk_refused(exc)
        recovery.take_up_hot(self._files, self._writer, self._index, self._tally, self._clock.stamp())
        self._tails = recovery.tails(self._files, self._writer, [held.info for held in self._index])
        for source in self._tails.keys() - self._cannot_wait:
            pending = self._tails.pop(source).pending  # its line is no longer read: what it had begun ends here
            self.append(source, [Draft(NOISE, pending, pos_kind="truncated")], self._clock.stamp())
            self.cut_tail(source, b"")
        try:
            await self._take_up_state()
        except TransientError as exc:
            self._disk_refused(exc)
        self._ready()

    # -- capture's side -----------------------------------------------------------------------------------------

    def append(self, source: str, drafts: list[Draft], stamp: Stamp) -> int:
        """Take records for good: when this returns, only a power cut can lose them, and not for long.

        Returns the first one's sequence number; the others follow it.
        """
        first_seq = self._writer.next_seq(source)
        self._tally.capture(source, len(drafts), sum([len(draft.data) for draft in drafts]))
        if sealed := self._writer.append(source, drafts, stamp):
            self._take_sealed(sealed)
        since_ns = self._writer.open_since_ns(source)
        if since_ns is not None:
            self._arm(since_ns + self._timing.seal_ns)
        return first_seq

    def stream(self, source: str) -> Stream:
        """The source's stream of this run."""
        return self._writer.stream(source)

    def has_room(self, source: str) -> bool:
        """Whether `source` may be read on. Sources that lose data when they are not read always may."""
        if source in self._cannot_wait:
            return True
        ring = self._keeper.ring
        if ring is None:
            return not self._timing.is_full(self._index)
        reserve = ring.rows // 10 + self._index.hot_bytes // _SQLITE_PAGE  # what RAM holds may have to go there
        return not self._timing.is_full(self._index) and ring.free_rows > reserve

    async def room(self, source: str) -> None:
        while not self.has_room(source):
            await self._room.wait()

    def tail(self, source: str) -> Tail:
        """What the source's framer had pending when the last daemon of this boot ended. Given out once."""
        return self._tails.pop(source, Tail(b"", 0))

    def grow_tail(self, source: str, offset: int, masked: bytes) -> None:
        self._files.grow_tail(self._writer.stream(source), self._writer.next_seq(source), offset, masked)

    def cut_tail(self, source: str, masked: bytes) -> None:
        self._files.cut_tail(self._writer.stream(source), self._writer.next_seq(source), masked)

    def memory(self, source: str) -> Memory:
        """What was captured of a source that can be read again, in earlier runs too. The first call reads its files."""
        return self._memories.of(source, self._writer)

    async def note(self, source: str, key: str, text: str) -> None:
        """Keep a small text durably under `key`; "" forgets it. Rare: each costs a few flash pages.

        Raises TransientError when the disk refuses.
        """
        await self._state.note(source, key, text)

    async def noted(self, source: str, key: str) -> str:
        """What `note` kept, or "". Raises TransientError when the disk refuses."""
        return await self._state.noted(source, key)

    def scratch(self, source: str) -> Path:
        """A file on the RAM disk for the source's link alone: a restart finds it, a power cut takes it. Not created."""
        return self._config.hot_dir / f"{source}.scratch"

    # -- forward's side -----------------------------------------------------------------------------------------

    def take_live(self, max_bytes: int) -> list[tuple[Held, bytes]]:
        """The oldest hot segments, now in flight, with their packed bytes. Each must be settled or released."""
        taken = self._index.waiting_hot(max_bytes)
        for held in taken:
            held.in_flight = True
        if not taken:
            self.live_ready.clear()
        return [(held, held.packed) for held in taken]

    async def take_backlog(self, max_bytes: int) -> list[tuple[Held, bytes]]:
        """The oldest segments on flash, now in flight. Pages that went bad become gaps. Raises TransientError."""
        wanted = self._index.waiting_cold(max_bytes, _SQLITE_PAGE)
        if not wanted:
            self.backlog_ready.clear()
            return []
        for held in wanted:
            held.in_flight = True
        try:
            taken = await self._keeper.read(wanted)
        except TransientError:
            self.release(wanted)
            raise
        readable = {held for held, _ in taken}
        for held in wanted:
            if held not in readable:
                self._lose(held, "flash.damaged")
        return taken

    def settle(self, held: Held) -> None:
        """The cloud holds this segment durably."""
        place = self._index.remove(held)
        if place:
            self._keeper.free(place)
            self._arm(self._clock.mono_ns())  # the watermark may want writing
        elif held.place is None:
            self._files.remove(*held.key)
        if held.since_ns > 0:
            self._latencies_ns.append(self._clock.mono_ns() - held.since_ns)
        self._tally.upload(held.info)
        self._faults.told(held.info)
        self._quarantine.left(held)
        self._make_room_known()

    def process(self, stream: Stream, watermark: int) -> None:
        """The cloud has made use of everything in `stream` up to `watermark`."""
        self._tally.process(stream, watermark)

    def unheard(self) -> bool:
        """Whether the cloud holds records whose use it has not confirmed yet."""
        return self._tally.unheard()

    def release(self, group: Iterable[Held]) -> None:
        """These were not acknowledged: they wait again, in their old place in the queue."""
        for held in group:
            held.in_flight = False
        self._ready()

    async def quarantine(self, held: Held, segment: Segment, reason: str) -> None:
        """The cloud refused this segment by itself: keep it aside, count it, go on. Without room for it there, it goes
        on waiting here, and is sent again later. Raises TransientError."""
        if not await self._quarantine.take(held, pack_segment(segment), reason):
            held.in_flight = False
            self._arm(self._clock.mono_ns())
            return
        place = self._index.remove(held)
        if place:
            self._keeper.free(place)
        else:
            self._files.remove(*held.key)
        self._tally.refuse(held.info.stream.source, held.info.count)
        self._faults.told(held.info)
        self._memories.forget(held.info, self._writer)
        self._arm(self._clock.mono_ns())

    def use_codec(self, name: str) -> None:
        """Compress new segments with this codec: the cloud reads it, and so do we."""
        self._writer.codec = name

    def cloud_is(self, *, reachable: bool) -> None:
        """While the cloud is away there is no hurry to seal: fewer, denser segments go to flash at the deadline."""
        self._timing.cloud_reachable = reachable
        self._arm(self._clock.mono_ns())

    # -- the room's own -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Seal, spill, merge, give up: at their times, asleep in between."""
        while True:
            self._wake.clear()
            await self.tend()
            self._armed_ns = None
            if (due_ns := self._next_due_ns()) is not None:
                self._arm(due_ns)
            await self._wake.wait()

    async def close(self) -> None:
        """Bring everything that waits to flash: a power cut may follow."""
        for source in list(self._writer.oldest_open()):
            self._take_sealed(self._writer.seal(source))
        try:
            await self._keeper.spill(list(self._index.hot.values()), self._lose)
            await self._memories.commit(self._writer)
            await self._faults.write()
        except TransientError as exc:
            log.warning("not all could be brought to flash: %s", exc)
        await self._let_go()

    async def _let_go(self) -> None:
        if self._alarm:
            self._alarm.cancel()
        if hasattr(self, "_keeper") and self._keeper.ring:
            await self._keeper.ring.close()
        for fd in self._locks:
            os.close(fd)
        self._locks = []
        self._memories.close()

    def snapshot(self) -> SpoolSnapshot:
        self._faults.look()  # whether somebody removed a damaged file matters when somebody asks
        return snapshot.take(
            self._index,
            self._writer,
            self._tally,
            self._keeper.ring,
            now_ns=self._clock.mono_ns(),
            latencies_ns=self._latencies_ns,
            incidents=self._faults.incidents,
        )

    async def tend(self) -> None:
        """Do what is due now; `run` calls this at the right times."""
        now_ns = self._clock.mono_ns()
        for source, since_ns in self._writer.oldest_open().items():
            if since_ns + self._timing.seal_ns <= now_ns:
                self._take_sealed(self._writer.seal(source))
        if self._quarantine.unpark():
            self._ready()
        if now_ns < self._retry_ns:
            return
        try:
            await self._tend_flash(now_ns)
            report_disk(self._conditions, str(self._config.data_dir), None)
        except TransientError as exc:
            self._disk_refused(exc)
            self._keeper.shed(2 * self._timing.hot_limit_bytes, self._lose)
        self._make_room_known()

    async def _tend_flash(self, now_ns: int) -> None:
        """Raises TransientError when the disk refuses."""
        if self._keeper.ring is None:
            await self._open_ring()
            self._ready()
        if not self._has_state:
            await self._take_up_state()
        group = self._timing.due(self._index, now_ns)
        if group:
            await self._keeper.spill(group, self._lose)
            self.backlog_ready.set()
            while await self._keeper.merge():
                self.backlog_ready.set()  # meanwhile the lanes found everything taken
        await self._keeper.note_acks()
        if self._faults.due_ns is not None and self._faults.due_ns <= now_ns:
            await self._faults.write()
        if self._memories.due_ns is not None and self._memories.due_ns <= now_ns:
            await self._memories.commit(self._writer)

    def _next_due_ns(self) -> int | None:
        wants_disk = None if self._keeper.ring and self._has_state else 0
        on_flash = (wants_disk, self._timing.commit_ns(self._index), self._faults.due_ns, self._memories.due_ns)
        times = [since_ns + self._timing.seal_ns for since_ns in self._writer.oldest_open().values()]
        times += [max(due_ns, self._retry_ns) for due_ns in on_flash if due_ns is not None]
        if self._quarantine.due_ns is not None:
            times.append(self._quarantine.due_ns)
        return min(times, default=None)

    def _take_sealed(self, sealed: list[Sealed]) -> None:
        for segment in sealed:
            self._index.add_hot(Held(segment.info, segment.packed, segment.since.mono_ns))
            self._arm(segment.since.mono_ns + self._timing.safe_ns)
            self.live_ready.set()
        if self._timing.is_full(self._index):
            self._arm(0)

    def _arm(self, due_ns: int) -> None:
        """Have `run` go round at `due_ns`, if nothing is due before: one timer, moved forward only."""
        if self._armed_ns is not None and due_ns >= self._armed_ns:
            return
        self._armed_ns = due_ns
        if self._alarm:
            self._alarm.cancel()
        wait_s = (due_ns - self._clock.mono_ns()) / 1e9
        self._alarm = asyncio.get_running_loop().call_later(max(0.0, wait_s), self._wake.set)

    def _disk_refused(self, exc: TransientError) -> None:
        self._retry_ns = self._clock.mono_ns() + int(_RETRY_S * 1e9)
        report_disk(self._conditions, str(self._config.data_dir), exc)

    def _lose(self, held: Held, cause: str) -> None:
        """Give a segment up: the cloud is told, a source that can be read again is asked for it again."""
        gap = self._keeper.lose(held, cause)
        source = gap.stream.source
        self._quarantine.left(held)
        self._memories.forget(held.info, self._writer)
        seq = self.append(source, [body.gap_draft(gap)], self._clock.stamp())
        self._faults.lost(gap, self._writer.stream(source), seq)

    def _ready(self) -> None:
        self.live_ready.set()
        self.backlog_ready.set()

    def _make_room_known(self) -> None:
        """Whoever waits looks again; nobody else is let through."""
        self._room.set()
        self._room.clear()

    async def _open_ring(self) -> None:
        """Raises TransientError while the disk refuses."""
        now = self._clock.stamp()
        if aside := await recovery.take_up_ring(self._config, self._keeper, self._index, self._tally, now):
            self._faults.damaged(aside)

    async def _take_up_state(self) -> None:
        """What earlier runs kept aside, lost and found damaged. Raises TransientError."""
        await self._faults.open(self._index)
        for source, refused in (await self._quarantine.open()).items():
            self._tally.capture(source, refused.records, 0)
            self._tally.refuse(source, refused.records)
        self._has_state = True
