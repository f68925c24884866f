"""Whom the cloud refuses, and what the disk refuses: a new key is tried at once, and nothing else is held up."""

import pytest

from routerd.errors import PermanentError
from routerd.forward import aside, forwarder
from tests.forward.room import Room, refused, stored, waiting


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
