from functools import reduce
from operator import xor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.framing import Frame, Framer, Noise
from routerd.framing.text import Lines, Spans, StxEtx, lrc
from tests.framing.laws import check_laws, cut, noises, records


def telegram(text: bytes) -> bytes:
    return b"\x02" + text + b"\x03" + bytes([reduce(xor, text + b"\x03")])


def test_every_kind_of_newline_ends_a_line() -> None:
    assert records(cut(Lines, b"a\r\nb\nc\rd")) == [b"a\r\n", b"b\n", b"c\r", b"d"]


def test_a_cr_waits_for_its_lf_and_a_configured_cr_does_not() -> None:
    assert Lines().feed(b"a\r") == []
    assert Lines(b"\r").feed(b"a\r") == [Frame(b"a\r")]


def test_settling_ends_a_line_that_waits_for_an_lf() -> None:
    framer = Lines()
    framer.feed(b"a\r")
    assert framer.settle() == [Frame(b"a\r")]
    assert framer.settle() == []


@pytest.mark.parametrize(("delimiter", "end"), [(b"", b"\n"), (b"", b"\r\n"), (b"\r\n", b"\r\n"), (b"END", b"END")])
def test_a_line_of_the_limit_is_a_frame_and_a_byte_more_is_noise_up_to_its_delimiter(
    delimiter: bytes, end: bytes
) -> None:
    def make() -> Framer:
        return Lines(delimiter, max_frame_bytes=20)

    fits = b"x" * (20 - len(end)) + end
    assert check_laws(make, fits * 2, limit=20) == [Frame(fits), Frame(fits)]
    assert check_laws(make, b"y" + fits + fits, limit=20) == [Noise(b"y" + fits, "oversize"), Frame(fits)]
    endless = b"z" * 9000 + end
    assert records(check_laws(make, endless + fits, limit=20)) == [fits]


def test_a_ticket_runs_from_start_to_end_and_the_rest_is_unframed() -> None:
    pieces = check_laws(lambda: Spans(b"<T>", b"</T>"), b"junk<T>1</T>\n<T>2</T>", limit=1 << 20)
    assert pieces == [Noise(b"junk", "unframed"), Frame(b"<T>1</T>"), Noise(b"\n", "unframed"), Frame(b"<T>2</T>")]


def test_with_a_line_delimiter_the_ticket_takes_the_whole_line_its_end_stands_in() -> None:
    pieces = check_laws(lambda: Spans(b"TICKET", b"THANK", b"\r\n"), b"TICKET 1\r\nTHANK YOU\r\nTICKET", limit=1 << 20)
    assert pieces == [Frame(b"TICKET 1\r\nTHANK YOU\r\n"), Noise(b"TICKET", "truncated")]


def test_a_second_start_means_the_end_was_lost() -> None:
    pieces = check_laws(lambda: Spans(b"<T>", b"</T>"), b"<T>1<T>2</T>", limit=1 << 20)
    assert pieces == [Noise(b"<T>1", "truncated"), Frame(b"<T>2</T>")]


def test_an_end_that_contains_the_start_still_ends() -> None:
    data = b"RECEIPT 1 RECEIPT END"
    assert check_laws(lambda: Spans(b"RECEIPT", b"RECEIPT END"), data, limit=1 << 20) == [Frame(data)]
    data = b"TICKET 1 END TICKET"
    assert check_laws(lambda: Spans(b"TICKET", b"END TICKET"), data, limit=1 << 20) == [Frame(data)]


def test_without_start_a_ticket_begins_where_the_last_ended() -> None:
    pieces = check_laws(lambda: Spans(b"", b"\x0c"), b"1\x0c2\x0c3", limit=1 << 20)
    assert pieces == [Frame(b"1\x0c"), Frame(b"2\x0c"), Noise(b"3", "truncated")]


def test_a_ticket_of_the_limit_is_a_frame_and_a_byte_more_is_noise() -> None:
    def make() -> Framer:
        return Spans(b"<T>", b"</T>", max_frame_bytes=20)

    fits = b"<T>" + b"x" * 13 + b"</T>"
    assert check_laws(make, fits + fits, limit=20) == [Frame(fits), Frame(fits)]
    pieces = check_laws(make, fits[:-4] + b"y</T>" + fits, limit=20)
    assert records(pieces) == [fits]
    assert noises(pieces)[0][0] == "oversize"


def test_a_telegram_with_a_good_check_byte_is_a_frame() -> None:
    data = telegram(b"COFFEE 1.59") + b"\x06" + telegram(b"")
    pieces = check_laws(StxEtx, data, limit=1 << 20)
    assert pieces == [Frame(telegram(b"COFFEE 1.59")), Noise(b"\x06", "unframed"), Frame(b"\x02\x03\x03")]


def test_a_telegram_with_a_bad_check_byte_is_noise() -> None:
    bad = b"\x02abc\x03z"
    pieces = check_laws(StxEtx, bad + telegram(b"abc"), limit=1 << 20)
    assert pieces == [Noise(bad, "checksum"), Frame(telegram(b"abc"))]


def test_a_lost_check_byte_does_not_cost_the_next_telegram() -> None:
    pieces = check_laws(StxEtx, b"\x02ab\x03" + telegram(b"abc"), limit=1 << 20)
    assert pieces == [Noise(b"\x02ab\x03", "checksum"), Frame(telegram(b"abc"))]


def test_without_lrc_the_telegram_ends_at_etx() -> None:
    assert StxEtx(lrc=False).feed(b"\x02a\x03") == [Frame(b"\x02a\x03")]


def test_a_telegram_of_the_limit_is_a_frame_and_a_byte_more_is_noise() -> None:
    def make() -> Framer:
        return StxEtx(max_frame_bytes=20)

    fits = telegram(b"x" * 17)
    assert check_laws(make, fits, limit=20) == [Frame(fits)]
    assert records(check_laws(make, telegram(b"x" * 18) + fits, limit=20)) == [fits]


@given(st.binary(max_size=100))
def test_lrc_is_the_xor_of_all_bytes(data: bytes) -> None:
    expected = 0
    for byte in data:
        expected ^= byte
    assert lrc(data) == expected
