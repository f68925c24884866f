"""The laws, for every framer: on any bytes, and on its own kind of data with damage in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.framing import MAX_NOISE_BYTES
from routerd.framing.escpos import EscPos
from routerd.framing.journal import EscJournal
from routerd.framing.length import LengthPrefix
from routerd.framing.text import Lines, Spans, StxEtx
from routerd.framing.vsi import VsiAdd
from routerd.framing.xml import XmlElement
from tests.framing.laws import Make, check_laws, cut, restart

P = b"\x1bc0\x01\x1b!\x00"
STAMP = b"07/11/25 03:33:09 102 "

SUBJECTS: dict[str, tuple[Make, list[bytes], int]] = {
    "lines": (lambda: Lines(max_frame_bytes=40), [b"\r\n", b"\n", b"\r", b"a line", b"x" * 39], 40),
    "lines of a delimiter": (lambda: Lines(b'"\r\n', max_frame_bytes=40), [b'"\r\n', b'"', b"\r", b"x" * 37], 40),
    "lines of an overlapping delimiter": (lambda: Lines(b"\n\n", max_frame_bytes=40), [b"\n", b"\n\n", b"x"], 40),
    "spans": (
        lambda: Spans(b"<T>", b"</T>", max_frame_bytes=60),
        [b"<T>", b"</T>", b"text", b"<", b"</", b"x" * 53],
        60,
    ),
    "spans to the line's end": (
        lambda: Spans(b"TICKET", b"END TICKET", b"\r\n", max_frame_bytes=60),
        [b"TICKET ", b"END TICKET", b"\r\n", b"END", b"x" * 30],
        60,
    ),
    "spans without start": (lambda: Spans(b"", b"--8<--", max_frame_bytes=60), [b"--8<--", b"--8", b"x" * 54], 60),
    "spans between equal strings": (lambda: Spans(b"##", b"##", max_frame_bytes=60), [b"##", b"#", b"x" * 40], 60),
    "stx": (
        lambda: StxEtx(max_frame_bytes=60),
        [b"\x02abc\x03c", b"\x02abc\x03z", b"\x02", b"\x03", b"\x06", b"q" * 57],
        60,
    ),
    "journal": (
        lambda: EscJournal(max_frame_bytes=400),
        [
            P + STAMP + b"L  ICE BAG   1    2.99 \n",
            P + STAMP + b"ST#1   DR#1 TRAN#1028363",
            P + STAMP + b"CSH: CORPORATE   07/11/25 03:33:29\n",
            P + STAMP + b"TRANSACTION SUSPENDED # 1028376\n",
            b"02/22/25 03:08:05 PM ST#A  DR#1 TRAN#1010141\n",
            b"CSH: 1   2/22/25 3:08:05 PM\n",
            P,
            b"\n",
            b" \r\n",
            b"ALARM",
            b"\x1bc",
        ],
        400,
    ),
    "xml": (
        lambda: XmlElement(max_frame_bytes=400),
        [
            b'<?xml version="1.0"?>\n',
            b'<transSet site="1">',
            b"</transSet>\n",
            b'<trans type="sale">',
            b"</trans>",
            b"<trans/>",
            b"<a>1</a>",
            b"<!-- <trans> -->",
            b"<![CDATA[</trans>]]>",
            b"<nax:SaleEvent>",
            b"</nax:SaleEvent>",
            b"<Transaction>",
            b"</Transaction>",
            b'<Transaction b="/">',
            b"<POSLog>",
            b"</POSLog>",
            b"garbage",
            b" \n",
            b'"',
            b"<",
            b"x" * 150,
        ],
        400,
    ),
    "xml sections": (
        lambda: XmlElement(max_frame_bytes=3000),
        [
            b"<transSet>",
            b"</transSet>",
            b"<trans>",
            b"</trans>",
            b"<trans/>",
            b"<Transaction>",
            b"</Transaction>",
            b"<?x ",
            b"<?xml ",
            b"?>",
            b"<!AB ",
            b">",
            b"<!-- ",
            b"-->",
            b"<![CDATA[",
            b"]]>",
            b"x" * 500,
            b"x" * 1012,
        ],
        3000,
    ),
    "escpos": (
        lambda: EscPos(max_frame_bytes=120),
        [
            b"\x1b@",
            b"COFFEE 1.59\n",
            b"\x1dV\x00",
            b"\x1dVA\x03",
            b"\x1bi",
            b"\x1bp\x00\x19\xfa",
            b"\x1dv0\x00\x02\x00\x02\x00\x1dV\x00\x00",
            b"\x1d(L\x04\x00\x1dV\x00\x00",
            b"\x1dkI\x02\x1bi",
            b"\x1dk\x04\x1bi\x00",
            b"\x1b*\x21\x01\x00\x1bi\x00",
            b"\x1bD\x1bi\x00",
            b"\x1b&\x02\x20\x20\x01\x1bi",
            b"\x1cq\x01\x01\x00\x01\x00\x1dV\x00\x1bi\x1bi\x00",
            b"\x1b",
            b"\x1d",
            b"x" * 60,
        ],
        120,
    ),
    "escpos star": (lambda: EscPos(star=True, max_frame_bytes=120), [b"A\n", b"\x1bd\x02", b"\x1b", b"x" * 60], 120),
    "vsi": (
        lambda: VsiAdd(max_frame_bytes=640),
        [b"\x1b\x01", b"\x1b\x02", b"\x1b\x10", b"\x1b@", b"\x1b", b"TEA 1.00", b"\r\n", b"\r", b"\n", b"x" * 38],
        640,
    ),
    "vsi tickets": (
        lambda: VsiAdd(b"\n", b"START", b"END", max_frame_bytes=1600),
        [b"\x1b\x01", b"\x1b\x02", b"START\n", b"END\n", b"TEA\n", b"\n", b"x" * 20],
        1600,
    ),
    "length": (
        lambda: LengthPrefix(2, "big", max_frame_bytes=60),
        [b"\x00\x03abc", b"\x00\x00", b"\x00\x3a" + b"x" * 58, b"\x00\x3b", b"\xff", b"\x00"],
        60,
    ),
    "length with magic": (
        lambda: LengthPrefix(4, "little", includes=True, magic=b"\xaa\x55", max_frame_bytes=60),
        [b"\xaa\x55\x06\0\0\0ab", b"\xaa\x55\x03\0\0\0", b"\xaa", b"\x55", b"\0", b"zz"],
        60,
    ),
}
# What the docstrings except: these lose the fact that something too long is being skipped, or a last address.
SEAMLESS = ("stx", "spans", "journal", "length", "length with magic")

subjects = pytest.mark.parametrize("name", SUBJECTS)


@st.composite
def damaged(draw: st.DrawFn, parts: list[bytes]) -> bytes:
    """Valid parts in any order, some bytes of the result removed, doubled or replaced."""
    data = bytearray(b"".join(draw(st.lists(st.sampled_from(parts), max_size=30))))
    for _ in range(draw(st.integers(0, 4))):
        if not data:
            break
        at = draw(st.integers(0, len(data) - 1))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


@subjects
@given(data=st.binary(max_size=300), seed=st.integers(0, 99))
def test_any_bytes_are_conserved_and_cut_alike_in_any_chunks(name: str, data: bytes, seed: int) -> None:
    make, _, limit = SUBJECTS[name]
    check_laws(make, data, limit=limit, seed=seed, ordered="vsi" not in name)


@subjects
@given(draw=st.data(), seed=st.integers(0, 99))
def test_damaged_data_is_conserved_and_cut_alike_in_any_chunks(name: str, draw: st.DataObject, seed: int) -> None:
    make, parts, limit = SUBJECTS[name]
    check_laws(make, draw.draw(damaged(parts)), limit=limit, seed=seed, ordered="vsi" not in name)


@subjects
def test_input_without_end_waits_in_no_more_than_a_frame_or_noise_and_white_space(name: str) -> None:
    make, _, limit = SUBJECTS[name]
    framer = make()
    for byte in (b"\xfe", b" ", b"<", b"\x1b", b"\x00", b"\xaa"):
        for _ in range(20):
            framer.feed(byte * 1000)
            assert len(framer.pending) <= max(limit, 2 * MAX_NOISE_BYTES)


@pytest.mark.parametrize("name", SEAMLESS)
@given(draw=st.data())
def test_pending_fed_to_a_fresh_framer_restores_the_state(name: str, draw: st.DataObject) -> None:
    make, parts, _ = SUBJECTS[name]
    data = draw.draw(damaged(parts))
    at = draw.draw(st.integers(0, len(data)))
    assert restart(make, data, at) == cut(make, data)


@subjects
@given(draw=st.data())
def test_pending_fed_to_a_fresh_framer_is_conserved(name: str, draw: st.DataObject) -> None:
    make, parts, _ = SUBJECTS[name]
    data = draw.draw(damaged(parts))
    at = draw.draw(st.integers(0, len(data)))
    pieces = restart(make, data, at)
    assert sorted(b"".join(piece.data for piece in pieces)) == sorted(data)


@subjects
def test_a_closed_framer_starts_afresh(name: str) -> None:
    make, parts, _ = SUBJECTS[name]
    data = b"".join(parts)
    framer = make()
    first = framer.feed(data) + framer.close()
    assert framer.feed(data) + framer.close() == first
    assert framer.close() == []
