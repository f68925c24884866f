"""A controller that sells by itself files its periods as a genuine one does."""

import re
import xml.etree.ElementTree as ET
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from commander_fakes import BEGIN, MORNING, assert_balanced, settings, sums, uniques

from scripts.commander.book import load, piece
from scripts.commander.recorded import Recorded
from scripts.commander.store import KEPT, Store
from scripts.pos.period import DAILY, SHIFT
from scripts.pos.ticket import Ticket
from tests.samples import sample


def sold(**changes: object) -> Store:
    store = Store(settings(**changes))
    store.catch_up(MORNING)
    return store


def identities(data: bytes) -> set[str]:
    return {one.identity for one in load(data).pieces}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_closed_period_balances_inside_outside_and_in_the_grand_totals(seed: int) -> None:
    store = sold(seed=seed, per_hour=12.0)
    books = [*store.closed(SHIFT), *store.closed(DAILY)]
    assert len(books) == 4
    for book in books:
        data = book.data()
        assert_balanced(data)
        moved = {name: pair[0] for name, pair in sums(data).items()}
        assert moved["overallGrand"] > moved["overallSales"]
        assert book.sales_cents == moved["overallSales"] * 100


@pytest.mark.parametrize("name", ["daily-2026-07-16.311.xml", "daily-2026-07-17.312.xml"])
def test_the_rules_of_the_totals_are_those_of_genuine_days(name: str) -> None:
    assert_balanced(sample("verifone-commander", name))


def test_one_periods_end_totals_are_the_next_ones_start_totals() -> None:
    store = sold()
    for kind in (SHIFT, DAILY):
        books = [book.data() for book in store.closed(kind)]
        running = store.book(kind, "current")
        assert running
        for before, after in pairwise([*books, running.data()]):
            end = re.search(rb"(?s)<endTotals>(.*)</endTotals>", before)
            start = re.search(rb"(?s)<startTotals>(.*)</startTotals>", after)
            assert end
            assert start
            assert end[1] == start[1]


def test_a_shift_and_its_day_hold_the_same_records_but_the_closes_of_days() -> None:
    store = sold()
    shift, daily = store.closed(SHIFT)[1].data(), store.closed(DAILY)[1].data()
    [before] = identities(shift) - identities(daily)
    [after] = identities(daily) - identities(shift)
    assert [b"<periodName>DAILY" in one.data for one in load(shift).pieces if one.identity == before] == [True]
    assert [b"<periodName>DAILY" in one.data for one in load(daily).pieces if one.identity == after] == [True]
    assert load(shift).pieces[0].identity == before, "a shift's file begins with the close of the day before"


def test_records_name_the_periods_they_are_in() -> None:
    store = sold()
    for book in store.closed(DAILY):
        found = set(re.findall(rb'<period level="2" seq="(\d+)" name="DAILY"/>', book.data()))
        assert found == {book.name.rpartition(".")[2].encode()}


def test_drawers_close_with_the_range_of_their_tickets() -> None:
    data = sold(per_hour=12.0).closed(DAILY)[0].data()
    root = ET.fromstring(data)
    for drawer in root.iter("closeCashier"):
        register = drawer.findtext("posNum")
        headers = [trans.find("trHeader") for trans in root.iter("trans") if trans.get("rollback") != "true"]
        numbers = [
            int(header.findtext("trTickNum/trSeq") or 0)
            for header in headers
            if header is not None and header.findtext("trTickNum/posNum") == register
        ]
        first, last, count = (int(drawer.findtext(tag) or 0) for tag in ("beginTicket", "endTicket", "ticketCount"))
        assert (first, last) == (min(numbers), max(numbers))
        assert count == last - first == len(set(numbers)) - 1


def test_a_running_period_is_well_formed_and_has_no_end() -> None:
    running = sold().book(DAILY, "current")
    assert running
    data = running.data()
    assert ET.fromstring(data).tag == "transSet"
    assert data.endswith(b"</transSet>\n")
    for word in (b"periodClose", b"endTotals", b"closedTime"):
        assert word not in data


