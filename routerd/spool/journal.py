"""Where the memory of one source is kept: each entry on the RAM disk at once, on flash a few times a day.

    <hot_dir>/<source>.memory            entries that are not on flash yet, in order (`memory`)
    <data_dir>/<source>.<number>.memory  blocks of entries, appended; two files, the older one goes when a third begins

A block is one append: `magic 4 | entries u32 | crc32 u32`, then that many entries; the first names an epoch. What
stands from the first bad block on is not used: those records are captured again and the cloud drops the copies. A bad
block that reaches the end of its file is the write that a power cut fell into; any other one is damage.
"""

import errno
import os
import struct
import zlib
from pathlib import Path

from routerd.fsio import set_aside, sync_directory, write_atomically
from routerd.spool.memory import ENTRY_BYTES, GENERATION, epoch_entry, walk

_BLOCK = struct.Struct(">4sII")
_MAGIC = b"RDm1"
_FILE_BYTES = GENERATION * ENTRY_BYTES  # a file is full past this


class Journal:
    """One owner. Its reading, `append` and `cut` touch small files and RAM; `commit` waits for flash: off the loop."""

    def __init__(self, source: str, data_dir: Path, hot_dir: Path) -> None:
        self.pending_bytes = 0
        self._source = source
        self._data_dir = data_dir
        self._hot = f"{hot_dir}/{source}.memory"
        self._fd = -1
        self._epoch = 0  # what the entry last appended belongs to
        self._number = 0
        self._good_bytes = _FILE_BYTES  # of the file `number`; full until there is one

    def exists(self) -> bool:
        """Whether anything was ever remembered of this source."""
        return bool(self._files()) or os.path.exists(self._hot)

    def read(self) -> tuple[list[bytes], list[Path]]:
        """(entries, oldest first, in parts; files found damaged and set aside). Raises OSError, what was read is lost
        to the caller then and stays on flash; `append` and `commit` go on behind it."""
        parts, asides = [], []
        for number in self._files()[-2:]:
            self._number, self._good_bytes = number, _FILE_BYTES  # if this fails, the next write begins another file
            path = self._path(number)
            content = path.read_bytes()
            entries, good_bytes, is_damaged = _read_blocks(content)
            parts.append(entries)
            if is_damaged:
                asides.append(set_aside(path))
                write_atomically(path, content[:good_bytes])
            self._good_bytes = good_bytes
        return [*parts, self.pending()], asides

    def append(self, entries: bytes, epoch: int) -> None:
        """Keep entries of `epoch` on the RAM disk. Raises OSError."""
        if epoch != self._epoch:
            entries = epoch_entry(epoch) + entries
        if self._fd < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
            self._fd = os.open(self._hot, flags, 0o600)
            self.pending_bytes = os.fstat(self._fd).st_size // ENTRY_BYTES * ENTRY_BYTES
            os.ftruncate(self._fd, self.pending_bytes)  # a kill may have left a piece of an entry
        if os.write(self._fd, entries) < len(entries):
            os.ftruncate(self._fd, self.pending_bytes)
            return
        self.pending_bytes += len(entries)
        self._epoch = epoch

    def pending(self) -> bytes:
        """The entries that are not on flash yet. Raises OSError."""
        try:
            with open(self._hot, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            content = b""
        self.pending_bytes = len(content) // ENTRY_BYTES * ENTRY_BYTES
        return content[: self.pending_bytes]

    def commit(self, entries: bytes) -> None:
        """Append one block to flash; on return it is durable. Begins with an epoch's entry. Raises OSError."""
        is_new = self._good_bytes >= _FILE_BYTES
        number = self._number + 1 if is_new else self._number
        at = 0 if is_new else self._good_bytes
        block = _BLOCK.pack(_MAGIC, len(entries) // ENTRY_BYTES, zlib.crc32(entries)) + entries
        fd = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, at)
            if os.pwrite(fd, block, at) < len(block):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fdatasync(fd)
        finally:
            os.close(fd)
        if is_new:
            sync_directory(self._data_dir)
        self._number, self._good_bytes = number, at + len(block)
        for old in self._files()[:-2]:
            self._path(old).unlink()

    def cut(self, committed_bytes: int) -> None:
        """The first `committed_bytes` of `pending` are on flash. Raises OSError."""
        content = self.pending()
        rest = content[committed_bytes:]
        if rest:
            epochs = [epoch for _, epoch, _ in walk(content[:committed_bytes])]
            rest = epoch_entry(epochs[-1]) + rest if epochs else rest
        draft = f"{self._hot}.new"
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, rest)
        finally:
            os.close(fd)
        os.rename(draft, self._hot)
        self.close()
        self.pending_bytes = len(rest)
        self._epoch = 0

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _path(self, number: int) -> Path:
        return self._data_dir / f"{self._source}.{number}.memory"

    def _files(self) -> list[int]:
        """The numbers of the files on flash, oldest first."""
        names = [path.name.split(".") for path in self._data_dir.glob(f"{self._source}.*.memory")]
        return sorted(int(parts[1]) for parts in names if len(parts) == 3 and parts[1].isdecimal())


def _read_blocks(content: bytes) -> tuple[bytes, int, bool]:
    """(entries of the good blocks, where those end, whether what follows is damage and not a write cut short)."""
    entries: list[bytes] = []
    at = 0
    while at < len(content):
        body_at = at + _BLOCK.size
        if body_at > len(content) or not any(content[at:]):
            return b"".join(entries), at, False
        magic, count, crc = _BLOCK.unpack_from(content, at)
        end = body_at + count * ENTRY_BYTES
        body = content[body_at:end]
        if magic != _MAGIC or end > len(content) or zlib.crc32(body) != crc:
            return b"".join(entries), at, magic != _MAGIC or end < len(content)
        entries.append(body)
        at = end
    return b"".join(entries), at, False
