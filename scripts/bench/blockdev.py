"""A fresh ext4 on a loop device of its own: the kernel counts what the device is asked to write.

The image lies in RAM, so the disk of this machine plays no part. `/proc/PID/io` proved unusable for this; the
device's own `stat` is what counts.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_RAM = Path("/dev/shm")
_SECTOR = 512  # Documentation/block/stat.rst: always this, whatever the device's own
_LINE_BYTES = 512
_TOOLS = ("losetup", "mkfs.ext4", "mount", "umount", "sync")
DEFAULTS, LONG_COMMIT = "noatime", "noatime,commit=300"


@dataclass(frozen=True, slots=True)
class Written:
    """What the device was asked so far: bytes, write requests, flush requests."""

    bytes: int
    writes: int
    flushes: int

    def __sub__(self, other: "Written") -> "Written":
        return Written(self.bytes - other.bytes, self.writes - other.writes, self.flushes - other.flushes)


@dataclass(frozen=True, slots=True)
class Device:
    """A mounted file system and the device below it."""

    node: Path
    mount: Path

    def written(self) -> Written:
        fd = os.open(f"/sys/block/{self.node.name}/stat", os.O_RDONLY)  # pathlib would cost what a commit costs
        try:
            fields = os.read(fd, _LINE_BYTES).split()
        finally:
            os.close(fd)
        return Written(int(fields[6]) * _SECTOR, int(fields[4]), int(fields[15]))

    def sync(self) -> None:
        """Bring this file system, and no other, to the device."""
        _run("sync", "-f", str(self.mount))
        self.sync_blocks()

    def sync_blocks(self) -> None:
        """Write back what the file system put in the block device's own cache: metadata after a journal commit."""
        fd = os.open(self.node, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def unusable() -> str:
    """Why no device can be had here; "" if one can."""
    if os.geteuid() != 0:
        return "a loop device needs root"
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if absent:
        return f"{', '.join(absent)} is not installed"
    if not Path("/dev/loop-control").exists():
        return "this kernel offers no loop devices"
    try:
        with mounted(DEFAULTS, size_mb=16):
            return ""
    except (OSError, subprocess.CalledProcessError) as exc:
        detail = getattr(exc, "stderr", b"") or str(exc).encode()
        return f"a loop device was refused: {detail.decode(errors='replace').strip()}"


@contextlib.contextmanager
def mounted(options: str, size_mb: int = 96) -> Iterator[Device]:
    """A fresh ext4 with 4 KiB blocks, complete before the first measured write (no lazy initialisation)."""
    folder = Path(tempfile.mkdtemp(prefix="routerd-flash-", dir=_RAM))
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        image, mount = folder / "image", folder / "mnt"
        mount.mkdir()
        with image.open("wb") as file:
            file.truncate(size_mb << 20)
        _run("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", str(image))
        node = _run("losetup", "--find", "--show", str(image)).strip()
        undo.callback(_run, "losetup", "--detach", node)
        _run("mount", "-t", "ext4", "-o", options, node, str(mount))
        undo.callback(_run, "umount", str(mount))
        yield Device(Path(node), mount)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, timeout=60).stdout.decode()