def test_the_list_has_shifts_then_days_running_first_newest_next_and_forgets_the_oldest() -> None:
    store = Store(settings(per_hour=0.2), closes_at=None)
    for day in range(KEPT + 2):
        store.close(BEGIN + timedelta(days=day + 1))
    names = store.names()
    assert [name for kind, name in names if kind == SHIFT][:2] == ["current", "2027-02-21.483"]
    assert names[KEPT + 1] == (DAILY, "current")
    assert len(names) == 2 * (KEPT + 1)
    assert store.book(DAILY, "2026-11-21.311") is None


def test_a_day_of_two_shifts_is_one_day() -> None:
    store = sold()
    store.close(MORNING, shift_only=True)
    assert len(store.closed(SHIFT)) == 3
    assert len(store.closed(DAILY)) == 2
    running = store.book(DAILY, "current")
    assert running
    assert b"<periodName>SHIFT" in running.data()


def test_an_outage_is_flushed_late_and_mixed_and_the_day_still_balances() -> None:
    store = sold(per_hour=30.0)
    store.go_down()
    back = MORNING + timedelta(hours=7)
    before = store.book(DAILY, "current")
    store.catch_up(back)
    assert before == store.book(DAILY, "current"), "nothing enters a log whose controller is away"
    store.come_up(back)
    store.close(back)
    data = store.closed(DAILY)[-1].data()
    late = [date for date in _sales(data) if date > MORNING]
    assert len(late) > 40
    steps_back = [before - after for before, after in pairwise(late) if after < before]
    assert len(steps_back) > 10, "registers come in mixed"
    assert timedelta(hours=1) < max(steps_back) < timedelta(hours=7)
    assert_balanced(data)
    numbers = [int(one.rpartition("-")[2]) for one in uniques(data)]
    assert numbers == sorted(numbers)


def _sales(data: bytes) -> list[datetime]:
    """When the cash sales were, by their registers' clocks, in the order of the log."""
    sales = (trans for trans in ET.fromstring(data).iter("trans") if trans.get("type") == "sale")
    return [datetime.fromisoformat((trans.findtext("trHeader/date") or "")[:19]) for trans in sales]


def test_a_reboot_restarts_the_serials_and_the_ids_go_on() -> None:
    store = sold()
    store.go_down()
    store.come_up(MORNING)
    store.call(MORNING, "first words")
    running = store.book(DAILY, "current")
    assert running
    assert b'term="0">1</termMsgSN>' in running.pieces[-1].data
    numbers = uniques(running.data())
    assert numbers == sorted(numbers)
    assert len({one.rpartition("-")[0] for one in numbers}) == 1


def test_a_reload_from_an_image_counts_ids_anew_behind_another_prefix() -> None:
    store = sold()
    store.reinstall(MORNING)
    store.call(MORNING, "first words")
    running = store.book(DAILY, "current")
    assert running
    *_, old, new = uniques(running.data())
    assert old.rpartition("-")[0] != new.rpartition("-")[0]
    assert int(new.rpartition("-")[2]) in (1, 2)


def test_an_old_release_has_no_unique_ids() -> None:
    store = Store(settings(), identified=False)
    store.catch_up(MORNING)
    book = store.closed(DAILY)[0]
    assert b"uniqueID" not in book.data()
    assert all(one.identity.startswith("sha256:") for one in book.pieces)
    assert_balanced(book.data())


def test_sales_do_not_depend_on_the_requests_between_them() -> None:
    quiet, asked = Store(settings()), Store(settings())
    for hour in range(48):
        asked.catch_up(BEGIN + timedelta(hours=hour))
        asked.call(BEGIN + timedelta(hours=hour), "a request")
    for store in (quiet, asked):
        store.catch_up(MORNING)
    totals = [[book.sales_cents for book in store.closed(DAILY)] for store in (quiet, asked)]
    assert totals[0] == totals[1]
    assert len(asked.closed(DAILY)[0].pieces) > len(quiet.closed(DAILY)[0].pieces)


