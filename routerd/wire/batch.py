"""Segments up, acks down: the two msgpack documents of `POST /v1/ingest`.

    up     [1, [[source, epoch, first seq, count, codec, dictionary id, raw bytes, crc, payload], …]]
    down   {"v": 1, "acks": [[source, epoch, first seq, count, status], …],
            "processed": [[source, epoch, watermark], …], "codecs": [name, …], "dicts": [id, …],
            "orders": [[id, source, first day, last day, anew], …]}

1 is the version. `status` is `stored`, `duplicate` or `invalid`. A segment that has no ack was not taken and is sent
again. `processed` is the highest sequence number up to which everything of the stream was used, set aside in the cloud
or a declared gap. `orders` ask for documents the POS still has; an order that was met comes no more. A batch without
segments is a question for the last two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from routerd.errors import CorruptError
from routerd.model import Segment, SegmentInfo, Stream
from routerd.wire import codec

VERSION = 1
STORED, DUPLICATE, INVALID = "stored", "duplicate", "invalid"
_STATUSES = (STORED, DUPLICATE, INVALID)
MAX_BATCH_BYTES = 4 << 20  # what a cloud must accept; routers send far less
_MAX_U63 = (1 << 63) - 1  # SQLite's largest integer


@dataclass(frozen=True, slots=True)
class Ack:
    """The cloud's word on one segment."""

    stream: Stream
    first_seq: int
    count: int
    status: str


@dataclass(frozen=True, slots=True)
class Order:
    """The cloud misses something of these business days (ISO dates, both included): read them again from the POS."""

    id: int
    source: str
    first_day: str
    last_day: str
    anew: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """All the cloud says to a batch. `processed` maps streams to watermarks."""

    acks: tuple[Ack, ...]
    processed: tuple[tuple[Stream, int], ...] = ()
    codecs: tuple[str, ...] = (codec.ZLIB,)
    dictionary_ids: tuple[int, ...] = ()
    orders: tuple[Order, ...] = ()


def seal(stream: Stream, first_seq: int, count: int, body: bytes, packed: tuple[str, int, bytes]) -> Segment:
    """A segment from its body and what became of it: (codec, dictionary id, payload)."""
    name, dict_id, payload = packed
    crc = codec.checksum(_head(stream, first_seq, count, name, dict_id, len(body)), payload)
    return Segment(SegmentInfo(stream, first_seq, count, name, dict_id, len(body), crc), payload)


def is_intact(segment: Segment) -> bool:
    info = segment.info
    head = _head(info.stream, info.first_seq, info.count, info.codec, info.dict_id, info.raw_bytes)
    return codec.checksum(head, segment.payload) == info.crc


def pack_segment(segment: Segment) -> bytes:
    """One segment as it stands in a batch, in a flash frame and in a hot file."""
    info, stream = segment.info, segment.info.stream
    row = [stream.source, stream.epoch, info.first_seq, info.count, codec.CODES[info.codec]]
    return bytes(msgpack.packb([*row, info.dict_id, info.raw_bytes, info.crc, segment.payload]))


def pack_batch(packed_segments: Sequence[bytes]) -> bytes:
    """A batch from segments packed by `pack_segment`: nothing is encoded twice."""
    packer = msgpack.Packer(autoreset=False)
    packer.pack_array_header(2)
    packer.pack(VERSION)
    packer.pack_array_header(len(packed_segments))
    return b"".join([packer.bytes(), *packed_segments])


def unpack_batch(data: bytes) -> list[Segment]:
    """Raises CorruptError unless every row has the right shape; checksums are the caller's to check, one by one."""
    match _document(data, "batch"):
        case [int(version), list(rows)] if version == VERSION:
            return [unpack_segment(row) for row in rows]
        case [int(version), *_] if version != VERSION:
            raise CorruptError("batch.version", f"this is no batch of version {VERSION}")
    raise CorruptError("batch.shape", "a batch holds a list of segments")


