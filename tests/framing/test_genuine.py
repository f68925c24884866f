"""The genuine t-logs come out whole: the counts of their README, no noise, in any chunks."""

import pytest

from routerd.framing import Framer, build
from tests.framing.laws import cut, envelopes, joined, noises, records
from tests.samples import sample, sample_names

CHUNKINGS = ([65536], [1000, 1, 17], [4099])


def xml() -> Framer:
    return build("xml-element", {})


def journal() -> Framer:
    return build("esc-journal", {})


@pytest.mark.parametrize(
    ("folder", "name", "count"),
    [
        ("verifone-commander", "daily-2026-07-16.311.xml", 4133),
        ("verifone-commander", "daily-2026-07-17.312.xml", 4182),
        ("verifone-commander", "shift-2026-07-17.392.xml", 4182),
        ("verifone-commander", "periods.xml", 0),
        ("naxml-bulloch", "naxml-posjournal_20837_2.xml", 146),
        ("naxml-bulloch", "naxml-posjournal_20837_509720_2.xml", 1),
        ("naxml-bulloch", "naxml-posjournal_10089_001158_1.xml", 1),
        ("poslog-ncr", "SMALL.xml", 2),
    ],
)
def test_each_document_gives_its_records_and_no_noise(folder: str, name: str, count: int) -> None:
    data = sample(folder, name)
    whole = cut(xml, data)
    assert len(records(whole)) == count
    assert noises(whole) == []
    assert joined(whole) == data
    for sizes in CHUNKINGS:
        assert cut(xml, data, list(sizes)) == whole


@pytest.mark.parametrize("folder", ["poslog-roqqio", "verifone-lab"])
def test_every_single_record_file_gives_one(folder: str) -> None:
    for name in sample_names(folder, "*.xml"):
        data = sample(folder, name)
        pieces = cut(xml, data)
        assert (name, len(records(pieces)), noises(pieces)) == (name, 1, [])
        assert joined(pieces) == data
        assert cut(xml, data, [1]) == pieces


def test_a_commander_day_keeps_every_trans_and_its_totals_apart() -> None:
    pieces = cut(xml, sample("verifone-commander", "daily-2026-07-16.311.xml"))
    for record in records(pieces):
        assert record.lstrip().startswith(b"<trans ")
        assert record.endswith(b"</trans>")
        assert record.count(b"</trans>") == 1
    around = envelopes(pieces)
    assert around[0].startswith(b"<?xml")
    assert around[0].endswith(b"</startTotals>")
    assert around[-2].endswith(b"</transSet>")
    assert around[-1] == b"\n"


def test_a_sale_of_its_own_file_is_the_roll_ups_byte_for_byte() -> None:
    alone = records(cut(xml, sample("naxml-bulloch", "naxml-posjournal_20837_509720_2.xml")))
    together = records(cut(xml, sample("naxml-bulloch", "naxml-posjournal_20837_2.xml")))
    assert alone[0].strip() in [record.strip() for record in together]


def test_a_current_period_without_its_end_is_no_damage() -> None:
    data = sample("verifone-commander", "daily-2026-07-16.311.xml")
    at = data.rindex(b"</trans>") + len(b"</trans>")
    pieces = cut(xml, data[:at])
    assert len(records(pieces)) == 4133
    assert noises(pieces) == []


def test_a_download_that_broke_off_costs_only_its_last_record() -> None:
    data = sample("verifone-commander", "daily-2026-07-16.311.xml")
    at = data.rindex(b"</trans>")
    pieces = cut(xml, data[:at] + data)
    assert len(records(pieces)) == 4132 + 4133
    assert {reason for reason, _ in noises(pieces)} == {"truncated"}


def test_a_prefixed_document_without_namespaces_of_its_own_is_cut_alike() -> None:
    data = sample("naxml-bulloch", "naxml-posjournal_20837_2.xml")
    prefixed = data.replace(b"</", b"</nax:").replace(b"<", b"<nax:").replace(b"<nax:/nax:", b"</nax:")
    prefixed = prefixed.replace(b"<nax:?xml", b"\xef\xbb\xbf<?xml").replace(b"\n", b"\r\n")
    pieces = cut(xml, prefixed)
    assert len(records(pieces)) == 146
    assert noises(pieces) == []
    assert envelopes(pieces)[0].startswith(b"\xef\xbb\xbf<?xml")


def test_four_hours_of_a_register_give_109_tickets_and_3_suspended_ones() -> None:
    data = sample("verifone-serial", "register.bin")
    whole = cut(journal, data)
    assert len(records(whole)) == 109
    assert all(ticket.count(b"TRAN#") == 1 and ticket.count(b"CSH:") == 1 for ticket in records(whole))
    assert [suspended.rstrip()[-7:] for suspended in envelopes(whole)] == [b"1028376", b"1028377", b"1028379"]
    assert noises(whole) == []
    assert joined(whole) == data
    for sizes in ([1], [2], [7], [59], [209], [1000, 3]):
        assert cut(journal, data, sizes) == whole


def test_the_last_ticket_of_a_register_waits_for_nothing() -> None:
    framer = journal()
    pieces = framer.feed(sample("verifone-serial", "register.bin"))
    assert records(pieces)[-1].endswith(b"07/11/25 07:43:16\n")
    assert framer.pending == b""


def test_a_4690_log_has_43_lines() -> None:
    data = sample("ibm4690", "EAMTRANA_2.DAT")
    pieces = cut(lambda: build("text", {"line": "hex:220d0a"}), data)
    assert len(records(pieces)) == 43
    assert noises(pieces) == []


def test_every_printer_stream_is_one_receipt() -> None:
    """None holds a cut before its end, and images, bar codes and fonts in them must not look like one."""
    for name in sample_names("escpos"):
        data = sample("escpos", name)
        pieces = cut(lambda: build("escpos", {}), data)
        assert (name, records(pieces)) == (name, [data])
        assert cut(lambda: build("escpos", {}), data, [1]) == pieces
