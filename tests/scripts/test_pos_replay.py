"""A recording plays back in its order, at its times or faster."""

import asyncio
from pathlib import Path

import pytest
from pos_fakes import AnnouncedTcp

from scripts.pos.lines import tcp
from scripts.pos.replay import Read, replay, schedule, timing

CSV = ["host_utc,offset,length", "2026-11-22T07:00:00.000Z,0,70", "2026-11-22T07:00:02.500Z,70,30",
       "2026-11-22T07:00:02.400Z,100,5"]  # fmt: skip


def test_recorded_times_count_from_the_first_read() -> None:
    assert timing(CSV) == [Read(0.0, 0, 70), Read(2.5, 70, 30), Read(2.4, 100, 5)]


def test_speed_divides_the_times_and_nothing_else() -> None:
    plan = list(schedule(105, timing(CSV), speed=10))
    assert [read.at_s for read in plan] == pytest.approx([0.0, 0.25, 0.24])
    assert [(read.offset, read.length) for read in plan] == [(0, 70), (70, 30), (100, 5)]


def test_reads_that_do_not_follow_on_are_refused_with_their_line() -> None:
    with pytest.raises(ValueError, match="line 3: offset 71, expected 70"):
        timing([CSV[0], CSV[1], "2026-11-22T07:00:02.500Z,71,30"])


@pytest.mark.parametrize("size", [0, 60, 105, 120])
def test_every_byte_of_the_recording_is_planned_once(size: int) -> None:
    for plan in (schedule(size, timing(CSV)), schedule(size, []), schedule(size, [], bytes_per_s=100)):
        assert [n for read in plan for n in range(read.offset, read.offset + read.length)] == list(range(size))


def test_a_byte_rate_spreads_the_bytes() -> None:
    plan = list(schedule(960, [], bytes_per_s=960))
    assert plan[-1].at_s == pytest.approx(0.95)
    assert {read.length for read in plan} == {48}


async def test_a_replay_delivers_the_recording_byte_for_byte(tmp_path: Path) -> None:
    data = bytes(range(256)) * 400
    rows = [f"2026-11-22T07:{n // 60:02}:{n % 60:02}.000Z,{n * 1024},1024" for n in range(100)]
    line = AnnouncedTcp(resend_s=0.0)
    plan = schedule(len(data), timing([CSV[0], *rows]), speed=1000)
    playing = asyncio.create_task(replay(data, plan, line, asyncio.Event()))
    await line.opened.wait()
    reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
    async with asyncio.timeout(10):
        assert await reader.read(-1) == data
        assert await playing == len(data)
    writer.close()


async def test_a_replay_stops_when_told() -> None:
    line, stop = tcp("listen:0", resend_s=0.0), asyncio.Event()
    stop.set()
    assert await replay(b"never sent", schedule(10, []), line, stop) == 0
