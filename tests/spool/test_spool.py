"""The spool's invariants, one by one, on real files with a clock that stands until it is moved."""

import sqlite3
from collections.abc import Awaitable
from pathlib import Path

import pytest

from routerd.conditions import Conditions
from routerd.config import SpoolConfig
from routerd.errors import PermanentError
from routerd.model import GAP, Gap
from routerd.spool.spool import Spool
from routerd.wire import batch, body
from tests.fakes.clock import FakeClock
from tests.spool.house import BOOK, House, Taken, everything, sold, total


async def test_what_is_acknowledged_in_time_never_touches_flash(house: House) -> None:
    spool = await house.start()
    before = (house.config.data_dir / "ring.db").read_bytes()
    for number in range(1, 50):
        house.sell(number)
        await house.pass_time(0.3)
        for held, _ in spool.take_live(1 << 20):
            spool.settle(held)
    await house.pass_time(10)
    assert (house.config.data_dir / "ring.db").read_bytes() == before
    assert total(spool) == {"captured": 49, "processed": 0, "uploaded": 49, "queued": 0, "quarantined": 0, "gaps": 0}
    assert not house.hot_segments()


async def test_what_is_not_acknowledged_is_on_flash_at_the_deadline(house: House) -> None:
    spool = await house.start()
    house.sell(1, 2, 3)
    await house.pass_time(0.3)
    assert spool.snapshot().flash_writes == 0
    await house.pass_time(1.45)
    snapshot = spool.snapshot()
    assert (snapshot.flash_writes, snapshot.cold_segments, snapshot.hot_segments) == (1, 1, 0)
    assert snapshot.flash_bytes == 4096
    assert sold(await spool.take_backlog(1 << 20)) == [1, 2, 3]


async def test_idle_writes_nothing(house: House) -> None:
    spool = await house.start()
    house.sell(1)
    await house.pass_time(3)
    files = [*house.config.data_dir.iterdir(), *house.config.hot_dir.iterdir()]
    before = {path: path.stat().st_mtime_ns for path in files}
    for _ in range(100):
        await house.pass_time(60)
    assert {path: path.stat().st_mtime_ns for path in files} == before
    assert spool._next_due_ns() is None


@pytest.mark.parametrize("age_s", [0.0, 0.3, 1.8, 100.0])
async def test_a_kill_loses_nothing_and_numbers_are_never_used_again(house: House, age_s: float) -> None:
    spool = await house.start()
    house.sell(1, 2, 3)
    await house.pass_time(age_s)
    house.sell(4)
    first_epoch = spool._writer.stream("till").epoch
    await house.crash()
    spool = await house.start()
    assert spool._writer.stream("till").epoch > first_epoch
    assert sorted(sold(await everything(spool))) == [1, 2, 3, 4]
    assert total(spool)["queued"] == 4


async def test_a_kill_between_flash_and_ram_doubles_nothing(house: House) -> None:
    spool = await house.start()
    house.sell(1, 2)
    await house.pass_time(0.3)
    kept = {path: path.read_bytes() for path in house.hot_segments()}
    assert kept
    await house.pass_time(2)
    for path, content in kept.items():
        path.write_bytes(content)
    await house.crash()
    spool = await house.start()
    assert sold(await everything(spool)) == [1, 2]
    assert not house.hot_segments()


async def test_a_half_written_record_in_ram_does_not_hide_the_whole_ones(house: House) -> None:
    await house.start()
    house.sell(1, 2, 3)
    await house.crash()
    [path] = house.config.hot_dir.glob("*.open")
    path.write_bytes(path.read_bytes()[:-20])
    spool = await house.start()
    assert sold(await everything(spool)) == [1, 2]


async def test_a_stop_brings_everything_to_flash(house: House) -> None:
    spool = await house.start()
    house.sell(1, 2, 3)
    await spool.close()
    house._open.remove(spool)
    assert not house.hot_segments()
    spool = await house.start()
    assert sold(await spool.take_backlog(1 << 20)) == [1, 2, 3]


async def test_after_an_outage_a_reboot_sends_nothing_again(house: House) -> None:
    spool = await house.start()
    house.sell(*range(1, 30))
    await house.pass_time(3)
    for held, _ in await everything(spool):
        spool.settle(held)
    await house.pass_time(1)
    await house.crash()
    spool = await house.start()
    assert await everything(spool) == []


