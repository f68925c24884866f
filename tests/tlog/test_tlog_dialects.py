"""How each dialect reads the forms its POS family is known to write."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.errors import ConfigError
from routerd.tlog import DIALECTS, Facts, dialect, sniff

SALE = (
    b"<%s:SaleEvent>\r\n<%s:EventSequenceID>71</%s:EventSequenceID><%s:RegisterID>2</%s:RegisterID>"
    b"<%s:TransactionID>8945</%s:TransactionID></%s:SaleEvent>"
)
PREFIX = b"\x1bc0\x01\x1b!\x00"


def event(*fields: bytes, name: bytes = b"SaleEvent") -> bytes:
    return b"<" + name + b">" + b"".join(fields) + b"<TransactionDetailGroup/></" + name + b">"


def field(name: bytes, text: bytes) -> bytes:
    return b"<%b>%b</%b>" % (name, text, name)


NUMBER = field(b"TransactionID", b"8945")
REGISTER = field(b"RegisterID", b"1")


def test_an_unknown_dialect_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="transset"):
        dialect("transet")


def test_every_dialect_is_known_by_its_own_name() -> None:
    assert {name: known.name for name, known in DIALECTS.items()} == {name: name for name in DIALECTS}
    assert dialect("naxml").elements == ("SaleEvent", "RefundEvent", "VoidEvent", "FinancialEvent", "OtherEvent")


@pytest.mark.parametrize("name", sorted(DIALECTS))
@given(data=st.binary(max_size=300))
def test_describing_any_bytes_never_raises(name: str, data: bytes) -> None:
    assert isinstance(dialect(name).describe(data), Facts)


@pytest.mark.parametrize("name", sorted(DIALECTS))
@given(cut=st.integers(0, 400), data=st.sampled_from([b"<trans type='sale'><trHeader><date>", event(NUMBER, REGISTER)]))
def test_describing_half_a_record_never_raises(name: str, data: bytes, cut: int) -> None:
    assert isinstance(dialect(name).describe(data[:cut]), Facts)


@pytest.mark.parametrize(
    "record",
    [
        b'<trans type="Network Sale" recalled="false"><trHeader><uniqueID>17-1-3</uniqueID>'
        b"<date>2026-07-16T02:05:57-04:00</date></trHeader></trans>",
        b"\r\n\t<vs:trans\r\n recalled='false'\r\n type = 'Network Sale'>\r\n<vs:trHeader a='1'><vs:date>"
        b"2026-07-16T02:05:57-04:00</vs:date>\r\n<vs:uniqueID >\r\n17-1-3 </vs:uniqueID></vs:trHeader></vs:trans>",
    ],
    ids=["bare", "prefixed, CRLF, attributes turned"],
)
def test_transset_reads_prefixes_white_space_and_attributes_in_any_order(record: bytes) -> None:
    assert dialect("transset").describe(record) == Facts(
        "transset:17-1-3", False, "2026-07-16T02:05:57-04:00", "network sale"
    )


def test_transset_takes_no_id_from_below_the_header() -> None:
    record = b"<trans type='sale'><trHeader><x/></trHeader><other><uniqueID>17-1-3</uniqueID></other></trans>"
    facts = dialect("transset").describe(record)
    assert facts.fallback
    assert facts.identity != "transset:17-1-3"


def test_a_fallback_name_depends_on_content_and_not_on_the_white_space_around_or_on_masking() -> None:
    record = (
        b'<trans type="sale"><trHeader><termMsgSN type="FINANCIAL" term="101">7</termMsgSN><trTickNum><trSeq>9</trSeq>'
        b"</trTickNum><date>2019-01-17T22:16:22-05:00</date><storeNumber>AB1</storeNumber></trHeader>%b</trans>"
    )
    describe = dialect("transset").describe
    clear, masked = (
        record % b"<trpcAccount>4111111111111111</trpcAccount>",
        record % b"<trpcAccount>411111XXXXXX1111</trpcAccount>",
    )
    assert describe(clear).identity == describe(b"\r\n " + masked + b"\n").identity
    assert describe(clear).identity != describe(record % b"").identity
    assert (describe(clear).identity or "").startswith("transset:AB1/101/FINANCIAL/7/9/2019-01-17T22:16:22-05:00/")


def test_naxml_reads_passport_events() -> None:
    record = event(
        field(b"EventSequenceID", b"7"),
        REGISTER,
        NUMBER,
        field(b"EventStartDate", b"2025-12-09"),
        field(b"EventStartTime", b"13:30:45"),
        field(b"ReceiptDate", b"2025-12-09"),
        field(b"ReceiptTime", b"13:31:38"),
        field(b"BusinessDate", b"2025-12-08"),
    )
    assert dialect("naxml").describe(record) == Facts(
        "naxml:-/1/saleevent/8945/7/2025-12-08/2025-12-09T13:31:38", False, "2025-12-09T13:31:38", "saleevent"
    )


def test_naxml_reads_verifones_dates_and_times() -> None:
    record = event(
        b"<EventSequenceID/>",
        NUMBER,
        REGISTER,
        field(b"EventEndDate", b"2021-05-28T"),
        field(b"EventEndTime", b"09:54:00-04:00"),
        field(b"BusinessDate", b"2021-05-28T00:00:00-04:00"),
        name=b"VoidEvent",
    )
    assert dialect("naxml").describe(record) == Facts(
        "naxml:-/1/voidevent/8945/-/2021-05-28/2021-05-28T09:54:00-04:00",
        False,
        "2021-05-28T09:54:00-04:00",
        "voidevent",
    )


def test_naxml_keeps_the_shift_closes_of_a_day_apart() -> None:
    def close(clock: bytes) -> str | None:
        number = field(b"TransactionID", b"0") + field(b"EventSequenceID", b"260226")
        end = field(b"EventEndDate", b"2026-02-26") + field(b"EventEndTime", clock)
        return dialect("naxml").describe(event(number, REGISTER, end, name=b"OtherEvent")).identity

    assert close(b"13:00:11") != close(b"21:00:11")


def test_naxml_events_without_number_and_time_are_told_apart_by_content() -> None:
    described = [dialect("naxml").describe(event(REGISTER, field(b"X", text))) for text in (b"1", b"2")]
    assert all(facts.fallback for facts in described)
    assert described[0].identity != described[1].identity


def test_naxml_does_not_take_the_number_of_a_linked_transaction() -> None:
    linked = b"<LinkedTransactionInfo><OriginalTransactionID>1</OriginalTransactionID></LinkedTransactionInfo>"
    assert "/8945/" in (dialect("naxml").describe(event(linked, NUMBER, REGISTER)).identity or "")


def test_naxml_reads_any_prefix() -> None:
    record = SALE % ((b"nax",) * 8)
    assert dialect("naxml").describe(record).identity == "naxml:-/2/saleevent/8945/71/-/-"


def test_a_document_around_the_records_has_no_name() -> None:
    assert dialect("naxml").describe(b"<NAXML-POSJournal><TransmissionHeader/>") == Facts()
    assert dialect("transset").describe(b"</trans></transSet>") == Facts()
    assert dialect("poslog").describe(b"<POSLog>") == Facts()


def test_poslog_takes_the_transactions_own_number_and_not_a_lines() -> None:
    record = (
        b"<Transaction><RetailStoreID>9</RetailStoreID><WorkstationID>34</WorkstationID>"
        b"<SequenceNumber>161</SequenceNumber><BusinessDayDate>2017-09-30</BusinessDayDate>"
        b"<EndDateTime>2017-10-01T02:02:54</EndDateTime><a:RetailTransaction V='2'><LineItem>"
        b"<SequenceNumber>1</SequenceNumber></LineItem></a:RetailTransaction></Transaction>"
    )
    expected = Facts("poslog:9/34/161/2017-09-30", False, "2017-10-01T02:02:54", "retailtransaction")
    assert dialect("poslog").describe(record) == expected
    lines_only = record.replace(b"<SequenceNumber>161</SequenceNumber>", b"")
    assert dialect("poslog").describe(lines_only).fallback


def ticket(*lines: bytes, clock: bytes = b"07/11/25 03:33:29") -> bytes:
    return b"".join(PREFIX + clock + b" 102 " + line for line in lines)


FOOTER = (b"ST#1                   DR#1 TRAN#1028363", b"CSH: ANNA              07/11/25 03:33:30\n")


def test_a_journal_ticket_is_named_by_its_footer() -> None:
    facts = dialect("verifone-journal").describe(ticket(b"L   GUM   1   1.00 \n", *FOOTER))
    assert facts == Facts("verifone-journal:102/1028363/2025-07-11T03:33:30", False, "2025-07-11T03:33:30", "sale")


@pytest.mark.parametrize(
    ("line", "kind"),
    [(b"VOID TICKET 1028388\n", "void"), (b"    NO SALE\n", "nosale"), (b"  PAID OUT  5.00\n", "payout")],
)
def test_a_journal_ticket_says_what_it_is(line: bytes, kind: str) -> None:
    assert dialect("verifone-journal").describe(ticket(line, *FOOTER)).kind == kind


def test_a_journal_with_an_afternoon_clock_is_read() -> None:
    footer = (FOOTER[0], b"CSH: ANNA              07/11/25 03:33:30 PM\n")
    assert dialect("verifone-journal").describe(ticket(*footer)).pos_time == "2025-07-11T15:33:30"


def test_two_tickets_in_one_frame_claim_no_name() -> None:
    other = (FOOTER[0].replace(b"363", b"364"), FOOTER[1])
    assert dialect("verifone-journal").describe(ticket(*FOOTER, *other)) == Facts()


RECEIPT = b"  CORNER SHOP\r\nSTORE 0042 REG 02 TICKET 0001234\r\nDATE 2026-11-22 TIME 14:03:09\r\nTOTAL 3.00\r\n"


@pytest.mark.parametrize("name", ["text", "vsi", "escpos"])
def test_a_receipt_that_says_it_all_has_a_name(name: str) -> None:
    facts = dialect(name).describe(RECEIPT)
    assert facts == Facts(f"{name}:0042/02/0001234/2026-11-22T14:03:09", False, "2026-11-22T14:03:09", "")


def test_printer_commands_do_not_hide_the_name() -> None:
    printed = RECEIPT.replace(b"STORE", b"\x1b@\x1b!0STORE").replace(b" REG", b"\x1bE\x01 REG") + b"\x1dVA"
    assert dialect("escpos").describe(printed).identity == "escpos:0042/02/0001234/2026-11-22T14:03:09"


@pytest.mark.parametrize(
    ("line", "time"),
    [
        (b"STORE #42 REG: 2 TRAN# 77\n11/22/26 2:03 PM", "2026-11-22T14:03"),
        (b"Store:42 Register 2 Invoice #77\n11/22/2026 14:03:09", "2026-11-22T14:03:09"),
    ],
)
def test_other_plain_footers_are_read(line: bytes, time: str) -> None:
    assert dialect("text").describe(line).pos_time == time


@pytest.mark.parametrize(
    "receipt",
    [
        RECEIPT.replace(b"STORE 0042 ", b""),
        RECEIPT.replace(b"TICKET", b"TABLE"),
        RECEIPT.replace(b"DATE 2026-11-22 TIME 14:03:09", b""),
        RECEIPT.replace(b"2026-11-22", b"2026-13-22"),
        RECEIPT + RECEIPT.replace(b"1234", b"1235"),
    ],
    ids=["no store", "no number", "no time", "no such month", "two tickets"],
)
def test_a_receipt_that_leaves_something_out_has_no_name(receipt: bytes) -> None:
    assert dialect("text").describe(receipt) == Facts()


HEADER = b"\x22\x00:\x00\x42:\x00\x07:\x26\x11\x22\x14\x03:\x00:\xf8:\xf1:\x12\x34:\x00\x22\r\n"


def test_a_4690_header_is_read_around_its_quote_bytes() -> None:
    assert dialect("ibm4690").describe(HEADER) == Facts(
        "ibm4690:0042/0007/2611221403/00", False, "2026-11-22T14:03", "00"
    )


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b'<?xml version="1.0"?>\n<transSet periodID="2">', "transset"),
        (b'ime></trHeader><trLines/></trans><trans type="sale"><trHeader>', "transset"),
        (b"<nax:NAXML-POSJournal version='3.6'>", "naxml"),
        (b'<POSLog xmlns="x"><Transaction>', "poslog"),
        (ticket(*FOOTER), "verifone-journal"),
        (HEADER, "ibm4690"),
        (b"tail\x22\r\n" + HEADER, "ibm4690"),
        (b"\x1b\x01TOTAL 1.00\r\n\x1b\x02GUM 1.00\r\n", "vsi"),
        (b"\x1b@CORNER SHOP\n\x1dVA\x00", "escpos"),
        (RECEIPT, "text"),
        (b"", ""),
        (b"\x00\x01\x02\xff" * 40, ""),
        (b"<html>\n</html>", ""),
        (b'{"a":\n1}', ""),
    ],
)
def test_a_recording_is_recognised(data: bytes, name: str) -> None:
    assert sniff(data) == name


@given(st.binary(max_size=300))
def test_sniffing_any_bytes_never_raises(data: bytes) -> None:
    assert sniff(data) in {"", *DIALECTS}


@given(st.lists(st.text(alphabet="a/%-", max_size=3), min_size=3, max_size=3), st.data())
def test_no_two_naxml_keys_look_alike(parts: list[str], data: st.DataObject) -> None:
    others = data.draw(st.lists(st.text(alphabet="a/%", min_size=1, max_size=3), min_size=3, max_size=3))
    names = (b"StoreHierarchyID", b"RegisterID", b"TransactionID")
    first, second = (
        dialect("naxml").describe(event(*(field(n, t.encode()) for n, t in zip(names, texts, strict=True))))
        for texts in (parts, others)
    )
    assert (first.identity == second.identity) == (parts == others)
