"""The records of a segment before compression: a run of msgpack arrays.

    [boot, mono ms, wall ms, synced]                               a clock head: what follows counts from here
    [kind, ms since the head, data, identity, pos time, pos kind]  one record; sequence numbers are implied

The two are told apart by their length. `boot` is the first 32 bits of the kernel's boot id: one device's boots are
told apart by far less, and nothing in a live ticket compresses as badly.

A body may hold several heads (the clock stepped, or bodies were joined). Joining bodies of consecutive segments is
concatenation, so a dense frame costs no re-encoding.
"""

from collections.abc import Iterator
from typing import Any

import msgpack

from routerd.errors import CorruptError
from routerd.model import DOCUMENT, GAP, KIND_NAMES, Document, Draft, Gap, Record, Run, Stamp, Stream

_HEAD_FIELDS = 4
MAX_NAME = 255  # of a document: the longest file name there is
_MAX_U63 = (1 << 63) - 1
MAX_RECORD_BYTES = (1 << 20) + 4096  # framing.MAX_FRAME_BYTES and the record's own fields
_pack = msgpack.Packer(use_bin_type=True, autoreset=True).pack


def pack_head(stamp: Stamp) -> bytes:
    """A clock head."""
    return bytes(_pack([int(stamp.boot_id, 16), stamp.mono_ns // 1_000_000, stamp.wall_ms, stamp.synced]))


def pack_record(draft: Draft, since_head_ms: int) -> bytes:
    """One record. Descriptions stand behind the data, where the compressor finds them again in it."""
    return bytes(_pack([draft.kind, since_head_ms, draft.data, draft.identity, draft.pos_time, draft.pos_kind]))


def records(body: bytes, stream: Stream, first_seq: int) -> Iterator[Record]:
    """The records of a whole body. Raises CorruptError at the first thing that is none."""
    head: Stamp | None = None
    seq = first_seq
    for item in items(body):
        if len(item) == _HEAD_FIELDS:
            head = _head(item)
            continue
        if head is None:
            raise CorruptError("body.headless", "a record stands before the first clock head")
        draft = _draft(item)  # first: it knows that the item is long enough
        yield Record(stream, seq, _stamp(head, item[1]), draft)
        seq += 1


def items(body: bytes) -> Iterator[list[Any]]:
    """The arrays of a body, shape not yet checked beyond being a non-empty array."""
    unpacker = msgpack.Unpacker(
        max_buffer_size=max(len(body), 1), max_bin_len=MAX_RECORD_BYTES, max_str_len=1024, max_array_len=8
    )
    unpacker.feed(body)
    try:
        while unpacker.tell() < len(body):
            item = unpacker.unpack()
            if not isinstance(item, list) or not item:
                raise CorruptError("body.shape", f"not an array at byte {unpacker.tell()}")
            yield item
    except (msgpack.UnpackException, ValueError, UnicodeDecodeError) as exc:
        raise CorruptError("body.torn", f"undecodable at byte {unpacker.tell()} of {len(body)}") from exc


def whole_items(body: bytes) -> tuple[bytes, int]:
    """The longest prefix of `body` that is whole, and how many records it holds: recovery of a file cut by a kill."""
    end = count = 0
    unpacker = msgpack.Unpacker(max_buffer_size=max(len(body), 1))
    unpacker.feed(body)
    while end < len(body):
        try:
            item = unpacker.unpack()
        except (msgpack.UnpackException, ValueError, UnicodeDecodeError):
            break
        if not isinstance(item, list) or not item:
            break
        count += len(item) != _HEAD_FIELDS
        end = unpacker.tell()
    return body[:end], count


def pack_gap(gap: Gap) -> bytes:
    """The data of a record of kind GAP."""
    stream = gap.stream
    fields = [stream.source, stream.epoch, gap.first, gap.last, gap.cause]
    return bytes(_pack([*fields, gap.lost_bytes, gap.from_wall_ms, gap.to_wall_ms]))


def gap_draft(gap: Gap) -> Draft:
    return Draft(GAP, pack_gap(gap))


def unpack_gap(data: bytes) -> Gap:
    """Raises CorruptError."""
    try:
        source, epoch, first, last, cause, lost_bytes, from_ms, to_ms = msgpack.unpackb(data)
        if not isinstance(source, str) or not isinstance(cause, str):
            raise TypeError("names are text")
        numbers = (epoch, first, last, lost_bytes, from_ms, to_ms)
        if any(type(number) is not int or number < 0 for number in numbers):
            raise TypeError("numbers are whole and not negative")
    except (ValueError, TypeError, msgpack.UnpackException) as exc:
        raise CorruptError("gap.shape", "a gap record holds no gap") from exc
    return Gap(Stream(source, epoch), first, last, cause, lost_bytes, from_ms, to_ms)


def document_draft(document: Document) -> Draft:
    """A record of kind DOCUMENT: [name, frames, [[epoch, first, count], …]]."""
    runs = [[run.epoch, run.first, run.last - run.first + 1] for run in document.runs]
    return Draft(DOCUMENT, bytes(_pack([document.name, document.frames, runs])))


def unpack_document(data: bytes) -> Document:
    """Raises CorruptError."""
    try:
        name, frames, rows = msgpack.unpackb(data)
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or type(frames) is not int:
            raise TypeError("a name is text, a number of frames is a number")
        runs = tuple(_run(row) for row in rows)
    except (ValueError, TypeError, msgpack.UnpackException) as exc:
        raise CorruptError("document.shape", "a document record holds no document") from exc
    if sum(run.last - run.first + 1 for run in runs) != frames:
        raise CorruptError("document.count", "a document's runs do not add up to its frames")
    return Document(name, frames, runs)


def _run(row: Any) -> Run:
    match row:
        case [int(epoch), int(first), int(count)] if min(epoch, first, count) > 0 and max(row) <= _MAX_U63:
            return Run(epoch, first, first + count - 1)
    raise ValueError("a run is malformed")


def _head(item: list[Any]) -> Stamp:
    match item:
        case [int(boot), int(mono_ms), int(wall_ms), bool(synced)] if 0 <= boot < 1 << 32:
            return Stamp(f"{boot:08x}", mono_ms * 1_000_000, wall_ms, synced)
    raise CorruptError("body.head", "a clock head is malformed")


def _stamp(head: Stamp, since_ms: object) -> Stamp:
    if type(since_ms) is not int:
        raise CorruptError("body.record", "a record's time is no whole number")
    return Stamp(head.boot_id, head.mono_ns + since_ms * 1_000_000, head.wall_ms + since_ms, head.synced)


def _draft(item: list[Any]) -> Draft:
    match item:
        case [int(kind), _, bytes(data), str() | None as identity, str() | None as pos_time, str(pos_kind)]:
            if kind in KIND_NAMES:
                return Draft(kind, data, identity, pos_time, pos_kind)
    raise CorruptError("body.record", "a record is malformed")
