from typing import Literal

import pytest

from routerd.framing import Frame, Framer, Noise
from routerd.framing.length import LengthPrefix
from tests.framing.laws import check_laws, cut, noises, records


@pytest.mark.parametrize("width", [1, 2, 4])
@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize("includes", [True, False])
@pytest.mark.parametrize("magic", [b"", b"\xaa\x55"])
def test_a_frame_is_magic_length_and_payload(
    width: int, order: Literal["big", "little"], includes: bool, magic: bytes
) -> None:
    frames = []
    for payload in (b"", b"A", b"COFFEE" * 30):
        length = len(payload) + (width if includes else 0)
        frames.append(magic + length.to_bytes(width, order) + payload)
    pieces = check_laws(
        lambda: LengthPrefix(width, order, includes=includes, magic=magic), b"".join(frames), limit=1 << 20
    )
    assert pieces == [Frame(frame) for frame in frames]


def test_a_frame_of_the_limit_is_a_frame_and_a_byte_more_is_impossible() -> None:
    def make() -> Framer:
        return LengthPrefix(2, max_frame_bytes=20)

    fits = b"\x00\x12" + b"x" * 18
    assert check_laws(make, fits, limit=20) == [Frame(fits)]
    pieces = check_laws(make, b"\x00\x13" + b"\xff" * 19 + fits, limit=20)
    assert records(pieces)[-1] == fits


def test_the_magic_finds_the_next_frame_after_damage() -> None:
    def make() -> Framer:
        return LengthPrefix(2, magic=b"MG", max_frame_bytes=100)

    pieces = check_laws(make, b"MG\xff\xffMG\x00\x01ajunkMMG\x00\x01b", limit=100)
    assert records(pieces) == [b"MG\x00\x01a", b"MG\x00\x01b"]
    assert noises(pieces) == [("unframed", b"MG\xff\xff"), ("unframed", b"junkM")]


@pytest.mark.parametrize("order", ["big", "little"])
def test_without_magic_bytes_that_can_be_no_length_are_passed_over(order: Literal["big", "little"]) -> None:
    frame = (5).to_bytes(4, order) + b"AAAAA"
    pieces = check_laws(lambda: LengthPrefix(4, order, max_frame_bytes=200), b"\xff" * 8 + frame, limit=200)
    assert pieces == [Noise(b"\xff" * 8, "unframed"), Frame(frame)]


def test_at_close_an_unfinished_frame_is_truncated() -> None:
    assert cut(LengthPrefix, b"\x00\x05ab") == [Noise(b"\x00\x05ab", "truncated")]
    assert cut(lambda: LengthPrefix(2, magic=b"MG"), b"xM") == [Noise(b"x", "unframed"), Noise(b"M", "truncated")]
