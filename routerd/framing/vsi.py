"""AVE VSI-ADD: the text of up to sixteen registers on one line, each piece addressed `1B ADDR`.

Source: AVE VSI-Pro Max manual, appendix M (ADDR is the register, 01 to 10 hexadecimal).
"""

import re

from routerd.framing.base import MAX_FRAME_BYTES, Frame, Noise, Piece
from routerd.framing.text import Lines
from routerd.framing.window import Window

REGISTERS = 16
_ADDRESS = re.compile(rb"\x1b[\x01-\x10]")


class VsiAdd:
    """A frame is one line of one register, or with `start` and `end` one ticket: the lines from the one that holds
    `start` to the one that holds `end` (without `start`: from the line after the last `end`).

    `Frame.channel` is the register as a decimal number. `data` is the register's bytes as they came, its addresses
    included; the bytes of other registers that came between are not in it, so pieces are not in the order of the wire.
    `line` is the delimiter, empty for CR, LF or CRLF. Text belongs to the register addressed last. An ESC before any
    other byte is text.

    Noise: `unframed` before the first address and outside tickets; `oversize` is a line or ticket too long (each
    register has a sixteenth of `max_frame_bytes`, 64 KiB, and where tickets are assembled half of it for a line and
    half for a ticket); `truncated` is a ticket without an end at `close()`.

    `pending` names the register last addressed only if something of it waits; a fresh framer takes text that then
    follows without an address for the register addressed last in `pending`, or for noise.
    """

    def __init__(
        self,
        line: bytes = b"",
        start: bytes = b"",
        end: bytes = b"",
        *,
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        self._settings = (line, start, end, max_frame_bytes // REGISTERS)
        self._window = Window()  # what comes before the first address
        self._reset()

    def _reset(self) -> None:
        self._channels: dict[int, _Channel] = {}
        self._current: _Channel | None = None
        self._escape = b""  # an ESC at the end of the input may begin an address

    @property
    def pending(self) -> bytes:
        """What waits, register by register; the one addressed last comes last."""
        channels = [channel for channel in self._channels.values() if channel is not self._current]
        if self._current is not None:
            channels.append(self._current)
        return bytes(self._window.data) + b"".join(channel.pending for channel in channels) + self._escape

    def feed(self, chunk: bytes) -> list[Piece]:
        data = self._escape + chunk
        self._escape = b"\x1b" if data.endswith(b"\x1b") else b""
        end = len(data) - len(self._escape)
        pieces: list[Piece] = []
        at = 0
        for address in _ADDRESS.finditer(data):
            pieces += self._text(data[at : address.start()])
            pieces += self._window.clear() if self._current is None else self._current.settle()
            self._current = self._channel(data[address.start() + 1])
            at = address.start()
        return pieces + self._text(data[at:end])

    def close(self) -> list[Piece]:
        pieces = self._text(self._escape) + self._window.clear()
        for channel in self._channels.values():
            pieces += channel.close()
        self._reset()
        return pieces

    def _text(self, text: bytes) -> list[Piece]:
        if self._current is not None:
            return self._current.feed(text)
        self._window.data += text
        self._window.noise(len(self._window.data))
        return self._window.take()

    def _channel(self, register: int) -> "_Channel":
        if register not in self._channels:
            self._channels[register] = _Channel(register, *self._settings)
        return self._channels[register]


class _Channel:
    """One register: its bytes cut into lines, its lines gathered into tickets."""

    def __init__(self, register: int, line: bytes, start: bytes, end: bytes, limit: int) -> None:
        self._name = str(register)
        self._start, self._end = start, end
        self._limit = limit // 2 if end else limit
        self._lines = Lines(line, max_frame_bytes=self._limit)
        self._ticket = Window()
        self._inside = self._lost = False

    @property
    def pending(self) -> bytes:
        return bytes(self._ticket.data) + self._lines.pending

    def feed(self, raw: bytes) -> list[Piece]:
        return self._gather(self._lines.feed(raw))

    def settle(self) -> list[Piece]:
        return self._gather(self._lines.settle())

    def close(self) -> list[Piece]:
        pieces = self._gather(self._lines.close())
        ticket = self._ticket
        if len(ticket.data) > ticket.junk:
            ticket.damage(len(ticket.data), "truncated")
        return pieces + ticket.clear()

    def _gather(self, lines: list[Piece]) -> list[Piece]:
        if not self._end:
            return [self._named(line) for line in lines]
        pieces: list[Piece] = []
        for line in lines:
            if isinstance(line, Noise):
                pieces.append(line)
            else:
                self._add(line.data)
                pieces += [self._named(piece) for piece in self._ticket.take()]
        return pieces

    def _named(self, piece: Piece) -> Piece:
        return Frame(piece.data, channel=self._name) if isinstance(piece, Frame) else piece

    def _add(self, line: bytes) -> None:
        ticket = self._ticket
        before = len(ticket.data)
        ticket.data += line
        at = line.find(self._start)
        ends = line.find(self._end, at + len(self._start) if at >= 0 else 0) >= 0
        if self._start and at >= 0 and not (self._inside and ends):
            # A second start: the end of the ticket before it was lost.
            if self._inside:
                ticket.damage(before, "oversize" if self._lost else "truncated")
            ticket.flush()
            self._inside, self._lost = True, False
        elif not self._start:
            self._inside = True
        if not self._inside:
            ticket.noise(len(ticket.data))
            return
        self._lost = self._lost or len(ticket.data) - ticket.junk > self._limit
        if self._lost:
            ticket.noise(len(ticket.data), "oversize")
        if ends:
            if not self._lost:
                ticket.frame(len(ticket.data))
            ticket.flush()
            self._inside = self._lost = False
