"""The disk side of a folder: blocking calls that look and read, nothing else. They never write, lock or delete.

A file is opened for each piece and closed again, so that nothing of ours stands in the way of the POS, which renames
and purges its files on a Windows server, and a pause for room holds nothing open.
"""

import errno
import fnmatch
import os
import re
import stat
from collections.abc import Set
from pathlib import Path

from routerd.capture.folder.listing import Entry, Sight

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

    def look(self, known: Set[str], again: Set[str]) -> Sight:
        """All matching files; sizes and times of those not `known` and of those to be seen `again`. Raises OSError.

        A listing costs a call for a hundred names, a size and time a call for each, over the network where the share's
        listing did not bring them along. Symbolic links, directories, FIFOs and devices are not there.
        """
        present = set(os.listdir(self._path))
        entries: list[Entry] = []
        for name in present.difference(known) | (present & again):
            entry = self._entry(name) if name in known or self._matches(name) else None
            if entry:
                entries.append(entry)
            else:
                present.discard(name)
        here, above = os.stat(self._path), os.stat(os.path.join(self._path, os.pardir))
        return Sight(present, entries, here.st_dev != above.st_dev, (here.st_dev, here.st_ino))

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

    def _entry(self, name: str) -> Entry | None:
        try:
            seen = os.lstat(os.path.join(self._path, name))
        except FileNotFoundError:
            return None
        except OSError as exc:
            if exc.errno in SHARE_ERRORS:
                raise
            return Entry(name, 0, 0, 0)  # it stands there, and reading it will say what is wrong
        return Entry(name, seen.st_ino, seen.st_size, seen.st_mtime_ns) if stat.S_ISREG(seen.st_mode) else None