async def test_a_long_outage_becomes_dense_and_stays_whole_and_in_order(house: House) -> None:
    spool = await house.start()
    spool.cloud_is(reachable=False)
    for number in range(1, 401):
        house.sell(number, source="till" if number % 2 else "serial")
        await house.pass_time(2)
    snapshot = spool.snapshot()
    assert total(spool)["gaps"] == 0
    assert snapshot.cold_segments < 200
    assert snapshot.ring_rows - snapshot.ring_free_rows < 300
    await house.crash()
    spool = await house.start()
    taken = await everything(spool)
    for source in ("till", "serial"):
        numbers = sold([pair for pair in taken if pair[0].info.stream.source == source])
        assert sorted(numbers) == [n for n in range(1, 401) if (n % 2 == 1) == (source == "till")]
    assert total(spool)["queued"] == 400


async def test_a_full_ring_pauses_who_can_wait_and_gives_up_the_oldest_of_who_cannot(house: House) -> None:
    spool = await house.start()
    spool.cloud_is(reachable=False)
    number = 0
    while spool.has_room("till"):
        number += 1
        house.sell(number, source="serial", size=40_000)
        await house.pass_time(2)
        assert number < 200
    assert spool.has_room("serial")
    assert total(spool)["gaps"] == 0
    for _ in range(30):
        number += 1
        house.sell(number, source="serial", size=40_000)
        await house.pass_time(2)
    await house.pass_time(1.75)  # the last gap is sealed
    lost = total(spool)["gaps"]
    assert 0 < lost < number
    taken = await everything(spool)
    numbers = sorted(sold(taken))
    assert numbers == list(range(lost + 1, number + 1))
    declared = [gap for gap in gaps(taken) if gap.cause == "spool.full"]
    assert sum(gap.count for gap in declared) == lost
    assert {c.code for c in house.conditions.snapshot()} >= {"spool.lost"}


async def test_a_source_that_can_wait_loses_nothing_to_a_full_ring_however_fast_it_is_read(house: House) -> None:
    spool = await house.start(hot_limit_kb=2048, safe_within_s=2.0)
    spool.cloud_is(reachable=False)
    number = 0
    while spool.has_room("till"):  # faster than anything goes to flash: all of it waits in RAM first
        number += 1
        house.sell(number, size=60_000)
    await house.pass_time(2)
    while spool.has_room("till"):
        number += 1
        house.sell(number, size=60_000)
        await house.pass_time(0.5)
    await house.pass_time(10)
    assert total(spool)["gaps"] == 0
    assert sorted(sold(await everything(spool))) == list(range(1, number + 1))


def gaps(taken: Taken) -> list[Gap]:
    found = []
    for _, packed in taken:
        [segment] = batch.unpack_segments(packed)
        info = segment.info
        content = BOOK.decompress(segment.payload, info.codec, info.dict_id, info.raw_bytes)
        for record in body.records(content, info.stream, info.first_seq):
            if record.draft.kind == GAP:
                found.append(body.unpack_gap(record.draft.data))
    return found


async def test_room_returns_when_acks_make_some(house: House) -> None:
    spool = await house.start(hot_limit_kb=256, safe_within_s=60.0)
    number = 0
    while spool.has_room("till"):
        number += 1
        house.sell(number, size=60_000)
    waiter: Awaitable[None] = spool.room("till")
    for held, _ in spool.take_live(1 << 30):
        spool.settle(held)
    await waiter
    assert spool.has_room("till")


async def test_a_refused_segment_is_kept_aside_through_a_restart_and_the_others_go_on(house: House) -> None:
    spool = await house.start()
    house.sell(1)
    await house.pass_time(0.3)
    house.sell(2)
    await house.pass_time(0.3)
    (bad, packed), (good, _) = spool.take_live(1 << 20)
    [segment] = batch.unpack_segments(packed)
    await spool.quarantine(bad, segment, "cloud.segment_invalid")
    spool.settle(good)
    assert total(spool) == {"captured": 2, "processed": 0, "uploaded": 1, "queued": 0, "quarantined": 1, "gaps": 0}
    await house.crash()
    spool = await house.start()
    assert total(spool)["quarantined"] == 1
    assert await everything(spool) == []


