"""Conditions of the spool follow facts: they outlive the daemon, and end when their cause does."""

import sqlite3

import pytest

from routerd.errors import TransientError
from routerd.model import Stamp
from routerd.spool import faults, quarantine
from routerd.spool.index import Held
from routerd.wire import batch
from tests.spool.house import House, everything, total


def causes(house: House) -> dict[str, tuple[int, int]]:
    """(times, records) of each cause, over all subjects."""
    return {i.cause: (i.times, i.records) for i in house.spool.snapshot().incidents}


async def lose_one(house: House) -> None:
    """One segment of two records is given up; the record that says so waits."""
    house.sell(1, 2)
    await house.pass_time(3)
    [held] = house.spool._index.cold.values()
    house.spool._lose(held, "flash.damaged")
    await house.pass_time(0)


async def test_a_loss_is_said_until_the_cloud_has_been_told(house: House) -> None:
    await house.start()
    await lose_one(house)
    assert house.raised() == {"spool.lost"}
    await house.crash()
    await house.start()
    assert house.raised() == {"spool.lost"}
    await house.pass_time(3)
    await house.crash()  # the gap is on flash now
    spool = await house.start()
    assert house.raised() == {"spool.lost"}
    for held, _ in await everything(spool):
        spool.settle(held)
    assert house.raised() == set()
    await house.pass_time(3)
    await house.crash()
    await house.start()
    assert house.raised() == set()
    assert causes(house) == {"flash.damaged": (1, 2)}


async def test_a_loss_is_said_while_the_last_gap_of_several_waits(house: House) -> None:
    spool = await house.start()
    await lose_one(house)
    await house.pass_time(0.3)
    [first] = spool.take_live(1 << 20)
    [gap] = [held for held, _ in [first]]
    spool._lose(gap, "spool.disk")  # the record of the loss is lost, too
    await house.pass_time(0.3)
    assert house.raised() == {"spool.lost"}
    for held, _ in await everything(spool):
        spool.settle(held)
    assert house.raised() == set()
    assert causes(house) == {"flash.damaged": (1, 2), "spool.disk": (1, 1)}


async def test_losses_are_counted_durably_once_an_hour_however_many_there_are(house: House) -> None:
    await house.start()
    await lose_one(house)
    path = house.config.data_dir / "state.db"
    before = path.stat().st_mtime_ns
    for _ in range(5):
        await lose_one_more(house)
    assert path.stat().st_mtime_ns == before
    await house.pass_time(faults.COUNT_EVERY_S)
    assert path.stat().st_mtime_ns > before
    await house.crash()
    await house.start()
    assert causes(house)["flash.damaged"][0] == 6


async def lose_one_more(house: House) -> None:
    house.sell(1)
    await house.pass_time(3)
    house.spool._lose(next(iter(house.spool._index.cold.values())), "flash.damaged")
    await house.pass_time(0.3)


async def test_a_damaged_file_is_said_until_somebody_removes_it(house: House) -> None:
    await house.start()
    await house.crash()
    (house.config.data_dir / "ring.db").write_bytes(b"\x5a" * 100_000)
    for _ in range(2):
        spool = await house.start()
        assert house.raised() == {"spool.damaged"}
        await house.pass_time(1)
        await house.crash()
    spool = await house.start()
    (house.config.data_dir / "ring.db.damaged-1").unlink()
    spool.snapshot()
    assert house.raised() == set()
    assert causes(house) == {"spool.damaged": (1, 0)}


async def refuse(house: House, number: int, size: int = 100) -> Held:
    house.sell(number, size=size)
    await house.pass_time(0.3)
    [(held, packed)] = house.spool.take_live(1 << 20)
    [segment] = batch.unpack_segments(packed)
    await house.spool.quarantine(held, segment, "cloud.segment_invalid")
    return held


async def test_a_refusal_is_said_after_a_restart_and_no_more_when_support_has_emptied_the_quarantine(
    house: House,
) -> None:
    await house.start()
    await refuse(house, 1)
    for _ in range(2):
        assert house.raised() == {"row.quarantined"}
        await house.crash()
        await house.start()
    assert total(house.spool)["quarantined"] == 1
    await house.crash()
    with sqlite3.connect(house.config.data_dir / "state.db") as database:
        database.execute("DELETE FROM quarantine")
    database.close()
    await house.start()
    assert house.raised() == set()
    assert total(house.spool)["quarantined"] == 0


