"""What every framer here works on: the bytes fed and not yet returned, and the pieces they have made."""

import re

from routerd.framing.base import MAX_NOISE_BYTES, Frame, Noise, Piece

WHITE = b" \t\r\n"
_LONGEST_NUMBER = 128  # a card number with its grouping and the digits of a track; noise is cut before it, not inside
_NUMBER_AT_END = re.compile(rb"[0-9][0-9 =^;%\-]*\Z")


class Window:
    """The unreturned bytes and a reading position in them.

    Offsets count from the start of `data` and hold until `take()`, which cuts off everything returned.

    data: the bytes; a framer appends to it and searches it, and never edits it.
    scan: how far the framer has read. No byte before it is searched again, which keeps the time linear.
    head: the first byte not yet returned; `data[head:junk]` is noise that has not filled a piece.
    """

    __slots__ = ("_pieces", "_reason", "_seen", "data", "head", "junk", "scan", "white")

    def __init__(self, white: bytes = WHITE) -> None:
        """`white` are the bytes that may lead a frame without being noise."""
        self.data = bytearray()
        self.scan = self.head = self.junk = 0
        self.white = white
        self._seen = 0
        self._reason = ""
        self._pieces: list[Piece] = []

    def take(self) -> list[Piece]:
        """Return the pieces made since the last call and forget their bytes."""
        gone = self.head
        if gone:
            del self.data[:gone]
            self.scan -= gone
            self.junk -= gone
            self._seen -= gone
            self.head = 0
        pieces, self._pieces = self._pieces, []
        return pieces

    def clear(self) -> list[Piece]:
        """Return the last pieces of an input whose every byte has been returned, and start afresh."""
        self.flush()
        pieces = self.take()
        self.scan = self._seen = 0
        return pieces

    def frame(self, end: int, envelope: bool = False) -> None:
        """Everything up to `end` that is not noise is one frame."""
        if self.junk > self.head:
            self.flush()
        self._pieces.append(Frame(bytes(self.data[self.head : end]), envelope))
        self.head = self.junk = end

    def frames(self, raw: list[bytes]) -> None:
        """Many frames at once: `raw` are the next bytes, cut."""
        if raw:
            self.flush()
            self._pieces.extend([Frame(data) for data in raw])
            self.head = self.junk = self.head + sum(map(len, raw))

    def noise(self, end: int, reason: str = "unframed") -> None:
        """Everything up to `end` is noise. It goes out in full pieces; what fills none waits for more."""
        if reason != self._reason:
            self.flush()
            self._reason = reason
        self.junk = end
        while self.junk - self.head >= MAX_NOISE_BYTES:
            cut = self.head + MAX_NOISE_BYTES
            number = _NUMBER_AT_END.search(self.data, cut - _LONGEST_NUMBER, cut)
            self._emit(number.start() if number and number.start() > cut - _LONGEST_NUMBER else cut)

    def damage(self, end: int, reason: str) -> None:
        """Everything up to `end` is noise and goes out now, so that `pending` never starts inside a damaged record."""
        if end > self.junk:
            self.noise(end, reason)
        self.flush()

    def flush(self) -> None:
        """Send out the noise that waits: a frame has begun, or the input has ended."""
        if self.junk > self.head:
            self._emit(self.junk)

    def skip(self, end: int) -> None:
        """Nothing before `end` belongs to a frame, but white space just before it may lead the next one.

        White space is noise once there is a noise piece of it: no record is indented so far.
        """
        start = max(self._seen, self.junk)
        if end > start:
            fresh = self.data[start:end]
            solid = len(fresh.rstrip(self.white))
            if solid:
                self.noise(start + solid)
            while end - self.junk >= MAX_NOISE_BYTES:
                self.noise(self.junk + MAX_NOISE_BYTES)
        self._seen = max(self._seen, end)

    def solid(self, end: int) -> int:
        """Return where the white space that ends at `end` starts."""
        return self.junk + len(self.data[self.junk : end].rstrip(self.white))

    def _emit(self, end: int) -> None:
        self._pieces.append(Noise(bytes(self.data[self.head : end]), self._reason))
        self.head = end
        self.junk = max(self.junk, end)
