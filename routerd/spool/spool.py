"""The room: records in from capture, segments out to forward, acks back."""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from routerd.clock import Clock
from routerd.conditions import CRITICAL, Conditions
from routerd.config import SpoolConfig
from routerd.errors import TransientError
from routerd.model import NOISE, Draft, Gap, Segment, Stamp, Stream
from routerd.spool import recovery
from routerd.spool.hot import HotFiles, Tail
from routerd.spool.index import Held, Index
from routerd.spool.keeper import Keeper, report_disk
from routerd.spool.state import State
from routerd.spool.tally import Counts, Tally
from routerd.spool.writer import Writer
from routerd.wire import body
from routerd.wire.batch import pack_segment
from routerd.wire.codec import Codebook

log = logging.getLogger("routerd.spool")

_SQLITE_PAGE = 4096
_COMMIT_MARGIN_S = 0.3  # what a slow flash may take for one commit
_RETRY_S = 2.0  # between attempts on a disk that refuses
_LATENCIES = 512  # the last segments' times from capture to ack, for the percentiles shown


@dataclass(frozen=True, slots=True)
class SpoolSnapshot:
    """What the spool holds at one instant. `latencies_ms`: capture to ack of the last segments, sorted."""

    counts: dict[str, Counts]
    captured_bytes: dict[str, int]
    in_flight: int
    hot_segments: int
    cold_segments: int
    oldest_waiting_s: float
    latencies_ms: tuple[int, ...]
    ring_rows: int
    ring_free_rows: int
    flash_bytes: int
    flash_writes: int


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
        self._writer: Writer
        self._keeper: Keeper
        self._tails: dict[str, Tail] = {}
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._cloud_reachable = True
        self._armed_ns = 0
        self._retry_ns = 0
        self._latencies_ns: deque[int] = deque(maxlen=_LATENCIES)
        self._locks: list[int] = []

    async def open(self, dictionaries: Mapping[str, int]) -> None:
        """Recover everything that waits and get ready. `dictionaries` maps sources to dictionary ids.

        Raises PermanentError when a place to write to is unfit, held by another daemon or written by a newer one.
        """
        try:
            await self._open(dictionaries)
        except BaseException:
            await self._let_go()  # the ring's thread would keep a failed start alive
            raise

    async def _open(self, dictionaries: Mapping[str, int]) -> None:
        config = self._config
        self._locks = [recovery.take_directory(config, path) for path in (config.data_dir, config.hot_dir)]
        self._writer = Writer(await self._epoch(), self._files, self._codebook, dictionaries)
        self._keeper = Keeper(self._index, self._files, self._writer, self._tally, self._clock)
        try:
            await self._open_ring()
        except TransientError as exc:
            self._disk_refused(exc)
        recovered = recovery.hot_segments(self._files, self._writer, {held.info for held in self._index.cold.values()})
        for segment in recovered:
            self._tally.capture(segment.info.stream.source, segment.info.count, 0)
            self._index.add_hot(Held(segment.info, pack_segment(segment), 0))
        self._tails = recovery.tails(self._files, self._writer, [held.info for held in self._index])
        for source in self._tails.keys() - self._cannot_wait:
            pending = self._tails.pop(source).pending  # its line is no longer read: what it had begun ends here
            self.append(source, [Draft(NOISE, pending, pos_kind="truncated")], self._clock.stamp())
            self.cut_tail(source, b"")
        await self._count_quarantined()
        self._ready()

    # -- capture's side -----------------------------------------------------------------------------------------

    def append(self, source: str, drafts: list[Draft], stamp: Stamp) -> int:
        """Take records for good: when this returns, only a power cut can lose them, and not for long.

        Returns the first one's sequence number; the others follow it.
        """
        first_seq = self._writer.next_seq(source)
        self._tally.capture(source, len(drafts), sum(len(draft.data) for draft in drafts))
        self._take_sealed(self._writer.append(source, drafts, stamp))
        if due_ns := self._writer.oldest_open().get(source):
            self._arm(due_ns + self._seal_ns())
        return first_seq

    def has_room(self, source: str) -> bool:
        """Whether `source` may be read on. Sources that lose data when they are not read always may."""
        if source in self._cannot_wait:
            return True
        ring = self._keeper.ring
        reserve = ring.rows // 10 if ring else 0
        return self._index.hot_bytes < self._config.hot_limit_kb << 10 and (ring is None or ring.free_rows > reserve)

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
                self._declare(self._keeper.lose(held, "flash.damaged"))
        return taken

    def settle(self, held: Held) -> None:
        """The cloud holds this segment durably."""
        place = self._index.remove(held)
        if place:
            self._keeper.free(place)
            self._arm(self._clock.mono_ns())  # the watermark may want writing
        elif held.place is None:
            self._files.remove(*held.key)
        if held.since_ns:
            self._latencies_ns.append(self._clock.mono_ns() - held.since_ns)
        self._tally.upload(held.info)
        self._make_room_known()

    def process(self, stream: Stream, watermark: int) -> None:
        """The cloud has made use of everything in `stream` up to `watermark`."""
        self._tally.process(stream, watermark)

    def release(self, group: Iterable[Held]) -> None:
        """These were not acknowledged: they wait again, in their old place in the queue."""
        for held in group:
            held.in_flight = False
        self._ready()

    async def quarantine(self, held: Held, segment: Segment, reason: str) -> None:
        """The cloud refused this segment by itself: keep it aside, count it, go on. Raises TransientError."""
        await self._state.quarantine(segment, reason)
        place = self._index.remove(held)
        if place:
            self._keeper.free(place)
        else:
            self._files.remove(*held.key)
        self._tally.quarantine(held.info)
        subject = held.info.stream.source
        self._conditions.raise_("row.quarantined", subject, f"{reason}: kept aside; ask support", CRITICAL)

    def use_codec(self, name: str) -> None:
        """Compress new segments with this codec: the cloud reads it, and so do we."""
        self._writer.codec = name

    def cloud_is(self, *, reachable: bool) -> None:
        """While the cloud is away there is no hurry to seal: fewer, denser segments go to flash at the deadline."""
        self._cloud_reachable = reachable
        self._arm(self._clock.mono_ns())

    # -- the room's own -----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Seal, spill, merge, give up: at their times, asleep in between."""
        while True:
            self._wake.clear()
            await self.tend()
            due_ns = self._next_due_ns()
            self._armed_ns = due_ns or 0
            timeout_s = None if due_ns is None else max(0.0, (due_ns - self._clock.mono_ns()) / 1e9)
            try:
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def close(self) -> None:
        """Bring everything that waits to flash: a power cut may follow."""
        for source in list(self._writer.oldest_open()):
            self._take_sealed(self._writer.seal(source))
        try:
            await self._keeper.spill(list(self._index.hot.values()), self._give_up)
        except TransientError as exc:
            log.warning("not all could be brought to flash: %s", exc)
        await self._let_go()

    async def _let_go(self) -> None:
        if hasattr(self, "_keeper") and self._keeper.ring:
            await self._keeper.ring.close()
        for fd in self._locks:
            os.close(fd)
        self._locks = []

    def snapshot(self) -> SpoolSnapshot:
        queued = self._index.queued()
        for source, count in self._writer.queued().items():
            queued[source] = queued.get(source, 0) + count
        counts = self._tally.counts(queued)
        ring = self._keeper.ring
        since = [held.since_ns for held in self._index if held.since_ns] + list(self._writer.oldest_open().values())
        return SpoolSnapshot(
            counts=counts,
            captured_bytes={source: self._tally.captured_bytes(source) for source in counts},
            in_flight=sum(held.info.count for held in self._index if held.in_flight),
            hot_segments=len(self._index.hot),
            cold_segments=len(self._index.cold),
            oldest_waiting_s=(self._clock.mono_ns() - min(since)) / 1e9 if since else 0.0,
            latencies_ms=tuple(sorted(latency // 1_000_000 for latency in self._latencies_ns)),
            ring_rows=ring.rows if ring else 0,
            ring_free_rows=ring.free_rows if ring else 0,
            flash_bytes=ring.bytes_written if ring else 0,
            flash_writes=ring.writes if ring else 0,
        )

    async def tend(self) -> None:
        """Do what is due now; `run` calls this at the right times."""
        now_ns = self._clock.mono_ns()
        for source, since_ns in self._writer.oldest_open().items():
            if since_ns + self._seal_ns() <= now_ns:
                self._take_sealed(self._writer.seal(source))
        if now_ns < self._retry_ns:
            return
        try:
            if self._keeper.ring is None:
                await self._open_ring()
                self._ready()
            group = self._due(now_ns)
            if group:
                await self._keeper.spill(group, self._give_up)
                self.backlog_ready.set()
                while await self._keeper.merge():
                    self.backlog_ready.set()  # meanwhile the lanes found everything taken
            await self._keeper.note_acks()
            report_disk(self._conditions, str(self._config.data_dir), None)
        except TransientError as exc:
            self._disk_refused(exc)
            self._shed_hot()
        self._make_room_known()

    def _due(self, now_ns: int) -> list[Held]:
        """What to commit now: with one segment at its deadline, all that would be due soon goes along."""
        oldest_ns = self._index.oldest_hot_ns()
        full = self._index.hot_bytes >= self._config.hot_limit_kb << 10
        if oldest_ns is None or (oldest_ns + self._safe_ns() > now_ns and not full):
            return []
        newest_ns = now_ns - self._safe_ns() // 2
        everything = full or not self._cloud_reachable
        return [held for held in self._index.hot.values() if everything or held.since_ns <= newest_ns]

    def _next_due_ns(self) -> int | None:
        times = [since_ns + self._seal_ns() for since_ns in self._writer.oldest_open().values()]
        oldest_ns = self._index.oldest_hot_ns()
        if oldest_ns is not None:
            times.append(max(oldest_ns + self._safe_ns(), self._retry_ns))
        if self._keeper.ring is None:
            times.append(self._retry_ns)
        return min(times, default=None)

    def _take_sealed(self, sealed: list[tuple[Segment, Stamp]]) -> None:
        for segment, since in sealed:
            self._index.add_hot(Held(segment.info, pack_segment(segment), since.mono_ns))
            self._arm(since.mono_ns + self._safe_ns())
            self.live_ready.set()
        if self._index.hot_bytes >= self._config.hot_limit_kb << 10:
            self._arm(0)

    def _seal_ns(self) -> int:
        return int(self._config.seal_after_s * 1e9) if self._cloud_reachable else self._safe_ns()

    def _safe_ns(self) -> int:
        """From a record's last byte to the start of its commit."""
        margin_s = min(_COMMIT_MARGIN_S, self._config.safe_within_s / 4)
        return int((self._config.safe_within_s - margin_s) * 1e9)

    def _arm(self, due_ns: int) -> None:
        if not self._armed_ns or due_ns < self._armed_ns:
            self._wake.set()

    def _give_up(self, _needed_bytes: int) -> bool:
        """The last step of the full policy: the oldest segments that nobody is sending become gaps."""
        group = self._index.evictable(self._cannot_wait)
        for held in group:
            self._declare(self._keeper.lose(held, "spool.full"))
        return bool(group)

    def _disk_refused(self, exc: TransientError) -> None:
        self._retry_ns = self._clock.mono_ns() + int(_RETRY_S * 1e9)
        report_disk(self._conditions, str(self._config.data_dir), exc)

    def _shed_hot(self) -> None:
        """Flash takes nothing and memory is at twice its limit: the oldest hot segments become gaps."""
        waiting = [held for held in self._index.hot.values() if not held.in_flight]
        for held in waiting:
            if self._index.hot_bytes < 2 * self._config.hot_limit_kb << 10:
                return
            self._declare(self._keeper.lose(held, "spool.disk"))

    def _declare(self, gap: Gap) -> None:
        subject = gap.stream.source
        self._conditions.raise_(
            "spool.lost", subject, f"records were lost ({gap.cause}): the cloud has been told", CRITICAL
        )
        self.append(subject, [body.gap_draft(gap)], self._clock.stamp())

    def _ready(self) -> None:
        self.live_ready.set()
        self.backlog_ready.set()

    def _make_room_known(self) -> None:
        self._room.set()
        self._room = asyncio.Event()

    async def _epoch(self) -> int:
        subject = str(self._state.path)
        if aside := await asyncio.to_thread(self._state.set_aside_if_damaged):
            self._conditions.raise_("spool.damaged", subject, f"set aside as {aside}; started afresh", CRITICAL)
        try:
            return await self._state.begin_run()
        except TransientError as exc:
            report_disk(self._conditions, str(self._config.data_dir), exc)
            return recovery.emergency_epoch()

    async def _open_ring(self) -> None:
        """Raises TransientError while the disk refuses."""
        config = self._config
        path = config.data_dir / "ring.db"
        self._keeper.ring, found = await recovery.open_ring(path, (config.ring_mb << 20) // _SQLITE_PAGE)
        for held in recovery.cold_segments(self._index, found):
            self._tally.capture(held.info.stream.source, held.info.count, 0)
        for place, _ in found.frames:
            if not self._index.tenants(place):
                self._keeper.free(place)  # all of it is held elsewhere, too
        if found.set_aside:
            reason = f"{found.damaged_pages} pages were damaged; the file is kept as {found.set_aside}"
            self._conditions.raise_("spool.damaged", str(path), reason, CRITICAL)

    async def _count_quarantined(self) -> None:
        try:
            segments = await self._state.quarantined()
        except TransientError as exc:
            report_disk(self._conditions, str(self._config.data_dir), exc)
            return
        for segment in segments:
            self._tally.capture(segment.info.stream.source, segment.info.count, 0)
            self._tally.quarantine(segment.info)
