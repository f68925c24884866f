"""What goes on the wire: each format as genuine lines have it, cut and read by eyes other than its maker's."""

import itertools
import re
import xml.etree.ElementTree as ET
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache, reduce
from operator import xor
from pathlib import Path
from typing import Any

import pytest

from routerd.tlog import dialect, mask
from scripts.pos.formats import FORMATS, Settings, tickets
from scripts.pos.generate import closed_period, record
from scripts.pos.journal import PREFIX
from scripts.pos.naxml import Naxml
from scripts.pos.poslog import Poslog
from scripts.pos.ticket import Ticket
from scripts.pos.truth import Truth

DIALECT = {"journal": "verifone-journal", "stx": "text"}


@cache
def made(known: str, count: int = 500, **settings: Any) -> list[Ticket]:
    return list(tickets(Settings(known, **settings), count))


@cache
def joined(known: str, count: int = 500) -> bytes:
    return b"".join(ticket.data for ticket in made(known, count))


@pytest.mark.parametrize("known", FORMATS)
def test_the_dialect_reads_the_identity_the_truth_says(known: str) -> None:
    reader = dialect(DIALECT.get(known, known))
    for ticket in made(known, pan_rate=0.3):
        facts = reader.describe(ticket.data)
        assert (facts.identity, facts.pos_time) == (ticket.identity, ticket.pos_time), ticket.data
        assert facts.fallback is False
        assert facts.kind in ("", ticket.kind)


@pytest.mark.parametrize("known", [known for known in FORMATS if known != "journal"])
def test_masking_hides_every_whole_card_number_and_keeps_loyalty_and_upcs(known: str) -> None:
    shown = made(known, pan_rate=0.3)
    assert any(ticket.pans for ticket in shown)
    assert any(ticket.loyalty for ticket in shown)
    for ticket in shown:
        masked = mask(ticket.data, DIALECT.get(known, known))[0]
        assert len(masked) == len(ticket.data)
        assert all(pan.encode() not in masked for pan in ticket.pans), ticket.identity
        assert ticket.loyalty.encode() in masked, ticket.identity
        for upc in re.findall(rb"\b00\d{12}\b", ticket.data):
            assert upc in masked


def test_journal_cuts_into_the_tickets_that_were_sold() -> None:
    shown = made("journal")
    data = b"".join(ticket.data for ticket in shown)
    ends = re.findall(rb"CSH: [^\n]*\n|TRANSACTION SUSPENDED # \d+\n", data)
    assert len(ends) == len(shown) == 500
    cut = re.findall(rb"(?s).+?(?:CSH: [^\n]*\n|TRANSACTION SUSPENDED # \d+\n)", data)
    assert cut == [ticket.data for ticket in shown]


def test_journal_lines_run_together_as_often_as_on_a_genuine_register() -> None:
    lines = joined("journal").split(PREFIX)[1:]
    mashed = [line[22:] for line in lines if not line.endswith(b"\n")]
    assert 0.16 < len(mashed) / len(lines) < 0.24, "genuine: 169 of 856"
    assert {re.sub(rb"\d+|\s+", b"", text) for text in mashed} == {
        b"ST#DR#TRAN#", b"Trans#MANUALENTRYOVERRIDE", b"ERRORCORRECT",
    }  # fmt: skip
    assert b"\r" not in b"".join(lines)


def test_journal_prints_forty_columns_behind_the_registers_clock() -> None:
    for line in joined("journal").split(PREFIX)[1:]:
        found = re.fullmatch(rb"\d\d/\d\d/\d\d \d\d:\d\d:\d\d 101 ([^\n]{1,40})\n?", line)
        assert found, line


def test_journal_says_nothing_of_upcs_or_loyalty() -> None:
    data = joined("journal")
    assert not re.search(rb"\d{12}", data)
    assert b"TRANSACTION RECALLED #101" in data
    assert b"VOID TICKET 101" in data


def test_journal_lines_come_as_the_cashier_scans() -> None:
    for ticket in made("journal", 100):
        times = [piece.at_s for piece in ticket.pieces]
        assert times == sorted(times)
        assert b"".join(piece.data for piece in ticket.pieces) == ticket.data


def test_unique_ids_rise_with_gaps() -> None:
    ids = [int(n) for n in re.findall(rb"<uniqueID>\d+-\d+-(\d+)</uniqueID>", joined("transset"))]
    steps = [b - a for a, b in itertools.pairwise(ids)]
    assert set(steps) == {1, 2}
    assert 0.03 < steps.count(2) / len(steps) < 0.12, "genuine: 6 to 7 %"


def test_a_rollback_has_its_prepays_number_and_no_serial_of_its_own() -> None:
    shown = [ticket.data for ticket in made("transset")]
    rollbacks = [data for data in shown if b' rollback="true"' in data]
    assert rollbacks
    for data in rollbacks:
        assert b"trUniqueSN" not in data
        number = re.search(rb"<trSeq>\d+</trSeq>", data)
        assert number
        assert sum(number[0] in other and b' fuelPrepay="true"' in other for other in shown) == 1
    financial = [d for d in shown if b"<trLines>" in d and b" rollback=" not in d]
    assert all(b"trUniqueSN" in data for data in financial)


