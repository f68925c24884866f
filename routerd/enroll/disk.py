"""The few things identity needs of a filesystem, each a step of its own: a power cut can fall between any two.

A file's content is durable after `sync`, its name after `sync_names` of its directory. Nothing else is promised.
"""

import fcntl
import os
from pathlib import Path
from typing import Protocol

from routerd import fsio
from routerd.errors import PermanentError

MAX_FILE_BYTES = 256 << 10


class Disk(Protocol):
    """Paths are relative, with `/`. Every call raises OSError, `read` FileNotFoundError where there is nothing."""

    def read(self, path: str) -> bytes: ...
    def write(self, path: str, content: bytes) -> None: ...
    def sync(self, path: str) -> None: ...
    def rename(self, old: str, new: str) -> None: ...
    def sync_names(self, directory: str) -> None: ...
    def make_directory(self, path: str) -> None: ...
    def remove(self, path: str) -> None: ...
    def names(self, directory: str) -> list[str]: ...
    def is_private(self, path: str) -> bool: ...


class FileDisk:
    """A directory of our own, closed to everybody else."""

    def __init__(self, root: Path) -> None:
        """Raises PermanentError with the remedy, also when another daemon uses this directory."""
        self._root = fsio.private_directory(root)
        self._lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self._lock)
            raise PermanentError("identity.in_use", f"{root}: another routerd uses it: stop that one") from exc

    def close(self) -> None:
        os.close(self._lock)

    def read(self, path: str) -> bytes:
        with (self._root / path).open("rb") as file:
            return file.read(MAX_FILE_BYTES)

    def write(self, path: str, content: bytes) -> None:
        """A new file that only we can read, whatever the umask; an unfinished one of before is replaced."""
        target = self._root / path
        target.unlink(missing_ok=True)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)

    def sync(self, path: str) -> None:
        fd = os.open(self._root / path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, old: str, new: str) -> None:
        (self._root / old).rename(self._root / new)

    def sync_names(self, directory: str) -> None:
        fsio.sync_directory(self._root / directory)

    def make_directory(self, path: str) -> None:
        (self._root / path).mkdir(mode=0o700)

    def remove(self, path: str) -> None:
        target = self._root / path
        target.rmdir() if target.is_dir() else target.unlink()

    def names(self, directory: str) -> list[str]:
        """Sorted; empty for a directory that is not there."""
        target = self._root / directory
        return sorted(entry.name for entry in target.iterdir()) if target.is_dir() else []

    def is_private(self, path: str) -> bool:
        """Whether nobody but us (and root) can read a file."""
        found = (self._root / path).lstat()
        return not found.st_mode & 0o077 and found.st_uid == os.geteuid()


def write_durably(disk: Disk, path: str, content: bytes) -> None:
    """Replace a file so that a power cut leaves the old content or the new. Raises OSError."""
    directory, _, name = path.rpartition("/")
    draft = f"{directory}/.{name}.new" if directory else f".{name}.new"
    disk.write(draft, content)
    disk.sync(draft)
    disk.rename(draft, path)
    disk.sync_names(directory or ".")