def test_what_is_written_and_filed_is_told_once_each() -> None:
    written: list[Ticket] = []
    filed: list[str] = []
    store = Store(settings(), written=written.append, filed=lambda book: filed.append(book.name))
    store.catch_up(MORNING)
    assert filed == ["2026-11-21.391", "2026-11-21.311", "2026-11-22.392", "2026-11-22.312"]
    running = store.book(DAILY, "current")
    assert running
    assert [*store.closed(DAILY)[0].tickets, *store.closed(DAILY)[1].tickets, *running.tickets] == written


def test_a_hidden_record_is_out_of_the_document_and_nothing_else_changes() -> None:
    book = sold().closed(DAILY)[0]
    victim = next(one for one in book.pieces if one.ticket and one.ticket.counts)
    assert book.data({victim.identity}) == book.data().replace(victim.data, b"")
    assert book.data() == book.data(set())


def test_a_recorded_day_is_served_byte_for_byte() -> None:
    data = sample("verifone-commander", "daily-2026-07-16.311.xml")
    book = load(data)
    assert book.data() == data
    assert sum(one.data.lstrip().startswith(b"<trans ") for one in book.pieces) == 4133
    assert Recorded([data]).book(2, "2026-07-16.311") == book


def test_a_recorded_day_grows_as_the_clock_goes_on_and_closes_at_its_end() -> None:
    data = sample("verifone-commander", "daily-2026-07-17.312.xml")
    recorded = Recorded([sample("verifone-commander", "daily-2026-07-16.311.xml")], data, first=500)
    begin = recorded.begin
    assert begin
    recorded.catch_up(begin - timedelta(hours=1))
    sizes = []
    for hour in range(0, 24, 4):
        recorded.catch_up(begin + timedelta(hours=hour))
        running = recorded.book(2, "current")
        assert running
        shown = running.data()
        assert ET.fromstring(shown).tag == "transSet"
        assert b"endTotals" not in shown
        assert b"closedTime" not in shown
        body = shown[len(running.head) : -len(running.tail)]
        assert body in data
        sizes.append(len(running.pieces))
    assert sizes[0] >= 500
    assert sizes == sorted(set(sizes)), "it grows each time"
    assert recorded.names() == [(2, "current"), (2, "2026-07-16.311")]
    recorded.catch_up(begin + timedelta(days=2))
    assert recorded.names() == [(2, "current"), (2, "2026-07-17.312"), (2, "2026-07-16.311")]
    closed, empty = recorded.book(2, "2026-07-17.312"), recorded.book(2, "current")
    assert closed
    assert closed.data() == data
    assert empty
    assert b"<overallSales>4724671.04</overallSales>" in empty.data()
    assert not empty.pieces


@pytest.mark.parametrize("first", [141, 300, 808])
def test_a_recording_begins_when_the_last_of_its_first_records_was_written(first: int) -> None:
    data = sample("verifone-commander", "daily-2026-07-17.312.xml")
    shown = b"".join(one.data for one in load(data).pieces[:first])
    latest = max(re.findall(rb"<(?:date|cOpenTime)>([^<]{19})", shown))
    assert Recorded([], data, first=first).begin == datetime.fromisoformat(latest.decode())


@pytest.mark.parametrize("cut", [b"<html/>", b"<transSet><trans/>", b'<transSet periodID="2" longId="a" shortId="1">'])
def test_what_is_no_closed_period_is_refused(cut: bytes) -> None:
    with pytest.raises(ValueError, match=r"transSet|closed"):
        load(cut)


def test_a_record_without_an_id_is_named_by_its_bytes() -> None:
    assert piece(b"<trans/>").identity == piece(b"<trans/>").identity
    assert piece(b"<trans/>").identity != piece(b"<trans />").identity
