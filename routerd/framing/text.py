"""Text cut by delimiters: lines, tickets between a start and an end string, STX/ETX telegrams.

These are the choices a video recorder's text input offers (Digital Watchdog VMAX, Pacom PDR and Samsung SVR manuals):
start string, end string, line delimiter.
"""

import re
import struct
from functools import reduce
from operator import xor

from routerd.framing.base import MAX_FRAME_BYTES, Piece
from routerd.framing.window import Window

STX, ETX = 0x02, 0x03
_STX_OR_ETX = re.compile(rb"[\x02\x03]")
_NEWLINE = re.compile(rb"[\r\n]")


def lrc(data: bytes | bytearray) -> int:
    """The XOR of all bytes, eight at a time: a loop over single bytes would cost more than all the rest of a frame."""
    words = struct.unpack(f"={(len(data) + 7) // 8}Q", bytes(data).ljust((len(data) + 7) // 8 * 8, b"\0"))
    folded = reduce(xor, words, 0)
    for shift in (32, 16, 8):
        folded ^= folded >> shift
    return folded & 0xFF


class Lines:
    """Each line is a frame, delimiter included.

    `line` is the delimiter; empty means CR, LF or CRLF. With that default a line that ends in CR waits for one more
    byte, which may be its LF; where a device sends bare CRs and every second counts, say `line = \\r`.
    `close()` returns an unfinished line as a frame: the end of the input ends it.
    A line longer than `max_frame_bytes` is noise `oversize` up to its delimiter; that a line was too long is the one
    thing `pending` does not carry to a fresh framer.
    """

    def __init__(self, line: bytes = b"", *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._line = line
        self._max = max_frame_bytes
        self._window = Window()
        self._lost = False

    @property
    def pending(self) -> bytes:
        return bytes(self._window.data)

    def feed(self, chunk: bytes) -> list[Piece]:
        window = self._window
        window.data += chunk
        if self._has_line():
            self._cut()
        self._rest()
        return window.take()

    def close(self) -> list[Piece]:
        window = self._window
        end = len(window.data)
        if self._lost:
            window.noise(end, "oversize")
        elif end > window.junk:
            window.frame(end)
        self._lost = False
        return window.clear()

    def settle(self) -> list[Piece]:
        """The byte that follows is certain not to be an LF: a line that ends in CR is whole."""
        if self._line or not self._window.data.endswith(b"\r"):
            return []
        if self._lost:
            return self.close()
        self._window.frame(len(self._window.data))
        self._window.scan = self._window.head
        return self._window.take()

    def _has_line(self) -> bool:
        window = self._window
        if self._line:
            return window.data.find(self._line, max(window.scan - len(self._line) + 1, window.junk)) >= 0
        return _NEWLINE.search(window.data, max(window.scan, window.junk)) is not None

    def _cut(self) -> None:
        """Return every whole line; what is left over starts at `window.junk`."""
        window = self._window
        lines = self._split(bytes(window.data[window.junk :]))
        if self._lost and lines:
            window.damage(window.junk + len(lines.pop(0)), "oversize")
            self._lost = False
        if len(window.data) - window.junk <= self._max:
            window.frames(lines)
            return
        for line in lines:
            if len(line) > self._max:
                window.damage(window.junk + len(line), "oversize")
            else:
                window.frame(window.junk + len(line))

    def _split(self, blob: bytes) -> list[bytes]:
        if self._line:
            return [part + self._line for part in blob.split(self._line)[:-1]]
        lines = blob.splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        return lines

    def _rest(self) -> None:
        window = self._window
        end = len(window.data)
        held = self._held(end)
        # A line of exactly the limit that ends in CR is whole unless an LF follows.
        certain = end - window.junk >= self._max + (1 if held and not self._line else 0)
        self._lost = self._lost or certain
        if self._lost and end - held > window.junk:
            window.noise(end - held, "oversize")
        window.scan = end - (held if not self._line else 0)

    def _held(self, end: int) -> int:
        """How many of the last bytes may belong to a delimiter that has not arrived whole."""
        window = self._window
        if not self._line:
            return 1 if window.data.endswith(b"\r") and end > window.junk else 0
        return min(len(self._line) - 1, end - window.junk)


class Spans:
    """A frame runs from `start` to `end`, both included; with `line`, to the end of the line that holds `end`.

    Without `start` a frame begins where the last one ended. Bytes outside are noise `unframed`. A second `start`
    before the `end` means that an end was lost: what came before it is noise `truncated`, so two tickets are never
    merged (not where one of the two strings is part of the other, which would make every end a start).
    A ticket longer than `max_frame_bytes` is noise `oversize`; without `start`, up to its end.
    """

    def __init__(self, start: bytes, end: bytes, line: bytes = b"", *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._start, self._end, self._line = start, end, line
        self._max = max_frame_bytes
        self._window = Window()
        restarts = start and start != end and start not in end[:-1] and end not in start[:-1]
        tokens = [end, start] if restarts else [end]
        self._tokens = re.compile(b"|".join(re.escape(token) for token in tokens))
        self._margin = max(len(start), len(end)) - 1
        self._inside = self._ending = self._lost = False

    @property
    def pending(self) -> bytes:
        return bytes(self._window.data)

    def feed(self, chunk: bytes) -> list[Piece]:
        self._window.data += chunk
        while self._step():
            pass
        return self._window.take()

    def close(self) -> list[Piece]:
        window = self._window
        end = len(window.data)
        if self._ending:
            window.frame(end)
        elif end > window.junk:
            inside = self._inside or not self._start
            window.noise(end, "oversize" if self._lost else "truncated" if inside else "unframed")
        self._inside = self._ending = self._lost = False
        return window.clear()

    def _step(self) -> bool:
        if self._ending:
            return self._finish_line()
        if self._inside:
            return self._find_end()
        return self._regain() if self._lost else self._find_start()

    def _find_start(self) -> bool:
        window = self._window
        if not self._start:
            self._inside = len(window.data) > window.head
            return self._inside
        at = window.data.find(self._start, window.scan)
        if at < 0:
            window.scan = max(window.scan, len(window.data) - len(self._start) + 1)
            window.noise(window.scan)
            return False
        window.noise(at)
        window.flush()
        window.scan = at + len(self._start)
        self._inside = True
        return True

    def _find_end(self) -> bool:
        window = self._window
        limit = window.head + self._max
        found = self._tokens.search(window.data, window.scan, limit)
        if found is None:
            window.scan = max(window.scan, min(len(window.data), limit) - self._margin)
            return self._too_long(limit)
        if found.group() != self._end:
            window.damage(found.start(), "truncated")
            window.scan = found.end()
            return True
        window.scan = found.end()
        if self._line:
            self._ending = True
        else:
            self._done(found.end())
        return True

    def _finish_line(self) -> bool:
        window = self._window
        limit = window.head + self._max
        at = window.data.find(self._line, window.scan, limit)
        if at < 0:
            window.scan = max(window.scan, min(len(window.data), limit) - len(self._line) + 1)
            return self._too_long(limit)
        self._done(at + len(self._line))
        return True

    def _done(self, end: int) -> None:
        self._window.frame(end)
        self._window.scan = end
        self._inside = self._ending = False

    def _too_long(self, limit: int) -> bool:
        """No frame can end here any more. The last bytes stay: a start may straddle the limit."""
        window = self._window
        if len(window.data) < limit:
            return False
        window.damage(max(limit - self._margin, window.head + 1), "oversize")
        window.scan = window.head
        self._lost = not self._start and not self._ending
        self._inside = self._ending = False
        return True

    def _regain(self) -> bool:
        """Without a start string, the rest of a ticket that was too long is noise up to its end."""
        window = self._window
        at = window.data.find(self._end, window.scan)
        if at < 0:
            window.scan = max(window.scan, len(window.data) - len(self._end) + 1)
            window.noise(window.scan, "oversize")
            return False
        window.damage(at + len(self._end), "oversize")
        window.scan = window.head
        self._lost = False
        return True


class StxEtx:
    """STX … ETX, with `lrc` one check byte more: the exclusive or of every byte after STX up to and including ETX.

    A wrong check byte makes the telegram noise `checksum`; if it is an STX, the check byte was lost and the STX begins
    the next telegram. An STX inside a telegram begins a new one; what stood before it is noise `truncated`.
    Bytes outside are noise `unframed`, a telegram longer than `max_frame_bytes` is noise `oversize`.
    """

    def __init__(self, lrc: bool = True, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        self._tail = 1 if lrc else 0
        self._max = max_frame_bytes
        self._window = Window()
        self._inside = False

    @property
    def pending(self) -> bytes:
        return bytes(self._window.data)

    def feed(self, chunk: bytes) -> list[Piece]:
        self._window.data += chunk
        while self._find_end() if self._inside else self._find_start():
            pass
        return self._window.take()

    def close(self) -> list[Piece]:
        window = self._window
        if len(window.data) > window.junk:
            window.noise(len(window.data), "truncated" if self._inside else "unframed")
        self._inside = False
        return window.clear()

    def _find_start(self) -> bool:
        window = self._window
        at = window.data.find(STX, window.scan)
        window.noise(at if at >= 0 else len(window.data))
        if at < 0:
            window.scan = len(window.data)
            return False
        window.flush()
        window.scan = at + 1
        self._inside = True
        return True

    def _find_end(self) -> bool:
        window = self._window
        data = window.data
        limit = window.head + self._max
        found = _STX_OR_ETX.search(data, window.scan, limit - self._tail)
        if found is None:
            window.scan = max(window.scan, min(len(data), limit - self._tail))
            if len(data) < limit:
                return False
            return self._leave(limit, "oversize")
        if data[found.start()] == STX:
            window.damage(found.start(), "truncated")
            window.scan = found.end()
            return True
        window.scan = found.start()
        end = found.end() + self._tail
        if len(data) < end:
            return False
        if self._tail and lrc(data[window.head + 1 : found.end()]) != data[found.end()]:
            return self._leave(found.end() if data[found.end()] == STX else end, "checksum")
        window.frame(end)
        return self._leave(end, "")

    def _leave(self, end: int, reason: str) -> bool:
        window = self._window
        window.damage(end, reason)
        window.scan = end
        self._inside = False
        return True
