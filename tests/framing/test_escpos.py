import pytest

from routerd.framing import Frame
from routerd.framing.escpos import EscPos
from tests.framing.laws import check_laws, cut, noises, records

CUT = b"\x1dV\x00"
PULSE = b"\x1bp\x00\x19\xfa"


@pytest.mark.parametrize(
    "end", [b"\x1dV\x00", b"\x1dV1", b"\x1dVA\x03", b"\x1dVB\x1d", b"\x1dVh\x1b", b"\x1bi", b"\x1bm"]
)
def test_every_cut_ends_a_receipt_with_its_parameter(end: bytes) -> None:
    receipt = b"\x1b@COFFEE 1.59\n" + end
    assert check_laws(EscPos, receipt * 2, limit=1 << 20) == [Frame(receipt)] * 2


@pytest.mark.parametrize(
    "opaque",
    [
        b"\x1d(L\x03\x00" + CUT,
        b"\x1d(k\x03\x00" + CUT,
        b"\x1b(A\x03\x00" + CUT,
        b"\x1d8L\x03\x00\x00\x00" + CUT,
        b"\x1dv0\x00\x03\x00\x01\x00" + CUT,
        b"\x1d*\x01\x01" + CUT + b"12345",
        b"\x1dk\x04\x1bi\x00",
        b"\x1dkI\x03" + CUT,
        b"\x1b*\x00\x03\x00" + CUT,
        b"\x1b*\x21\x01\x00" + CUT,
        b"\x1bD\x1bi\x00",
        b"\x1b&\x01\x20\x20\x03" + CUT,
        b"\x1cq\x01\x01\x00\x01\x00" + CUT + b"12345",
        b"\x1cg1\x00\x00\x00\x00\x00\x03\x00" + CUT,
        b"\x1b \x1dV0",  # the parameter of ESC SP is 1D
        b"\x1bJ\x1bi",
        b"\x1b$\x1dV0",
        b"\x1bp\x00\x1d\x56",
    ],
)
def test_a_cut_inside_a_payload_or_a_parameter_cuts_nothing(opaque: bytes) -> None:
    receipt = b"A" + opaque + b"B\n" + CUT
    assert check_laws(EscPos, receipt, limit=1 << 20) == [Frame(receipt)]


def test_a_drawer_pulse_after_the_cut_leads_the_next_receipt() -> None:
    pieces = check_laws(EscPos, b"A\n" + CUT + PULSE + b"B\n" + CUT + PULSE, limit=1 << 20)
    assert pieces == [Frame(b"A\n" + CUT), Frame(PULSE + b"B\n" + CUT), Frame(PULSE, envelope=True)]


def test_the_end_of_the_connection_ends_a_receipt() -> None:
    assert cut(EscPos, b"\x1b@A\n") == [Frame(b"\x1b@A\n")]


def test_escape_d_cuts_on_a_star_and_feeds_on_an_epson() -> None:
    data = b"A\n\x1bd\x02B\n\x1bd\x02"
    assert records(check_laws(lambda: EscPos(star=True), data, limit=1 << 20)) == [b"A\n\x1bd\x02", b"B\n\x1bd\x02"]
    assert records(check_laws(EscPos, data, limit=1 << 20)) == [data]


def test_an_impossible_length_swallows_no_receipt() -> None:
    data = b"A\x1d8L\xff\xff\xff\xff" + CUT + b"B" + CUT
    assert records(check_laws(EscPos, data, limit=1 << 20)) == [b"A\x1d8L\xff\xff\xff\xff" + CUT, b"B" + CUT]


def test_a_receipt_of_the_limit_is_a_frame_and_a_byte_more_is_noise_with_its_cut() -> None:
    fits = b"x" * 17 + CUT
    assert check_laws(lambda: EscPos(max_frame_bytes=20), fits * 2, limit=20) == [Frame(fits)] * 2
    pieces = check_laws(lambda: EscPos(max_frame_bytes=20), b"y" + fits + fits, limit=20)
    assert records(pieces) == [fits]
    assert noises(pieces) == [("oversize", b"y" + fits)]
