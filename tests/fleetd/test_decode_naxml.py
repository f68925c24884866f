"""The genuine Bulloch shift adds up by sums taken without the decoder; Passport's forms are read as described."""

import re
from collections import Counter

import pytest

from fleetd.decode import decode
from fleetd.ledger.base import COMPLETION, OFFLINE, PREPAY, REFUND, SUSPENDED, TRAINING, VOID, Event, Marker, Totals
from routerd.errors import CorruptError
from routerd.model import ENVELOPE, RECORD
from tests.fleetd.decoded import lines_cents, one, said, tickets
from tests.samples import sample

SHIFT = "naxml-posjournal_20837_2.xml"
SALE = "naxml-posjournal_20837_509720_2.xml"
OTHER_SITE = "naxml-posjournal_10089_001158_1.xml"


def sums(name: bytes, data: bytes) -> int:
    """The cents of every element of a name, read without the decoder."""
    return sum(int(text.replace(b".", b"")) for text in re.findall(rb"<%b[^>]*>(-?\d+\.\d\d)</" % name, data))


def test_the_shift_adds_up_to_its_tenders_and_its_lines() -> None:
    data = sample("naxml-bulloch", SHIFT)
    sales = data[: data.index(b"<FinancialEvent ")]
    counted = sum(ticket.counted_cents for ticket in tickets(data))
    assert counted == sums(b"TenderAmount", sales) == sums(b"TransactionTotalGrandAmount", sales) == 287625
    net = sums(b"SalesAmount", sales) + sums(b"FeeAmount", sales)
    assert counted == net + sums(b"TransactionTotalTaxNetAmount", sales)


def test_every_sale_is_its_tenders_and_its_lines() -> None:
    sales = [ticket for ticket in tickets(sample("naxml-bulloch", SHIFT)) if ticket.kind == "sale"]
    assert len(sales) == 140
    for ticket in sales:
        assert (ticket.number, lines_cents(ticket)) == (ticket.number, ticket.total_cents)
        assert sum(cents for _, cents in ticket.tenders) == ticket.total_cents


def test_the_shifts_close_counts_the_sales_that_complete_no_prepay() -> None:
    read = said(sample("naxml-bulloch", SHIFT))
    [close] = (thing for thing in read if isinstance(thing, Marker))
    assert (close.kind, close.register, close.business_day) == ("close", "2", "2026-02-26")
    assert close.pos_time == "2026-02-27T05:00:11"
    sales = [ticket for ticket in tickets(sample("naxml-bulloch", SHIFT)) if ticket.kind == "sale"]
    assert close.count == len([sale for sale in sales if COMPLETION not in sale.flags]) == 98


def test_a_completion_names_its_prepay_and_counts_the_difference() -> None:
    by_number = {ticket.number: ticket for ticket in tickets(sample("naxml-bulloch", SHIFT))}
    done = [ticket for ticket in by_number.values() if COMPLETION in ticket.flags]
    assert len(done) == 42
    for ticket in done:
        prepaid = by_number[ticket.linked]
        assert PREPAY in prepaid.flags
        pumped = sum(line.amount_cents for line in ticket.lines if line.kind == "fuel" and line.amount_cents > 0)
        deposit = sum(line.amount_cents for line in prepaid.lines if line.kind == "fuel")
        assert ticket.counted_cents == pumped - deposit


def test_safe_drops_have_an_amount_that_does_not_count() -> None:
    drops = [ticket for ticket in tickets(sample("naxml-bulloch", SHIFT)) if ticket.kind == "safedrop"]
    assert sorted(drop.total_cents or 0 for drop in drops) == [10000, 15000, 15000, 15000, 20000]
    assert {drop.counted_cents for drop in drops} == {0}


def test_the_file_of_one_sale_says_what_the_shift_says() -> None:
    [ticket] = tickets(sample("naxml-bulloch", SALE))
    assert ticket in tickets(sample("naxml-bulloch", SHIFT))
    assert (ticket.store, ticket.register, ticket.cashier) == ("35250", "2", "csh001")
    assert (ticket.business_day, ticket.pos_time) == ("2026-02-26", "2026-02-26T22:19:15")
    assert ticket.loyalty == (("ESI", "************6157"),)
    assert ticket.tenders == (("VISA", 5000),)


