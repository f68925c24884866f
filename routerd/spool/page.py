"""The flash format: frames on self-describing pages. Pure.

A page is the body of one ring row, exactly PAGE_BYTES long, so that its SQLite leaf is overwritten in place:

    magic 4 | generation u64 | index u16 | total u16 | used u16 | crc32 u32 | payload

A frame is `total` pages of one generation; generations grow and are never reused. Its payload begins with

    oldest live u64 | boot u32 | monotonic ns i64 | wall ms i64 | synced u8

The first is the generation of the oldest frame that was still live when this one was written: acks ride along and cost
no write. The others say when the oldest record in it was captured, so that its age is known after a restart. The rest
is segments as packed by `wire.batch.pack_segment`. A frame with no segments only carries the watermark.
"""

import struct
import zlib
from dataclasses import dataclass

from routerd.model import Stamp

PAGE_BYTES = 4056  # the largest blob whose row fills one 4,096-byte SQLite leaf without overflowing
_HEADER = struct.Struct(">4sQHHHI")
_MAGIC = b"RDp1"
_LEAD = struct.Struct(">QIqq?")
_BLANK = bytes(PAGE_BYTES)
CAPACITY = PAGE_BYTES - _HEADER.size
UNDATED = Stamp("00000000", 0, 0, synced=False)
MAX_PAGES = 400  # a frame of 1.6 MB: the largest record with everything around it


@dataclass(frozen=True, slots=True)
class Frame:
    """What one commit put on flash. `row` is the first of `total` consecutive ring rows; `since` is when the oldest
    record in it was captured."""

    generation: int
    row: int
    total: int
    oldest_live: int
    since: Stamp
    segments: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame stands: `rows` consecutive rows from `row`."""

    generation: int
    row: int
    rows: int


@dataclass(frozen=True, slots=True)
class Page:
    generation: int
    index: int
    total: int
    payload: bytes


def pages_needed(segment_bytes: int) -> int:
    return -(-(segment_bytes + _LEAD.size) // CAPACITY)


def pack(generation: int, oldest_live: int, segments: bytes, since: Stamp = UNDATED) -> bytes:
    """All pages of a frame, joined: a multiple of PAGE_BYTES."""
    payload = _LEAD.pack(oldest_live, int(since.boot_id, 16), since.mono_ns, since.wall_ms, since.synced) + segments
    total = -(-len(payload) // CAPACITY)
    return b"".join(
        _pack_page(generation, index, total, payload[index * CAPACITY : (index + 1) * CAPACITY])
        for index in range(total)
    )


def _pack_page(generation: int, index: int, total: int, payload: bytes) -> bytes:
    crc = zlib.crc32(payload, zlib.crc32(struct.pack(">QHHH", generation, index, total, len(payload))))
    header = _HEADER.pack(_MAGIC, generation, index, total, len(payload), crc)
    return (header + payload).ljust(PAGE_BYTES, b"\0")


def unpack_page(body: bytes) -> Page | None:
    """The page in a row's body, or None if there is no intact one."""
    if len(body) != PAGE_BYTES or not body.startswith(_MAGIC):
        return None
    _, generation, index, total, used, crc = _HEADER.unpack_from(body)
    payload = body[_HEADER.size : _HEADER.size + used]
    if zlib.crc32(payload, zlib.crc32(struct.pack(">QHHH", generation, index, total, used))) != crc:
        return None
    return Page(generation, index, total, payload)


def is_blank(body: bytes) -> bool:
    """Whether a row was never written since the ring was made."""
    return body == _BLANK


class Assembler:
    """Puts frames together from pages that come in any order, holding only what is incomplete."""

    def __init__(self) -> None:
        self._parts: dict[tuple[int, int], dict[int, bytes]] = {}

    def add(self, row: int, page: Page) -> Frame | None:
        """The frame this page completed, if any. A frame with a page missing never was committed."""
        key = (page.generation, row - page.index)
        parts = self._parts.setdefault(key, {})
        parts[page.index] = page.payload
        if len(parts) < page.total:
            return None
        del self._parts[key]
        payload = b"".join(parts[index] for index in range(page.total))
        oldest_live, boot, *since = _LEAD.unpack_from(payload)
        stamp = Stamp(f"{boot:08x}", *since)
        return Frame(page.generation, key[1], page.total, oldest_live, stamp, payload[_LEAD.size :])
