"""What was captured of a source that can be read again is known again, and never more than the data."""

import random
from pathlib import Path

import pytest

from routerd.model import RECORD, Draft
from routerd.spool import journal, memories, memory
from routerd.spool.memory import GENERATION, Memory
from tests.spool.house import House, everything

SIX_HOURS_S = memories.COMMIT_AFTER_S
SOURCE = "commander"


def capture(house: House, *keys: int) -> None:
    """Records, then the memory of them, as a reading does it."""
    first = house.spool.append(SOURCE, [Draft(RECORD, b"%d" % key) for key in keys], house.clock.stamp())
    for seq, key in enumerate(keys, first):
        house.spool.memory(SOURCE).add(key, seq)


async def acknowledge(house: House) -> None:
    await house.pass_time(0.3)
    for held, _ in await everything(house.spool):
        house.spool.settle(held)


def known(house: House, *keys: int) -> list[int]:
    return [key for key in keys if house.spool.memory(SOURCE).find(key)]


def flash_files(house: House) -> list[Path]:
    return sorted(house.config.data_dir.glob(f"{SOURCE}.*.memory"))


async def power_cut(house: House) -> None:
    await house.crash()
    for path in house.config.hot_dir.iterdir():
        path.unlink()


def alone() -> tuple[Memory, list[bytes]]:
    kept: list[bytes] = []
    return Memory(7, kept.append, lambda: True), kept


def test_a_memory_is_a_dictionary_of_the_most_recent_keys() -> None:
    chance = random.Random(4)
    keys = [chance.getrandbits(63) for _ in range(3 * GENERATION)]
    made, _ = alone()
    for seq, key in enumerate(keys, 1):
        made.add(key, seq)
    recent = keys[-GENERATION:]
    assert [made.find(key) for key in recent] == [(7, seq) for seq in range(2 * GENERATION + 1, 3 * GENERATION + 1)]
    assert made.find(keys[0]) is None
    made.add(recent[0], 99_999)
    assert made.find(recent[0]) == (7, 99_999)


def test_a_key_costs_at_most_twenty_bytes() -> None:
    made, _ = alone()
    for number in range(2 * GENERATION):
        made.add(number * 7919 % (1 << 63), number + 1)
    for generation in (made._old, made._young):
        assert len(generation) == GENERATION
        arrays = (generation._keys, generation._places)
        held_bytes = sum(len(array) * array.itemsize for array in arrays) + 100 * len(generation._fresh)
        assert held_bytes <= 20 * GENERATION


def test_what_is_forgotten_stays_forgotten_when_it_is_replayed() -> None:
    made, kept = alone()
    for seq in range(1, 1001):
        made.add(seq * 31, seq)
    assert made.forget(7, 300, 600) == 301
    assert made.forget(6, 1, 1000) == 0
    again, _ = alone()
    again.replay([memory.epoch_entry(7) + b"".join(kept)])
    for one in (made, again):
        assert [seq for seq in range(1, 1001) if one.find(seq * 31) is None] == list(range(300, 601))


async def test_a_kill_forgets_nothing(house: House) -> None:
    await house.start()
    capture(house, 11, 12, 13)
    epoch = house.spool.memory(SOURCE).epoch
    await house.crash()
    hot = house.config.hot_dir / f"{SOURCE}.memory"
    hot.write_bytes(hot.read_bytes() + b"\x01\x02\x03")  # the kill fell into an entry
    for _ in range(2):
        await house.start()
        assert house.spool.memory(SOURCE).find(12) == (epoch, 2)
        capture(house, 14)
        await house.crash()
    await house.start()
    assert known(house, 11, 12, 13, 14) == [11, 12, 13, 14]


async def test_memory_goes_to_flash_every_six_hours_and_only_if_there_is_some(house: House) -> None:
    await house.start()
    house.spool.memory(SOURCE)
    capture(house, 11, 12)
    await acknowledge(house)
    await house.pass_time(SIX_HOURS_S - 10)
    assert flash_files(house) == []
    await house.pass_time(20)
    [path] = flash_files(house)
    size = path.stat().st_size
    assert house.spool._next_due_ns() is None
    await house.pass_time(SIX_HOURS_S + 10)
    assert path.stat().st_size == size
    await power_cut(house)
    await house.start()
    assert known(house, 11, 12) == [11, 12]


async def test_a_day_of_a_commander_costs_flash_fifty_kilobytes(house: House) -> None:
    await house.start()
    for quarter in range(4):
        capture(house, *range(quarter * 1050 + 1, (quarter + 1) * 1050 + 1))
        await acknowledge(house)
        await house.pass_time(SIX_HOURS_S + 10)
    [path] = flash_files(house)
    assert path.stat().st_size == 4 * (12 + 12) + 4200 * 12


