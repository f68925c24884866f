"""What one account of a register says and the other does not is found; what neither owes is explained."""

import re
from dataclasses import replace

import pytest

from fleetd.decode import decode
from fleetd.ledger.base import PREPAY, ROLLBACK, SUSPENDED, VOID, Ticket
from fleetd.ledger.skew import Skew
from fleetd.ledger.verdict import HeldTicket
from fleetd.ledger.witness import compare
from routerd.model import RECORD
from tests.fleetd.genuine import DAYS, day, held
from tests.samples import sample

AHEAD = Skew(427_000, 1_000, 109, False, -240)


def genuine_journal() -> list[HeldTicket]:
    ends = rb"(?<=\d\d:\d\d:\d\d\n)(?=\x1bc0)|(?<=SUSPENDED # \d{7}\n)(?=\x1bc0)"
    pieces = re.split(ends, sample("verifone-serial", "register.bin"))
    said = [one for piece in pieces for one in decode(RECORD, piece)]
    return [held(one, place) for place, one in enumerate(said) if isinstance(one, Ticket)]


def as_book(journal: list[HeldTicket]) -> list[HeldTicket]:
    """The XML's account of the same tickets: serials, and times with their offset."""
    return [
        replace(
            one, ticket=replace(one.ticket, serial=str(n), pos_time=f"{one.ticket.pos_time[:19]}-04:00"), source="x"
        )
        for n, one in enumerate(journal)
    ]


def till(name: str) -> list[HeldTicket]:
    return [one for one in day(name).tickets if one.ticket.register == "101"]


def numbers(tickets: tuple[HeldTicket, ...]) -> list[str]:
    return [one.ticket.number for one in tickets]


def test_both_files_number_alike_register_before_running_number() -> None:
    assert all(re.fullmatch(r"\d{7}", one.ticket.number) for one in (*genuine_journal(), *till(DAYS[0])))
    assert all(one.ticket.number.startswith(one.ticket.register) for one in (*genuine_journal(), *till(DAYS[0])))


def test_two_whole_accounts_agree() -> None:
    journal = genuine_journal()
    witness = compare(journal, [*as_book(journal), *day(DAYS[0]).tickets], AHEAD)
    assert len(witness.matched) == len(journal) >= 109
    assert (witness.differing, witness.only_journal, witness.only_book, witness.explained) == ((), (), (), ())


def test_a_ticket_that_either_side_lacks_is_listed() -> None:
    journal = genuine_journal()
    book = as_book(journal)
    sold = [n for n, one in enumerate(journal) if not one.ticket.flags & {SUSPENDED, VOID}]
    lost, unheard = sold[7], sold[40]
    witness = compare(journal[:unheard] + journal[unheard + 1 :], book[:lost] + book[lost + 1 :], AHEAD)
    assert numbers(witness.only_journal) == [journal[lost].ticket.number]
    assert numbers(witness.only_book) == [journal[unheard].ticket.number]


def test_suspended_and_voided_tickets_are_explained() -> None:
    journal = genuine_journal()
    idle = [one for one in journal if one.ticket.flags & {SUSPENDED, VOID}]
    book = as_book([one for one in journal if one not in idle])
    witness = compare(journal, book, AHEAD)
    assert len(idle) >= 4
    assert set(numbers(witness.explained)) == set(numbers(tuple(idle)))
    assert witness.only_journal == witness.only_book == ()


def test_a_prepay_and_its_rollback_are_one_ticket_to_a_journal() -> None:
    book = till(DAYS[0])
    journal = [
        replace(one, ticket=replace(one.ticket, serial="", pos_time=one.ticket.pos_time[:19]), source="serial")
        for one in book
        if ROLLBACK not in one.ticket.flags
    ]
    assert any(PREPAY in one.ticket.flags for one in journal)
    witness = compare(journal, book, AHEAD)
    assert len(witness.matched) == len(journal) == 277
    assert witness.only_journal == witness.only_book == witness.explained == ()


def test_a_number_that_comes_again_is_another_ticket() -> None:
    one = held(Ticket("7", "102", "1020007", "sale", pos_time="2026-07-15T06:00:00", total_cents=100), 1)
    again = replace(one, ticket=replace(one.ticket, pos_time="2026-07-17T06:00:00"))
    witness = compare([one, again], [again], AHEAD)
    assert witness.matched == ((again, again),)
    assert witness.only_journal == (one,)


def test_totals_that_differ_are_shown() -> None:
    one = held(Ticket("7", "102", "1020007", "sale", pos_time="2026-07-15T06:00:00", total_cents=100), 1)
    other = replace(one, ticket=replace(one.ticket, total_cents=1_000))
    assert compare([one], [other], AHEAD).differing == ((one, other),)
    assert compare([one], [one], AHEAD).differing == ()


def test_a_ticket_without_a_time_is_dated_by_its_capture_and_the_skew() -> None:
    captured_ms = 1_784_109_600_000  # 2026-07-15T10:00:00Z, 06:00 at -04:00
    dated = held(Ticket("7", "102", "1020007", "sale", pos_time="2026-07-15T06:07:07"), 1)
    bare = replace(held(Ticket("7", "102", "1020007", "sale"), 2), captured_ms=captured_ms)
    late = replace(bare, captured_ms=captured_ms + 13 * 3_600_000)
    assert len(compare([bare], [dated], AHEAD).matched) == 1
    assert compare([late], [dated], AHEAD).only_journal == (late,)


@pytest.mark.parametrize("number", ["1020007", "0007", "7", "001020007"])
@pytest.mark.parametrize("register", ["102", "0102"])
def test_a_number_with_or_without_its_register_is_the_same_ticket(number: str, register: str) -> None:
    one = held(Ticket("7", "102", "1020007", "sale", pos_time="2026-07-15T06:00:00", total_cents=100), 1)
    other = replace(one, ticket=replace(one.ticket, register=register, number=number))
    assert len(compare([one], [other], AHEAD).matched) == 1
    assert compare([one], [replace(one, ticket=replace(one.ticket, number="1020008"))], AHEAD).matched == ()
