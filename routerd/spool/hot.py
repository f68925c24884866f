"""The hot tier's files: what a SIGKILL must not lose, in RAM-backed files that wear nothing.

    <source>.<epoch>.<first seq>.open   body of a segment (wire.body), appended record by record
    <source>.<epoch>.<first seq>.seg    a sealed segment (wire.batch.pack_segment)
    <source>.tail                       bytes of an unfinished frame, for links that survive us (serial)
    <source>.scratch                    the link's own (`Spool.scratch`); nothing here reads it

A segment has one of the first two until its ack or its frame on flash. Sealing leaves the body where it is, because
most segments are acknowledged a moment later and a second file would cost more than the record itself: the next start
would compress it again. Only past RAW_BYTES of such bodies do compressed segments take their place.

A tail file begins with `>QQI`: the epoch, the sequence number the next record had when the tail was last cut, and how
many of the first pieces in it are records already. So a kill between storing a record and cutting the tail is seen,
and the record is not made twice. The tail is masked as it is written.
"""

import contextlib
import errno
import logging
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from routerd.conditions import CRITICAL, Conditions
from routerd.errors import CorruptError
from routerd.model import Segment, Stream
from routerd.wire.batch import unpack_segments

log = logging.getLogger("routerd.spool")

RAW_BYTES = 512 << 10  # two seconds of a hundred tickets a second; a RAM disk holds ten times more segments compressed
_TAIL = struct.Struct(">QQI")


@dataclass(frozen=True, slots=True)
class Tail:
    """What was pending in a framer: `skip` is how many of the first pieces it yields are records already."""

    pending: bytes
    skip: int


@dataclass(frozen=True, slots=True)
class Leftover:
    """A segment that was being filled when the last daemon ended."""

    stream: Stream
    first_seq: int
    body: bytes
    path: Path


class HotFiles:
    """All writes are synchronous: they go to RAM and take microseconds. A full or failing RAM disk is a condition,
    not an error: the records are still in memory and on their way. Paths are text: a `Path` for each would cost as
    much as the system call it is for.
    """

    def __init__(self, directory: Path, conditions: Conditions) -> None:
        self.directory = directory
        self.failing = False
        self._prefix = f"{directory}/"
        self._conditions = conditions
        self._tails: dict[str, int] = {}
        self._raw: dict[str, int] = {}  # sealed segments that stand as bodies, with their sizes
        self._raw_bytes = 0

    def create(self, stream: Stream, first_seq: int) -> int:
        """Start an open segment; returns its file descriptor, -1 if there is no room."""
        try:
            return _create(f"{self._stem(stream, first_seq)}.open")
        except OSError as exc:
            self._failed(exc)
            return -1

    def append(self, fd: int, entries: memoryview) -> bool:
        """Whether all of `entries` is in the file now; if not, none of it is."""
        if fd < 0:
            return False
        try:
            _write_whole(fd, entries)
        except OSError as exc:
            self._failed(exc)
            return False
        if self.failing:
            self._mended()
        return True

    def seal(self, fd: int, stream: Stream, first_seq: int, packed: bytes, *, body_bytes: int = 0) -> None:
        """The segment is complete: `packed`. `body_bytes` says how much its open file holds; 0 if not all of it."""
        if fd >= 0:
            os.close(fd)
        stem = self._stem(stream, first_seq)
        if body_bytes and self._raw_bytes + body_bytes <= RAW_BYTES:
            self._raw[stem] = body_bytes
            self._raw_bytes += body_bytes
            return
        draft = f"{self._prefix}.seal"
        try:
            draft_fd = _create(draft)
            try:
                _write_whole(draft_fd, memoryview(packed))
            finally:
                os.close(draft_fd)
            os.rename(draft, f"{stem}.seg")
            _unlink(f"{stem}.open")
        except OSError as exc:
            self._failed(exc)
            return
        self._mended()

    def remove(self, stream: Stream, first_seq: int) -> None:
        """The segment is safe elsewhere, or given up."""
        stem = self._stem(stream, first_seq)
        body_bytes = self._raw.pop(stem, 0)
        self._raw_bytes -= body_bytes
        _unlink(f"{stem}.open" if body_bytes else f"{stem}.seg")

    def grow_tail(self, stream: Stream, next_seq: int, offset: int, masked: bytes) -> None:
        """Write `masked` at `offset` of the tail; what stood there before is what it already contains, masked again."""
        try:
            fd = self._tail_fd(stream.source)
            if offset == 0:
                os.pwrite(fd, _TAIL.pack(stream.epoch, next_seq, 0), 0)
            os.pwrite(fd, masked, _TAIL.size + offset)
        except OSError as exc:
            self._failed(exc)

    def cut_tail(self, stream: Stream, next_seq: int, masked: bytes) -> None:
        """The tail is now `masked`, and everything before it is in records below `next_seq`."""
        try:
            fd = self._tail_fd(stream.source)
            content = _TAIL.pack(stream.epoch, next_seq, 0) + masked
            os.pwrite(fd, content, 0)
            os.ftruncate(fd, len(content))
        except OSError as exc:
            self._failed(exc)

    def recover(self) -> tuple[list[Segment], list[Leftover]]:
        """What the last daemon of this boot left behind, in capture order. Unreadable files are set aside."""
        segments: list[Segment] = []
        leftovers: list[Leftover] = []
        for path in sorted(self.directory.glob("*.seg")):
            try:
                segments += unpack_segments(path.read_bytes())
            except CorruptError as exc:
                log.warning("%s: set aside: %s", path, exc)
                path.rename(path.with_suffix(".bad"))
        for path in sorted(self.directory.glob("*.open")):
            match path.name.split("."):
                case [source, epoch, first_seq, _] if epoch.isdecimal() and first_seq.isdecimal():
                    leftovers.append(Leftover(Stream(source, int(epoch)), int(first_seq), path.read_bytes(), path))
        return segments, leftovers

    def take_over_tail(self, stream: Stream, last_seq: Mapping[Stream, int]) -> Tail:
        """The tail of a former daemon, from now on `stream`'s; `last_seq` holds what is known of older streams."""
        path = self.directory / f"{stream.source}.tail"
        content = path.read_bytes() if path.exists() else b""
        if len(content) <= _TAIL.size:
            return Tail(b"", 0)
        epoch, next_seq, skip = _TAIL.unpack_from(content)
        skip += max(0, last_seq.get(Stream(stream.source, epoch), 0) + 1 - next_seq)
        os.pwrite(self._tail_fd(stream.source), _TAIL.pack(stream.epoch, 1, skip), 0)
        return Tail(content[_TAIL.size :], skip)

    def _stem(self, stream: Stream, first_seq: int) -> str:
        return f"{self._prefix}{stream.source}.{stream.epoch}.{first_seq:012}"

    def _tail_fd(self, source: str) -> int:
        if source not in self._tails:
            self._tails[source] = os.open(f"{self._prefix}{source}.tail", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._tails[source]

    def _failed(self, exc: OSError) -> None:
        self.failing = True
        message = f"{exc.strerror}: records wait in memory only; free space there"
        self._conditions.raise_("hot.failed", str(self.directory), message, CRITICAL)

    def _mended(self) -> None:
        self.failing = False
        self._conditions.clear("hot.failed", str(self.directory))


def _write_whole(fd: int, content: memoryview) -> None:
    """All or nothing: a write cut short by a full disk is taken back. Raises OSError."""
    written = os.write(fd, content)
    if written < len(content):
        os.ftruncate(fd, os.fstat(fd).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _create(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
