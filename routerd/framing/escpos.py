"""ESC/POS printer streams cut into receipts.

The stream has no length and no end mark: a receipt ends where the paper is cut. Commands are walked, so that a cut's
bytes inside an image, a barcode or a parameter cut nothing. Sources: Epson "ESC/POS Command Reference" (GS V, ESC i,
ESC m, GS (, GS 8 L, GS v 0, GS Q 0, GS k, GS *, ESC *, ESC &, ESC D, FS q, FS g); Star Line Mode, ESC d n.
"""

import re
from collections.abc import Callable

from routerd.framing.base import MAX_FRAME_BYTES, Piece
from routerd.framing.window import Window

_LIST_BYTES = 256  # a list up to a NUL is at most 32 tabs (ESC D) or one barcode (GS k)
_WAIT, _NO_COMMAND = 0, -1

# Commands with parameters of any value, by how many.
_FIXED = (
    rb"\x1b[ !%\-3=?EGJKMRTUVadertu{]."
    rb"|\x1b[$\\c].."
    rb"|\x1bp..."
    rb"|\x1bW.{8}"
    rb"|\x1d[!/BEHITabfhrw]."
    rb"|\x1d[$LPW\\].."
    rb"|\x1d\^..."
    rb"|\x1c[!\-CW]."
    rb"|\x1c[Sp?].."
    rb"|\x10[\x04\x05]."
    rb"|\x10\x14[\x01-\x03].."
    rb"|\x10\x14\x07."
    rb"|\x10\x14\x08.{7}"
)
# A lead byte of a command without parameters: what follows it can be read as text.
_BARE = (
    rb"\x1b(?=[^ !%\-3=?EGJKMRTUVadertu{$\\cpWim(*&D])"
    rb"|\x1d(?=[^!/BEHITabfhrw$LPW\\\^V(8vQk*])"
    rb"|\x1d(?=V[^\x00\x0101ABabgh])"
    rb"|\x1c(?=[^!\-CWSp?(qg])"
    rb"|\x10(?=[^\x04\x05\x14])"
    rb"|\x10(?=\x14[^\x01-\x03\x07\x08])"
)
_TEXT = rb"[^\x10\x1b-\x1d]++"
_CUT = rb"\x1dV[\x00\x0101]|\x1dV[ABabgh].|\x1b[im]"
_STAR_CUT = rb"\x1bd."
_PRINTS_NOTHING = re.compile(rb"[\s\x00]|\x1b[@2<SL]|" + _FIXED, re.DOTALL)


class EscPos:
    """A frame is everything up to and including a cut: `1D 56 m [n]`, `1B 69`, `1B 6D`, with `star` also `1B 64 n`.

    star: the printer is a Star, where `1B 64 n` cuts; on an Epson it feeds n lines.

    What follows a cut leads the next receipt, be it a drawer pulse (`1B 70`) or an initialisation; whether it came in
    the same write cannot matter. `close()` returns what is pending as a frame, since the end of a connection ends a
    receipt, and as an `envelope` if it prints nothing.

    A payload that does not fit into `max_frame_bytes` is taken for damage, and its bytes for text. A receipt longer
    than `max_frame_bytes` is noise `oversize` up to and including its cut; that one is being skipped is the one thing
    `pending` does not carry to a fresh framer. There is no other noise: every byte may be printed.
    """

    def __init__(self, star: bool = False, *, max_frame_bytes: int = MAX_FRAME_BYTES) -> None:
        cut = _CUT + b"|" + _STAR_CUT if star else _CUT
        self._cut = re.compile(cut, re.DOTALL)
        walked = rb"|".join((_TEXT, rb"(?!" + cut + rb")(?:" + _FIXED + rb")", _BARE))
        self._walked = re.compile(rb"(?>(?:" + walked + rb")*)", re.DOTALL)
        self._max = max_frame_bytes
        self._window = Window()
        self._lost = False

    @property
    def pending(self) -> bytes:
        return bytes(self._window.data)

    def feed(self, chunk: bytes) -> list[Piece]:
        window = self._window
        window.data += chunk
        while window.scan < len(window.data) and self._step():
            pass
        self._lost = self._lost or window.scan - window.head >= self._max
        if self._lost:
            # A command that has not arrived whole stays: its bytes must be walked together.
            window.noise(max(window.junk, min(window.scan, len(window.data))), "oversize")
        return window.take()

    def close(self) -> list[Piece]:
        window = self._window
        end = len(window.data)
        if self._lost:
            window.damage(end, "oversize")
        elif end:
            window.frame(end, envelope=not _PRINTS_NOTHING.sub(b"", window.data))
        self._lost = False
        return window.clear()

    def _step(self) -> bool:
        window = self._window
        data = window.data
        walked = self._walked.match(data, window.scan)
        window.scan = at = walked.end() if walked else window.scan
        self._lost = self._lost or at - window.head >= self._max
        cut = self._cut.match(data, at)
        if cut is not None:
            self._end_receipt(cut.end())
            return True
        measure = _PAYLOADS.get(bytes(data[at : at + 2]))
        if measure is None:
            return False
        length = measure(data, at)
        most = self._max if self._lost else window.head + self._max - at
        if length == _WAIT and len(data) - at < most:
            return False
        window.scan = at + (length if 0 < length <= most else 1)
        return True

    def _end_receipt(self, end: int) -> None:
        window = self._window
        if self._lost or end - window.head > self._max:
            window.damage(end, "oversize")
            self._lost = False
        else:
            window.frame(end)
        window.scan = end


