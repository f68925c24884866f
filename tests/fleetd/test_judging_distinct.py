"""Which tickets are one and the same."""

from dataclasses import replace

from fleetd.ledger.base import Ticket
from fleetd.ledger.days import distinct
from tests.fleetd.genuine import held


def test_tickets_without_a_number_are_told_apart_by_their_place() -> None:
    one = held(Ticket("7", "1", "", "sale", total_cents=100, counted_cents=100), 1)
    other = replace(one, place=("commander", 2, 0))
    assert len(distinct((one, other, one))) == 2
