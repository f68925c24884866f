"""Where records become segments: one segment being filled per source, sealed by size or by the spool's timer."""

from collections.abc import Mapping
from dataclasses import dataclass

from routerd.model import Draft, Segment, SegmentInfo, Stamp, Stream
from routerd.spool.hot import HotFiles
from routerd.wire import batch, body, codec

SEAL_BYTES = 64 << 10  # past this a larger segment compresses no better and costs memory per source
_STEP_MS = 500  # a wall clock that moved this much against the monotonic one has been set


@dataclass(slots=True)
class Open:
    """A segment being filled. The first `written` bytes of its content are in its file."""

    stream: Stream
    first_seq: int
    head: Stamp
    fd: int
    content: bytearray
    count: int = 0
    written: int = 0

    @property
    def next_seq(self) -> int:
        return self.first_seq + self.count


@dataclass(frozen=True, slots=True)
class Sealed:
    """A segment that is complete, as it is stored and sent; `since` is when its first record was captured."""

    info: SegmentInfo
    packed: bytes
    since: Stamp


class Writer:
    """Numbers records, packs them, keeps them in RAM-backed files, compresses them once."""

    def __init__(self, epoch: int, files: HotFiles, codebook: codec.Codebook, dictionaries: Mapping[str, int]) -> None:
        self.codec = codec.ZLIB
        self._epoch = epoch
        self._files = files
        self._codebook = codebook
        self._dictionaries = dictionaries
        self._open: dict[str, Open] = {}
        self._next_seq: dict[str, int] = {}

    def append(self, source: str, drafts: list[Draft], stamp: Stamp) -> list[Sealed]:
        """Store records; returns what that sealed."""
        sealed: list[Sealed] = []
        segment = self._open.get(source)
        for draft in drafts:
            if segment and (len(segment.content) + len(draft.data) > SEAL_BYTES or _stepped(segment.head, stamp)):
                sealed += self.seal(source)
                segment = None
            if segment is None:
                segment = self._begin(source, stamp)
            since_ms = (stamp.mono_ns - segment.head.mono_ns) // 1_000_000
            segment.content += body.pack_record(draft, since_ms)
            segment.count += 1
        if segment:
            self._write(segment)
            if len(segment.content) >= SEAL_BYTES:
                sealed += self.seal(source)
        return sealed

    def _write(self, segment: Open) -> None:
        """Bring what is new in the segment to its file."""
        with memoryview(segment.content) as content:
            if self._files.append(segment.fd, content[segment.written :]):
                segment.written = len(segment.content)

    def seal(self, source: str) -> list[Sealed]:
        """Compress what the source's open segment holds; nothing if there is none."""
        segment = self._open.pop(source, None)
        if segment is None:
            return []
        self._next_seq[source] = segment.next_seq
        content = bytes(segment.content)
        made = self.compress(segment.stream, segment.first_seq, segment.count, content)
        packed = batch.pack_segment(made)
        stored_bytes = len(content) if segment.written == len(content) else 0
        self._files.seal(segment.fd, segment.stream, segment.first_seq, packed, body_bytes=stored_bytes)
        return [Sealed(made.info, packed, segment.head)]

    def is_stored(self, source: str) -> bool:
        """Whether the records last appended are in a RAM-backed file: SIGKILL would not lose them."""
        segment = self._open.get(source)
        return segment.written == len(segment.content) if segment else not self._files.failing

    def compress(self, stream: Stream, first_seq: int, count: int, content: bytes, *, dense: bool = False) -> Segment:
        """A segment from its body, with the source's dictionary and the best codec both sides know."""
        dict_id = self._dictionaries.get(stream.source, 0)
        payload = self._codebook.compress(content, self.codec, dict_id, dense=dense)
        return batch.seal(stream, first_seq, count, content, (self.codec, dict_id, payload))

    def expand(self, segment: Segment) -> bytes:
        """The body of a segment of ours. Raises CorruptError."""
        info = segment.info
        return self._codebook.decompress(segment.payload, info.codec, info.dict_id, info.raw_bytes)

    def stream(self, source: str) -> Stream:
        return Stream(source, self._epoch)

    def next_seq(self, source: str) -> int:
        segment = self._open.get(source)
        return segment.next_seq if segment else self._next_seq.get(source, 1)

    def open_seq(self, source: str) -> int:
        """The first sequence number that is in no segment yet."""
        segment = self._open.get(source)
        return segment.first_seq if segment else self._next_seq.get(source, 1)

    def oldest_open(self) -> dict[str, int]:
        """When the first record of each open segment was captured, monotonic ns."""
        return {source: segment.head.mono_ns for source, segment in self._open.items()}

    def open_since_ns(self, source: str) -> int | None:
        """When the first record of the source's open segment was captured; None if it has none."""
        segment = self._open.get(source)
        return segment.head.mono_ns if segment else None

    def queued(self) -> dict[str, int]:
        return {source: segment.count for source, segment in self._open.items()}

    def _begin(self, source: str, stamp: Stamp) -> Open:
        first_seq = self._next_seq.get(source, 1)
        stream = self.stream(source)
        fd = self._files.create(stream, first_seq)
        segment = Open(stream, first_seq, stamp, fd, bytearray(body.pack_head(stamp)))
        self._open[source] = segment
        return segment


def _stepped(head: Stamp, now: Stamp) -> bool:
    wall_ms = now.wall_ms - head.wall_ms
    mono_ms = (now.mono_ns - head.mono_ns) // 1_000_000
    return head.synced != now.synced or abs(wall_ms - mono_ms) > _STEP_MS
