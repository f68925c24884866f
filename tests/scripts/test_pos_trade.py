"""What is sold: reproducible, invented, and true to the cent."""

import itertools
import re
from datetime import datetime, timedelta
from functools import cache
from itertools import islice
from random import Random

import pytest

from scripts.pos.basket import TEST_PANS
from scripts.pos.formats import FORMATS, Settings, for_source, sales, tickets
from scripts.pos.sale import Sale, paced, taxes
from scripts.pos.shop import PosClock, check_digit
from scripts.pos.trade import arrivals


@cache
def some(count: int) -> list[Sale]:
    return list(islice(sales(Settings("transset"), outdoor=True), count))


def rendered(settings: Settings, count: int = 60) -> bytes:
    return b"".join(ticket.data for ticket in tickets(settings, count))


@pytest.mark.parametrize("known", FORMATS)
def test_the_same_seed_gives_the_same_bytes(known: str) -> None:
    assert rendered(Settings(known, seed=3)) == rendered(Settings(known, seed=3))
    assert rendered(Settings(known, seed=3)) != rendered(Settings(known, seed=4))


@pytest.mark.parametrize("known", FORMATS)
def test_exactly_the_tickets_asked_for(known: str) -> None:
    assert sum(ticket.sold for ticket in tickets(Settings(known), 37)) == 37


def test_two_sources_of_one_process_share_no_identity() -> None:
    for known in FORMATS:
        base = Settings(known)
        first = {ticket.identity for ticket in tickets(base, 100)}
        second = {ticket.identity for ticket in tickets(for_source(base, 1), 100)}
        assert not (first & second) - {None}, known


def test_every_identity_is_unique() -> None:
    for known in FORMATS:
        seen = [ticket.identity for ticket in tickets(Settings(known), 300)]
        assert len(set(seen)) == len(seen), known


@pytest.mark.parametrize(("digits", "expected"), [("03600029145", "2"), ("629104150021", "3")])
def test_check_digit_is_the_published_one(digits: str, expected: str) -> None:
    assert check_digit(digits) == expected


def test_every_upc_printed_is_valid_and_nobodys() -> None:
    upcs = set(re.findall(rb"<trlUPC>(\d+)</trlUPC>", rendered(Settings("transset"), 400)))
    assert len(upcs) > 20
    for upc in upcs:
        digits = [int(chr(byte)) for byte in upc]
        assert len(digits) == 14
        assert sum(d * (3 if i % 2 == 0 else 1) for i, d in enumerate(digits)) % 10 == 0, upc
        assert upc.startswith(b"004"), "number system 4: the shop's own use"


def test_whole_card_numbers_are_published_test_numbers_and_are_flagged() -> None:
    known = {pan for pans in TEST_PANS.values() for pan in pans}
    made = list(tickets(Settings("transset", pan_rate=0.2), 400))
    flagged = [ticket for ticket in made if ticket.pans]
    assert flagged
    for ticket in made:
        accounts = {a.decode() for a in re.findall(rb"<trpcAccount>(\d+)</trpcAccount>", ticket.data)}
        assert accounts == set(ticket.pans) <= known


def test_no_loyalty_id_looks_like_a_card() -> None:
    ids = {sale.loyalty for sale in some(2000) if sale.loyalty}
    assert {len(i) for i in ids} == {10, 16}
    assert all(i[3:8] == "55501" if len(i) == 10 else i.startswith("98") for i in ids)


def test_what_is_paid_is_what_is_owed() -> None:
    for sale in some(2000):
        for tender in sale.tenders:
            assert tender.cents - tender.change_cents == sale.total_cents, sale
            assert sale.taxes == taxes(sale.lines)


def test_every_kind_of_ticket_comes() -> None:
    seen = some(2000)
    assert {sale.kind for sale in seen} == {"sale", "refund", "void", "suspended", "nosale", "safedrop", "payout"}
    for wanted in ("prepay", "completion", "rollback", "recalled", "outdoor", "loyalty"):
        assert any(getattr(sale, wanted) for sale in seen), wanted
    lines = [line for sale in seen for line in sale.lines]
    assert {line.promotion.kind for line in lines if line.promotion} == {"mixAndMatchOffer", "combinationOffer"}
    assert any(line.voids for line in lines)


def test_a_voided_line_costs_nothing() -> None:
    for sale in some(2000):
        for line in sale.lines:
            if line.voids:
                assert line.net_cents + sale.lines[line.voids - 1].net_cents == 0


def test_a_prepay_is_completed_at_the_pump_and_rolled_back_on_the_register() -> None:
    seen = some(2000)
    prepays = {(sale.register, sale.ticket): sale for sale in seen if sale.prepay}
    pairs = [(a, b) for a, b in itertools.pairwise(seen) if a.completion]
    assert pairs
    for completion, rollback in pairs:
        assert completion.original
        prepay = prepays[completion.original]
        assert completion.register > 900
        assert rollback.rollback
        assert (rollback.register, rollback.ticket) == (prepay.register, prepay.ticket)
        assert rollback.total_cents == prepay.total_cents
        assert completion.total_cents <= prepay.total_cents
        assert all(line.duplicate for line in completion.lines if not line.fuel)


def test_a_suspended_ticket_is_recalled_with_its_lines() -> None:
    seen = some(2000)
    held = {(sale.register, sale.ticket): sale for sale in seen if sale.kind == "suspended"}
    recalled = [sale for sale in seen if sale.recalled]
    assert recalled
    for sale in recalled:
        assert sale.original
        before = held[sale.original].lines
        assert [line.product for line in sale.lines[: len(before)]] == [line.product for line in before]


def test_noise_does_not_change_the_sales() -> None:
    def sold(noise: float) -> list[int]:
        return [t.total_cents for t in tickets(Settings("transset", noise=noise), 100) if t.sold]

    assert sold(0.0) == sold(6.0)


def test_noise_is_as_loud_as_asked() -> None:
    made = list(tickets(Settings("transset", noise=6.0), 500))
    assert 5.0 < sum(not ticket.sold for ticket in made) / 500 < 7.0


def test_customers_come_at_the_rate_asked_and_mostly_in_the_rush() -> None:
    start = datetime(2026, 11, 22)
    came = []
    for at in arrivals(Random(1), start, 60):
        if at >= start + timedelta(days=7):
            break
        came.append(at)
    assert 0.9 < len(came) / (7 * 24 * 60) < 1.1
    rush, night = (sum(at.hour == hour for at in came) for hour in (17, 3))
    assert rush > 5 * night


def test_the_clock_is_off_and_drifts() -> None:
    origin = datetime(2026, 11, 22, 5)
    clock = PosClock(origin, skew_s=427.0, drift_ppm=50.0)
    assert clock.read(origin) - origin == timedelta(seconds=427)
    later = origin + timedelta(days=1)
    assert clock.read(later) - later == timedelta(seconds=427 + 4.32)


def test_pacing_a_ticket_changes_its_times_only() -> None:
    for sale in some(2000)[:50]:
        quick = paced(sale, 0.1)
        assert quick.lasted_s == pytest.approx(sale.lasted_s / 10)
        assert [line.net_cents for line in quick.lines] == [line.net_cents for line in sale.lines]
        assert all(a.at_s <= b.at_s for a, b in zip(quick.lines, quick.lines[1:], strict=False))
