"""NCR's and ROQQIO's transactions, genuine, and what else ARTS lets a transaction be."""

import pytest

from fleetd.decode import decode
from fleetd.ledger.base import REFUND, SUSPENDED, TRAINING, VOID
from routerd.errors import CorruptError
from routerd.model import RECORD
from tests.fleetd.decoded import lines_cents, one, tickets
from tests.samples import sample, sample_names


def test_ncrs_sale_counts_its_grand_amount() -> None:
    sign_on, sale = tickets(sample("poslog-ncr", "SMALL.xml"))
    assert (sign_on.kind, sign_on.number, sign_on.total_cents, sign_on.counted_cents) == (
        "operatorsignon",
        "160",
        None,
        0,
    )
    assert (sale.store, sale.register, sale.number, sale.cashier) == ("9", "34", "161", "94")
    assert (sale.business_day, sale.pos_time) == ("2017-09-30", "2017-10-01T02:02:54")
    assert sale.counted_cents == sale.total_cents == lines_cents(sale) == 107
    item, reward = sale.lines
    assert (item.upc, item.entry, item.department, item.quantity_milli) == ("00000000067591", "keyed", "6", 420)
    assert (reward.kind, reward.amount_cents, reward.promotions) == ("promotion", -19, (("5123", "PercentOff", 19),))
    assert sale.tenders == (("creditdebit", 107),)
    assert sale.loyalty == (("Membership", "0000000000000000000006677"),)


@pytest.mark.parametrize("name", sample_names("poslog-roqqio"))
def test_roqqios_lines_and_tenders_are_its_grand_amount(name: str) -> None:
    [ticket] = tickets(sample("poslog-roqqio", name))
    assert ticket.counted_cents == ticket.total_cents == lines_cents(ticket)
    assert ticket.total_cents == sum(cents for _, cents in ticket.tenders)
    assert (ticket.kind == "refund") == (REFUND in ticket.flags) == name.startswith("retoure")


def test_roqqios_returns_are_negative_and_name_the_sale() -> None:
    [ticket] = tickets(sample("poslog-roqqio", "retoure_with_link.xml"))
    assert (ticket.counted_cents, ticket.linked, ticket.store) == (-129, "3569", "100")
    assert [(line.quantity_milli, line.amount_cents) for line in ticket.lines] == [(-1000, -129)]
    assert (ticket.business_day, ticket.pos_time) == ("2024-10-15", "2024-10-15T11:27:02.649")
    assert ticket.loyalty == (("", "T220001293"),)


def test_roqqios_change_is_given_back() -> None:
    [ticket] = tickets(sample("poslog-roqqio", "sale_with_tenderChange.xml"))
    assert ticket.tenders == (("cash", 2700), ("change", -1))


def transaction(total: str = "5.00", *, attributes: str = "", state: str = "", body: str = "") -> bytes:
    grand = f'<Total TotalType="TransactionGrandAmount">{total}</Total>' if total else ""
    status = f' TransactionStatus="{state}"' if state else ""
    return (
        f"<Transaction{attributes}><SequenceNumber>7</SequenceNumber>"
        f"<RetailTransaction{status}>{body}{grand}</RetailTransaction></Transaction>"
    ).encode()


@pytest.mark.parametrize(
    ("attributes", "state", "kind", "flags"),
    [
        ("", "Voided", "void", {VOID}),
        ("", "PostVoided", "void", {VOID}),
        ("", "Suspended", "sale", {SUSPENDED}),
        (' TrainingModeFlag="true"', "", "sale", {TRAINING}),
        (' CancelFlag="true"', "", "void", {VOID}),
    ],
)
def test_voided_suspended_and_training_transactions_do_not_count(
    attributes: str, state: str, kind: str, flags: set[str]
) -> None:
    ticket = one(transaction(attributes=attributes, state=state))
    assert (ticket.kind, ticket.flags, ticket.total_cents, ticket.counted_cents) == (kind, flags, 500, 0)
    assert one(transaction(state="Normal")).counted_cents == 500


def test_a_return_is_negative_however_it_is_written() -> None:
    item = "<LineItem><Return><ExtendedAmount>5.00</ExtendedAmount><Quantity>1</Quantity></Return></LineItem>"
    [line] = one(transaction("-5.00", body=item)).lines
    assert (line.amount_cents, line.quantity_milli) == (-500, -1000)


def test_rewards_without_ncrs_marks_are_read_once() -> None:
    body = "<PromotionID>1</PromotionID><ExtendedRewardAmount>-1.00</ExtendedRewardAmount></LoyaltyReward></LineItem>"
    detail = f'<LineItem><LoyaltyReward acs:detailedData="true">{body}'
    assert len(one(transaction(body=f"<LineItem><LoyaltyReward>{body}")).lines) == 1
    assert one(transaction(body=detail)).lines == ()


def test_what_sells_nothing_takes_a_number() -> None:
    record = (
        b"<Transaction><SequenceNumber>8</SequenceNumber><ControlTransaction><NoSale><Amount>1.00</Amount></NoSale>"
    )
    ticket = one(record + b"</ControlTransaction></Transaction>")
    assert (ticket.kind, ticket.number, ticket.counted_cents) == ("nosale", "8", 0)


def test_a_retail_transaction_without_a_total_is_set_aside() -> None:
    with pytest.raises(CorruptError) as caught:
        decode(RECORD, transaction(""))
    assert caught.value.code == "decode.missing"


def test_a_transaction_of_another_house_says_nothing() -> None:
    assert decode(RECORD, b"<Transaction><Id>7</Id></Transaction>") == ()
