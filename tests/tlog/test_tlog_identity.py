"""Whatever way an event comes, it has one name; and no two events share one. Held on every genuine t-log."""

import re
from pathlib import Path

import pytest

from routerd.framing import Frame, build
from routerd.tlog import Facts, dialect
from tests.samples import SAMPLES, sample, sample_names


def described(data: bytes, name: str, framer: str = "xml-element") -> list[Facts]:
    """What the dialect says of every frame, envelopes left out."""
    speaks = dialect(name)
    cutter = build(framer, {}, speaks.elements)
    pieces = cutter.feed(data) + cutter.close()
    return [speaks.describe(piece.data) for piece in pieces if isinstance(piece, Frame) and not piece.envelope]


def names(facts: list[Facts]) -> set[str]:
    found = [fact.identity for fact in facts]
    assert None not in found
    assert all(len(name or "") <= 200 for name in found)
    return {name for name in found if name}


@pytest.mark.parametrize(
    ("day", "own", "fallback"), [("daily-2026-07-16.311.xml", 4124, 9), ("daily-2026-07-17.312.xml", 4174, 8)]
)
def test_every_record_of_a_commander_day_has_a_name_of_its_own(day: str, own: int, fallback: int) -> None:
    facts = described(sample("verifone-commander", day), "transset")
    assert len(names(facts)) == len(facts) == own + fallback
    assert sum(fact.fallback for fact in facts) == fallback
    assert all(re.fullmatch(r"transset:\d+-\d+-\d+", fact.identity or "") for fact in facts if not fact.fallback)
    assert all(fact.pos_time and fact.pos_time.endswith("-04:00") and fact.kind for fact in facts)


def test_a_shift_and_its_day_give_the_same_names_but_for_their_own_period_close() -> None:
    day = described(sample("verifone-commander", "daily-2026-07-17.312.xml"), "transset")
    shift = described(sample("verifone-commander", "shift-2026-07-17.392.xml"), "transset")
    apart = names(day) ^ names(shift)
    assert {fact.kind for fact in day + shift if fact.identity in apart} == {"periodclose"}
    assert len(apart) == 2


def test_two_lab_records_share_a_name_only_if_they_are_the_same() -> None:
    contents = {sample("verifone-lab", name).strip() for name in sample_names("verifone-lab", "*.xml")}
    facts = [fact for content in contents for fact in described(content, "transset")]
    assert len(contents) > 60
    assert len(names(facts)) == len(facts) == len(contents)


def test_a_rollup_names_a_sale_as_its_own_file_does() -> None:
    (single,) = described(sample("naxml-bulloch", "naxml-posjournal_20837_509720_2.xml"), "naxml")
    rollup = described(sample("naxml-bulloch", "naxml-posjournal_20837_2.xml"), "naxml")
    assert single in rollup
    assert len(names(rollup)) == len(rollup) == 146
    assert not any(fact.fallback for fact in rollup)


def test_journal_tickets_are_told_apart() -> None:
    facts = described(sample("verifone-serial", "register.bin"), "verifone-journal", "esc-journal")
    assert len(names(facts)) == len(facts) == 109
    assert [fact.kind for fact in facts].count("void") == 1


def test_suspended_tickets_are_told_apart_from_sales() -> None:
    cutter = build("esc-journal", {}, ())
    pieces = cutter.feed(sample("verifone-serial", "register.bin")) + cutter.close()
    facts = [dialect("verifone-journal").describe(piece.data) for piece in pieces if b"SUSPENDED" in piece.data]
    assert [fact.kind for fact in facts] == ["suspended"] * 3
    assert len(names(facts)) == 3


def test_poslog_transactions_are_told_apart() -> None:
    paths = [("poslog-ncr", "SMALL.xml")] + [("poslog-roqqio", name) for name in sample_names("poslog-roqqio", "*.xml")]
    facts = [fact for path in paths for fact in described(sample(*path), "poslog")]
    assert len(names(facts)) == len(facts) == len(paths) + 1
    assert [fact.fallback for fact in facts[:2]] == [False, False]
    assert {fact.kind for fact in facts} == {"controltransaction", "retailtransaction"}


def test_a_4690_transaction_has_a_name_and_an_operators_act_has_none() -> None:
    lines = re.findall(rb"\x22.*?\x22\r\n", sample("ibm4690", "EAMTRANA_2.DAT"), re.DOTALL)
    facts = [dialect("ibm4690").describe(line) for line in lines]
    named = [fact for fact in facts if fact.identity]
    assert len(facts) == 43
    assert len(names(named)) == len(named) == 19
    assert {fact.kind for fact in facts if not fact.identity} == {"20"}
    assert named[0].pos_time == "2010-10-15T14:16"


def test_no_genuine_print_stream_is_given_a_name() -> None:
    assert all(
        dialect("escpos").describe(sample("escpos", name)) == Facts() for name in sample_names("escpos", "*.bin")
    )


def test_describing_anything_never_raises() -> None:
    for path in (path for path in Path(SAMPLES).rglob("*") if path.is_file()):
        for name in ("transset", "naxml", "poslog", "verifone-journal", "vsi", "text", "ibm4690", "escpos"):
            assert isinstance(dialect(name).describe(path.read_bytes()), Facts)
