"""Disks that refuse: each change once, all of them for a while, and real file systems that are full or read-only."""

import contextlib
import errno
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from routerd.errors import TransientError
from scripts.bench import blockdev
from scripts.faults import tap
from scripts.faults.tap import Op, Refusal, tapped
from tests.spool.house import House, everything, sold, total

CODES = (errno.ENOSPC, errno.EIO, errno.EROFS)
SAMPLES = 20  # of the changes of a day, another choice in each run
MENDED_S = 4.5  # a refused disk is tried again every two seconds
needs_tap = pytest.mark.skipif(bool(tap.missing()), reason=tap.missing())
needs_root = pytest.mark.skipif(bool(blockdev.unusable()), reason=blockdev.unusable())


class Disk:
    """Refuses the changes of a folder from the `first` on, `count` of them. `seen` counts all."""

    def __init__(self, folder: Path, first: int, count: int, refusal: Refusal) -> None:
        self.seen = 0
        self._folder, self._first, self._count, self._refusal = str(folder), first, count, refusal

    def __call__(self, op: Op) -> Refusal | None:
        if not op.path.startswith(self._folder) or op.path.endswith("/lock"):
            return None
        self.seen += 1
        return self._refusal if self._first <= self.seen < self._first + self._count else None

    def mend(self) -> None:
        self._count = 0


async def a_day(house: House) -> None:
    """Something of everything that writes: a start, an outage, a note, a refusal, an ack."""
    spool = await house.start()
    house.sell(1, 2, source="serial")
    await house.pass_time(2.1)
    with contextlib.suppress(TransientError):
        await spool.note("till", "cursor", "1")
    house.sell(3, 4, size=9000)
    await house.pass_time(2.1)
    with contextlib.suppress(TransientError):
        for held, _ in await spool.take_backlog(1):
            spool.settle(held)
            break
    await house.pass_time(MENDED_S)


async def nothing_is_missing(house: House) -> None:
    """After a SIGKILL too."""
    await house.pass_time(MENDED_S)
    assert house.raised() == set()
    total(house.spool)
    await house.crash()
    spool = await house.start()
    house.sell(9)
    await house.pass_time(0.4)
    found = sold(await everything(spool))
    assert sorted(found) == sorted({*found, 3, 4, 9}), "each once"


@needs_tap
@pytest.mark.parametrize("refusal", [Refusal(errno.ENOSPC, 700), Refusal(errno.EIO)], ids=["short", "failing"])
async def test_any_change_may_be_refused_once(tmp_path: Path, ram_dir: Path, refusal: Refusal) -> None:
    changes = await refused_once(tmp_path / "all", ram_dir / "all", 1 << 30, refusal)
    assert changes > 300
    telling = [
        at for at in range(1, changes + 1) if at < 25 or at > changes - 60 or at % 40 == 0
    ]  # few of the ring's rows
    for at in random.sample(telling, SAMPLES):
        await refused_once(tmp_path / str(at), ram_dir / str(at), at, refusal)


async def refused_once(data_dir: Path, hot_dir: Path, at: int, refusal: Refusal) -> int:
    for folder in (data_dir, hot_dir):
        folder.mkdir(mode=0o700)
    house = House(data_dir, hot_dir)
    disk = Disk(data_dir, at, 1, refusal)
    try:
        with tapped([data_dir, hot_dir], disk):
            await a_day(house)
            await nothing_is_missing(house)
    except Exception as exc:
        raise AssertionError(f"change {at} refused: {exc!r}") from exc
    finally:
        await house.end()
    return disk.seen


@needs_tap
@pytest.mark.parametrize("code", CODES)
async def test_a_flash_that_refuses_everything_is_said_and_capture_and_cloud_go_on(house: House, code: int) -> None:
    disk = Disk(house.config.data_dir, 1, 1 << 30, Refusal(code))
    with tapped([house.config.data_dir, house.config.hot_dir], disk):
        spool = await house.start()
        house.sell(1, 2)
        await house.pass_time(2.1)
        [said] = [condition.message for condition in house.conditions.snapshot() if condition.code == "spool.disk"]
        assert "check free space and the flash" in said
        taken = spool.take_live(1 << 20)
        assert sold(taken) == [1, 2]
        spool.release([held for held, _ in taken])
        disk.mend()
        await nothing_is_mended(house)


async def nothing_is_mended(house: House) -> None:
    house.sell(3, 4)
    await house.pass_time(2.1)
    await nothing_is_missing(house)


@needs_tap
@pytest.mark.parametrize("code", CODES)
async def test_a_ram_disk_that_refuses_is_said_and_flash_keeps_the_promise(house: House, code: int) -> None:
    await house.start()
    disk = Disk(house.config.hot_dir, 1, 1 << 30, Refusal(code))
    with tapped([house.config.data_dir, house.config.hot_dir], disk):
        house.sell(3, 4)
        await house.pass_time(0.3)
        assert "hot.failed" in house.raised()
        await house.pass_time(2.0)
        assert house.spool.snapshot().cold_segments == 1
        disk.mend()
        house.sell(5)
        await house.pass_time(0.3)
        await nothing_is_missing(house)


@pytest.fixture
def small_disk() -> Iterator[blockdev.Device]:
    with blockdev.mounted(blockdev.DEFAULTS, 16) as device:
        yield device


@needs_root
async def test_a_full_file_system_costs_nothing_and_is_said(small_disk: blockdev.Device, ram_dir: Path) -> None:
    house = House(small_disk.mount / "data", ram_dir)
    filler = small_disk.mount / "filler"
    with contextlib.suppress(OSError), filler.open("wb") as file:
        while True:
            file.write(bytes(1 << 16))
    await house.start()
    house.sell(1)
    await house.pass_time(2.1)
    assert "spool.disk" in house.raised()
    filler.unlink()
    await nothing_is_mended(house)
    await house.end()


@needs_root
async def test_a_file_system_that_turns_read_only_is_said_until_it_is_writable(
    small_disk: blockdev.Device, ram_dir: Path
) -> None:
    house = House(small_disk.mount / "data", ram_dir)
    await house.start()
    remount(small_disk, "abort")  # what errors=remount-ro does: files that are open turn read-only, too
    house.sell(1, 2)
    await house.pass_time(2.1)
    assert "spool.disk" in house.raised()
    assert sold(house.spool.take_live(1 << 20)) == [1, 2]
    await house.end()


def remount(device: blockdev.Device, options: str) -> None:
    command = ("mount", "-o", f"remount,{options}", str(device.node), str(device.mount))
    subprocess.run(command, check=True, capture_output=True)
