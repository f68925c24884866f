"""Manifests as people make them: every row is judged, and a file that cannot be trusted is refused whole."""

import random
from datetime import UTC, datetime

import pytest

from fleetd.enroll import manifest
from fleetd.enroll.manifest import Row, parse
from fleetd.refusal import Refusal

HEAD = "serial,mac,model,store_id,not_after,replaces_serial,note\n"


def rows(text: str) -> list[Row]:
    sheet = parse(text.encode())
    assert not sheet.invalid
    return [line.row for line in sheet.lines]


def reason(cells: str, head: str = HEAD) -> str:
    sheet = parse((head + cells).encode())
    assert not sheet.lines
    [outcome] = sheet.invalid
    assert outcome.no == 2
    return outcome.reason


def test_a_full_row_is_read_and_spelled_one_way() -> None:
    text = HEAD + 'gl-0042 , 94-83-C4-00-00-02 9483.c400.0001,mt3000,s1042,2026-12-31,GL-0007,"left, at the ""back"""\n'
    end = int(datetime(2026, 12, 31, 23, 59, 59, 999_000, UTC).timestamp() * 1000)
    macs = ("94:83:c4:00:00:01", "94:83:c4:00:00:02")
    assert rows(text) == [Row("GL-0042", macs, "mt3000", "s1042", end, "GL-0007", 'left, at the "back"')]


def test_columns_may_be_few_and_in_any_order() -> None:
    assert rows("store_id,Serial\ns1,gl-0042\n,gl-0043\n") == [Row("GL-0042", store="s1"), Row("GL-0043")]
    assert rows("mac\n94:83:c4:00:00:01\n") == [Row("", ("94:83:c4:00:00:01",))]


@pytest.mark.parametrize(
    "text", ["\ufeffserial\r\nGL-1\r\n", "serial\nGL-1", "serial\n\n  \nGL-1\n\n", '"serial"\n"GL-1"\n']
)
def test_what_spreadsheets_write_is_read(text: str) -> None:
    assert rows(text) == [Row("GL-1")]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (",,,,,,\x20x", "neither serial nor mac"),
        ("00000000,,,,,,", "no serial number"),
        ("To be filled by O.E.M.,,,,,,", "no serial number"),
        ("GL 0042/7,,,,,,", "no serial number"),
        ("é123,,,,,,", "no serial number"),
        ("1.23457E+11,,,,,,", "spreadsheet"),
        ("GL-1,01:00:5e:00:00:01,,,,,", "mac"),
        ("GL-1,00:00:00:00:00:00,,,,,", "mac"),
        ("GL-1,94:83:c4:00:00,,,,,", "mac"),
        ("GL-1,,,store 7,,,", "store_id"),
        ("GL-1,,,=cmd(),,,", "store_id"),
        ("GL-1,,mt/3000,,,,", "model"),
        ("GL-1,,,,31.12.2026,,", "not_after"),
        ("GL-1,,,,20261231,,", "not_after"),
        ("GL-1,,,,2026-02-30,,", "not_after"),
        ("GL-1,,,,,000000,", "replaces_serial"),
        ("GL-1,,,,,," + "n" * 201, "note"),
        ('GL-1,,,,,,"two\nlines"', "note"),
        ("GL-1,", "2 cells under 7 columns"),
        ("GL-1,,,,,,,,", "9 cells under 7 columns"),
    ],
)
def test_a_bad_row_is_told_by_line_and_reason(cells: str, told: str) -> None:
    assert told in reason(cells)


def test_a_bad_row_stops_no_other() -> None:
    sheet = parse((HEAD + 'GL-1,,,,,,"a\nb"\nGL-2,,,,,,\nGL-3,bad,,,,,\nGL-4,,,,,,\n').encode())
    assert [(line.no, line.row.serial) for line in sheet.lines] == [(4, "GL-2"), (6, "GL-4")]
    assert [outcome.no for outcome in sheet.invalid] == [2, 5]


def test_a_device_stands_in_a_file_once() -> None:
    sheet = parse(b"serial,mac,model\nGL-1,,a\ngl-1,,a\nGL-1,,b\nGL-2,94:83:c4:00:00:01,a\nGL-3,9483C4000001,a\n")
    assert [line.no for line in sheet.lines] == [2, 4, 5]
    assert [(outcome.no, outcome.reason) for outcome in sheet.invalid] == [
        (3, "GL-1 stands in line 2 already"),
        (6, "94:83:c4:00:00:01 stands in line 5 already"),
    ]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("serial\nGL-1\n".encode("utf-16"), "UTF-16"),
        (b"serial,note\nGL-1,caf\xe9\n", "line 2 is not UTF-8"),
        (b"serial\nGL-1\0\n", "NUL"),
        (b"", "line 1"),
        (b"GL-1,94:83:c4:00:00:01\n", "no column is called"),
        (b"serial;mac\nGL-1;\n", "commas"),
        (b"serial\tmac\nGL-1\t\n", "commas"),
        (b"serial,serial\nGL-1,GL-1\n", "once"),
        (b"store_id,model\ns1,a\n", "serial or mac"),
        (b'serial,note\nGL-1,"never closed\nGL-2,\n', "quoting"),
        (b'serial,note\nGL-1,"a"b\n', "quoting"),
        (b"serial\n" + b"x" * manifest.MAX_BYTES, "bytes"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_whole(data: bytes, told: str) -> None:
    with pytest.raises(Refusal, match=told) as raised:
        parse(data)
    assert (raised.value.status, raised.value.code) == (422, "manifest_invalid")


def test_the_limit_of_rows_is_at_it_and_past_it() -> None:
    full = "serial\n" + "".join(f"GL-{no}\n" for no in range(manifest.MAX_ROWS))
    assert len(parse(full.encode()).lines) == manifest.MAX_ROWS
    with pytest.raises(Refusal, match="rows"):
        parse(f"{full}GL-X1\n".encode())


def test_no_bytes_make_the_reader_fail_in_another_way() -> None:
    chance, codes = random.Random(7), set()
    good = (HEAD + 'GL-1,94:83:c4:00:00:01,m,s1,2026-12-31,GL-0,"n"\nGL-2,,,,,,\n').encode()
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            parse(bytes(data))
        except Refusal as refusal:
            codes.add(refusal.code)
    assert codes == {"manifest_invalid"}
