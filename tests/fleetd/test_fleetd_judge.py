"""Hostile segments are unusable, cheaply, and never more than that."""

import tracemalloc
import zlib

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetd.judge import MAX_RAW_BYTES, MAX_RECORDS, MAX_SEGMENTS, affordable, judge
from fleetd.store import Unusable, Usable
from routerd.model import GAP, RECORD, Draft, Gap, Segment, SegmentInfo, Stamp, Stream
from routerd.wire import batch, body, codec
from tests.fleetd.kit import BOOK, POS1, STAMP, broken, packed_body, run_of, sale, sales, segment

_ZSTD_BLOCK = 128 << 10


def sealed(content: bytes, count: int, *, payload: bytes | None = None, name: str = "raw") -> Segment:
    return batch.seal(POS1, 1, count, content, (name, 0, content if payload is None else payload))


def code(found: Segment) -> str:
    judged = judge(found, BOOK)
    return judged.code if isinstance(judged, Unusable) else "usable"


@pytest.mark.parametrize("name", BOOK.codecs)
def test_a_good_segment_yields_its_records_in_every_codec(name: str) -> None:
    judged = judge(segment(11, sales(11, 13), codec=name), BOOK)
    assert isinstance(judged, Usable)
    assert [(item.record.seq, item.record.draft) for item in judged.items] == list(enumerate(sales(11, 13), 11))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (broken(run_of(1, 3)), "segment.crc"),
        (sealed(packed_body(sales(1, 3)), 2), "segment.count"),
        (sealed(packed_body(sales(1, 3)), 4), "segment.count"),
        (sealed(packed_body(sales(1, 3)), 1 << 62), "segment.count"),
        (sealed(b"", 1), "segment.count"),
        (sealed(packed_body(sales(1, 3))[:-1], 3), "body.torn"),
        (sealed(packed_body(sales(1, 3)) + b"\xc0", 3), "body.shape"),
        (sealed(body.pack_record(sale(1), 0), 1), "body.headless"),
        (sealed(packed_body([Draft(9, b"", None)]), 1), "body.record"),
        (sealed(packed_body([Draft(GAP, b"nothing")]), 1), "gap.shape"),
        (sealed(packed_body(sales(1, 3)), 3, payload=b"\xff\xff", name="zlib"), "segment.payload"),
        (sealed(packed_body(sales(1, 3)), 3, payload=b"\xff\xff", name="zstd"), "segment.payload"),
        (batch.seal(POS1, 1, 1, packed_body([sale(1)]), ("zlib", 77, b"")), "segment.dictionary"),
    ],
)
def test_a_damaged_segment_says_what_is_wrong(found: Segment, expected: str) -> None:
    assert code(found) == expected


@pytest.mark.parametrize(
    "lost",
    [
        Gap(POS1, 5, 4, "x"),
        Gap(Stream("", 1), 1, 2, "x"),
        Gap(Stream("p" * 65, 1), 1, 2, "x"),
        Gap(Stream("pos1", 0), 1, 2, "x"),
        Gap(Stream("pos1", 1 << 63), 1, 2, "x"),
        Gap(POS1, 1, (1 << 63) - 1, "x"),
        Gap(POS1, 1, 2, "x", lost_bytes=1 << 63),
    ],
)
def test_a_gap_with_impossible_numbers_is_refused(lost: Gap) -> None:
    assert code(segment(1, [body.gap_draft(lost)])) == "gap.range"


@pytest.mark.parametrize("wall_ms", [1 << 63, (1 << 64) - 1])
def test_a_time_no_database_can_hold_is_refused(wall_ms: int) -> None:
    late = Stamp(STAMP.boot_id, STAMP.mono_ns, wall_ms, True)
    assert code(sealed(packed_body([sale(1)], late), 1)) == "body.time"


def test_a_time_before_1970_and_one_at_the_edge_are_taken() -> None:
    for wall_ms in (-1, (1 << 63) - 1):
        assert code(sealed(packed_body([sale(1)], Stamp(STAMP.boot_id, 0, wall_ms, False)), 1)) == "usable"


