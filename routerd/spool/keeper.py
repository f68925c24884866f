"""What happens to segments that nobody acknowledged in time: to flash, merged when many, given up without room.

One task runs all of this, one step after the other, so the ring has one writer.
"""

import asyncio
import logging
from collections.abc import Callable

from routerd.clock import Clock
from routerd.conditions import CRITICAL, Conditions
from routerd.errors import CorruptError, TransientError
from routerd.model import Gap, Segment
from routerd.spool import dating
from routerd.spool.hot import HotFiles
from routerd.spool.index import Held, Index
from routerd.spool.page import Place
from routerd.spool.ring import Ring
from routerd.spool.tally import Tally
from routerd.spool.writer import Writer
from routerd.wire.batch import pack_segment, unpack_segments

log = logging.getLogger("routerd.spool")

GROUP_BYTES = 256 << 10  # one commit; past this the bytes per commit no longer matter
DENSE_RAW_BYTES = 256 << 10  # a merged segment before compression; 20 times a live one, and still one upload
_MERGE_ROWS = 128  # small frames worth merging: ten times less space for 8 % more writes
_SMALL_ROWS = 4  # a frame this small is worth merging
_WATERMARK_ROWS = 256  # acked pages after which the watermark is written down: bounds what a reboot sends again


Lose = Callable[[Held, str], None]  # gives a segment up, for a cause


