"""The forwarder with a spool, a cloud and a clock of its own."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from routerd.cloud import Reply
from routerd.conditions import Conditions
from routerd.config import ForwardConfig
from routerd.errors import PermanentError, TransientError
from routerd.forward.forwarder import Forwarder
from routerd.model import RECORD, Draft, Segment, SegmentInfo, Stamp, Stream
from routerd.wire import batch, body, codec
from routerd.wire.answers import meaning
from tests.fakes.clock import BOOT, FakeClock

BOOK = codec.Codebook({})
STREAM = Stream("till", 9)


@dataclass(eq=False)
class Waiting:
    info: SegmentInfo
    packed: bytes


def waiting(first_seq: int, name: str = codec.ZLIB) -> Waiting:
    content = body.pack_head(Stamp(BOOT, 0, 0, synced=True)) + body.pack_record(Draft(RECORD, b"sale" * 500), 0)
    segment = batch.seal(STREAM, first_seq, 1, content, (name, 0, BOOK.compress(content, name)))
    return Waiting(segment.info, batch.pack_segment(segment))


@dataclass
class FakeOutbox:
    """Segments in order; `events` is what forward did to them."""

    live: list[Waiting] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    quarantined: list[int] = field(default_factory=list)
    processed: list[int] = field(default_factory=list)
    added: int = 0
    codec: str = codec.ZLIB
    reachable: bool = True
    is_unheard: bool = False
    refusals: int = 0  # quarantines that the disk refuses first
    unreadable: int = 0  # looks at the backlog that flash refuses first
    live_ready: asyncio.Event = field(default_factory=asyncio.Event)
    backlog_ready: asyncio.Event = field(default_factory=asyncio.Event)
    empty: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, *items: Waiting) -> None:
        self.live += items
        self.added += len(items)
        self.live_ready.set()

    def take_live(self, max_bytes: int) -> list[tuple[Waiting, bytes]]:
        taken: list[Waiting] = []
        while self.live and (not taken or sum(len(t.packed) for t in taken) + len(self.live[0].packed) <= max_bytes):
            taken.append(self.live.pop(0))
        if not taken:
            self.live_ready.clear()
        return [(item, item.packed) for item in taken]

    async def take_backlog(self, max_bytes: int) -> list[tuple[Waiting, bytes]]:
        if self.unreadable:
            self.unreadable -= 1
            raise TransientError("spool.disk", "ring.db: check the flash")
        self.backlog_ready.clear()
        return []

    def settle(self, held: Waiting) -> None:
        self.settled.append(held.info.first_seq)
        self._look()

    def process(self, stream: Stream, watermark: int) -> None:
        self.processed.append(watermark)

    def unheard(self) -> bool:
        return self.is_unheard

    def release(self, group: Iterable[Waiting]) -> None:
        back = sorted(group, key=lambda item: item.info.first_seq)
        self.live[:0] = back
        if back:
            self.live_ready.set()

    async def quarantine(self, held: Waiting, segment: Segment, reason: str) -> None:
        if self.refusals:
            self.refusals -= 1
            raise TransientError("spool.disk", "state.db: check free space")
        self.quarantined.append(held.info.first_seq)
        self._look()

    def use_codec(self, name: str) -> None:
        self.codec = name

    def cloud_is(self, *, reachable: bool) -> None:
        self.reachable = reachable

    def _look(self) -> None:
        if len(self.settled) + len(self.quarantined) == self.added:
            self.empty.set()


class FakeCloud:
    """Answers from a script of functions of the batch; after it, every segment is stored."""

    def __init__(self, *script: Callable[[list[Segment]], Reply]) -> None:
        self.script = list(script)
        self.batches: list[list[int]] = []
        self.codecs: list[str] = []
        self.asked = asyncio.Event()
        self.keys: list[bool | PermanentError] = []  # what each look for a new key finds; then none

    def renewed(self) -> bool:
        found = self.keys.pop(0) if self.keys else False
        if isinstance(found, PermanentError):
            raise found
        return found

    async def post(self, path: str, data: bytes) -> Reply:
        assert path == "/v1/ingest"
        segments = batch.unpack_batch(data)
        assert all(batch.is_intact(segment) for segment in segments)
        self.batches.append([segment.info.first_seq for segment in segments])
        self.codecs += [segment.info.codec for segment in segments]
        self.asked.set()
        await asyncio.sleep(0)
        return self.script.pop(0)(segments) if self.script else stored(segments)


def stored(segments: list[Segment], invalid: int = 0) -> Reply:
    acks = tuple(
        batch.Ack(s.info.stream, s.info.first_seq, s.info.count, "invalid" if s.info.first_seq == invalid else "stored")
        for s in segments
    )
    top = max((segment.info.last_seq for segment in segments), default=0)
    answer = batch.Answer(acks, ((STREAM, top),), ("zstd", "zlib", "raw"))
    return Reply(meaning(200, "", "1.0"), batch.pack_answer(answer))


def refused(status: int, code: str = "", retry_after_s: float | None = None) -> Callable[[list[Segment]], Reply]:
    return lambda _segments: Reply(meaning(status, code, "1.0"), b"", retry_after_s, f"HTTP {status}")


async def stop(task: "asyncio.Task[None]") -> None:
    """It must run until it is told to stop, whatever happened."""
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), task


class Room:
    def __init__(self, *script: Callable[[list[Segment]], Reply]) -> None:
        self.clock = FakeClock()
        self.conditions = Conditions(self.clock)
        self.outbox = FakeOutbox()
        self.cloud = FakeCloud(*script)
        self.forwarder = self.make(lambda: 0.0)

    def make(
        self, chance: Callable[[], float], obey: Callable[[batch.Order], None] | None = None
    ) -> Forwarder[Waiting]:
        config = ForwardConfig(url="https://cloud", batch_kb=16)
        return Forwarder(config, self.outbox, self.cloud, BOOK, self.clock, self.conditions, chance, obey)

    async def send(self, *items: Waiting) -> None:
        """Forward until nothing waits."""
        self.outbox.add(*items)
        task = asyncio.create_task(self.forwarder.run())
        try:
            async with asyncio.timeout(10):
                await self.outbox.empty.wait()
        finally:
            await stop(task)

    async def until(self, done: Callable[[], bool], *items: Waiting) -> None:
        """Forward until `done()`."""
        self.outbox.add(*items)
        task = asyncio.create_task(self.forwarder.run())
        try:
            async with asyncio.timeout(10):
                while not done():  # noqa: ASYNC110 (conditions announce nothing)
                    await asyncio.sleep(0)
        finally:
            await stop(task)

    async def fail_once(self, item: Waiting) -> None:
        """Forward until the first answer has been taken."""
        await self.until(lambda: bool(self.conditions.snapshot()), item)

    def codes(self) -> set[str]:
        return {condition.code for condition in self.conditions.snapshot()}

    def faults(self) -> set[tuple[str, str]]:
        return {(condition.code, condition.subject) for condition in self.conditions.snapshot()}
