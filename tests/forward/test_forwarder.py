"""What each answer does to what waits: only an ack removes, the blamed segment goes aside, the rest goes on."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest

from routerd.cloud import Reply
from routerd.conditions import Conditions
from routerd.config import ForwardConfig
from routerd.errors import PermanentError, TransientError
from routerd.forward import aside, forwarder
from routerd.forward.forwarder import Forwarder
from routerd.model import RECORD, Draft, Segment, SegmentInfo, Stamp, Stream
from routerd.wire import batch, body, codec
from routerd.wire.answers import Meaning, Reaction, meaning
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


async def test_an_ack_settles_and_the_watermark_is_passed_on() -> None:
    room = Room()
    await room.send(waiting(1), waiting(2))
    assert room.outbox.settled == [1, 2]
    assert room.outbox.processed == [2]
    assert room.cloud.batches == [[1, 2]]
    assert room.forwarder.snapshot().state == "online"


async def test_a_segment_without_an_ack_is_sent_again() -> None:
    room = Room(lambda segments: stored(segments[:1]))
    await room.send(waiting(1), waiting(2))
    assert room.cloud.batches == [[1, 2], [2]]
    assert room.outbox.settled == [1, 2]


async def test_an_invalid_segment_goes_aside_and_the_others_go_on() -> None:
    room = Room(lambda segments: stored(segments, invalid=2))
    await room.send(waiting(1), waiting(2), waiting(3))
    assert (room.outbox.settled, room.outbox.quarantined) == ([1, 3], [2])


async def test_an_unreadable_batch_is_split_until_the_one_to_blame_stands_alone() -> None:
    def judge(segments: list[Segment]) -> Reply:
        bad = any(segment.info.first_seq == 3 for segment in segments)
        return refused(400, "batch_invalid")(segments) if bad else stored(segments)

    room = Room(*[judge] * 20)
    await room.send(*[waiting(number) for number in range(1, 6)])
    assert sorted(room.outbox.settled) == [1, 2, 4, 5]
    assert room.outbox.quarantined == [3]


async def test_a_batch_too_large_is_halved() -> None:
    room = Room(refused(413, "too_large"))
    await room.send(*[waiting(number) for number in range(1, 5)])
    assert room.cloud.batches[:3] == [[1, 2, 3, 4], [1, 2], [3, 4]]
    assert room.outbox.settled == [1, 2, 3, 4]


async def test_a_codec_the_cloud_cannot_read_is_sent_plain_under_the_same_numbers() -> None:
    room = Room(refused(415))
    await room.send(waiting(7, codec.ZSTD))
    assert room.cloud.batches == [[7], [7]]
    assert room.cloud.codecs == [codec.ZSTD, codec.ZLIB]
    assert room.outbox.settled == [7]
    assert room.outbox.codec == codec.ZLIB


async def test_the_best_codec_both_sides_know_is_used_from_the_first_answer_on() -> None:
    room = Room()
    await room.send(waiting(1))
    assert room.outbox.codec == BOOK.codecs[0]


async def test_refusals_delete_nothing_wait_long_and_say_what_to_do() -> None:
    for status, code in ((401, "key_unknown"), (403, "device_disabled"), (426, "protocol_major")):
        room = Room(refused(status, code))
        await room.fail_once(waiting(1))
        snapshot = room.forwarder.snapshot()
        assert (snapshot.state, room.outbox.settled, room.outbox.quarantined) == ("held", [], [])
        assert snapshot.next_try_s >= 120
        assert len(room.outbox.live) == 1
        assert not room.outbox.reachable


async def test_a_told_wait_is_kept_to_the_second() -> None:
    room = Room(refused(503, "busy", 77.0))
    await room.fail_once(waiting(1))
    assert room.forwarder.snapshot().next_try_s == 77.0
    assert room.codes() == {"cloud.busy"}


async def test_silence_is_retried_and_the_condition_cleared_when_an_ack_comes() -> None:
    lost = Meaning(Reaction.RETRY, "cloud.unreachable", "check the line")
    room = Room(lambda _: Reply(lost), lambda _: Reply(lost))
    await room.send(waiting(1))
    assert room.cloud.batches == [[1], [1], [1]]
    assert room.codes() == set()
    assert room.outbox.reachable


async def test_an_answer_that_does_not_decode_is_nobodys_ack() -> None:
    room = Room(lambda _: Reply(meaning(200, "", "1.0"), b"<html>"))
    room.forwarder = room.make(lambda: 0.999)  # a wait in which the test can look
    await room.fail_once(waiting(1))
    assert room.codes() == {"cloud.captive"}
    assert room.outbox.settled == []


async def test_a_refused_device_with_a_new_key_asks_at_once() -> None:
    room = Room(refused(401, "key_unknown"))
    room.cloud.keys = [True]
    await room.send(waiting(1))
    assert room.cloud.batches == [[1], [1]]
    assert room.codes() == set()


async def test_a_refused_device_goes_on_looking_for_a_new_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "_LOOK_S", 0.0)
    room = Room(refused(403, "device_disabled"))
    room.cloud.keys = [False, False, False, True]
    await room.send(waiting(1))
    assert room.cloud.keys == []
    assert room.outbox.settled == [1]


async def test_a_file_that_holds_no_key_is_said_until_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "_LOOK_S", 0.0)
    room = Room(refused(401, "key_unknown"))
    room.cloud.keys = [PermanentError("key.exposed", "chmod 600 it")] * 1000
    await room.until(lambda: len(room.conditions.snapshot()) == 2, waiting(1))
    assert room.faults() == {("cloud.refused", "cloud"), ("key.exposed", "key")}
    room.cloud.keys = []
    await room.until(lambda: room.faults() == {("cloud.refused", "cloud")})
    room.cloud.keys = [True]
    await room.until(lambda: room.outbox.settled == [1])
    assert room.codes() == set()


async def test_only_a_refusal_makes_anyone_look_at_the_key() -> None:
    room = Room(refused(503), refused(503))
    room.forwarder = room.make(lambda: 0.001)
    room.cloud.keys = [True]
    await room.send(waiting(1))
    assert room.cloud.keys == [True]


async def test_a_new_key_that_is_refused_starts_the_first_hour_anew() -> None:
    room = Room(*[refused(401)] * 30)
    room.cloud.keys = [True] * 29
    room.forwarder = room.make(lambda: 0.999)
    await room.until(lambda: len(room.cloud.batches) == 30 and not room.cloud.keys, waiting(1))
    assert room.forwarder.snapshot().next_try_s <= 240


async def test_a_refused_device_asks_with_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "_PROBE_BYTES", 1)
    room = Room(refused(403))
    room.cloud.keys = [True]
    await room.send(*[waiting(number) for number in range(1, 6)])
    assert room.cloud.batches == [[1, 2, 3, 4, 5], [1], [2, 3, 4, 5]]


async def test_a_disk_that_refuses_a_segment_set_aside_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "_RETRY_S", 3600.0)
    room = Room(*[lambda segments: stored(segments, invalid=2)] * 3)
    room.outbox.refusals = 1
    await room.until(lambda: room.outbox.settled == [1, 3, 4], waiting(1), waiting(2), waiting(3), waiting(4))
    assert room.forwarder.snapshot().state == "online"
    assert (room.outbox.live, room.outbox.quarantined) == ([], [])
    assert room.faults() == {("spool.disk", "quarantine")}


async def test_a_segment_set_aside_is_tried_on_a_timer_until_the_disk_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "_RETRY_S", 0.0)
    room = Room(lambda segments: stored(segments, invalid=2))
    room.outbox.refusals = 4
    await room.send(waiting(1), waiting(2))
    await room.until(lambda: not room.codes())
    assert (room.outbox.settled, room.outbox.quarantined) == ([1], [2])
    assert room.cloud.batches == [[1, 2]]


async def test_what_waits_to_be_set_aside_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "_RETRY_S", 3600.0)
    monkeypatch.setattr(aside, "_MOST_BYTES", len(waiting(1).packed))
    room = Room(*[refused(400, "batch_invalid")] * 100)
    room.outbox.refusals = 100
    await room.until(lambda: ("spool.disk", "cloud") in room.faults(), waiting(1), waiting(2))
    assert [item.info.first_seq for item in room.outbox.live] == [2]


async def test_a_flash_that_cannot_be_read_holds_up_nothing_live(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "_READ_AGAIN_S", 3600.0)
    room = Room()
    room.outbox.unreadable = 2
    room.outbox.backlog_ready.set()
    await room.until(lambda: room.outbox.settled == [1] and not room.outbox.unreadable, waiting(1))
    assert room.faults() == {("spool.disk", "backlog")}
    assert (room.forwarder.snapshot().state, room.outbox.reachable) == ("online", True)
    monkeypatch.setattr(forwarder, "_READ_AGAIN_S", 0.0)
    room.outbox.backlog_ready.set()
    await room.until(lambda: not room.codes())


async def asked(room: Room, times: int) -> None:
    """Run until as many requests were made."""
    task = asyncio.create_task(room.forwarder.run())
    try:
        async with asyncio.timeout(10):
            while len(room.cloud.batches) < times:
                room.cloud.asked.clear()
                await room.cloud.asked.wait()
        for _ in range(5):  # until the last answer is read
            await asyncio.sleep(0)
    finally:
        await stop(task)


def words(orders: tuple[batch.Order, ...] = ()) -> Callable[[list[Segment]], Reply]:
    answer = batch.Answer((), ((STREAM, 7),), orders=orders)
    return lambda _segments: Reply(meaning(200, "", "1.0"), batch.pack_answer(answer))


async def test_what_became_of_uploads_is_asked_when_nothing_else_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "_ASK_FIRST_S", 0.0)
    room = Room(words())
    room.outbox.is_unheard = True
    await asked(room, 1)
    assert room.cloud.batches[0] == []
    assert room.outbox.processed[0] == 7


async def test_orders_are_asked_for_and_handed_on_as_often_as_they_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "_ASK_RARELY_S", 0.0)
    monkeypatch.setattr(forwarder, "_ASK_FIRST_S", 0.0)
    order = batch.Order(1, "site", "2026-07-16", "2026-07-17")
    heard: list[batch.Order] = []
    room = Room(words((order,)), words((order,)))
    room.forwarder = room.make(lambda: 0.0, heard.append)
    await asked(room, 2)
    assert heard == [order, order]


async def test_a_question_that_is_refused_sets_nothing_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder, "_ASK_FIRST_S", 0.0)
    room = Room(refused(400, "batch_invalid"))
    room.outbox.is_unheard = True
    await asked(room, 1)
    assert room.forwarder.snapshot().failures == 1
    assert not room.outbox.quarantined