async def test_after_a_power_cut_memory_is_never_newer_than_the_data(house: House) -> None:
    await house.start()
    capture(house, 11)
    await acknowledge(house)
    await house.pass_time(SIX_HOURS_S)
    capture(house, 12)  # in RAM only when the commit comes
    await house.pass_time(60 * 0.001)
    await house.spool._memories.commit(house.spool._writer)
    capture(house, 13)
    await power_cut(house)
    await house.start()
    assert known(house, 11, 12, 13) == [11]


async def test_a_record_on_flash_may_be_remembered_there(house: House) -> None:
    await house.start()
    capture(house, 11, 12)
    await house.pass_time(3)  # nobody acknowledged: both are in the ring
    await house.pass_time(SIX_HOURS_S)
    await power_cut(house)
    await house.start()
    assert known(house, 11, 12) == [11, 12]
    assert house.spool.snapshot().counts[SOURCE].queued == 2


async def test_a_stop_in_order_remembers_everything(house: House) -> None:
    spool = await house.start()
    capture(house, 11, 12)
    await spool.close()
    house._open.remove(spool)
    for path in house.config.hot_dir.iterdir():
        path.unlink()
    await house.start()
    assert known(house, 11, 12) == [11, 12]


async def test_two_generations_stand_on_flash_and_the_third_takes_the_place_of_the_first(house: House) -> None:
    await house.start()
    for batch in range(5):
        capture(house, *range(batch * 8000 + 1, (batch + 1) * 8000 + 1))
        await acknowledge(house)
        await house.spool._memories.commit(house.spool._writer)
        assert len(flash_files(house)) <= 2
    numbers = [int(path.name.split(".")[1]) for path in flash_files(house)]
    assert numbers == [1, 2]
    capture(house, *range(40_001, 49_001))
    await acknowledge(house)
    await house.spool._memories.commit(house.spool._writer)
    capture(house, 50_000)
    await acknowledge(house)
    await house.spool._memories.commit(house.spool._writer)
    numbers = [int(path.name.split(".")[1]) for path in flash_files(house)]
    assert numbers == [2, 3]
    await power_cut(house)
    await house.start()
    assert known(house, 1, 40_001, 50_000) == [40_001, 50_000]


async def test_a_write_cut_short_ends_the_memory_there_and_the_next_one_goes_on_behind_it(house: House) -> None:
    await house.start()
    for key in (11, 12):
        capture(house, key)
        await acknowledge(house)
        await house.spool._memories.commit(house.spool._writer)
    [path] = flash_files(house)
    await power_cut(house)
    path.write_bytes(path.read_bytes()[:-5] + bytes(40)[:3])
    await house.start()
    assert known(house, 11, 12) == [11]
    assert house.raised() == set()
    capture(house, 13)
    await acknowledge(house)
    await house.spool._memories.commit(house.spool._writer)
    await power_cut(house)
    await house.start()
    assert known(house, 11, 12, 13) == [11, 13]


@pytest.mark.parametrize("at", [0, 20])
async def test_a_damaged_memory_is_set_aside_and_capture_goes_on(house: House, at: int) -> None:
    await house.start()
    for key in (11, 12):
        capture(house, key)
        await acknowledge(house)
        await house.spool._memories.commit(house.spool._writer)
    [path] = flash_files(house)
    await power_cut(house)
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)
    await house.start()
    assert known(house, 11, 12) == []
    assert house.raised() == {"spool.damaged"}
    assert path.with_name(f"{path.name}.damaged-1").read_bytes() == content
    capture(house, 13)
    await acknowledge(house)
    await house.spool._memories.commit(house.spool._writer)
    await power_cut(house)
    await house.start()
    assert known(house, 11, 12, 13) == [13]


async def test_records_that_were_given_up_are_captured_again(house: House) -> None:
    spool = await house.start()
    capture(house, 11, 12)
    await house.pass_time(3)
    capture(house, 13)
    await house.pass_time(3)
    [first, _] = [held for held in spool._index if held.place]
    spool._lose(first, "flash.damaged")
    assert known(house, 11, 12, 13) == [13]
    await house.crash()
    await house.start()
    assert known(house, 11, 12, 13) == [13]
    await acknowledge(house)
    await house.pass_time(SIX_HOURS_S)
    await power_cut(house)
    await house.start()
    assert known(house, 11, 12, 13) == [13]


async def test_a_record_that_is_in_no_file_is_not_remembered_by_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.start()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("routerd.spool.hot._write_whole", full)
        capture(house, 11)
    assert known(house, 11) == [11]
    assert house.raised() == {"hot.failed"}
    await house.crash()
    await house.start()
    assert known(house, 11) == []


async def test_a_flash_that_refuses_is_said_and_nothing_is_forgotten(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.start()
    capture(house, 11)
    await acknowledge(house)

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "commit", refuse)
        await house.pass_time(SIX_HOURS_S + 1)
        assert house.raised() == {"spool.disk"}
    await house.pass_time(3)
    assert house.raised() == set()
    await power_cut(house)
    await house.start()
    assert known(house, 11) == [11]
