"""The room: lanes that take segments from the spool, send them, and bring acks back."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from routerd.backoff import Backoff
from routerd.clock import Clock
from routerd.cloud import Reply
from routerd.conditions import Conditions
from routerd.config import ForwardConfig
from routerd.errors import CorruptError, TransientError
from routerd.forward.pace import Pace
from routerd.model import Segment, SegmentInfo, Stream
from routerd.wire import batch, codec
from routerd.wire.answers import Meaning, Reaction

_SUBJECT = "cloud"
_INGEST = "/v1/ingest"
_MIN_BATCH_BYTES = 4 << 10  # halving stops here: below it a single segment is too large by itself
_BACKLOG_LANES = 2  # one batch on the wire while the next is read from flash
_NOT_OURS = Meaning(Reaction.CAPTIVE, "cloud.captive", "its answer does not decode: check the internet line")


class Waiting(Protocol):
    """A segment the spool handed out."""

    info: SegmentInfo


H = TypeVar("H", bound=Waiting)


class Outbox(Protocol[H]):
    """What forward needs of the spool."""

    live_ready: asyncio.Event
    backlog_ready: asyncio.Event

    def take_live(self, max_bytes: int) -> list[tuple[H, bytes]]: ...
    async def take_backlog(self, max_bytes: int) -> list[tuple[H, bytes]]: ...
    def settle(self, held: H) -> None: ...
    def process(self, stream: Stream, watermark: int) -> None: ...
    def release(self, group: Iterable[H]) -> None: ...
    async def quarantine(self, held: H, segment: Segment, reason: str) -> None: ...
    def use_codec(self, name: str) -> None: ...
    def cloud_is(self, *, reachable: bool) -> None: ...


class Uplink(Protocol):
    """What forward needs of the HTTP client."""

    async def post(self, path: str, body: bytes) -> Reply: ...


@dataclass(frozen=True, slots=True)
class ForwardSnapshot:
    """`state` is online, waiting or held; `next_try_s` counts down to the next attempt."""

    state: str
    failures: int
    next_try_s: float
    last_ack_s: float | None
    acked_segments: int
    sent_bytes: int


class Forwarder(Generic[H]):
    def __init__(
        self,
        config: ForwardConfig,
        outbox: Outbox[H],
        uplink: Uplink,
        codebook: codec.Codebook,
        clock: Clock,
        conditions: Conditions,
        chance: Callable[[], float],
    ) -> None:
        self._outbox = outbox
        self._uplink = uplink
        self._codebook = codebook
        self._clock = clock
        self._conditions = conditions
        self._chance = chance
        self._pace = Pace(Backoff(config.backoff_base_s, config.backoff_ceiling_s))
        self._full_batch_bytes = self._batch_bytes = config.batch_kb << 10
        self._plain = False
        self._failures = 0
        self._reaction = Reaction.TAKE
        self._not_before_ns = 0
        self._condition = ""
        self._probe = asyncio.Lock()
        self._mended = asyncio.Event()
        self._last_ack_ns: int | None = None
        self._acked_segments = 0
        self._sent_bytes = 0

    async def run(self) -> None:
        """Send whatever waits, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lane(self._outbox.live_ready, self._take_live), name="forward.live")
            for number in range(_BACKLOG_LANES):
                lane = self._lane(self._outbox.backlog_ready, self._outbox.take_backlog)
                group.create_task(lane, name=f"forward.backlog-{number}")

    def snapshot(self) -> ForwardSnapshot:
        now_ns = self._clock.mono_ns()
        state = "online" if not self._failures else "held" if self._reaction is Reaction.HOLD else "waiting"
        since_ack_s = None if self._last_ack_ns is None else (now_ns - self._last_ack_ns) / 1e9
        wait_s = max(0.0, (self._not_before_ns - now_ns) / 1e9) if self._failures else 0.0
        return ForwardSnapshot(state, self._failures, wait_s, since_ack_s, self._acked_segments, self._sent_bytes)

    async def _take_live(self, max_bytes: int) -> list[tuple[H, bytes]]:
        return self._outbox.take_live(max_bytes)

    async def _lane(self, ready: asyncio.Event, take: Callable[[int], Awaitable[list[tuple[H, bytes]]]]) -> None:
        while True:
            await ready.wait()
            if not self._failures:
                await self._round(take)
                continue
            async with self._probe:  # while the cloud is away, one lane at a time asks for it
                if self._failures:
                    await self._pause()
                    await self._round(take)

    async def _pause(self) -> None:
        """Until the next attempt is due, or an upload that was under way has succeeded after all."""
        self._mended.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, (self._not_before_ns - self._clock.mono_ns()) / 1e9)):
                await self._mended.wait()

    async def _round(self, take: Callable[[int], Awaitable[list[tuple[H, bytes]]]]) -> None:
        try:
            taken = await take(self._batch_bytes)
        except TransientError as exc:
            self._fail(Meaning(Reaction.RETRY, exc.code, str(exc)), None, "")
            return
        if not taken:
            return
        open_items = dict.fromkeys(held for held, _ in taken)
        try:
            await self._send(taken, open_items)
        except TransientError as exc:
            self._fail(Meaning(Reaction.RETRY, exc.code, str(exc)), None, "")
        finally:
            if open_items:
                self._outbox.release(open_items)

    async def _send(self, taken: list[tuple[H, bytes]], open_items: dict[H, None]) -> None:
        """One upload and what its answer asks for. What is settled leaves `open_items`."""
        body = batch.pack_batch([self._encoded(packed) for _, packed in taken])
        self._sent_bytes += len(body)
        reply = await self._uplink.post(_INGEST, body)
        reaction = reply.meaning.reaction
        if reaction is Reaction.TAKE:
            try:
                await self._take_answer(batch.unpack_answer(reply.body), taken, open_items)
            except CorruptError as exc:
                self._fail(_NOT_OURS, None, str(exc))
        elif reaction in (Reaction.QUARANTINE, Reaction.HALVE):
            await self._split(reply, taken, open_items)
        elif reaction is Reaction.PLAIN and not self._plain:
            self._plain = True
            self._outbox.use_codec(codec.ZLIB)
            await self._send(taken, open_items)
        else:
            self._fail(reply.meaning, reply.retry_after_s, reply.detail)

    async def _split(self, reply: Reply, taken: list[tuple[H, bytes]], open_items: dict[H, None]) -> None:
        """The cloud will not take this batch as it is: find the one segment that is to blame, send the others."""
        if len(taken) == 1:
            await self._set_aside(*taken[0], reply.meaning.code, open_items)
            return
        if reply.meaning.reaction is Reaction.HALVE:
            self._batch_bytes = max(_MIN_BATCH_BYTES, self._batch_bytes // 2)
        middle = len(taken) // 2
        for part in (taken[:middle], taken[middle:]):
            await self._send(part, open_items)

    async def _take_answer(self, answer: batch.Answer, taken: list[tuple[H, bytes]], open_items: dict[H, None]) -> None:
        self._succeed(answer)
        waiting = {(h.info.stream, h.info.first_seq, h.info.count): (h, packed) for h, packed in taken}
        invalid: list[tuple[H, bytes]] = []
        for ack in answer.acks:
            held, packed = waiting.pop((ack.stream, ack.first_seq, ack.count), (None, b""))
            if held is None:
                continue
            if ack.status == batch.INVALID:
                invalid.append((held, packed))
            else:
                del open_items[held]
                self._outbox.settle(held)
                self._acked_segments += 1
        for stream, watermark in answer.processed:
            self._outbox.process(stream, watermark)
        for held, packed in invalid:  # last: a disk that refuses must not hold up what the cloud has taken
            await self._set_aside(held, packed, "cloud.segment_invalid", open_items)

    async def _set_aside(self, held: H, packed: bytes, reason: str, open_items: dict[H, None]) -> None:
        [segment] = batch.unpack_segments(packed)
        await self._outbox.quarantine(held, segment, reason)
        del open_items[held]

    def _encoded(self, packed: bytes) -> bytes:
        """As stored, or in the plainest encoding for a cloud that asked for it."""
        if not self._plain:
            return packed
        [segment] = batch.unpack_segments(packed)
        info = segment.info
        body = self._codebook.decompress(segment.payload, info.codec, info.dict_id, info.raw_bytes)
        payload = self._codebook.compress(body, codec.ZLIB)
        return batch.pack_segment(batch.seal(info.stream, info.first_seq, info.count, body, (codec.ZLIB, 0, payload)))

    def _succeed(self, answer: batch.Answer) -> None:
        self._last_ack_ns = self._clock.mono_ns()
        if self._condition:
            self._conditions.clear(self._condition, _SUBJECT)
            self._condition = ""
        if self._failures:
            self._failures = 0
            self._mended.set()
            self._outbox.cloud_is(reachable=True)
            self._outbox.backlog_ready.set()
            self._outbox.live_ready.set()
        self._reaction = Reaction.TAKE
        self._batch_bytes = min(self._full_batch_bytes, self._batch_bytes * 2)
        known = [name for name in self._codebook.codecs if name in answer.codecs]
        if known and not self._plain:
            self._outbox.use_codec(known[0])

    def _fail(self, what: Meaning, retry_after_s: float | None, detail: str) -> None:
        if not self._failures:
            self._outbox.cloud_is(reachable=False)
        self._failures += 1
        self._reaction = what.reaction
        wait_s = self._pace.wait_s(what.reaction, self._failures, retry_after_s, self._chance())
        self._not_before_ns = self._clock.mono_ns() + int(wait_s * 1e9)
        if self._condition and self._condition != what.code:
            self._conditions.clear(self._condition, _SUBJECT)
        self._condition = what.code
        if what.code:
            self._conditions.raise_(what.code, _SUBJECT, f"{what.remedy} ({detail})" if detail else what.remedy)
