"""The flash format: a page describes itself, and nothing torn passes for whole."""

from hypothesis import given
from hypothesis import strategies as st

from routerd.model import Stamp
from routerd.spool import page

SINCE = Stamp("0f0e0d0c", -5_000_000, 1_790_000_000_000, synced=True)


@given(st.integers(1, 1 << 60), st.integers(0, 1 << 60), st.binary(max_size=20_000), st.integers(1, 900))
def test_a_frame_comes_back_from_its_pages_in_any_order(gen: int, oldest: int, segments: bytes, row: int) -> None:
    packed = page.pack(gen, oldest, segments, SINCE)
    assert len(packed) == page.pages_needed(len(segments)) * page.PAGE_BYTES
    bodies = [packed[at : at + page.PAGE_BYTES] for at in range(0, len(packed), page.PAGE_BYTES)]
    assembler = page.Assembler()
    results = []
    for index, body in reversed(list(enumerate(bodies))):
        found = page.unpack_page(body)
        assert found is not None
        results.append(assembler.add(row + index, found))
    assert results[:-1] == [None] * (len(bodies) - 1)
    assert results[-1] == page.Frame(gen, row, len(bodies), oldest, SINCE, segments)


@given(st.binary(min_size=1, max_size=6000), st.data())
def test_a_page_with_any_byte_changed_is_no_page(segments: bytes, data: st.DataObject) -> None:
    body = page.pack(7, 3, segments)[: page.PAGE_BYTES]
    used = min(len(segments) + 8, page.CAPACITY) + page.PAGE_BYTES - page.CAPACITY
    at = data.draw(st.integers(0, used - 1))
    assert page.unpack_page(body[:at] + bytes([body[at] ^ 0x55]) + body[at + 1 :]) is None


def test_a_page_torn_at_a_sector_is_no_page() -> None:
    old, new = page.pack(1, 1, b"a" * 4000), page.pack(2, 1, b"b" * 4000)
    for sectors in range(1, 7):
        cut = 512 * sectors - 40
        assert page.unpack_page(new[:cut] + old[cut : page.PAGE_BYTES]) is None


def test_a_frame_with_a_page_missing_is_none() -> None:
    packed = page.pack(5, 1, b"x" * 9000)
    assembler = page.Assembler()
    for index in (0, 2):
        body = packed[index * page.PAGE_BYTES : (index + 1) * page.PAGE_BYTES]
        found = page.unpack_page(body)
        assert found is not None
        assert assembler.add(10 + index, found) is None
