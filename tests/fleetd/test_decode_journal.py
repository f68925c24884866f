"""The genuine serial journal: 109 tickets, and the holes in their numbers explained."""

from collections import Counter

import pytest

from fleetd.decode import decode
from fleetd.ledger.base import PREPAY, RECALLED, SUSPENDED, VOID, Ticket
from routerd.errors import CorruptError
from routerd.model import ENVELOPE, RECORD
from tests.fleetd.decoded import lines_cents, one, tickets
from tests.samples import sample

PREFIX = b"\x1bc0\x01\x1b!\x00"


def register() -> list[Ticket]:
    return tickets(sample("verifone-serial", "register.bin"), "esc-journal")


def roll(*lines: str) -> bytes:
    """Printed lines of register 102, a second apart."""
    return b"".join(PREFIX + f"07/11/25 04:00:{i:02d} 102 {line}\n".encode() for i, line in enumerate(lines))


def item(name: str, amount: str, mark: str = "", quantity: str = "1") -> str:
    return f"{mark:<3}{name:>20}{quantity:>4}{amount:>12} "


def amount(label: str, cents: str) -> str:
    return f"{label:>27}{cents:>12} "


FOOTER = ("ST#1                   DR#1 TRAN#1020007", "CSH: ANN LEE           07/11/25 04:00:30")


def test_the_register_printed_109_tickets() -> None:
    numbered = [ticket for ticket in register() if SUSPENDED not in ticket.flags]
    assert len(numbered) == 109
    assert {ticket.register for ticket in numbered} == {"102"}
    assert {ticket.cashier for ticket in numbered} == {"CORPORATE"}


def test_the_holes_in_the_numbers_are_the_suspended_tickets() -> None:
    numbers = {int(ticket.number) for ticket in register() if SUSPENDED not in ticket.flags}
    suspended = {int(ticket.number) for ticket in register() if SUSPENDED in ticket.flags}
    assert set(range(min(numbers), max(numbers) + 1)) - numbers == suspended == {1028376, 1028377, 1028379}
    recalled = {ticket.number: ticket.linked for ticket in register() if RECALLED in ticket.flags}
    assert recalled == {"1028377": "1028376", "1028379": "1028377", "1028381": "1028379"}


def test_a_void_and_a_suspended_ticket_count_nothing() -> None:
    [void] = (ticket for ticket in register() if VOID in ticket.flags)
    assert (void.number, void.counted_cents) == ("1028388", 0)
    for ticket in register():
        if ticket.flags & {VOID, SUSPENDED}:
            assert (ticket.total_cents, ticket.counted_cents) == (None, 0)
        else:
            assert ticket.counted_cents == ticket.total_cents


def test_totals_are_the_lines_with_a_tax_and_are_paid() -> None:
    for ticket in register():
        if ticket.total_cents is not None:
            tax = ticket.total_cents - lines_cents(ticket)
            assert lines_cents(ticket, voids=False) == lines_cents(ticket)
            bought = sum(line.amount_cents for line in ticket.lines if line.amount_cents > 0)
            assert 0 <= tax <= 0.1 * bought, ticket.number
            assert sum(cents for _, cents in ticket.tenders) >= ticket.total_cents


def test_what_the_journal_says_beside_the_money() -> None:
    first = register()[0]
    assert (first.number, first.pos_time, first.total_cents) == ("1028363", "2025-07-11T03:33:29", 2090)
    assert first.tenders == (("preauth", 2090),)
    assert PREPAY in first.flags
    assert [(line.kind, line.description, line.amount_cents) for line in first.lines] == [
        ("item", "Monster Blue Hawaiia", 349),
        ("item", "PROPEL GRAPE 20oz", 229),
        ("fuel", "PREPAY CA #05", 1500),
    ]
    checks = Counter(ticket.age_check for ticket in register())
    assert checks == {"manual entry override": 52, "birth date": 18, "": 42}


@pytest.mark.parametrize("corrected", [True, False])
def test_a_line_taken_back_is_void_with_the_line_it_takes_back(corrected: bool) -> None:
    taken = item("CHIPS", "-2.00") if corrected else item("CHIPS", "-2.00", " V")
    around = ("************ ERROR CORRECT *************", taken, "ERROR CORRECT", "*" * 40) if corrected else (taken,)
    ticket = one(roll(item("CHIPS", "2.00"), item("MILK", "3.00"), *around, amount("TOTAL", "3.00"), *FOOTER))
    assert [(line.description, line.is_void) for line in ticket.lines] == [
        ("CHIPS", True), ("MILK", False), ("CHIPS", True),
    ]  # fmt: skip
    assert lines_cents(ticket) == lines_cents(ticket, voids=False) == 300


def test_the_last_total_printed_is_the_tickets() -> None:
    lines = (
        item("A", "1.00"),
        amount("TOTAL", "1.07"),
        item("B", "1.00"),
        amount("TOTAL", "2.14"),
        amount("CASH", "5.00"),
    )
    ticket = one(roll(*lines, *FOOTER))
    assert (ticket.total_cents, ticket.tenders, ticket.cashier) == (214, (("cash", 500),), "ANN LEE")


def test_a_payment_out_has_an_amount_that_does_not_count() -> None:
    ticket = one(roll(amount("PAY OUT", "15.00"), *FOOTER))
    assert (ticket.kind, ticket.total_cents, ticket.counted_cents) == ("payout", 1500, 0)


def test_two_tickets_in_one_frame_are_two_tickets() -> None:
    first = roll(item("A", "1.00"), amount("TOTAL", "1.00"), *FOOTER)
    second = first.replace(b"TRAN#1020007", b"TRAN#1020008").replace(b"1.00", b"2.00")
    cut_short = b"".join(second.splitlines(keepends=True)[:-1])  # no cashier's line
    for frame in (first + second, cut_short + first, first + cut_short):
        read = decode(RECORD, frame)
        assert sorted((t.number, t.counted_cents) for t in read if isinstance(t, Ticket)) == [
            ("1020007", 100), ("1020008", 200),
        ]  # fmt: skip


def test_mashed_lines_are_told_apart_by_their_prefix() -> None:
    whole = roll(item("A", "1.00"), amount("TOTAL", "1.00"), *FOOTER)
    assert one(whole.replace(b"\n", b"")) == one(whole.replace(PREFIX, b"")) == one(whole)


def test_lines_without_a_footer_say_nothing() -> None:
    assert decode(ENVELOPE, roll(item("A", "1.00"))) == ()


@pytest.mark.parametrize("total", [(), (amount("TOTAL", "1.005"),)], ids=["none", "no money"])
def test_what_is_sold_without_a_total_is_set_aside(total: tuple[str, ...]) -> None:
    with pytest.raises(CorruptError) as caught:
        decode(RECORD, roll(item("A", "1.00"), *total, *FOOTER))
    assert caught.value.code == "decode.missing"


def test_an_amount_of_too_many_digits_sets_the_ticket_aside() -> None:
    with pytest.raises(CorruptError) as caught:
        decode(RECORD, roll(amount("TOTAL ", "1" * 13 + ".00"), *FOOTER))
    assert caught.value.code == "decode.amount"
