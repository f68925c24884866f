"""Counts that start again, numbers of another year, a controller that restarts: no complete day is spoiled by them."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from fleetd.ledger.base import Ticket
from fleetd.ledger.days import judge
from tests.fleetd.genuine import CLOSED_MS, DAYS, day, held
from tests.fleetd.test_judging_days import changed


@pytest.mark.parametrize("first", [700, 1500])
def test_counts_that_start_again_at_one_are_no_loss(first: int) -> None:
    evidence = day(DAYS[1])
    serials = sorted(int(one.ticket.serial) for one in evidence.tickets if one.ticket.serial)
    half = serials[len(serials) // 2]
    numbers = sorted({int(one.ticket.number) for one in evidence.tickets if one.ticket.register == "101"})
    middle = next(
        int(one.ticket.number)
        for one in evidence.tickets
        if one.ticket.register == "101" and one.ticket.serial and int(one.ticket.serial) >= half
    )

    def again(value: int, low: int, turn: int) -> str:
        return str(value - turn + 1 if value >= turn else value - low + first)

    tickets = tuple(
        changed(
            one,
            serial=again(int(one.ticket.serial), serials[0], half) if one.ticket.serial else "",
            number=again(int(one.ticket.number), numbers[0], middle)
            if one.ticket.register == "101"
            else one.ticket.number,
        )
        for one in evidence.tickets
    )
    verdict = judge(replace(evidence, tickets=tickets), CLOSED_MS)
    assert (verdict.status, verdict.difference_cents, verdict.missing) == ("complete", 0, ())


def test_tickets_of_another_year_show_no_loss_by_their_numbers() -> None:
    evidence = day(DAYS[1])
    pumps = tuple(str(number) for number in (901, 902, 903, 904))
    old = tuple(
        held(
            Ticket(
                "0042",
                pump,
                "7",
                "refund",
                serial=str(305_000 + 3 * n),
                pos_time=f"2018-03-01T10:0{n}:00-05:00",
                total_cents=0,
            ),
            9000 + n,
        )
        for n, pump in enumerate(pumps)
    )
    verdict = judge(replace(evidence, tickets=(*evidence.tickets, *old)), CLOSED_MS)
    assert (verdict.status, verdict.missing) == ("complete", ())
    assert any("money is equal" in reason for reason in verdict.reasons)


def test_serials_skipped_in_a_reboot_of_five_minutes_are_told_and_prove_nothing() -> None:
    evidence = day(DAYS[0])
    ordered = sorted((one for one in evidence.tickets if one.ticket.serial), key=lambda one: int(one.ticket.serial))
    quiet = timedelta(minutes=5)
    turn = next(
        int(two.ticket.serial)
        for one, two in pairwise(ordered[50:])
        if quiet
        <= datetime.fromisoformat(two.ticket.pos_time) - datetime.fromisoformat(one.ticket.pos_time)
        < 2 * quiet
    )
    tickets = tuple(
        changed(one, serial=str(int(one.ticket.serial) + 3))
        if one.ticket.serial and int(one.ticket.serial) >= turn
        else one
        for one in evidence.tickets
    )
    verdict = judge(replace(evidence, tickets=tickets), CLOSED_MS)
    assert (verdict.status, verdict.missing) == ("complete", ())
    assert any("money is equal" in reason for reason in verdict.reasons)
