"""The Verifone DVR journal: a register's text lines, one ticket a frame.

Sources: Verifone "Digital Video Recorder (DVR)" feature reference (the port is an Epson journal stream, 9600 8-N-1);
the line format, the lines without LF and the two kinds of ticket end were measured on four hours of one register.
"""

import re

from routerd.framing.base import MAX_FRAME_BYTES, Piece
from routerd.framing.window import Window

MARK = b"\x1bc0\x01"  # ESC c 0: each line starts with it; ESC ! 00 follows, unless a reader dropped the NUL

_FOOTER, _TRAN, _SUSPENDED = b"CSH:", b"TRAN#", b"TRANSACTION SUSPENDED #"
_STAMP_BYTES = 17  # 07/11/25 03:33:29
_LINE_START = re.compile(rb"\x1bc0\x01|\d\d?/\d\d?/\d\d \d\d?:\d\d:\d\d")
_NUMBER_OR_SUSPENDED = re.compile(rb"TRAN(?:#|SACTION SUSPENDED #)")
# The whole end of nearly every ticket: the rest of the number's line and the cashier line behind it.
_ENDING = re.compile(rb"[^\n\x1b]*+\n?+(?>(?:\x1bc0\x01(?>(?:\x1b!\x00)?))?)[\d/: APM]*+CSH:[^\n\x1b]*+\n")
_ENDS_IN_CLOCK = re.compile(rb"\d:\d\d:\d\d(?: [AP]M)?\s*\Z")


class EscJournal:
    """Cuts after the line that ends a ticket, never by silence: lines trickle in as the cashier scans.

    A line runs to its LF, or to the next `1B 63 30 01` where the LF is missing. A ticket starts with the first line
    that has this mark or a time stamp, and whatever lines follow belong to it. It ends with

    * the cashier line (`CSH: name  date time`) after the ticket number (`ST#s DR#d TRAN#n`), or one that ends in a
      clock time where the number was damaged: a frame;
    * `TRANSACTION SUSPENDED # n`: an `envelope`, for a suspended ticket is no sale. Recalling it prints its lines
      again inside a new ticket; kept apart, it explains the hole its number leaves;
    * its ticket number, when a second one arrives and the cashier line between was damaged: a frame.

    The variant with an AM/PM clock and a cashier line without mark or stamp follows the same rules.
    Bytes before a first line are noise `unframed`; white space there leads the ticket. A ticket longer than
    `max_frame_bytes` is noise `oversize`, an unfinished one at `close()` is noise `truncated`. Where one port carries
    several registers their lines mix as they came; each line names its register.
    """

    def __init__(self, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._max = max_frame_bytes
        self._window = Window()
        self._footer = -1  # where the next cashier line is, or the end of the data; holds for one feed
        self._reset()

    def _reset(self) -> None:
        self._open = False
        self._key = b""  # what the line being read is, once that is known
        self._key_at = 0  # where that was read, from the ticket's start
        self._numbered = 0  # length of the ticket up to the line after its number; 0 while it has none

    @property
    def pending(self) -> bytes:
        return bytes(self._window.data)

    def feed(self, chunk: bytes) -> list[Piece]:
        self._window.data += chunk
        self._footer = -1
        while self._step():
            pass
        return self._window.take()

    def close(self) -> list[Piece]:
        window = self._window
        end = len(window.data)
        if not self._open:
            window.skip(end)
            window.flush()
            if end > window.head:
                window.frame(end, envelope=True)
        elif self._key == _FOOTER and _ENDS_IN_CLOCK.search(window.data, window.head + self._key_at):
            window.frame(end)
        else:
            window.damage(end, "truncated")
        self._reset()
        return window.clear()

    def _step(self) -> bool:
        if not self._open:
            return self._begin()
        return self._end_line() if self._key else self._find_key()

    def _begin(self) -> bool:
        window = self._window
        found = _LINE_START.search(window.data, window.scan)
        if found is None:
            window.scan = max(window.scan, len(window.data) - _STAMP_BYTES + 1)
            window.skip(window.scan)
            return False
        window.skip(found.start())
        window.flush()
        window.scan = found.end()
        self._reset()
        self._open = True
        return True

    def _find_key(self) -> bool:
        """Read on to the next line that matters."""
        window = self._window
        limit = window.head + self._max
        if self._footer < window.scan:
            at = window.data.find(_FOOTER, window.scan)
            self._footer = at if at >= 0 else len(window.data)
        found = _NUMBER_OR_SUSPENDED.search(window.data, window.scan, min(self._footer, limit))
        if found is not None:
            self._key, window.scan = found.group(), found.end()
        elif self._footer < len(window.data) and self._footer + len(_FOOTER) <= limit:
            self._key, window.scan = _FOOTER, self._footer + len(_FOOTER)
        else:
            window.scan = max(window.scan, min(len(window.data), limit) - len(_SUSPENDED) + 1)
            return self._too_long()
        self._key_at = window.scan - window.head
        if self._key == _TRAN and self._numbered:
            self._end_ticket(window.head + self._numbered)
        elif self._key == _TRAN:
            ending = _ENDING.match(window.data, window.scan, limit)
            if ending is not None:
                self._end_ticket(ending.end())
        return True

    def _end_line(self) -> bool:
        window = self._window
        data = window.data
        stop = min(len(data), window.head + self._max)
        feed = data.find(b"\n", window.scan, stop)
        mark = data.find(MARK, window.scan, feed if feed >= 0 else stop)
        if feed < 0 and mark < 0:
            window.scan = max(window.scan, stop - len(MARK) + 1)
            return self._too_long()
        self._ended(mark if mark >= 0 else feed + 1)
        return True

    def _ended(self, end: int) -> None:
        window = self._window
        key, self._key = self._key, b""
        window.scan = end
        if key == _TRAN:
            self._numbered = end - window.head
        elif key == _SUSPENDED:
            self._end_ticket(end, suspended=True)
        elif self._numbered or _ENDS_IN_CLOCK.search(window.data, window.head + self._key_at, end):
            self._end_ticket(end)

    def _end_ticket(self, end: int, *, suspended: bool = False) -> None:
        window = self._window
        window.frame(end, envelope=suspended)
        window.scan = end
        self._open = False
        self._key = b""

    def _too_long(self) -> bool:
        """Nothing ended the ticket yet: is it still one? A mark may straddle the limit, so an ESC there stays."""
        window = self._window
        limit = window.head + self._max
        if len(window.data) < limit:
            return False
        escape = window.data.rfind(b"\x1b", limit - len(MARK) + 1, limit)
        window.damage(escape if escape > window.head else limit, "oversize")
        window.scan = window.head
        self._reset()
        return True