def test_trans_records_are_well_formed_and_stand_on_one_line() -> None:
    data = joined("transset")
    assert b"\n" not in data
    root = ET.fromstring(b"<r>" + data + b"</r>")
    assert {child.tag for child in root} == {"trans"}
    assert any("&" in (desc.text or "") for desc in root.iter("trlDesc")), "an escaped description"


@pytest.mark.parametrize("seed", [1, 2])
def test_a_closed_period_balances_to_the_cent(seed: int) -> None:
    made_period = closed_period(Settings("transset", seed=seed, per_hour=25))
    root = ET.fromstring(made_period.data)
    total, naive = Decimal(0), Decimal(0)
    for trans in root.iter("trans"):
        amount = trans.findtext("trValue/trTotWTax")
        if amount is None:
            continue
        naive += Decimal(amount)
        flags = (trans.get("rollback"), trans.get("fuelPrepay"), trans.get("suspended"))
        if "true" not in flags and trans.get("type") != "void":
            total += Decimal(amount)
    start, end = (Decimal(root.findtext(f"{tag}/overallSales") or "") for tag in ("startTotals", "endTotals"))
    assert end - start == total == Decimal(made_period.sales_cents) / 100
    assert total == sum(Decimal(ticket.total_cents) / 100 for ticket in made_period.tickets if ticket.counts)
    assert naive > total * Decimal("1.05"), "the naive sum must be wrong, as it is on genuine days"


def test_a_closed_period_has_the_genuine_shape() -> None:
    data = closed_period(Settings("transset"), count=50).data
    assert data.rstrip().endswith(b"</transSet>")
    assert data.index(b"</startTotals>") < data.index(b"<openCashier>") < data.index(b'<trans type="openCashier">')
    assert data.index(b"<periodName>SHIFT") < data.index(b"<periodName>DAILY") < data.index(b"<endTotals>")
    body = data[data.index(b"<openCashier>") : data.index(b"\t<endTotals>")]
    assert b"\n" not in body
    current = closed_period(Settings("transset"), count=50)
    assert b"periodClose" in current.data
    open_one = closed_period(Settings("transset"), count=50, current=True).data
    assert b"periodClose" not in open_one
    assert b"closedTime" not in open_one


def test_a_period_is_one_day_of_the_shop() -> None:
    made_period = closed_period(Settings("transset", per_hour=25))
    times = [datetime.fromisoformat(ticket.pos_time) for ticket in made_period.tickets if ticket.pos_time]
    assert timedelta(hours=20) < max(times) - min(times) < timedelta(hours=25)
    assert 350 < sum(ticket.sold for ticket in made_period.tickets) < 900


def test_text_tickets_say_who_they_are_in_so_many_words() -> None:
    for ticket in made("text", 100):
        lines = ticket.data.decode("ascii").split("\r\n")
        assert lines[0] == "*** TICKET START ***"
        assert lines[-2:] == ["*** TICKET END ***", ""]
        assert any(re.fullmatch(r"STORE 0042 REG 01 TICKET \d{7}", line) for line in lines)
        assert any(re.fullmatch(r"DATE 2026-11-\d\d TIME \d\d:\d\d:\d\d", line) for line in lines)


def test_text_delimiters_are_the_operators_choice() -> None:
    data = b"".join(t.data for t in made("text", 5, text_start="<<", text_end=">>", text_eol="\n"))
    assert data.count(b"<<\n") == data.count(b">>\n") == 5
    assert b"\r" not in data


def test_stx_tickets_carry_the_lrc_of_all_after_stx_up_to_etx() -> None:
    for ticket in made("stx", 300):
        data = ticket.data
        assert data[0] == 2
        assert data[-2] == 3
        assert data.count(b"\x03") == 1 + (data[-1] == 3)
        assert data[-1] == reduce(xor, data[1:-1])


def test_a_naxml_event_has_the_same_bytes_in_its_own_file_and_in_the_roll_up(tmp_path: Path) -> None:
    record("naxml", Settings("naxml"), 30, f"{tmp_path}/", Truth())
    names = sorted(tmp_path.iterdir(), key=lambda path: len(path.name))
    roll_up, singles = names[0].read_bytes(), [path.read_bytes() for path in names[1:]]
    assert len(singles) == 30
    for data in singles:
        event = re.search(rb"(?s)<(\w+Event) uuid=.*</\1>", data)
        assert event
        assert event[0] in roll_up
        assert ET.fromstring(data).tag.endswith("}NAXML-POSJournal")


def test_poslog_is_one_well_formed_document() -> None:
    shown = made("poslog", 40)
    root = ET.fromstring(Poslog(Settings("poslog").shop).document(shown))
    assert len(root) == 40


def test_naxml_of_nothing_is_still_a_document() -> None:
    assert ET.fromstring(Naxml(Settings("naxml").shop).document([])) is not None


def test_a_recording_is_as_fast_as_benchmarks_need(tmp_path: Path) -> None:
    size = record("transset-stream", Settings("transset"), 1000, str(tmp_path / "out.xml"), Truth())
    assert size == (tmp_path / "out.xml").stat().st_size > 2_000_000
