"""Frames that say their length: [magic] length payload."""

import re
from collections.abc import Callable
from typing import Literal

from routerd.framing.base import MAX_FRAME_BYTES, Piece
from routerd.framing.window import Window


class LengthPrefix:
    """A frame is the optional `magic`, the length in `width` bytes, and the payload; `data` holds all three.

    width: bytes of the length, 1, 2 or 4. order: `big` or `little`.
    includes: the length counts its own bytes too (never the magic's).

    A length that cannot be (smaller than itself, or a frame beyond `max_frame_bytes`) makes noise `unframed`, up to
    the next magic, or without magic up to the next byte from which a length can be read: give a magic where the
    protocol has one, for a wrong but possible length is noticed by nothing else. A frame cut off by `close()` is noise
    `truncated`.
    """

    def __init__(
        self,
        width: int = 2,
        order: Literal["big", "little"] = "big",
        *,
        includes: bool = False,
        magic: bytes = b"",
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        self._width, self._order, self._magic = width, order, magic
        self._least = width if includes else 0
        self._most = max_frame_bytes - len(magic) - (0 if includes else width)
        self._extra = len(magic) + (0 if includes else width)
        self._window = Window()
        self._next_start = self._find_magic if magic else self._length_finder()

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
        rest = bytes(window.data[window.junk :])
        if rest:
            begun = rest.startswith(self._magic) or self._magic.startswith(rest)
            window.damage(len(window.data), "truncated" if begun else "unframed")
        return window.clear()

    def _step(self) -> bool:
        window = self._window
        start = self._next_start(window.scan)
        window.scan = start
        if start > window.junk:
            window.noise(start)
        at = start + len(self._magic)
        if len(window.data) < at + self._width:
            return False
        length = int.from_bytes(window.data[at : at + self._width], self._order)
        if not self._least <= length <= self._most:
            window.scan = start + 1
            return True
        window.flush()
        end = start + self._extra + length
        if len(window.data) < end:
            return False
        window.frame(end)
        window.scan = end
        return True

    def _find_magic(self, scan: int) -> int:
        at = self._window.data.find(self._magic, scan)
        return at if at >= 0 else max(scan, len(self._window.data) - len(self._magic) + 1)

    def _length_finder(self) -> Callable[[int], int]:
        """Pass over bytes that cannot begin a length: the zeros and the lead byte of the greatest one allowed."""
        most = max(0, min(self._most, (1 << 8 * self._width) - 1)).to_bytes(self._width, "big")
        zeros = len(most) - len(most.lstrip(b"\0"))
        lead = b"[\\x00-\\x%02x]" % most[zeros] if zeros < self._width else b""
        parts = [b"\0"] * zeros + ([lead] if lead else []) + [b"[\\x00-\\xff]"] * (self._width - zeros - 1)
        if self._order == "little":
            parts.reverse()
        possible = re.compile(b"".join(parts))

        def find(scan: int) -> int:
            found = possible.search(self._window.data, scan)
            return found.start() if found else max(scan, len(self._window.data) - self._width + 1)

        return find
