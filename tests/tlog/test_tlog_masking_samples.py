"""The genuine t-logs hold no card data: masking must not touch a byte of them, save the 4690 operators' passwords."""

import re
from pathlib import Path

import pytest

from routerd.tlog import mask
from tests.samples import SAMPLES, sample

FILES = sorted(str(path.relative_to(SAMPLES)) for path in Path(SAMPLES).rglob("*") if path.is_file())
DIALECTS = {
    "verifone-commander": "transset",
    "verifone-lab": "transset",
    "naxml-bulloch": "naxml",
    "poslog-ncr": "poslog",
    "poslog-roqqio": "poslog",
    "verifone-serial": "verifone-journal",
    "escpos": "escpos",
}


def test_the_genuine_tlogs_are_there() -> None:
    assert len(FILES) > 90


@pytest.mark.parametrize("name", FILES)
def test_a_genuine_tlog_comes_through_untouched(name: str) -> None:
    data = sample(name)
    assert mask(data)[0] is data
    dialect = DIALECTS.get(name.split("/")[0], "")
    assert mask(data, dialect) == (data, 0)


@pytest.mark.parametrize(
    ("name", "passwords", "size"),
    [
        ("EAMTRANA_2.DAT", 21, 21),
        ("ace_00_01.dat", 1, 1),
        ("ace_02_03_07.dat", 1, 4),
        ("ace_05_97-05.dat", 1, 4),
        ("ace_80-01_98_13_97-13.dat", 1, 1),
    ],
)
def test_every_4690_password_goes_and_nothing_else(name: str, passwords: int, size: int) -> None:
    data = sample("ibm4690", name)
    decoded = sample("ibm4690", f"infoset_{name.partition('.')[0]}.xml")
    assert len(re.findall(rb"<Password\d? ", decoded)) == passwords
    out, changed = mask(data, "ibm4690")
    places = [n for n in range(len(data)) if data[n] != out[n]]
    assert changed == len(places) == size
    assert {out[n] for n in places} <= {0xFF, ord("X")}
    assert mask(out, "ibm4690") == (out, 0)
    for line, blanked in zip(data.split(b"\x22\r\n"), out.split(b"\x22\r\n"), strict=True):
        assert len(line) == len(blanked)