def _sized(data: bytearray, at: int, header: int, fields: int) -> int:
    """A payload whose length are the last `fields` bytes of its header."""
    if len(data) < at + header:
        return _WAIT
    return header + int.from_bytes(data[at + header - fields : at + header], "little")


def _parameters(data: bytearray, at: int) -> int:
    return _sized(data, at, 5, 2)


def _large_graphics(data: bytearray, at: int) -> int:
    if len(data) < at + 3:
        return _WAIT
    return _sized(data, at, 7, 4) if data[at + 2] == ord("L") else _NO_COMMAND


def _raster(data: bytearray, at: int) -> int:
    if len(data) < at + 3:
        return _WAIT
    if data[at + 2] != ord("0"):
        return _NO_COMMAND
    if len(data) < at + 8:
        return _WAIT
    return 8 + int.from_bytes(data[at + 4 : at + 6], "little") * int.from_bytes(data[at + 6 : at + 8], "little")


def _downloaded_image(data: bytearray, at: int) -> int:
    return _WAIT if len(data) < at + 4 else 4 + data[at + 2] * data[at + 3] * 8


def _bit_image(data: bytearray, at: int) -> int:
    if len(data) < at + 5:
        return _WAIT
    return 5 + int.from_bytes(data[at + 3 : at + 5], "little") * (3 if data[at + 2] in (32, 33) else 1)


def _barcode(data: bytearray, at: int) -> int:
    if len(data) < at + 3:
        return _WAIT
    if data[at + 2] <= 6:
        return _up_to_nul(data, at, 3)
    return _sized(data, at, 4, 1) if 65 <= data[at + 2] <= 79 else _NO_COMMAND


def _tabs(data: bytearray, at: int) -> int:
    return _up_to_nul(data, at, 2)


def _up_to_nul(data: bytearray, at: int, header: int) -> int:
    nul = data.find(0, at + header, at + header + _LIST_BYTES)
    if nul >= 0:
        return nul + 1 - at
    return _NO_COMMAND if len(data) >= at + header + _LIST_BYTES else _WAIT


def _characters(data: bytearray, at: int) -> int:
    """ESC & y c1 c2, then for each character its width x and x*y bytes."""
    if len(data) < at + 5:
        return _WAIT
    height, first, last = data[at + 2 : at + 5]
    if not (1 <= height <= 6 and 32 <= first <= last <= 126):
        return _NO_COMMAND
    end = at + 5
    for _ in range(first, last + 1):
        if len(data) <= end:
            return _WAIT
        end += 1 + height * data[end]
    return end - at


def _stored_images(data: bytearray, at: int) -> int:
    """FS q n, then n times xL xH yL yH and x*y*8 bytes."""
    if len(data) < at + 3:
        return _WAIT
    end = at + 3
    for _ in range(data[at + 2]):
        if len(data) < end + 4:
            return _WAIT
        width, height = data[end] + 256 * data[end + 1], data[end + 2] + 256 * data[end + 3]
        if width > 1023 or height > 288:  # the most the command allows: more is damage, not an image to wait for
            return _NO_COMMAND
        end += 4 + width * height * 8
    return end - at


def _user_memory(data: bytearray, at: int) -> int:
    if len(data) < at + 3:
        return _WAIT
    if data[at + 2] not in b"12":
        return _NO_COMMAND
    if data[at + 2] == ord("2"):
        return 10
    return _sized(data, at, 10, 2)


_PAYLOADS: dict[bytes, Callable[[bytearray, int], int]] = {
    b"\x1b(": _parameters,
    b"\x1c(": _parameters,
    b"\x1d(": _parameters,
    b"\x1d8": _large_graphics,
    b"\x1dv": _raster,
    b"\x1dQ": _raster,
    b"\x1d*": _downloaded_image,
    b"\x1dk": _barcode,
    b"\x1b*": _bit_image,
    b"\x1bD": _tabs,
    b"\x1b&": _characters,
    b"\x1cq": _stored_images,
    b"\x1cg": _user_memory,
}
