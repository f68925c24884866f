"""Sealed segments on the RAM disk: as they were written while few, compressed when many, and found again either way."""

from routerd.spool.hot import RAW_BYTES
from tests.spool.house import House, everything, sold


async def test_a_sealed_segment_keeps_its_file_until_many_wait(house: House) -> None:
    spool = await house.start(safe_within_s=60.0)
    count = 3 * RAW_BYTES // 50_000
    for number in range(count):
        house.sell(number, size=50_000)
        await house.pass_time(0.3)
    kept = house.hot_segments()
    assert len(kept) == count
    raw_bytes = sum(path.stat().st_size for path in kept if path.suffix == ".open")
    assert RAW_BYTES * 0.8 < raw_bytes <= RAW_BYTES
    assert any(path.suffix == ".seg" for path in kept)
    await house.crash()
    spool = await house.start()
    assert sorted(sold(await everything(spool))) == list(range(count))


async def test_acknowledged_segments_leave_nothing_and_make_room_for_more(house: House) -> None:
    spool = await house.start(safe_within_s=60.0)
    for number in range(2 * RAW_BYTES // 50_000):
        house.sell(number, size=50_000)
        await house.pass_time(0.3)
        for held, _ in spool.take_live(1 << 30):
            assert [path.suffix for path in house.hot_segments()] == [".open"]
            spool.settle(held)
        assert house.hot_segments() == []
