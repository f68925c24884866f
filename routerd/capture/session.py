"""One connection's bytes become records: framed, described, masked, stored, before `feed` returns."""

from dataclasses import dataclass
from typing import Protocol

from routerd.clock import Clock
from routerd.framing import Frame, Framer, Noise, Piece
from routerd.model import ENVELOPE, NOISE, RECORD, Draft, Stamp
from routerd.tlog import DIALECTS, Dialect, mask, sniff

_OVERLAP = 256  # longer than any card number or track with its context: a cut between two reads hides none
_READABLE = ("text", "vsi")  # every byte of these is for a person's eye, so a wrong baud rate shows inside frames
_NEVER_PRINTED = bytes({*range(0x20), 0x7F} - set(b"\x02\x03\t\n\f\r\x1b"))


class Store(Protocol):
    """What capture needs of the spool. `append` answers with the first draft's sequence number; the others follow."""

    def append(self, source: str, drafts: list[Draft], stamp: Stamp) -> int: ...
    def has_room(self, source: str) -> bool: ...
    async def room(self, source: str) -> None: ...
    def grow_tail(self, source: str, offset: int, masked: bytes) -> None: ...
    def cut_tail(self, source: str, masked: bytes) -> None: ...


class Meter:
    """What a source has read since the start; sessions add to it, snapshots read it.

    `noise_bytes` counts what made no frame, and what stands in a frame of text without being text.
    """

    def __init__(self) -> None:
        self.bytes_read = 0
        self.noise_bytes = 0
        self.masked_bytes = 0
        self.last_read_ns: int | None = None
        self.last_record_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """How a source's bytes are to be read. Without a dialect, the first frame decides."""

    framer: Framer
    dialect: Dialect | None


class Describer:
    """Pieces become drafts: masked, then described by the source's dialect. Without one, the first frame decides."""

    def __init__(self, dialect: Dialect | None, meter: Meter) -> None:
        self._dialect = dialect
        self._meter = meter

    def draft(self, piece: Piece, data: bytes) -> Draft:
        """`data` is the piece's, masked."""
        if isinstance(piece, Noise):
            self._meter.noise_bytes += len(data)
            return Draft(NOISE, data, pos_kind=piece.reason)
        if piece.envelope:
            return Draft(ENVELOPE, data)
        dialect = self._recognised(data)
        if dialect.name in _READABLE:
            self._meter.noise_bytes += len(data) - len(data.translate(None, _NEVER_PRINTED))
        facts = dialect.describe(data)
        return Draft(RECORD, data, facts.identity, facts.pos_time, facts.kind)

    def counted(self, data: bytes) -> bytes:
        """`data` masked, and what was masked counted: for what will be stored."""
        masked, changed = mask(data, self._dialect.name if self._dialect else "")
        self._meter.masked_bytes += changed
        return masked

    def masked(self, data: bytes) -> bytes:
        return mask(data, self._dialect.name if self._dialect else "")[0]

    def _recognised(self, data: bytes) -> Dialect:
        if self._dialect is None:
            self._dialect = DIALECTS[sniff(data) or "text"]
        return self._dialect


class StreamSession:
    """A connection of one source. `keeps_tail` is for links that survive us: what is pending is kept beside the spool,
    masked, so that a restart loses no half-read record.
    """

    def __init__(
        self, source: str, reading: "Reading", store: Store, clock: Clock, meter: Meter, *, keeps_tail: bool
    ) -> None:
        self._source = source
        self._framer = reading.framer
        self._describer = Describer(reading.dialect, meter)
        self._store = store
        self._clock = clock
        self._meter = meter
        self._keeps_tail = keeps_tail

    def resume(self, pending: bytes, skip: int) -> None:
        """Begin with what a former daemon had pending; its first `skip` pieces are records already."""
        self._store_pieces(self._framer.feed(pending)[skip:])
        if self._keeps_tail:
            self._store.cut_tail(self._source, self._describer.masked(self._framer.pending))

    def feed(self, chunk: bytes) -> bool:
        self._meter.bytes_read += len(chunk)
        self._meter.last_read_ns = self._clock.mono_ns()
        if self._keeps_tail:
            self._feed_with_tail(chunk)
        else:
            self._store_pieces(self._framer.feed(chunk))
        return self._store.has_room(self._source)

    def settle(self) -> None:
        """The connection is gone, or silent for as long as the source says a record never is: take what is pending."""
        self._store_pieces(self._framer.close())
        if self._keeps_tail:
            self._store.cut_tail(self._source, b"")

    def leave(self) -> None:
        """We stop, the line goes on: where there is a tail, the next daemon begins with what is pending now."""
        if not self._keeps_tail:
            self.settle()

    @property
    def pending_bytes(self) -> int:
        return len(self._framer.pending)

    def _feed_with_tail(self, chunk: bytes) -> None:
        """Tail, records, tail: whichever step a kill falls on, each byte is in a record or in the tail."""
        before = self._framer.pending
        lead = before[-2 * _OVERLAP :]
        context = max(0, len(lead) - _OVERLAP)  # is read and not written again: a number may begin in it
        masked = self._describer.masked(lead + chunk)[context:]
        self._store.grow_tail(self._source, len(before) - len(lead) + context, masked)
        pieces = self._framer.feed(chunk)
        if pieces:
            self._store_pieces(pieces)
            self._store.cut_tail(self._source, self._describer.masked(self._framer.pending))

    def _store_pieces(self, pieces: list[Piece]) -> None:
        if not pieces:
            return
        stamp = self._clock.stamp()
        self._store.append(self._source, [self._draft(piece) for piece in pieces], stamp)
        if any(isinstance(piece, Frame) for piece in pieces):
            self._meter.last_record_ns = stamp.mono_ns

    def _draft(self, piece: Piece) -> Draft:
        return self._describer.draft(piece, self._describer.counted(piece.data))
