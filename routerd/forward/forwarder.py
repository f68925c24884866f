"""The room: lanes that take segments from the spool, send them, and bring acks back."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic

from routerd.backoff import Backoff
from routerd.clock import Clock
from routerd.cloud import Reply
from routerd.conditions import Conditions
from routerd.config import ForwardConfig
from routerd.errors import CorruptError, PermanentError, TransientError
from routerd.forward.aside import Aside
from routerd.forward.fault import Fault
from routerd.forward.outbox import H, Outbox, Uplink
from routerd.forward.pace import Pace
from routerd.wire import batch, codec
from routerd.wire.answers import Meaning, Reaction

_INGEST = "/v1/ingest"
_MIN_BATCH_BYTES = 4 << 10  # halving stops here: below it a single segment is too large by itself
_PROBE_BYTES = 4 << 10  # while the cloud is away or refuses, the question whether it is back costs a slow line little
_LOOK_S = 10.0  # how often a refused device looks for a new key; it costs one stat
_READ_AGAIN_S = 5.0  # between attempts on a flash that cannot be read
_ASK_FIRST_S, _ASK_RARELY_S = 10.0, 300.0  # without traffic: asked once after each burst of tickets, then hardly ever
_BACKLOG_LANES = 2  # one batch on the wire while the next is read from flash
_NOT_OURS = Meaning(Reaction.CAPTIVE, "cloud.captive", "its answer does not decode: check the internet line")


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
        obey: Callable[[batch.Order], None] | None = None,
    ) -> None:
        """`obey` is given what the cloud orders, as often as it says it; None where no source can be read again."""
        self._obey = obey
        self._outbox = outbox
        self._uplink = uplink
        self._codebook = codebook
        self._clock = clock
        self._fault = Fault(conditions, "cloud")
        self._key_fault = Fault(conditions, "key")
        self._flash_fault = Fault(conditions, "backlog")
        self._aside = Aside(outbox, conditions)
        self._chance = chance
        self._pace = Pace(Backoff(config.backoff_base_s, config.backoff_ceiling_s))
        self._full_batch_bytes = self._batch_bytes = config.batch_kb << 10
        self._plain = False
        self._failures = self._refusals = 0  # in a row
        self._reaction = Reaction.TAKE
        self._not_before_ns = 0
        self._probe = asyncio.Lock()
        self._mended = asyncio.Event()
        self._answered = asyncio.Event()
        self._last_ack_ns: int | None = None
        self._acked_segments = 0
        self._sent_bytes = 0

    async def run(self) -> None:
        """Send whatever waits, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lane(self._outbox.live_ready, self._take_live), name="forward.live")
            for number in range(_BACKLOG_LANES):
                lane = self._lane(self._outbox.backlog_ready, self._take_backlog)
                group.create_task(lane, name=f"forward.backlog-{number}")
            group.create_task(self._aside.run(), name="forward.aside")
            group.create_task(self._ask(), name="forward.ask")

    def snapshot(self) -> ForwardSnapshot:
        now_ns = self._clock.mono_ns()
        state = "online" if not self._failures else "held" if self._reaction is Reaction.HOLD else "waiting"
        since_ack_s = None if self._last_ack_ns is None else (now_ns - self._last_ack_ns) / 1e9
        wait_s = max(0.0, (self._not_before_ns - now_ns) / 1e9) if self._failures else 0.0
        return ForwardSnapshot(state, self._failures, wait_s, since_ack_s, self._acked_segments, self._sent_bytes)

    async def _take_live(self, max_bytes: int) -> list[tuple[H, bytes]]:
        return self._outbox.take_live(max_bytes)

    async def _take_backlog(self, max_bytes: int) -> list[tuple[H, bytes]]:
        taken = await self._outbox.take_backlog(max_bytes)
        self._flash_fault.clear()
        return taken

    async def _lane(self, ready: asyncio.Event, take: Callable[[int], Awaitable[list[tuple[H, bytes]]]]) -> None:
        while True:
            await ready.wait()
            if not self._failures:
                was_read = await self._round(take)
            else:
                async with self._probe:  # while the cloud is away, one lane at a time asks for it
                    if self._failures:
                        await self._pause()
                    was_read = await self._round(take)
            if not was_read:
                await asyncio.sleep(_READ_AGAIN_S)

    async def _ask(self) -> None:
        """When nothing is sent: ask what became of the uploads, soon and then ever more rarely, and for orders."""
        wait_s = _ASK_FIRST_S
        while True:
            if self._outbox.unheard():
                await asyncio.sleep(wait_s)
            else:
                wait_s = _ASK_FIRST_S
                self._answered.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ASK_RARELY_S if self._obey else None):
                        await self._answered.wait()
            silent_s = (self._clock.mono_ns() - (self._last_ack_ns or 0)) / 1e9
            if self._failures or silent_s < wait_s:
                wait_s = _ASK_FIRST_S
                continue
            await self._send([], {})
            wait_s = min(2 * wait_s, _ASK_RARELY_S)

    async def _pause(self) -> None:
        """Until the next attempt is due, an upload that was under way has succeeded after all, or a refused device has
        another key."""
        self._mended.clear()
        loop = asyncio.get_running_loop()
        due_s = loop.time() + (self._not_before_ns - self._clock.mono_ns()) / 1e9
        while (left_s := due_s - loop.time()) > 0 and not self._mended.is_set() and not self._has_new_key():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, _LOOK_S) if self._reaction is Reaction.HOLD else left_s):
                    await self._mended.wait()

    def _has_new_key(self) -> bool:
        """While refused: the key that was refused is not the one the next request would carry."""
        if self._reaction is not Reaction.HOLD:
            return False
        try:
            has_one = self._uplink.renewed()
        except PermanentError as exc:
            self._key_fault.raise_(exc.code, str(exc))
            return False
        self._key_fault.clear()
        if has_one:
            self._refusals = 0
        return has_one

    async def _round(self, take: Callable[[int], Awaitable[list[tuple[H, bytes]]]]) -> bool:
        """Send once. False if flash could not be read: that lane's trouble, not the cloud's."""
        try:
            taken = await take(min(self._batch_bytes, _PROBE_BYTES) if self._failures else self._batch_bytes)
        except TransientError as exc:
            self._flash_fault.raise_(exc.code, str(exc))
            return False
        if not taken:
            return True
        open_items = dict.fromkeys(held for held, _ in taken)
        try:
            await self._send(taken, open_items)
        except TransientError as exc:
            self._fail(Meaning(Reaction.RETRY, exc.code, str(exc)), None, "")
        finally:
            if open_items:
                self._outbox.release(open_items)
        return True

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
        if not taken:
            self._fail(reply.meaning, reply.retry_after_s, reply.detail)
            return
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
        if self._obey:
            for order in answer.orders:
                self._obey(order)
        for held, packed in invalid:  # last: a disk that refuses must not hold up what the cloud has taken
            await self._set_aside(held, packed, "cloud.segment_invalid", open_items)

    async def _set_aside(self, held: H, packed: bytes, reason: str, open_items: dict[H, None]) -> None:
        await self._aside.put(held, packed, reason)
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
        self._answered.set()
        self._fault.clear()
        self._key_fault.clear()
        if self._failures:
            self._failures = self._refusals = 0
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
        self._refusals = self._refusals + 1 if what.reaction is Reaction.HOLD else 0
        self._reaction = what.reaction
        wait_s = self._pace.wait_s(what.reaction, self._refusals or self._failures, retry_after_s, self._chance())
        self._not_before_ns = self._clock.mono_ns() + int(wait_s * 1e9)
        self._fault.raise_(what.code, f"{what.remedy} ({detail})" if detail else what.remedy)
