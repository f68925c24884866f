"""The forms a card number is written in: groups, separators, wide characters. All numbers are public test numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.tlog import mask
from routerd.tlog.pan import luhn

SPACES = [b" ", b"  ", b"\t", b"\t\t", b"\xc2\xa0", b"\xa0", b"\xa0 "]
MARKS = [b"-", b"."]
GROUPINGS = [
    ("4012888888881881", (4, 4, 4, 4)),
    ("5555555555554444", (4, 4, 4, 4)),
    ("4000000000000000006", (4, 4, 4, 4, 3)),
    ("6205500000000000004", (4, 4, 4, 4, 3)),
    ("378282246310005", (4, 6, 5)),
    ("378282246310005", (4, 4, 4, 3)),
    ("30569309025904", (4, 6, 4)),
    ("30569309025904", (4, 4, 4, 2)),
]
SHORT_GROUPINGS = [
    ("4222222222222", (4, 4, 4, 1)),
    ("4222222222222", (4, 3, 3, 3)),
    ("4222222222222", (4, 4, 5)),
    ("6759649826436", (4, 4, 4, 1)),
    ("501800000009", (4, 4, 4)),
    ("675900000000", (4, 4, 4)),
]


def right(stem: str) -> str:
    """`stem` with its last digit made right by Luhn."""
    return next(stem[:-1] + digit for digit in "0123456789" if luhn((stem[:-1] + digit).encode()))


def grouped(number: str, sizes: tuple[int, ...], separator: bytes) -> bytes:
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    return separator.join(number[end - size : end].encode() for end, size in zip(ends, sizes, strict=True))


def blanked(text: bytes) -> bytes:
    """`text` with all but its first six and last four digits blanked."""
    out = bytearray(text)
    for at in [n for n, byte in enumerate(text) if 48 <= byte <= 57][6:-4]:
        out[at] = ord("X")
    return bytes(out)


@pytest.mark.parametrize("separator", SPACES + MARKS)
@pytest.mark.parametrize(("number", "sizes"), GROUPINGS)
def test_groups_are_seen_through_whatever_separates_them(number: str, sizes: tuple[int, ...], separator: bytes) -> None:
    text = grouped(right(number), sizes, separator)
    for around in (b"%b", b"CARD %b APPROVED", b"<a>%b</a>", b"x\n%b\n", b"12 %b", b"%b 12"):
        assert mask(around % text) == (around % blanked(text), len(number) - 10)


@pytest.mark.parametrize("separator", [b" ", b"-", b".", b"\xa0", b"\xc2\xa0"])
@pytest.mark.parametrize(("number", "sizes"), SHORT_GROUPINGS)
def test_short_numbers_in_groups_are_seen_through(number: str, sizes: tuple[int, ...], separator: bytes) -> None:
    text = grouped(right(number), sizes, separator)
    for around in (b"%b", b"VISA %b\n", b"MAESTRO %b 12.00", b"<a>%b</a>"):
        assert mask(around % text) == (around % blanked(text), len(number) - 10)


@pytest.mark.parametrize("separator", [b"  ", b"\t"])
@pytest.mark.parametrize(("number", "sizes"), SHORT_GROUPINGS)
def test_short_numbers_in_columns_need_a_word(number: str, sizes: tuple[int, ...], separator: bytes) -> None:
    text = grouped(right(number), sizes, separator)
    assert mask(b"ST " + text) == (b"ST " + text, 0)
    assert mask(b"CARD " + text)[0] == b"CARD " + blanked(text)


def test_mixed_spaces_are_one_separator_and_mixed_marks_are_none() -> None:
    mixed = b"4012 8888\xc2\xa08888  1881"
    assert mask(mixed)[0] == blanked(mixed)
    for text in (b"4012.8888-8888.1881", b"4012 8888.8888 1881", b"4012-8888 8888-1881", b"4012   8888   8888   1881"):
        assert mask(text) == (text, 0)


@pytest.mark.parametrize(
    "text",
    [
        b"4012.8888.8888.1882",
        b"9012 8888 8888 1881",
        b"40128.8888.8888.1881",
        b"4012.8888.8888.18815",
        b"4 012888 888818",  # an EAN as it is printed under its bars
        b"0 12345 67890 5",
        b"4222-2222-2222-2222-2",
        b"4222 2222 2222 2 0001",  # columns that go on
        b"ST 5018 0000 0009 0001",
        b"UPC 4222 2222 2222 2",
        b"LOYALTY 4012.8888.8888.1881",
        b"<trlUPC>4222 2222 2222 2</trlUPC>",
        b"<uniqueID>4012-8888-8888-1881</uniqueID>",
        b"4222222222222-100000001-0003969664",
        b"550e8400-5018-4000-8009-446655440000",  # a UUID
        b"2026.07.16 02:05:57.0000",
        b"4111.11 1111.11 1111.11",
        b"192.168.31.11:5001 10.5.48.2",
        b"4012,8888,8888,1881",
        b"4012:8888:8888:1881",
    ],
)
def test_groups_of_something_else_stay(text: bytes) -> None:
    for around in (b"%b", b"a\n%b\nb", b"x %b y"):
        assert mask(around % text) == (around % text, 0)


@pytest.mark.parametrize("number", ["4222222222222", "4006381333931", "501800000009", "6390123456785", "630400000000"])
@pytest.mark.parametrize(
    "around",
    [
        b"%b",
        b"  %b  MINERAL WATER  1.29\r\n",
        b"1 @ 2.00 %b",
        b"VISA 12.00\r\n%b MINERAL WATER\r\n",
        b"CARD\r\n\r\n\r\n%b\r\n",
        b"<Code>%b</Code>",
        b"<Line n='%b'/>",
        b"<trjText>%b WATER</trjText>",
        b"<CardInfo/><Line><Text>%b</Text></Line>",
    ],
)
def test_a_bare_number_as_long_as_an_item_code_stays_where_no_word_calls_it_a_card(number: str, around: bytes) -> None:
    data = around % right(number).encode()
    assert mask(data) == (data, 0)


@pytest.mark.parametrize("number", ["4222222222222", "501800000009", "6759649826436"])
@pytest.mark.parametrize(
    "around",
    [
        b"VISA %b",
        b"Card: %b",
        b"%b DEBIT",
        b"ACCT# %b 12.00",
        b"MAESTRO\r\n  %b\r\n",
        b'{"cardNumber":"%b"}',
        b"<CardNumber>%b</CardNumber>",
        b"<CardInfo><Value>%b</Value></CardInfo>",
        b"<AccountID>%b</AccountID>",
        b"<VisaData>%b</VisaData>",
        b"<Tender creditNumber='%b'/>",
        b";%b=25121010?",
    ],
)
def test_a_bare_short_number_goes_where_a_word_calls_it_a_card(number: str, around: bytes) -> None:
    digits = right(number).encode()
    out, changed = mask(around % digits)
    assert digits not in out
    assert changed >= len(digits) - 10
    assert blanked(digits) in out


WIDE = [
    "CARD 4012888888881881 OK",
    "4012 8888 8888 1881",
    "Visa 4222222222222",
    "CVV: 123 .........",
    "%B4111111111111111^DOE/JOHN^25121011234?",
    ";4111111111111111=25121010?",
    "<trpcAccount>9999888877776666</trpcAccount>",
    "€ 378282246310005 €",
]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", WIDE)
@pytest.mark.parametrize("before", [b"", b"\xff\xfe", b"\xfe\xff", b"\x02", b"\0\0"])
def test_wide_characters_hide_nothing(encoding: str, text: str, before: bytes) -> None:
    narrow = text.replace("€", " ").encode()
    expected = mask(narrow)[0].decode()
    for after in ("", " approved", "\r\n"):
        data = before + (text + after).encode(encoding)
        out, changed = mask(data)
        shown = out[len(before) :].decode(encoding).replace("€", " ")
        assert shown == expected + after
        assert changed == sum(a != b for a, b in zip(data, out, strict=True))
        assert mask(out) == (out, 0)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    "text", ["LOYALTY 4012888888881881", "UPC 4222222222222", "4006381333931 WATER", "TOTAL 12.00"]
)
def test_wide_characters_of_something_else_stay(encoding: str, text: str) -> None:
    data = text.encode(encoding)
    assert mask(data) == (data, 0)


PIECES = [b"4012", b"8888", b"1881", b"4222", b"2", b"378282246310005", b"123", b"VISA", b"UPC", b"CARD", b"=25121010"]


@given(
    st.lists(st.sampled_from([*PIECES, *SPACES, *MARKS, b"\n", b"<a>", b"\0"]), max_size=20),
    st.sampled_from(["", "utf-16-le", "utf-16-be"]),
)
def test_twice_is_once_whatever_the_form(pieces: list[bytes], encoding: str) -> None:
    data = b"".join(pieces)
    if encoding:
        data = data.decode("latin-1").encode(encoding)
    out, changed = mask(data)
    assert len(out) == len(data)
    assert changed == sum(a != b for a, b in zip(data, out, strict=True))
    assert (out is data) == (changed == 0)
    assert mask(out) == (out, 0)
