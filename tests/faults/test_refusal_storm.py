"""A day of refusals in a second: the forwarder asks rarely, deletes nothing, and goes on when it is let in again."""

import asyncio
import random

import pytest

from tests.forward.room import Room, refused, stop, stored, waiting

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class Fast:
    """The loop's time, moved on whenever everybody sleeps: a day passes in the time its work takes."""

    def __init__(self, room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
        self.room = room
        loop = asyncio.get_running_loop()
        selector = loop._selector  # type: ignore[attr-defined]
        real = selector.select
        self._offset_s = 0.0
        clock = loop.time
        monkeypatch.setattr(loop, "time", lambda: clock() + self._offset_s)

        def select(timeout_s: float | None) -> object:
            if timeout_s:
                self._offset_s += timeout_s
                room.clock.move(timeout_s)
            return real(0 if timeout_s else timeout_s)

        monkeypatch.setattr(selector, "select", select)

    async def hours(self, count: int) -> list[int]:
        """Requests in each hour, begun when told."""
        asked = []
        for _ in range(count):
            before = len(self.room.cloud.batches)
            await asyncio.sleep(HOUR_S)
            asked.append(len(self.room.cloud.batches) - before)
        return asked


@pytest.mark.parametrize("status", [401, 403, 426])
async def test_a_day_of_refusals_costs_thirty_requests_an_hour_at_most_and_no_record(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room()
    room.forwarder = room.make(random.Random(status).random)
    room.cloud.script = [refused(status)] * 10_000
    room.outbox.add(*[waiting(number) for number in range(1, 40)])
    fast = Fast(room, monkeypatch)
    task = asyncio.create_task(room.forwarder.run())
    asked = await fast.hours(24)
    assert min(asked) >= 1
    assert max(asked) <= 30
    assert room.outbox.settled == room.outbox.quarantined == []
    assert room.codes() == {"cloud.incompatible" if status == 426 else "cloud.refused"}
    room.cloud.script = []
    await asyncio.sleep(HOUR_S)
    assert sorted(room.outbox.settled) == list(range(1, 40))
    assert room.codes() == set()
    await stop(task)


async def test_a_day_of_a_cloud_in_trouble_is_paced_and_costs_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room()
    room.forwarder = room.make(random.Random(1).random)
    chance = random.Random(2)
    statuses = (404, 409, 429, 500, 502, 503, 302, 511)
    room.cloud.script = [refused(chance.choice(statuses)) for _ in range(20_000)]
    room.outbox.add(*[waiting(number) for number in range(1, 40)])
    fast = Fast(room, monkeypatch)
    task = asyncio.create_task(room.forwarder.run())
    asked = await fast.hours(24)
    assert max(asked[1:]) < 240  # full jitter below a minute
    assert room.outbox.settled == room.outbox.quarantined == []
    room.cloud.script = [stored]
    await asyncio.sleep(HOUR_S)
    assert sorted(room.outbox.settled) == list(range(1, 40))
    await stop(task)
