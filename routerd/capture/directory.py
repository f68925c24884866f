"""The disk side of a folder: blocking calls that look and read, nothing else. They never write, lock or delete.

A file is opened for each piece and closed again, so that nothing of ours stands in the way of the POS, which renames
and purges its files on a Windows server, and a pause for room holds nothing open.
"""

import errno
import fnmatch
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from routerd.capture.listing import Entry, Sight

PIECE_BYTES = 64 << 10  # most tickets in one piece; the day's roll-up of a busy store in a dozen
# A FIFO must not hang the open, a link not lead out of the folder
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
# The server or the way to it is gone: every further file would only wait for its own time-out
_GONE = (
    *("EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ENOTCONN", "ESHUTDOWN", "ECONNRESET"),
    *("ECONNABORTED", "ECONNREFUSED", "ETIMEDOUT", "ENODEV", "EREMOTEIO"),
)
SHARE_ERRORS = frozenset(getattr(errno, name) for name in _GONE)


class Directory:
    """One directory and the files in it whose names match `pattern`, without regard to case."""

    def __init__(self, path: Path, pattern: str) -> None:
        self._path = str(path)
        self._matches = re.compile(fnmatch.translate(pattern), re.IGNORECASE).match

    def look(self, skips: Callable[[str], bool]) -> Sight:
        """All matching files; of those that `skips` passes over, the names only. Raises OSError.

        On the shares in use a listing brings sizes and times along, yet asking for them costs a call per file.
        Symbolic links, directories, FIFOs and devices are not there.
        """
        present: set[str] = set()
        entries: list[Entry] = []
        with os.scandir(self._path) as each:
            for found in each:
                name = found.name
                if skips(name):
                    present.add(name)
                elif self._matches(name) and (entry := _entry(found)):
                    present.add(name)
                    entries.append(entry)
        return Sight(present, entries, self._begins_a_file_system())

    def piece(self, entry: Entry, offset: int) -> bytes:
        """At most PIECE_BYTES of the file from `offset`; b"" when it is no longer the file that was listed.

        On a Windows server that is also so while its writer has it open: the listing lags behind. Raises OSError.
        """
        fd = os.open(os.path.join(self._path, entry.name), _FLAGS)
        try:
            now = os.fstat(fd)
            if not stat.S_ISREG(now.st_mode) or (now.st_size, now.st_mtime_ns) != (entry.size, entry.mtime_ns):
                return b""
            return os.pread(fd, PIECE_BYTES, offset)
        finally:
            os.close(fd)

    def _begins_a_file_system(self) -> bool:
        return os.stat(self._path).st_dev != os.stat(os.path.join(self._path, os.pardir)).st_dev


def _entry(found: os.DirEntry[str]) -> Entry | None:
    try:
        seen = found.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as exc:
        if exc.errno in SHARE_ERRORS:
            raise
        return Entry(found.name, found.inode(), 0, 0)  # it stands there, and reading it will say what is wrong
    return Entry(found.name, found.inode(), seen.st_size, seen.st_mtime_ns) if stat.S_ISREG(seen.st_mode) else None