def unpack_segments(data: bytes) -> list[Segment]:
    """Segments that follow each other without a batch around them (a flash frame, a hot file)."""
    unpacker = msgpack.Unpacker(max_buffer_size=max(len(data), 1), max_bin_len=codec.MAX_RAW_BYTES)
    unpacker.feed(data)
    found = []
    try:
        while unpacker.tell() < len(data):
            found.append(unpack_segment(unpacker.unpack()))
    except (msgpack.UnpackException, ValueError, UnicodeDecodeError) as exc:
        raise CorruptError("segment.torn", f"undecodable at byte {unpacker.tell()} of {len(data)}") from exc
    return found


def unpack_segment(row: Any) -> Segment:
    match row:
        case [
            str(source),
            int(epoch),
            int(first),
            int(count),
            int(code),
            int(dict_id),
            int(raw),
            int(crc),
            bytes(payload),
        ]:
            in_range = 0 < epoch <= _MAX_U63 and 0 < first <= first + count <= _MAX_U63 and count > 0
            if in_range and code in codec.NAMES and 0 < len(source) <= 64 and 0 <= raw <= codec.MAX_RAW_BYTES:
                info = SegmentInfo(Stream(source, epoch), first, count, codec.NAMES[code], dict_id, raw, crc)
                return Segment(info, payload)
    raise CorruptError("segment.shape", "a segment is malformed")


def pack_answer(answer: Answer) -> bytes:
    acks = [[a.stream.source, a.stream.epoch, a.first_seq, a.count, a.status] for a in answer.acks]
    processed = [[stream.source, stream.epoch, seq] for stream, seq in answer.processed]
    orders = [[order.id, order.source, order.first_day, order.last_day, order.anew] for order in answer.orders]
    down = {"v": VERSION, "acks": acks, "processed": processed, "codecs": list(answer.codecs)}
    return bytes(msgpack.packb({**down, "dicts": list(answer.dictionary_ids), "orders": orders}))


def unpack_answer(data: bytes) -> Answer:
    """Raises CorruptError. Unknown fields are ignored: a newer cloud may say more."""
    document = _document(data, "answer")
    if not isinstance(document, dict) or document.get("v") != VERSION:
        raise CorruptError("answer.version", f"this is no answer of version {VERSION}")
    try:
        acks = tuple(_ack(row) for row in document["acks"])
        processed = tuple(_watermark(row) for row in document.get("processed", ()))
        codecs = tuple(str(name) for name in document.get("codecs", (codec.ZLIB,)))
        ids = tuple(int(number) for number in document.get("dicts", ()))
        orders = tuple(_order(row) for row in document.get("orders", ()))
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptError("answer.shape", "the cloud's answer is malformed") from exc
    return Answer(acks, processed, codecs, ids, orders)


def _ack(row: Any) -> Ack:
    match row:
        case [str(source), int(epoch), int(first), int(count), str(status)] if status in _STATUSES:
            return Ack(Stream(source, epoch), first, count, status)
    raise ValueError("an ack is malformed")


def _watermark(row: Any) -> tuple[Stream, int]:
    match row:
        case [str(source), int(epoch), int(seq)]:
            return Stream(source, epoch), seq
    raise ValueError("a watermark is malformed")


def _order(row: Any) -> Order:
    match row:
        case [int(number), str(source), str(first_day), str(last_day), bool(anew)]:
            return Order(number, source, first_day, last_day, anew)
    raise ValueError("an order is malformed")


def _document(data: bytes, what: str) -> Any:
    try:
        return msgpack.unpackb(data, strict_map_key=True)
    except (msgpack.UnpackException, ValueError, UnicodeDecodeError) as exc:
        raise CorruptError(f"{what}.torn", f"this is no msgpack {what}") from exc


def _head(stream: Stream, first_seq: int, count: int, name: str, dict_id: int, raw_bytes: int) -> bytes:
    row = [stream.source, stream.epoch, first_seq, count, codec.CODES[name], dict_id, raw_bytes]
    return bytes(msgpack.packb(row))
