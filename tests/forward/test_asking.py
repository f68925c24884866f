"""Without traffic the cloud is still asked what became of the uploads and what it wants."""

import asyncio
from collections.abc import Callable

import pytest

from routerd.cloud import Reply
from routerd.forward import forwarder
from routerd.model import Segment
from routerd.wire import batch
from routerd.wire.answers import meaning
from tests.forward.room import STREAM, Room, refused, stop


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