def test_tenders_go_by_their_names() -> None:
    kinds = Counter(kind for ticket in tickets(sample("naxml-bulloch", SHIFT)) for kind, _ in ticket.tenders)
    assert (kinds["VISA"], kinds["debitCards"]) == (38, 44)
    assert (kinds["cash"], kinds["loyalty"]) == (37 + 5, 2)  # five of them are safe drops


def test_a_documents_head_says_store_and_period() -> None:
    head, *_ = said(sample("naxml-bulloch", SHIFT))
    opened, closed = "2026-02-26T20:53:10", "2026-02-27T05:00:11"
    assert head == Totals("start", "35250", "cashier:20837", "2026-02-26", opened, closed)


def test_items_keep_code_promotion_fee_and_tax() -> None:
    [ticket] = tickets(sample("naxml-bulloch", OTHER_SITE))
    fuel, item, fee, *_, tax = ticket.lines
    assert (fuel.kind, fuel.quantity_milli, fuel.amount_cents, fuel.unit_price_cents) == ("fuel", 10000, 970, 100)
    assert fuel.promotions == (("00000000F1005", "RBC 3CPL", 30),)
    assert (item.kind, item.upc, item.upc_modifier, item.entry) == ("item", "0000000051338", "0", "plu")
    assert (item.department, item.amount_cents, item.number) == ("020001", 479, 2)
    assert (fee.kind, fee.description, fee.amount_cents, fee.number) == ("other", "ItemDeposits", 10, 2)
    assert (tax.kind, tax.description, tax.amount_cents) == ("tax", "FHST", 48)
    assert ticket.total_cents == 1996


def test_a_shifts_codes_and_promotions_are_all_there() -> None:
    lines = [line for ticket in tickets(sample("naxml-bulloch", SHIFT)) for line in ticket.lines]
    assert len([line for line in lines if line.upc]) == 115
    assert Counter(line.entry for line in lines if line.upc) == {"scan": 82, "plu": 33}
    assert len([line for line in lines if line.promotions]) == 25


def event(
    total: str = "5.00", *, name: str = "SaleEvent", head: str = "", lines: str = "", direction: str = "Collected"
) -> bytes:
    """An event as Passport writes it: no store, a total with a direction."""
    summary = f'<TransactionTotalGrandAmount direction="{direction}">{total}</TransactionTotalGrandAmount>'
    return (
        f"<{name}><RegisterID>1</RegisterID><TransactionID>8945</TransactionID>{head}"
        f"<TransactionDetailGroup>{lines}</TransactionDetailGroup>"
        f"<TransactionSummary>{summary}</TransactionSummary></{name}>"
    ).encode()


def flag(name: str, value: str = "yes") -> str:
    return f'<{name} value="{value}"/>'


@pytest.mark.parametrize(
    ("name", "total", "head", "counted", "flags"),
    [
        ("SaleEvent", "5.00", "", 500, set()),
        ("RefundEvent", "-5.00", "", -500, {REFUND}),
        ("RefundEvent", "5.00", "", -500, {REFUND}),
        ("VoidEvent", "5.00", "", 0, {VOID}),
        ("SaleEvent", "5.00", flag("SuspendFlag"), 0, {SUSPENDED}),
        ("SaleEvent", "5.00", flag("TrainingModeFlag"), 0, {TRAINING}),
        ("SaleEvent", "5.00", flag("OfflineFlag"), 500, {OFFLINE}),
        ("SaleEvent", "5.00", flag("SuspendFlag", "no") + flag("TrainingModeFlag", "no"), 500, set()),
    ],
)
def test_voids_suspended_and_training_events_do_not_count(
    name: str, total: str, head: str, counted: int, flags: set[str]
) -> None:
    ticket = one(event(total, name=name, head=head))
    assert (ticket.counted_cents, ticket.flags) == (counted, flags)


def test_an_outside_sale_is_outside() -> None:
    assert one(event(head=flag("OutsideSalesFlag"))).is_outside
    assert not one(event(head=flag("OutsideSalesFlag", "no"))).is_outside


