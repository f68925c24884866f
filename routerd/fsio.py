"""Small files done right: atomic, durable, private."""

import os
from pathlib import Path

from routerd.errors import PermanentError

_RAM_FILESYSTEMS = {"tmpfs", "ramfs", "devtmpfs"}


def write_atomically(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` so that after a power cut it holds the old content or the new, never a mixture. Raises OSError."""
    draft = path.with_name(f".{path.name}.new")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.write(fd, content)
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.rename(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames and unlinks in a directory durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def private_directory(path: Path) -> Path:
    """Make sure `path` is a directory that only we can enter. Raises PermanentError with the remedy."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = path.stat().st_mode
        if mode & 0o022:  # shared: making it ours would take it from others, and leaving it would show our files
            raise PermanentError("path.shared", f"{path} can be written by others: name a directory of routerd's own")
        if mode & 0o077:
            path.chmod(0o700)
    except OSError as exc:
        raise PermanentError("path.unusable", f"{path}: {exc.strerror}: make it a directory routerd may use") from exc
    return path


def set_aside(path: Path) -> Path:
    """Rename a damaged file to `<name>.damaged-<n>`, never over another one; returns the new path. Raises OSError."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
    sync_directory(path.parent)
    return aside


def filesystem_type(path: Path) -> str:
    """The type of the filesystem `path` stands on (`ext4`, `tmpfs` …), from the kernel's mount table; "" if unknown."""
    target = f"{path.resolve()}/"
    best, found = "", ""
    for line in Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines():
        _, mount_point, fs_type, *_ = line.split(" ")
        prefix = mount_point.replace("\\040", " ").rstrip("/") + "/"
        if target.startswith(prefix) and len(prefix) >= len(best):
            best, found = prefix, fs_type
    return found


def is_ram(path: Path) -> bool:
    """Whether what is written at `path` is gone after a power cut, and wears nothing."""
    return filesystem_type(path) in _RAM_FILESYSTEMS
