"""From the bytes of a request to segments that are usable or not, each on its own. Pure."""

import hashlib
from collections.abc import Sequence
from itertools import islice

from fleetd.store import Item, Unusable, Usable
from routerd.errors import CorruptError
from routerd.model import GAP, Gap, Record, Segment, SegmentInfo
from routerd.wire import batch, body
from routerd.wire.codec import Codebook

MAX_SEGMENTS = 4096  # of a request: each costs the writer a few statements
MAX_RAW_BYTES = 32 << 20  # of a request, unpacked: 4 MiB that arrive could otherwise claim gigabytes
MAX_RECORDS = 1 << 17  # of a segment and of a request: a 256 KiB dense frame of the shortest records holds 32,768
_MIN_RECORD_BYTES = 8  # array, kind, time, empty data (2), two nils, empty text
_MIN_I64, _MAX_I64 = -(1 << 63), (1 << 63) - 1
_MAX_SOURCE = 64  # as wire.batch holds it for a segment's own stream


def affordable(segments: Sequence[Segment]) -> Sequence[Segment]:
    """The first segments that are cheap enough for one request, at least one. The others get no ack: sent again."""
    raw = records = 0
    for taken, segment in enumerate(segments):
        if _plausible(segment.info):  # the others cost nothing: they are refused unread
            raw += segment.info.raw_bytes
            records += segment.info.count
        if taken and (taken == MAX_SEGMENTS or raw > MAX_RAW_BYTES or records > MAX_RECORDS):
            return segments[:taken]
    return segments


def judge(segment: Segment, codebook: Codebook) -> Usable | Unusable:
    """Checksum, decompress, decode and count. Never raises on what a segment holds."""
    try:
        return Usable(segment, _items(segment, codebook))
    except CorruptError as exc:
        return Unusable(segment, exc.code, str(exc))


def content_digest(data: bytes) -> bytes:
    """What makes two deliveries of one POS transaction the same: SHA-256 without the white space around."""
    return hashlib.sha256(data.strip()).digest()


def _items(segment: Segment, codebook: Codebook) -> tuple[Item, ...]:
    info = segment.info
    if not batch.is_intact(segment):
        raise CorruptError("segment.crc", "the checksum does not match")
    if not _plausible(info):
        raise CorruptError("segment.count", f"{info.count} records do not fit in {info.raw_bytes} bytes")
    content = codebook.decompress(segment.payload, info.codec, info.dict_id, info.raw_bytes)
    decoded = body.records(content, info.stream, info.first_seq)
    items = tuple(_item(record) for record in islice(decoded, info.count))
    extra = next(decoded, None)
    if len(items) != info.count or extra is not None:
        said = f"more than {len(items)}" if extra else str(len(items))
        raise CorruptError("segment.count", f"{info.count} records were declared, {said} came out")
    return items


def _plausible(info: SegmentInfo) -> bool:
    return info.count <= min(MAX_RECORDS, info.raw_bytes // _MIN_RECORD_BYTES)


def _item(record: Record) -> Item:
    mono_ms = record.stamp.mono_ns // 1_000_000
    if not (_MIN_I64 <= mono_ms <= _MAX_I64 and _MIN_I64 <= record.stamp.wall_ms <= _MAX_I64):
        raise CorruptError("body.time", f"record {record.seq} has a time beyond 63 bits")
    gap = _gap(record.draft.data) if record.draft.kind == GAP else None
    return Item(record, content_digest(record.draft.data), gap)


def _gap(data: bytes) -> Gap:
    gap = body.unpack_gap(data)
    stream = gap.stream
    named = 0 < len(stream.source) <= _MAX_SOURCE and 0 < stream.epoch <= _MAX_I64
    ordered = gap.first == 0 or gap.first <= gap.last
    small = max(gap.last, gap.lost_bytes, gap.from_wall_ms, gap.to_wall_ms) < _MAX_I64
    if not (named and ordered and small):
        raise CorruptError("gap.range", "a gap record names an impossible range")
    return gap