class Keeper:
    """`cannot_wait` names the sources whose oldest segments go first when there is no room."""

    def __init__(
        self,
        index: Index,
        files: HotFiles,
        writer: Writer,
        tally: Tally,
        clock: Clock,
        cannot_wait: frozenset[str],
    ) -> None:
        self.ring: Ring | None = None
        self._index = index
        self._files = files
        self._writer = writer
        self._tally = tally
        self._clock = clock
        self._cannot_wait = cannot_wait
        self._freed_rows = 0

    def free(self, place: Place) -> None:
        if self.ring:
            self.ring.free(place)
        self._freed_rows += place.rows

    async def spill(self, group: list[Held], lose: Lose) -> None:
        """Commit `group` to flash; what has to go to make room is given to `lose`. Raises TransientError."""
        for chunk in _chunks(group):
            packed = b"".join(held.packed for held in chunk)
            place = await self._write(packed, min(held.since_ns for held in chunk), lose)
            cooled = self._index.cool(chunk, place)
            for held in cooled:
                self._files.remove(*held.key)
            if not cooled:
                self.free(place)

    async def _write(self, packed: bytes, since_ns: int, lose: Lose) -> Place:
        if self.ring is None:
            raise TransientError("spool.no_flash", "there is no flash to write to")
        since = dating.stamp_at(since_ns, self._clock.stamp())
        while (place := await self.ring.write(packed, self._index.oldest_live, since)) is None:
            group = self._index.evictable(self._cannot_wait)
            if not group:
                raise TransientError("spool.full", "all of the ring is being sent: mend the line, or raise ring_mb")
            for held in group:
                lose(held, "spool.full")
        self._freed_rows = 0
        return place

    def shed(self, limit_bytes: int, lose: Lose) -> None:
        """Flash takes nothing: of what RAM holds past `limit_bytes`, the oldest that nobody is sending is given up."""
        for held in [held for held in self._index.hot.values() if not held.in_flight]:
            if self._index.hot_bytes < limit_bytes:
                return
            lose(held, "spool.disk")

    async def merge(self) -> bool:
        """Rewrite the oldest small frames as dense ones if that is worth it. Returns whether it did."""
        if self.ring is None:
            return False
        rows = min(_MERGE_ROWS, self.ring.rows // 4)
        places = self._index.mergeable(rows, 2 * rows, _SMALL_ROWS)
        if not places:
            return False
        old = [held for place in places for held in self._index.tenants(place)]
        for held in old:
            held.in_flight = True  # nobody else takes them meanwhile
        try:
            return await self._merge(self.ring, places, old)
        finally:
            for held in old:
                held.in_flight = False

    async def _merge(self, ring: Ring, places: list[Place], old: list[Held]) -> bool:
        wanted = {held.info for held in old}
        bodies = await ring.read(places)
        found = [segment for packed in bodies.values() for segment in unpack_segments(packed)]
        found = [segment for segment in found if segment.info in wanted]
        if len(found) != len(old):
            return False  # a page went bad: draining meets it and declares it
        new: list[tuple[Held, Place]] = []
        for source in sorted({segment.info.stream.source for segment in found}):
            dense = await self._dense([segment for segment in found if segment.info.stream.source == source])
            since_ns = min(held.since_ns for held in old if held.info.stream.source == source)
            since = dating.stamp_at(since_ns, self._clock.stamp())
            packed = b"".join(pack_segment(segment) for segment in dense)
            place = await ring.write(packed, self._index.oldest_live, since)
            if place is None:
                for _, written in new:
                    ring.free(written)
                return False
            new += [(Held(segment.info, b"", since_ns), place) for segment in dense]
        for place in self._index.replace(old, new):
            self.free(place)
        return True

    async def _dense(self, segments: list[Segment]) -> list[Segment]:
        """The same records in as few segments as DENSE_RAW_BYTES allows."""
        dense: list[Segment] = []
        run: list[Segment] = []
        raw_bytes = 0
        for segment in sorted(segments, key=lambda s: (s.info.stream, s.info.first_seq)):
            info = segment.info
            follows = run and run[-1].info.stream == info.stream and run[-1].info.last_seq + 1 == info.first_seq
            if run and (not follows or raw_bytes + info.raw_bytes > DENSE_RAW_BYTES):
                dense.append(self._join(run))
                await asyncio.sleep(0)  # a dense segment takes milliseconds: let the readers in between
                run, raw_bytes = [], 0
            run.append(segment)
            raw_bytes += info.raw_bytes
        return [*dense, self._join(run)] if run else dense

    def _join(self, run: list[Segment]) -> Segment:
        if len(run) == 1:
            return run[0]
        content = b"".join(self._writer.expand(segment) for segment in run)
        first = run[0].info
        count = sum(segment.info.count for segment in run)
        return self._writer.compress(first.stream, first.first_seq, count, content, dense=True)

    async def note_acks(self) -> None:
        """Write the watermark down when an outage is over or much was acked: one page, so a reboot re-sends little."""
        if self.ring is None or self._freed_rows == 0:
            return
        if self._freed_rows < _WATERMARK_ROWS and self._index.cold:
            return
        place = await self.ring.write(b"", self._index.oldest_live)
        if place:
            self.ring.free(place)
            self._freed_rows = 0

    def lose(self, held: Held, cause: str) -> Gap:
        """Give a segment up. The caller sends the gap on its way."""
        place = self._index.remove(held)
        if place:
            self.free(place)
        else:
            self._files.remove(*held.key)
        self._tally.lose(held.info)
        info = held.info
        return Gap(info.stream, info.first_seq, info.last_seq, cause, info.raw_bytes, 0, self._clock.wall_ms())

    async def read(self, group: list[Held]) -> list[tuple[Held, bytes]]:
        """(segment, packed bytes) for each of `group` that can be read; what is missing stands on bad pages."""
        if self.ring is None:
            return []
        places = {held.place for held in group if held.place}
        bodies = await self.ring.read(places)
        packed: dict[object, bytes] = {}
        for content in bodies.values():
            try:
                segments = unpack_segments(content)
            except CorruptError as exc:
                log.warning("%s: a frame does not decode: %s", self.ring.path, exc)
                continue
            packed.update((segment.info, pack_segment(segment)) for segment in segments)
        return [(held, packed[held.info]) for held in group if held.info in packed]


def report_disk(conditions: Conditions, subject: str, exc: TransientError | None) -> None:
    """Raise or clear the condition that what waits does not come to flash: `spool.full` when the ring is to blame,
    `spool.disk` when the disk is."""
    raised = exc and ("spool.full" if exc.code == "spool.full" else "spool.disk")
    for code in ("spool.full", "spool.disk"):
        if code == raised:
            conditions.raise_(code, subject, str(exc), CRITICAL)
        else:
            conditions.clear(code, subject)


def _chunks(group: list[Held]) -> list[list[Held]]:
    """Split so that each chunk is one commit of at most GROUP_BYTES (or one larger segment)."""
    chunks: list[list[Held]] = []
    size = GROUP_BYTES
    for held in group:
        if size + len(held.packed) > GROUP_BYTES:
            chunks.append([])
            size = 0
        chunks[-1].append(held)
        size += len(held.packed)
    return chunks
