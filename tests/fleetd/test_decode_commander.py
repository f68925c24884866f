"""The genuine Commander days add up to the Commander's own totals, to the cent; every laboratory ticket is read."""

import re
from collections import Counter

import pytest

from fleetd.decode import decode
from fleetd.ledger.base import COMPLETION, PREPAY, REFUND, ROLLBACK, Decoded, Event, Marker, Ticket, Totals
from routerd.model import ENVELOPE, RECORD
from tests.fleetd.decoded import lines_cents, one, said
from tests.samples import sample, sample_names

DAYS = [("daily-2026-07-16.311.xml", "11988.58"), ("daily-2026-07-17.312.xml", "11511.69")]
DAYS_AND_SHIFT = [*DAYS, ("shift-2026-07-17.392.xml", "11511.69")]
_READ: dict[str, list[Decoded]] = {}


def day(name: str) -> list[Decoded]:
    if name not in _READ:
        _READ[name] = said(sample("verifone-commander", name))
    return _READ[name]


def sold(name: str) -> list[Ticket]:
    return [thing for thing in day(name) if isinstance(thing, Ticket)]


def moved(name: str, total: str) -> int:
    """What the document itself says of one total, read without the decoder."""
    start, end = re.findall(rf"<{total}>(\d+)\.(\d\d)</{total}>".encode(), sample("verifone-commander", name))
    return int(b"".join(end)) - int(b"".join(start))


@pytest.mark.parametrize(("name", "sales"), DAYS_AND_SHIFT)
def test_what_counts_is_what_the_commander_sold(name: str, sales: str) -> None:
    counted = sum(ticket.counted_cents for ticket in sold(name))
    assert counted == moved(name, "overallSales") == int(sales.replace(".", ""))
    assert sum(ticket.total_cents or 0 for ticket in sold(name)) > 1.35 * counted  # adding up everything is wrong


@pytest.mark.parametrize(("name", "sales"), DAYS_AND_SHIFT)
def test_inside_and_outside_sales_are_told_apart(name: str, sales: str) -> None:
    outside = sum(ticket.counted_cents for ticket in sold(name) if ticket.is_outside)
    inside = sum(ticket.counted_cents for ticket in sold(name) if not ticket.is_outside)
    assert (inside, outside) == (moved(name, "insideSales"), moved(name, "outsideSales"))


@pytest.mark.parametrize(("name", "sales"), DAYS_AND_SHIFT)
def test_the_totals_around_the_records_say_the_same(name: str, sales: str) -> None:
    start, end = (thing for thing in day(name) if isinstance(thing, Totals))
    assert (start.side, end.side) == ("start", "end")
    for total in ("overallSales", "insideSales", "outsideGrand"):
        assert dict(end.sums)[total] - dict(start.sums)[total] == moved(name, total)
    assert start.store == "0042"
    assert start.business_day == name.partition("-")[2][:10]
    kind, _, rest = name.partition("-")
    assert start.period == f"{kind}:{rest.split('.')[1]}"
    assert start.opened[10:] == start.closed[10:] == "T02:05:06-04:00"
    assert start.closed[:10] == start.business_day
    assert start.opened[:10] < start.business_day


@pytest.mark.parametrize(("name", "sales"), DAYS)
def test_the_lines_of_every_ticket_are_its_total(name: str, sales: str) -> None:
    for ticket in sold(name):
        assert (ticket.number, lines_cents(ticket)) == (ticket.number, ticket.total_cents)
        assert lines_cents(ticket, voids=False) == ticket.total_cents


@pytest.mark.parametrize(("name", "sales"), DAYS)
def test_every_prepay_is_completed_and_rolled_back(name: str, sales: str) -> None:
    prepaid = {t.number: t for t in sold(name) if PREPAY in t.flags and t.kind == "sale"}
    back = {t.number: t for t in sold(name) if ROLLBACK in t.flags}
    done = {t.linked: t for t in sold(name) if COMPLETION in t.flags}
    assert prepaid.keys() == back.keys() == done.keys()
    for number, ticket in prepaid.items():
        assert ticket.total_cents == back[number].total_cents
        assert (ticket.counted_cents, back[number].counted_cents) == (0, 0)
        assert back[number].serial == ""
        assert done[number].counted_cents == done[number].total_cents
        assert done[number].cashier == ticket.cashier == "4"
    assert any(line.is_duplicate for ticket in done.values() for line in ticket.lines)


def test_the_serials_have_no_hole_in_two_days() -> None:
    serials = [int(t.serial) for name, _ in DAYS for t in sold(name) if t.serial]
    assert sorted(serials) == list(range(min(serials), min(serials) + len(serials)))
    assert len(serials) == 1005