async def test_what_a_full_quarantine_cannot_take_waits_and_is_offered_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "MAX_BYTES", 20_000)
    spool = await house.start()
    await refuse(house, 1, size=30_000)
    parked = await refuse(house, 2, size=30_000)
    assert total(spool) == {"captured": 2, "processed": 0, "uploaded": 0, "queued": 1, "quarantined": 1, "gaps": 0}
    [condition] = house.conditions.snapshot()
    assert "1 more wait in the spool" in condition.message
    house.sell(3)
    await house.pass_time(3)
    assert [held.info.count for held, _ in await everything(spool)] == [1]  # the others go on, and it is safe on flash
    assert parked.place
    await house.pass_time(quarantine.PARK_S)
    [(again, _)] = await spool.take_backlog(1 << 20)
    assert again is parked
    spool.settle(again)
    assert "more wait" not in house.conditions.snapshot()[0].message


async def test_a_parked_segment_is_merged_with_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "MAX_BYTES", 0)
    spool = await house.start()
    parked = await refuse(house, 1)
    spool.cloud_is(reachable=False)
    for number in range(2, 200):
        house.sell(number)
        await house.pass_time(2)
    assert spool.snapshot().cold_segments < 100
    assert spool._index.cold[parked.key] is parked


async def test_a_ring_full_of_what_is_being_sent_says_so(house: House) -> None:
    spool = await house.start()
    spool.cloud_is(reachable=False)
    number = 0
    while "spool.full" not in house.raised():
        number += 1
        house.sell(number, source="serial", size=40_000)
        await house.pass_time(2)
        taken = await everything(spool)
        assert number < 200
    assert "spool.disk" not in house.raised()
    [condition] = [c for c in house.conditions.snapshot() if c.code == "spool.full"]
    assert "ring_mb" in condition.message
    for held in list(spool._index):
        spool.settle(held)
    assert taken is not None
    house.sell(number + 1, source="serial")
    await house.pass_time(3)
    assert "spool.full" not in house.raised()


async def test_the_age_of_what_waits_is_known_after_a_restart(house: House) -> None:
    await house.start()
    house.sell(1)
    await house.crash()
    house.clock.move(100)
    spool = await house.start()
    assert spool.snapshot().oldest_waiting_s == pytest.approx(100)
    await house.pass_time(3)  # on flash
    house.sell(2)
    await house.crash()
    spool = await house.start()
    assert spool.snapshot().oldest_waiting_s == pytest.approx(103)


@pytest.mark.parametrize("synced", [True, False])
async def test_the_age_of_what_waits_is_told_by_wall_clocks_after_a_reboot_or_is_at_least_the_uptime(
    house: House, synced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.start()
    house.sell(1)
    await house.pass_time(3)
    await house.crash()
    house.clock.now_ns = 60_000_000_000
    house.clock.offset_ms += 1_000_000 + 5000 - 60_000 - 5000 + 1000 * 500  # 500 s later by the wall clock

    def stamp() -> Stamp:
        return Stamp("11" * 4, house.clock.mono_ns(), house.clock.wall_ms(), synced)

    monkeypatch.setattr(house.clock, "stamp", stamp)
    spool = await house.start()
    age_s = spool.snapshot().oldest_waiting_s
    assert age_s == pytest.approx(500 if synced else 60, abs=5)


async def test_notes_outlive_the_daemon_and_an_empty_one_is_forgotten(house: House) -> None:
    spool = await house.start()
    assert await spool.noted("commander", "certificate") == ""
    await spool.note("commander", "certificate", "ab:cd")
    await spool.note("folder", "certificate", "other")
    await house.crash()
    spool = await house.start()
    assert await spool.noted("commander", "certificate") == "ab:cd"
    path = house.config.data_dir / "state.db"
    before = path.stat().st_mtime_ns
    await spool.note("commander", "certificate", "ab:cd")
    assert path.stat().st_mtime_ns == before
    await spool.note("commander", "certificate", "")
    assert await spool.noted("commander", "certificate") == ""
    assert await spool.noted("folder", "certificate") == "other"


async def test_a_note_that_the_disk_refuses_is_transient(house: House) -> None:
    spool = await house.start()
    path = house.config.data_dir / "state.db"
    path.rename(path.with_suffix(".moved"))
    path.mkdir()
    with pytest.raises(TransientError):
        await spool.note("commander", "certificate", "ab:cd")
    with pytest.raises(TransientError):
        await spool.noted("commander", "certificate")


async def test_a_scratch_file_stands_on_the_ram_disk_and_a_restart_leaves_it(house: House) -> None:
    spool = await house.start()
    spool.scratch("commander").write_bytes(b"cookie")
    await house.crash()
    spool = await house.start()
    assert spool.scratch("commander").parent == house.config.hot_dir
    assert spool.scratch("commander").read_bytes() == b"cookie"
    assert total(spool) == dict.fromkeys(total(spool), 0)
