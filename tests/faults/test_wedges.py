"""Whatever stands in data_dir: routerd starts, captures, keeps, delivers; what it cannot use is set aside and said."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.spool.house import House, everything, sold

FILES = ("ring.db", "state.db", "till.1.memory")


def garbage(path: Path) -> None:
    path.write_bytes(random.Random(3).randbytes(50_000))


def zeros(path: Path) -> None:
    path.write_bytes(bytes(50_000))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def odd_length(path: Path) -> None:
    os.truncate(path, max(0, path.stat().st_size - 1234))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def full_folder(path: Path) -> None:
    folder(path)
    (path / "something").touch()


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere") / "at all")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def another_database(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE shopping (item TEXT)")
    database.close()


def newer(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()


def bits(path: Path) -> None:
    content = bytearray(path.read_bytes())
    chance = random.Random(5)
    for _ in range(40):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


STRANGE = (garbage, zeros, empty, half, odd_length, folder, full_folder, dangling, link_to_itself, pipe, bits)
DATABASES = (another_database, newer)
CASES = [(name, what) for name in FILES for what in STRANGE] + [
    (name, what) for name in ("ring.db", "state.db") for what in DATABASES
]


async def worked(house: House) -> None:
    """A spool that has been in use: all three kinds of files."""
    spool = await house.start()
    house.sell(1, 2)
    spool.memory("till").add(1, 1)
    await spool.note("till", "cursor", "1")
    await house.pass_time(3)
    await house.pass_time(7 * 3600)
    await spool.close()
    await house.crash()
    shutil.rmtree(house.config.hot_dir)
    assert sorted(path.name for path in house.config.data_dir.iterdir()) == ["lock", *sorted(FILES)]


async def lives(house: House) -> None:
    """It starts, sells, hands on at once, keeps on flash what nobody takes, and remembers."""
    spool = await house.start()
    spool.memory("till").add(3, 3)
    house.sell(3)
    await house.pass_time(0.4)
    taken = spool.take_live(1 << 20)
    assert sold(taken)[-1] == 3
    spool.release([held for held, _ in taken])
    await house.pass_time(4.5)
    assert spool.snapshot().hot_segments == 0
    await spool.note("till", "cursor", "2")
    assert await spool.noted("till", "cursor") == "2"
    await house.pass_time(7 * 3600)
    assert not house.raised() - {"spool.damaged"}, house.conditions.snapshot()
    assert 3 in sold(await everything(spool))


@pytest.mark.parametrize(("name", "what"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
async def test_a_strange_file_is_no_reason_not_to_work(house: House, name: str, what: Callable[[Path], None]) -> None:
    await worked(house)
    what(house.config.data_dir / name)
    await lives(house)
    await house.crash()
    await lives(house)


@pytest.mark.parametrize("name", ["ring.db", "state.db"])
async def test_what_a_newer_routerd_wrote_is_set_aside_as_it_is_and_said(house: House, name: str) -> None:
    await worked(house)
    path = house.config.data_dir / name
    newer(path)
    before = path.read_bytes()
    await house.start()
    [said] = [condition for condition in house.conditions.snapshot() if condition.code == "spool.damaged"]
    assert "a newer routerd's" in said.message
    aside = Path(said.subject)
    assert aside.read_bytes() == before
    aside.unlink()
    house.spool.snapshot()
    assert house.raised() == set()


@pytest.mark.parametrize("what", [folder, dangling, pipe])
@pytest.mark.parametrize("name", ["till.tail", "till.5.000000000001.seg", "till.5.000000000001.open", "till.memory"])
async def test_a_strange_thing_on_the_ram_disk_is_no_reason_not_to_work(
    house: House, name: str, what: Callable[[Path], None]
) -> None:
    (house.config.hot_dir / name).touch()
    what(house.config.hot_dir / name)
    await lives(house)


async def test_a_lock_that_is_no_file_locks_nobody_out(house: House) -> None:
    house.config.data_dir.mkdir(mode=0o700)
    (house.config.data_dir / "lock").mkdir()
    await lives(house)