async def test_released_segments_wait_again_in_their_place(house: House) -> None:
    spool = await house.start()
    for number in (1, 2):
        house.sell(number)
        await house.pass_time(0.3)
    taken = spool.take_live(1 << 20)
    assert spool.take_live(1 << 20) == []
    spool.release([held for held, _ in taken])
    assert sold(spool.take_live(1 << 20)) == [1, 2]


async def test_an_ack_that_comes_after_the_deadline_frees_the_flash_copy(house: House) -> None:
    spool = await house.start()
    house.sell(1)
    await house.pass_time(0.3)
    [(held, _)] = spool.take_live(1 << 20)
    await house.pass_time(3)
    assert spool.snapshot().cold_segments == 1
    spool.settle(held)
    snapshot = spool.snapshot()
    assert (snapshot.cold_segments, snapshot.ring_free_rows) == (0, snapshot.ring_rows)
    assert total(spool)["uploaded"] == 1


async def test_processed_follows_the_watermark(house: House) -> None:
    spool = await house.start()
    house.sell(1, 2, 3, 4)
    await house.pass_time(0.3)
    [(held, _)] = spool.take_live(1 << 20)
    spool.settle(held)
    spool.process(held.info.stream, 3)
    assert (total(spool)["uploaded"], total(spool)["processed"]) == (1, 3)
    spool.process(held.info.stream, 1)
    assert total(spool)["processed"] == 3
    spool.process(held.info.stream, 4)
    assert total(spool)["processed"] == 4


async def test_a_disk_that_takes_nothing_is_said_and_mended(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("routerd.spool.ring._make", full)
        spool = await house.start()
        house.sell(1)
        await house.pass_time(3)
        assert "spool.disk" in {c.code for c in house.conditions.snapshot()}
        assert sold(spool.take_live(1 << 20)) == [1]
    await house.pass_time(3)
    assert "spool.disk" not in {c.code for c in house.conditions.snapshot()}


async def test_a_spool_in_ram_is_refused_unless_it_was_asked_for(ram_dir: Path) -> None:
    config = SpoolConfig(ram_dir / "data", ram_dir / "hot")
    clock = FakeClock()
    with pytest.raises(PermanentError, match="power cut"):
        await Spool(config, clock, Conditions(clock), BOOK, frozenset()).open({})


async def test_a_hot_tier_that_would_wear_flash_is_refused(ram_dir: Path) -> None:
    config = SpoolConfig(ram_dir / "data", Path("/var/tmp/routerd-no-ram"), ephemeral=True)
    clock = FakeClock()
    with pytest.raises(PermanentError, match="wear the flash"):
        await Spool(config, clock, Conditions(clock), BOOK, frozenset()).open({})
    Path("/var/tmp/routerd-no-ram").rmdir()


async def test_two_daemons_never_share_a_spool(house: House) -> None:
    await house.start()
    other = Spool(house.config, house.clock, house.conditions, BOOK, frozenset())
    with pytest.raises(PermanentError, match="another routerd"):
        await other.open({})


async def test_what_does_not_belong_in_its_folders_does_not_stop_a_start(house: House) -> None:
    await house.start()
    house.sell(1)
    await house.crash()
    (house.config.hot_dir / "x.open").write_bytes(b"stray")
    (house.config.hot_dir / "a.b.c.open").write_bytes(b"stray")
    (house.config.hot_dir / "y.seg").write_bytes(b"stray")
    (house.config.hot_dir / "z.scratch").write_bytes(b"a cookie")
    (house.config.data_dir / "a.b.memory").write_bytes(b"stray")
    with sqlite3.connect(house.config.data_dir / "state.db") as database:
        database.execute("DELETE FROM run")
    database.close()
    spool = await house.start()
    assert sold(await everything(spool)) == [1]


async def test_a_merge_wakes_the_lane_that_found_everything_taken(house: House) -> None:
    spool = await house.start()
    spool.cloud_is(reachable=False)
    for number in range(1, 200):
        house.sell(number)
        spool.backlog_ready.clear()
        await house.pass_time(2)
        assert spool.backlog_ready.is_set()


async def test_a_shared_directory_is_refused_and_left_as_it_is(house: House) -> None:
    house.config.hot_dir.chmod(0o1777)
    with pytest.raises(PermanentError, match="routerd's own"):
        await house.start()
    assert house.config.hot_dir.stat().st_mode & 0o7777 == 0o1777
    house._open.clear()
