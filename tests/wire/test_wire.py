"""What travels is decoded as it was encoded, and hostile bytes are told apart from it."""

import contextlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.errors import CorruptError
from routerd.model import ENVELOPE, GAP, NOISE, RECORD, Draft, Gap, Stamp, Stream
from routerd.wire import batch, body, codec

BOOT = "0f0e0d0c"
STREAM = Stream("till-1", 7 << 32 | 5)
STAMP = Stamp(BOOT, 5_000_000_000, 1_790_000_000_000, synced=True)
BOOK = codec.Codebook({codec.dictionary_id(b"<trans>" * 40): b"<trans>" * 40})

drafts = st.builds(
    Draft,
    st.sampled_from([RECORD, ENVELOPE, NOISE, GAP]),
    st.binary(max_size=2000),
    st.none() | st.text(max_size=40),
    st.none() | st.text(max_size=25),
    st.text(max_size=10),
)


def segment_of(items: list[Draft], first_seq: int = 1, name: str = codec.ZLIB) -> batch.Segment:
    content = body.pack_head(STAMP) + b"".join(body.pack_record(draft, 3) for draft in items)
    dict_id = BOOK.dictionary_ids[-1]
    return batch.seal(STREAM, first_seq, len(items), content, (name, dict_id, BOOK.compress(content, name, dict_id)))


@given(st.lists(drafts, min_size=1, max_size=5), st.sampled_from(BOOK.codecs))
def test_a_record_arrives_as_it_was_sent(items: list[Draft], name: str) -> None:
    sent = segment_of(items, 41, name)
    [arrived] = batch.unpack_batch(batch.pack_batch([batch.pack_segment(sent)]))
    assert arrived == sent
    assert batch.is_intact(arrived)
    info = arrived.info
    content = BOOK.decompress(arrived.payload, info.codec, info.dict_id, info.raw_bytes)
    records = list(body.records(content, info.stream, info.first_seq))
    assert [record.draft for record in records] == items
    assert [record.seq for record in records] == list(range(41, 41 + len(items)))
    assert {record.stamp.wall_ms for record in records} == {STAMP.wall_ms + 3}


def test_joined_bodies_keep_each_records_own_clock() -> None:
    later = Stamp(BOOT, 9_000_000_000, 5, synced=False)
    content = body.pack_head(STAMP) + body.pack_record(Draft(RECORD, b"a"), 1)
    content += body.pack_head(later) + body.pack_record(Draft(RECORD, b"b"), 2)
    stamps = [record.stamp for record in body.records(content, STREAM, 1)]
    assert [(stamp.wall_ms, stamp.synced) for stamp in stamps] == [(STAMP.wall_ms + 1, True), (7, False)]


def test_any_flipped_byte_of_a_segment_is_noticed() -> None:
    segment = segment_of([Draft(RECORD, b"<trans>sale</trans>", "id", None, "sale")])
    packed = batch.pack_segment(segment)
    for at in range(len(packed)):
        damaged = packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1 :]
        try:
            [found] = batch.unpack_segments(damaged)
        except (CorruptError, ValueError):
            continue
        assert not batch.is_intact(found) or found == segment


@given(st.binary(max_size=300))
def test_hostile_bytes_raise_corrupt_error_and_nothing_else(data: bytes) -> None:
    for decode in (batch.unpack_batch, batch.unpack_answer, batch.unpack_segments, body.unpack_gap):
        with contextlib.suppress(CorruptError):
            decode(data)
    for name in BOOK.codecs:
        with contextlib.suppress(CorruptError):
            BOOK.decompress(data, name, 0, 100)
    with contextlib.suppress(CorruptError):
        list(body.records(data, STREAM, 1))


@pytest.mark.parametrize("name", [codec.ZLIB, codec.ZSTD])
def test_a_payload_that_expands_past_what_it_declares_is_refused(name: str) -> None:
    bomb = BOOK.compress(bytes(1 << 20), name)
    with pytest.raises(CorruptError):
        BOOK.decompress(bomb, name, 0, 1000)
    with pytest.raises(CorruptError):
        BOOK.decompress(bomb, name, 0, codec.MAX_RAW_BYTES + 1)


def test_an_unknown_dictionary_is_corrupt_not_garbage() -> None:
    with pytest.raises(CorruptError, match="dictionary"):
        BOOK.decompress(b"", codec.ZLIB, 12345, 0)


def test_a_body_cut_anywhere_gives_back_its_whole_records() -> None:
    head = body.pack_head(STAMP)
    packed = [body.pack_record(Draft(RECORD, b"x" * 100, f"id-{n}"), n) for n in range(3)]
    content = head + b"".join(packed)
    ends = [len(head) + sum(map(len, packed[:n])) for n in range(4)]
    for cut in range(len(content) + 1):
        whole, count = body.whole_items(content[:cut])
        assert count == sum(end <= cut for end in ends[1:])
        assert len(list(body.items(whole))) == count + (cut >= len(head))


def test_a_gap_says_what_was_lost() -> None:
    gap = Gap(STREAM, 5, 9, "spool.full", 4096, 10, 20)
    assert body.unpack_gap(body.gap_draft(gap).data) == gap
    assert gap.count == 5


@given(st.lists(st.tuples(st.integers(1, 99), st.sampled_from([batch.STORED, batch.DUPLICATE, batch.INVALID]))))
def test_an_answer_arrives_as_it_was_given(rows: list[tuple[int, str]]) -> None:
    acks = tuple(batch.Ack(STREAM, first, 3, status) for first, status in rows)
    answer = batch.Answer(acks, ((STREAM, 12),), ("zlib", "zstd"), (1, 2))
    assert batch.unpack_answer(batch.pack_answer(answer)) == answer


def test_an_answer_may_say_more_than_we_know() -> None:
    more = msgpack.packb({"v": 1, "acks": [], "weather": "fine"})
    assert batch.unpack_answer(more) == batch.Answer((), (), (codec.ZLIB,), ())
