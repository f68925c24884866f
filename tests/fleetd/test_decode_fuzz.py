"""Whatever arrives: decoding answers or sets aside, quickly, and opens nothing."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetd.decode import decode
from fleetd.decode.markup import parse
from routerd.errors import CorruptError
from routerd.model import ENVELOPE, RECORD
from tests.samples import sample

CODES = {"", "decode.xml", "decode.amount", "decode.missing"}
KINDS = st.sampled_from([RECORD, ENVELOPE])
PIECES = b"""<trans type='sale'>|</trans>|<trHeader>|</trHeader>|<trTickNum/>|<trValue>|</trValue>
<trTotWTax>1.00</trTotWTax>|<trTotWTax>x</trTotWTax>|<SaleEvent>|</SaleEvent>|<x:Transaction>|</x:Transaction>
<RetailTransaction>|<startTotals>|</startTotals>|<transSet a='&'>|<!--|-->|<![CDATA[|]]>|<?xml version='1.0'?>
&lt;|&x;|\xff|\x00|\x1bc0\x01\x1b!\x00|07/11/25 03:33:09 102 |TRAN#1|ST#1 DR#1 TRAN#7|CSH: A|TOTAL  1.00
V A  1  9.99"""
ALPHABET = st.sampled_from([b"\n", *re.split(rb"[|\n]", PIECES)])


def answers(kind: int, data: bytes) -> None:
    try:
        decoded = decode(kind, data)
    except CorruptError as error:
        decoded, code = (), error.code
    else:
        code = ""
    assert isinstance(decoded, tuple)
    assert code in CODES


@given(kind=KINDS, data=st.binary(max_size=300))
def test_any_bytes_are_answered(kind: int, data: bytes) -> None:
    answers(kind, data)


@given(kind=KINDS, parts=st.lists(ALPHABET, max_size=30))
def test_any_pieces_of_records_are_answered(kind: int, parts: list[bytes]) -> None:
    answers(kind, b"".join(parts))


GENUINE = [
    sample("verifone-lab", "B_M_49_78.xml"),
    sample("verifone-lab", "B_M_49_135.xml"),
    re.findall(rb"<SaleEvent.*?</SaleEvent>", sample("naxml-bulloch", "naxml-posjournal_20837_2.xml"), re.DOTALL)[9],
    re.findall(rb"<Transaction>.*?</Transaction>", sample("poslog-ncr", "SMALL.xml"), re.DOTALL)[1],
    sample("verifone-serial", "register.bin")[:2500],
    sample("verifone-commander", "daily-2026-07-16.311.xml")[:900],
]


@settings(max_examples=300)
@given(
    kind=KINDS,
    record=st.sampled_from(GENUINE),
    at=st.integers(0, 12_000),
    size=st.integers(0, 40),
    put=st.one_of(st.binary(max_size=8), st.sampled_from([b"", b"-", b"1.005", b"999999999999999", b"<", b"&", b'"'])),
)
def test_a_damaged_genuine_record_is_answered(kind: int, record: bytes, at: int, size: int, put: bytes) -> None:
    at %= len(record)
    answers(kind, record[:at] + put + record[at + size :])


@pytest.mark.parametrize(
    "declares",
    [
        b'<!DOCTYPE trans [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        b'<!DOCTYPE trans SYSTEM "file:///etc/passwd">',
        b'<!DOCTYPE trans [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        b"<!DOCTYPE trans>",
    ],
)
def test_no_record_may_declare_anything(declares: bytes) -> None:
    sale = b"<trans type='sale'><trHeader><trTickNum/></trHeader><trValue><trTotWTax>1</trTotWTax></trValue></trans>"
    assert decode(RECORD, sale)
    assert decode(RECORD, declares + sale) == ()  # it begins as no record begins
    with pytest.raises(CorruptError) as caught:
        decode(RECORD, sale.replace(b"<trHeader>", declares + b"<trHeader>"))
    assert caught.value.code == "decode.xml"
    with pytest.raises(CorruptError, match="document type"):
        parse(declares + sale)
    assert decode(ENVELOPE, declares) == ()
    with pytest.raises(CorruptError):
        decode(ENVELOPE, b"<startTotals>" + declares + b"<a>1</a></startTotals>")


MIB = 1 << 20


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (ENVELOPE, b"<!--" * (MIB // 4)),
        (ENVELOPE, b"<transSet>" * (MIB // 10)),
        (ENVELOPE, b"<" * MIB),
        (ENVELOPE, b"<" + b"a" * MIB),
        (RECORD, b"<trans type='sale'>" + b"<a>" * (MIB // 7) + b"</a>" * (MIB // 7) + b"</trans>"),
        (RECORD, b"<trans type='journal'" + b" " * MIB),
        (RECORD, b"07/11/25 03:33:09 102 A" + b" " * MIB + b"\n07/11/25 03:33:09 102 ST#1 DR#1 TRAN#7"),
        (RECORD, b"07/11/25 03:33:09 102 CSH:" + b" " * MIB + b"ST#1 DR#1 TRAN#7"),
        (RECORD, b"07/11/25 03:33:09 102 ST#1 DR#1 TRAN#7\n" * (MIB // 40)),
        (
            RECORD,
            b"07/11/25 03:33:09 102 A   1   -1.00\n07/11/25 03:33:09 102  V B   1   1.00\n" * (MIB // 70)
            + b"07/11/25 03:33:09 102 ST#1 DR#1 TRAN#7",
        ),
    ],
    ids=range(10),
)
def test_the_largest_record_takes_no_forever(kind: int, data: bytes) -> None:
    answers(kind, data)