def test_a_link_in_the_event_itself_completes_a_prepay() -> None:
    link = "<LinkedTransactionInfo><OriginalTransactionID>8940</OriginalTransactionID></LinkedTransactionInfo>"
    ticket = one(event(head=link))
    assert (ticket.linked, ticket.flags) == ("8940", {COMPLETION})
    assert one(event("-5.00", name="RefundEvent", head=link)).flags == {REFUND}


def test_cancelled_lines_are_void_and_change_is_given_back() -> None:
    lines = (
        '<TransactionLine status="cancel"><ItemLine><SalesAmount>3.00</SalesAmount></ItemLine></TransactionLine>'
        '<TransactionLine status="normal"><MerchandiseCodeLine><SalesAmount>5.00</SalesAmount></MerchandiseCodeLine>'
        "</TransactionLine><TransactionLine><TenderInfo><Tender><TenderCode>cash</TenderCode></Tender>"
        "<TenderAmount>-5.00</TenderAmount><ChangeFlag value='yes'/></TenderInfo></TransactionLine>"
    )
    ticket = one(event(lines=lines))
    assert [(line.kind, line.amount_cents, line.is_void) for line in ticket.lines] == [
        ("item", 300, True), ("department", 500, False),
    ]  # fmt: skip
    assert ticket.tenders == (("change", -500),)


@pytest.mark.parametrize(("bypassed", "said_to_be"), [("yes", "bypassed"), ("no", "checked")])
def test_passport_says_whether_the_age_check_was_bypassed(bypassed: str, said_to_be: str) -> None:
    detail = (
        f"<TransactionLine><ItemLine><RestrictedSalesDetail><CustomerID>{flag('CashierBypassedFlag', bypassed)}"
        "</CustomerID></RestrictedSalesDetail></ItemLine></TransactionLine>"
    )
    assert one(event(lines=detail)).age_check == said_to_be


def test_a_prefix_that_the_head_declared_does_no_harm() -> None:
    record = event(lines="<TransactionLine><ItemLine><SalesAmount>5.00</SalesAmount></ItemLine></TransactionLine>")
    assert one(record.replace(b"</", b"</nax:").replace(b"<", b"<nax:").replace(b"<nax:/nax:", b"</nax:")) == one(
        record
    )


def test_net_and_tax_stand_in_for_a_missing_grand_total() -> None:
    record = event().replace(
        b'<TransactionTotalGrandAmount direction="Collected">5.00</TransactionTotalGrandAmount>',
        b"<TransactionTotalNetAmount>4.50</TransactionTotalNetAmount>"
        b"<TransactionTotalTaxNetAmount>0.50</TransactionTotalTaxNetAmount>",
    )
    assert one(record).counted_cents == 500


def test_a_sale_without_any_total_is_set_aside() -> None:
    with pytest.raises(CorruptError) as caught:
        decode(RECORD, b"<SaleEvent><TransactionID>7</TransactionID></SaleEvent>")
    assert caught.value.code == "decode.missing"


def test_a_sale_without_a_number_still_counts() -> None:
    record = event().replace(b"<TransactionID>8945</TransactionID>", b"")
    assert (one(record).number, one(record).counted_cents) == ("", 500)
    named = record.replace(b"<RegisterID>", b"<EventSequenceID>71</EventSequenceID><RegisterID>")
    assert one(named).number == "71"


def test_an_event_without_a_number_is_an_event() -> None:
    record = b"<OtherEvent><RegisterID>1</RegisterID><TransactionID>0</TransactionID><NosaleDetail/></OtherEvent>"
    assert decode(RECORD, record) == (Event("", "1", "nosale"),)
    assert one(record.replace(b">0<", b">9<")).kind == "nosale"


def test_a_head_of_passport_gives_its_store() -> None:
    head = (
        b'<?xml version ="1.0" encoding="ISO-8859-1" standalone="no"?><NAXML-POSJournal version="3.4">'
        b"<TransmissionHeader><StoreLocationID>St\xf6r</StoreLocationID></TransmissionHeader><JournalReport>"
    )
    assert decode(ENVELOPE, head) == (Totals("start", "Stör"),)
    assert decode(ENVELOPE, b"</JournalReport></NAXML-POSJournal>") == ()