def deflate_bomb(blocks: int) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflate.compress(bytes(blocks * _ZSTD_BLOCK)) + deflate.flush()


def zstd_bomb(blocks: int, descriptor: int, content_size: bytes) -> bytes:
    """A frame of run-length blocks (RFC 8878, 3.1.1): four bytes each, 128 KiB of zeros."""
    block = (_ZSTD_BLOCK << 3 | 1 << 1).to_bytes(3, "little") + b"\0"
    last = (_ZSTD_BLOCK << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    head = b"\x28\xb5\x2f\xfd" + bytes([descriptor, 7 << 3]) + content_size
    return head + block * (blocks - 1) + last


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("zlib", deflate_bomb(512)),
        ("zstd", zstd_bomb(512, 0, b"")),  # says nothing of its size
        ("zstd", zstd_bomb(512, 0xC0, (150).to_bytes(8, "little"))),  # lies about it
    ],
    ids=["zlib", "zstd-silent", "zstd-lying"],
)
def test_a_decompression_bomb_stops_at_what_it_declared(name: str, payload: bytes) -> None:
    segment = sealed(packed_body(sales(1, 3)), 3, payload=payload, name=name)
    tracemalloc.start()
    try:
        assert code(segment) == "segment.payload"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20, "64 MiB would have come out"


def test_a_segment_of_more_records_than_the_limit_is_refused_before_it_is_decoded() -> None:
    head, shortest = body.pack_head(STAMP), body.pack_record(Draft(RECORD, b""), 0)
    assert code(sealed(head + shortest * (MAX_RECORDS + 1), MAX_RECORDS + 1)) == "segment.count"
    assert code(sealed(head + shortest * MAX_RECORDS, MAX_RECORDS)) == "usable"


def claims(count: int, raw_bytes: int) -> Segment:
    return Segment(SegmentInfo(POS1, 1, count, "raw", 0, raw_bytes, 0), b"")


@pytest.mark.parametrize(
    ("claimed", "taken"),
    [
        ([claims(1, 100)] * (MAX_SEGMENTS + 5), MAX_SEGMENTS),
        ([claims(1, codec.MAX_RAW_BYTES)] * 20, MAX_RAW_BYTES // codec.MAX_RAW_BYTES),
        ([claims(MAX_RECORDS // 2, 1 << 20)] * 5, 2),
        ([claims(MAX_RECORDS, codec.MAX_RAW_BYTES)] * 5, 1),
        ([claims(MAX_RECORDS + 1, codec.MAX_RAW_BYTES)] * 50, 50),
        ([claims(1 << 62, 100)] * 50, 50),
        ([], 0),
    ],
)
def test_a_request_is_taken_as_far_as_it_is_affordable(claimed: list[Segment], taken: int) -> None:
    assert len(affordable(claimed)) == taken


_FEWER = settings(max_examples=50)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | st.binary() | st.text(),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
_HEAD = st.just([-1, bytes(16), 0, 0, True])
_RECORD = st.tuples(st.sampled_from([-1, 0, 1, 2, 3]), _ANYTHING, st.binary(max_size=9), *[_ANYTHING] * 3).map(list)


@_FEWER
@given(st.lists(_HEAD | _RECORD | _ANYTHING, max_size=5), st.integers(1, 5), st.binary(max_size=4))
def test_any_body_is_judged_without_raising(items: list[object], count: int, tail: bytes) -> None:
    content = b"".join(msgpack.packb(item) for item in items) + tail
    assert isinstance(judge(sealed(content, count), BOOK), Usable | Unusable)


@_FEWER
@given(st.binary(max_size=60))
def test_any_gap_is_judged_without_raising(data: bytes) -> None:
    assert code(segment(1, [Draft(GAP, data)])) in ("gap.shape", "gap.range", "usable")


@_FEWER
@given(st.lists(_ANYTHING, min_size=8, max_size=8))
def test_any_eight_things_as_a_gap_are_judged_without_raising(fields: list[object]) -> None:
    assert code(segment(1, [Draft(GAP, msgpack.packb(fields))])) in ("gap.shape", "gap.range", "usable")
