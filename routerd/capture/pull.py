"""A document that the POS keeps, read once more: what was not captured before becomes records.

The same record comes again with every poll of a growing document, with the shift's file and the day's, after a
restart. It is known by the digest of its masked bytes, so neither a counter that was reset nor a record without an id
is mistaken for another. What a document consists of travels behind it (`model.Document`), so that the cloud can tell
what is missing from it without being sent it twice.
"""

import hashlib
import re
from typing import Protocol

from routerd.capture.session import Describer, Meter, Reading
from routerd.clock import Clock
from routerd.framing import Frame, Noise, Piece
from routerd.model import Document, Draft, Run, Stamp
from routerd.wire.body import document_draft

_EDGE_BYTES = 1024  # of a document's beginning and end: its first start tag stands there, and its last end tag
_ROOT = re.compile(rb"<([A-Za-z_][^\s/>]*)")
_MISC = re.compile(
    rb"<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^\[>]*(?:\[.*?\])?\s*>", re.DOTALL
)  # XML 1.0, 2.8: beside the root
_AFTER = b" \t\r\n\0"  # NUL: what pads a file to whole blocks


class Memory(Protocol):
    """Where each known key of a source was captured: (epoch, sequence number). Bounded: the oldest are forgotten."""

    def find(self, key: int) -> tuple[int, int] | None: ...
    def add(self, key: int, seq: int) -> None:
        """`key` (63 bits) was captured in the running epoch under `seq`. Call after `Store.append`."""
        ...

    @property
    def epoch(self) -> int: ...


def key_of(data: bytes) -> int:
    """What a record is remembered by: 63 bits of a digest of its masked bytes without the white space around."""
    return int.from_bytes(hashlib.blake2b(data.strip(), digest_size=8).digest()) >> 1


def document_key(name: str) -> int:
    """What a document taken whole is remembered by."""
    return key_of(b"document\0" + name.encode())


class DocumentFetch:
    """One reading of one document: see `link.PullInlet.fetch`."""

    def __init__(
        self, name: str, reading: Reading, store: "SourceStore", clock: Clock, meter: Meter, *, final: bool, anew: bool
    ) -> None:
        self.frames = 0
        self.fresh = 0
        self._name = name
        self._framer = reading.framer
        self._describer = Describer(reading.dialect, meter)
        self._store = store
        self._clock = clock
        self._meter = meter
        self._final = final
        self._anew = anew
        self._first_seq = 0
        self._runs: list[Run] = []
        self._head = b""
        self._last = b""

    def feed(self, chunk: bytes) -> bool:
        self._meter.bytes_read += len(chunk)
        self._meter.last_read_ns = self._clock.mono_ns()
        if len(self._head) < _EDGE_BYTES:
            self._head = (self._head + chunk)[:_EDGE_BYTES]
        self._last = (self._last + chunk[-_EDGE_BYTES:])[-_EDGE_BYTES:]
        if pieces := self._framer.feed(chunk):
            self._take(pieces)
        return self._store.has_room()

    def end(self) -> bool:
        """A document is whole when its root's end tag closes it and nothing but comments is left over."""
        is_whole = self._is_closed() and not _MISC.sub(b"", self._framer.pending).strip(_AFTER)
        if is_whole and self._final:
            if self._framer.pending.strip(_AFTER):
                self._take(self._framer.close())
            document = Document(self._name, self.frames, tuple(self._runs))
            seq = self._store.append([document_draft(document)], self._clock.stamp())
            self._store.memory.add(document_key(self._name), seq)
        return is_whole

    def _is_closed(self) -> bool:
        root = _ROOT.search(_MISC.sub(b"", self._head))
        name = re.escape(root[1]) if root else rb"[^\s<>/]+"
        last = _MISC.sub(b"", self._last).rstrip(_AFTER)
        return bool(re.search(rb"</" + name + rb"\s*>\Z|<" + name + rb"(?:\s[^<>]*)?/>\Z", last))

    def break_off(self) -> None:
        """The framer and what it holds go with this object."""

    def _take(self, pieces: list[Piece]) -> None:
        """Store what is new. First the records, then the memory of them: a kill in between only repeats."""
        wanted = [piece for piece in pieces if self._final or isinstance(piece, Noise) or not piece.envelope]
        keys = [key_of(self._describer.masked(piece.data)) for piece in wanted]
        fresh = {key: piece for key, piece in zip(keys, wanted, strict=True) if not self._known(key)}
        if fresh:
            stamp = self._clock.stamp()
            drafts = [self._describer.draft(piece, self._describer.counted(piece.data)) for piece in fresh.values()]
            seq = self._store.append(drafts, stamp)
            self._first_seq = self._first_seq or seq
            for key in fresh:
                self._store.memory.add(key, seq)
                seq += 1
            self._meter.last_record_ns = stamp.mono_ns
        self.fresh += len(fresh)
        for key, piece in zip(keys, wanted, strict=True):
            if isinstance(piece, Frame):
                self.frames += 1
                self._note(self._store.memory.find(key))

    def _known(self, key: int) -> bool:
        place = self._store.memory.find(key)
        if place is None or not self._anew:
            return place is not None
        return place[0] == self._store.memory.epoch and 0 < self._first_seq <= place[1]

    def _note(self, place: tuple[int, int] | None) -> None:
        """Lengthen the last run, or begin one."""
        epoch, seq = place or (0, 0)
        last = self._runs[-1] if self._runs else None
        if last and (epoch, seq) == (last.epoch, last.last + 1):
            self._runs[-1] = Run(epoch, last.first, seq)
        else:
            self._runs.append(Run(epoch, seq, seq))


class SourceStore(Protocol):
    """What the spool gives one source that can be read again."""

    @property
    def memory(self) -> Memory: ...
    def append(self, drafts: list[Draft], stamp: Stamp) -> int: ...
    def has_room(self) -> bool: ...