@pytest.mark.parametrize(("name", "sales"), DAYS)
def test_a_cashiers_close_names_the_tickets_there_are(name: str, sales: str) -> None:
    closes = [thing for thing in day(name) if isinstance(thing, Marker) and thing.kind == "close"]
    assert Counter(closes) == dict.fromkeys(closes, 2)  # bare, and as a record
    [busy] = {close for close in closes if close.count}
    numbers = {int(ticket.number) for ticket in sold(name) if ticket.register == busy.register == "101"}
    assert numbers == set(range(int(busy.first), int(busy.last) + 1))
    assert busy.count == len(numbers) - 1
    assert busy.period.startswith("cashier:70")


def test_the_end_of_a_day_says_which_periods_closed() -> None:
    closes = [thing for thing in day("daily-2026-07-16.311.xml") if isinstance(thing, Marker)][-2:]
    assert [(close.kind, close.period, close.store, close.pos_time) for close in closes] == [
        ("period", "shift:391", "0042", "2026-07-16T02:05:06-04:00"),
        ("period", "daily:311", "0042", "2026-07-16T02:05:06-04:00"),
    ]


def test_shift_and_day_hold_the_same_tickets() -> None:
    assert sold("shift-2026-07-17.392.xml") == sold("daily-2026-07-17.312.xml")
    for ticket in sold("daily-2026-07-17.312.xml"):
        assert ticket.periods[1:] == ("shift:392", "daily:312")


def test_what_sells_nothing_is_an_event_with_its_words() -> None:
    events = Counter(thing.kind for thing in day("daily-2026-07-16.311.xml") if isinstance(thing, Event))
    assert events == {"journal": 3529, "fuelpricechange": 2}
    [first, *_] = (thing for thing in day("daily-2026-07-16.311.xml") if isinstance(thing, Event))
    assert (first.store, first.register, first.pos_time) == ("0042", "0", "2026-07-15T02:05:58-04:00")
    assert first.text.startswith("SECURE USER: USER: ")


def test_promotions_loyalty_and_age_checks_are_kept() -> None:
    sales = sold("daily-2026-07-16.311.xml") + sold("daily-2026-07-17.312.xml")
    lines = [line for ticket in sales for line in ticket.lines]
    promotions = [promotion for line in lines for promotion in line.promotions]
    assert len([p for p in promotions if p[1] == "mixAndMatchOffer"]) == 92
    assert len([p for p in promotions if p[1] == "loyalty per unit"]) == 53
    assert len([line for line in lines if line.upc]) == 1151
    assert all(len(line.upc) == 14 and line.upc_modifier in ("000", "001") for line in lines if line.upc)
    assert Counter(line.entry for line in lines if line.upc) == {"scanned": 917, "manual": 187, "key": 47}
    assert Counter(ticket.age_check for ticket in sales)["skipped"] == 139
    assert len([ticket for ticket in sales if ticket.loyalty]) == 102
    assert {line.unit_price_cents for line in lines if line.kind == "fuel" and line.quantity_milli == 9551} == {360}


@pytest.mark.parametrize("name", sample_names("verifone-lab", "*.xml"))
def test_every_laboratory_ticket_is_read(name: str) -> None:
    ticket = one(sample("verifone-lab", name))
    assert ticket.number
    assert ticket.pos_time
    if ticket.lines:
        assert lines_cents(ticket) == lines_cents(ticket, voids=False) == ticket.total_cents
    else:
        assert ticket.counted_cents == 0


def test_the_laboratorys_kinds() -> None:
    lab = [one(sample("verifone-lab", name)) for name in sample_names("verifone-lab", "*.xml")]
    assert Counter(ticket.kind for ticket in lab) == {
        "sale": 57, "refund": 4, "clock": 2, "void": 1, "safedrop": 1, "payin": 1, "payout": 1,
    }  # fmt: skip
    assert {t.kind: t.total_cents for t in lab if t.kind in ("safedrop", "payin", "payout", "clock")} == {
        "safedrop": 1123, "payin": 1132, "payout": 1561, "clock": None,
    }  # fmt: skip
    assert len([ticket for ticket in lab if ticket.is_outside]) == 1


def test_a_refund_takes_off_what_it_gives_back() -> None:
    lab = [one(sample("verifone-lab", name)) for name in sample_names("verifone-lab", "*.xml")]
    refunds = [ticket for ticket in lab if REFUND in ticket.flags]
    assert sorted(ticket.counted_cents for ticket in refunds) == [-4624, -4400, -4359, -4000]
    for ticket in refunds:
        assert ticket.counted_cents == ticket.total_cents == sum(cents for _, cents in ticket.tenders)
        assert all(line.quantity_milli < 0 for line in ticket.lines if line.kind != "tax")


def test_the_list_of_periods_says_nothing() -> None:
    assert decode(ENVELOPE, sample("verifone-commander", "periods.xml")) == ()
    assert decode(RECORD, sample("verifone-commander", "periods.xml")) == ()
