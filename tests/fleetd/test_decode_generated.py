"""The simulator's tickets are decoded to the figures it made them of."""

from collections import Counter

import pytest

from fleetd.decode import decode
from fleetd.ledger.base import PREPAY, Marker, Ticket, Totals
from routerd.model import RECORD
from scripts.pos.formats import Settings, tickets
from scripts.pos.generate import closed_period
from tests.fleetd.decoded import lines_cents, said

COUNTED_WHEN_PAID = ("naxml", "journal")  # where a prepay's completion counts the difference, or does not appear


@pytest.mark.parametrize("seed", range(3))
def test_a_generated_period_adds_up_to_its_totals(seed: int) -> None:
    period = closed_period(Settings(format="transset", seed=seed, pan_rate=0.3), count=200)
    read = said(period.data)
    sold = [thing for thing in read if isinstance(thing, Ticket)]
    start, end = (dict(thing.sums) for thing in read if isinstance(thing, Totals))
    counted = sum(ticket.counted_cents for ticket in sold)
    assert counted == period.sales_cents == end["overallSales"] - start["overallSales"]
    assert len(sold) == len([ticket for ticket in period.tickets if ticket.sold])
    assert [m.period for m in read if isinstance(m, Marker) and m.kind == "period"] == ["shift:391", "daily:311"]
    for ticket in sold:
        assert lines_cents(ticket) == lines_cents(ticket, voids=False)
        assert not ticket.lines or lines_cents(ticket) == ticket.total_cents


@pytest.mark.parametrize("form", ["transset", "naxml", "poslog", "journal"])
def test_every_generated_ticket_is_read_with_its_total(form: str) -> None:
    kinds: Counter[str] = Counter()
    for made in tickets(Settings(format=form, seed=5, pan_rate=0.2), 400):
        [ticket] = decode(RECORD, made.data) if made.sold else [None]
        if ticket is None:
            continue
        assert isinstance(ticket, Ticket)
        kinds[ticket.kind] += 1
        assert ticket.pos_time == made.pos_time
        if ticket.counted_cents or made.counts:
            assert (ticket.total_cents or 0) == made.total_cents
        if PREPAY not in ticket.flags or form not in COUNTED_WHEN_PAID:
            assert ticket.counted_cents == (made.total_cents if made.counts else 0)
        if made.loyalty:
            assert made.loyalty in [account for _, account in ticket.loyalty]
    assert kinds["sale"] > 300
    assert kinds.keys() >= {"refund", "void", "payout", "nosale"}


@pytest.mark.parametrize("form", ["text", "stx"])
def test_receipts_say_nothing(form: str) -> None:
    for made in tickets(Settings(format=form, seed=5), 40):
        assert decode(RECORD, made.data) == ()
