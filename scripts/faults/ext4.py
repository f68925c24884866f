"""Power cuts on a real ext4: the file system is shut down in the middle of the work without flushing its log, as if the
power had gone; then it is mounted again and its journal replayed.

EXT4_IOC_SHUTDOWN and its flags: Linux, fs/ext4/ext4.h. What was in the page cache only is gone afterwards. The device
below gets every block whole and in the order the kernel sent them: for torn and reordered ones see `disk`.
"""

import asyncio
import contextlib
import fcntl
import os
import pickle
import shutil
import signal
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.bench import blockdev
from scripts.faults import cuts
from scripts.faults.tap import Op, Refusal, tapped
from scripts.faults.verdict import Verdict, judge
from scripts.faults.witness import Known, Witness
from scripts.faults.work import HandClock, Machine, Work

_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
_NO_LOG_FLUSH = struct.pack("I", 2)
_SIZE_MB = 32


def unusable() -> str:
    """Why no real cut can be made here; "" if it can."""
    return blockdev.unusable()


def many(first_seed: int, count: int) -> Iterator[tuple[cuts.Cut, Verdict]]:
    """Each seed's cut and verdict, at the same moments as `cuts.many` chooses."""
    with blockdev.mounted(blockdev.LONG_COMMIT, _SIZE_MB) as device:
        for seed in range(first_seed, first_seed + count):
            run = seed // cuts.CUTS_PER_RUN * 2  # days that begin on an empty disk
            recording = cuts.record(run)
            at = cuts.drawn(seed, recording)
            yield at, _one(device, run, at)


def _one(device: blockdev.Device, run: int, at: cuts.Cut) -> Verdict:
    folder = Path(tempfile.mkdtemp(prefix="routerd-faults-", dir=cuts.RAM))
    data_dir = device.mount / "data"
    try:
        known = _worked(device, run, at, folder)
        _power_comes_back(device)
        (folder / "next").mkdir(mode=0o700)
        machine = Machine.at(data_dir, folder / "next", HandClock("00000002"))
        return asyncio.run(judge(machine, known))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(data_dir, ignore_errors=True)


def _worked(device: blockdev.Device, run: int, at: cuts.Cut, folder: Path) -> Known:
    """The world when the power went. The work is done by a process that does not survive it."""
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            _work(device, run, at, folder)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    known: Known = pickle.loads((folder / "known").read_bytes())
    return known


def _work(device: blockdev.Device, run: int, at: cuts.Cut, folder: Path) -> None:
    data_dir, hot_dir = device.mount / "data", folder / "hot"
    for each in (data_dir, hot_dir):
        each.mkdir(mode=0o700)
    device.sync()
    witness = Witness()

    def observe(op: Op) -> Refusal | None:
        if not op.path.endswith("/lock"):
            if witness.changes == at.change:
                _cut(device, folder, witness.at(at.change))
            witness.changes += 1
            return work.refuse(op) if op.path.startswith(str(data_dir)) else None
        return None

    work = Work(Machine.at(data_dir, hot_dir, HandClock("00000001")), witness, cuts.chance_of(run))
    with tapped([data_dir, hot_dir], observe):
        asyncio.run(work.run(cuts.STEPS))


def _cut(device: blockdev.Device, folder: Path, known: Known) -> None:
    fd = os.open(device.mount, os.O_RDONLY)
    fcntl.ioctl(fd, _SHUTDOWN, _NO_LOG_FLUSH)
    (folder / "known").write_bytes(pickle.dumps(known))
    os.kill(os.getpid(), signal.SIGKILL)


def _power_comes_back(device: blockdev.Device) -> None:
    mount = ("mount", "-t", "ext4", "-o", blockdev.LONG_COMMIT, str(device.node), str(device.mount))
    for command in (("umount", str(device.mount)), mount):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
