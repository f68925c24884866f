"""Orders for backfill: given for what is missing, repeated with backoff, closed when it came or the POS forgot it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetd.decode import decode
from fleetd.files import Folder
from fleetd.ledger import backfill, gaps
from fleetd.ledger.desk import Desk
from fleetd.ledger.verdict import COMPLETE
from routerd.model import Draft, Gap, Run, Stream
from routerd.wire.body import gap_draft
from tests.fleetd.kit import NOW_MS, gap, segment
from tests.fleetd.ledger_kit import (
    COMMANDER,
    DAILY_311,
    House,
    delivered,
    document,
    frames_of,
    genuine,
    segments,
)

NEXT = Stream("commander", 8)
QUARTER_MS, DAY_MS = 900_000, 86_400_000


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


class Counter:
    """The part of fleetd that answers, on the clock of a house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.desk = Desk(Folder(house.root), decode, lambda: house.now_ms)
        self.desk.start()

    def orders(self) -> list[tuple[str, str, str]]:
        return [(source, first, last) for _, source, first, last, _ in self.desk.orders_for("r1")]


@pytest.fixture
def counter(house: House) -> Iterator[Counter]:
    made = Counter(house)
    yield made
    made.desk.close()


def lose(house: House, *, is_declared: bool = True) -> int:
    """Day 311 without one record; where it was lost."""
    made = genuine(DAILY_311)
    at = next(n for n in range(len(made) // 2, len(made)) if made[n].pos_kind == "network sale")
    house.take(*segments(made[:at]), *segments(made[at + 1 :], at + 2))
    declared = [gap(at + 1, at + 1, COMMANDER)] if is_declared else []
    house.take(segment(len(made) + 1, [*declared, document(DAILY_311, frames_of(made))], COMMANDER))
    return at


def test_a_short_day_is_ordered_at_once_and_again_with_backoff(house: House, counter: Counter) -> None:
    lose(house)
    assert counter.orders() == [("commander", "2026-07-16", "2026-07-16")]
    assert counter.orders() == [], "given once, not with every answer"
    house.now_ms += QUARTER_MS
    assert len(counter.orders()) == 1
    house.now_ms += QUARTER_MS
    assert counter.orders() == [], "the waits grow"


def test_what_is_most_likely_on_its_way_is_not_ordered_yet(house: House, counter: Counter) -> None:
    lose(house, is_declared=False)
    assert counter.orders() == []
    house.now_ms += backfill.HOLE_GRACE_MS
    house.take(segment(1, [Draft(2, b"anything")], NEXT))
    assert len(counter.orders()) == 1


def test_an_order_ends_when_the_day_is_complete(house: House, counter: Counter) -> None:
    at = lose(house)
    house.take(segment(at + 1, [genuine(DAILY_311)[at]], COMMANDER))
    assert house.verdict(DAILY_311).status == COMPLETE
    assert [one.state for one in backfill.kept(house.book)] == ["done"]
    assert counter.orders() == []


def test_a_day_read_anew_from_the_pos_meets_the_order(house: House) -> None:
    lose(house)
    made = genuine(DAILY_311)
    house.take(*segments(made, stream=NEXT))
    house.take(segment(len(made) + 1, [document(DAILY_311, frames_of(made, epoch=8))], NEXT))
    assert house.verdict(DAILY_311).status == COMPLETE
    assert [one.state for one in backfill.kept(house.book)] == ["done"]


def test_an_order_is_given_up_when_the_pos_has_the_day_no_more(house: House, counter: Counter) -> None:
    lose(house)
    house.now_ms += 100 * DAY_MS
    house.take(segment(1, [Draft(2, b"anything")], NEXT))
    assert [one.state for one in backfill.kept(house.book)] == ["expired"]
    assert counter.orders() == []


def test_a_period_that_never_came_is_ordered_once_the_router_had_time_to_catch_up(house: House) -> None:
    house.take(*delivered(DAILY_311))
    later = "daily/2026-07-19.314"
    house.take(segment(1, [document(later, [Run(8, 2, 4)])], NEXT), at_ms=NOW_MS)
    house.book.execute("UPDATE day SET business_day = '2026-07-19' WHERE name = ?", (later,))
    assert [one.first_day for one in backfill.kept(house.book)] == []
    house.now_ms += 5 * DAY_MS
    house.take(segment(2, [Draft(2, b"anything")], Stream("other", 8)))
    assert [(one.first_day, one.last_day) for one in backfill.kept(house.book)] == [("2026-07-17", "2026-07-19")]
    assert [one.cause for one in gaps.open_gaps(house.book)].count("no document") == 2


def test_days_on_which_the_pos_closed_no_period_are_not_ordered(house: House) -> None:
    house.take(*delivered(DAILY_311))
    later = "daily/2026-07-19.312"
    house.take(segment(1, [document(later, [Run(8, 2, 4)])], NEXT))
    house.book.execute("UPDATE day SET business_day = '2026-07-19', status = 'complete' WHERE name = ?", (later,))
    house.now_ms += backfill.JUMP_GRACE_MS
    house.take(segment(2, [Draft(2, b"anything")], Stream("other", 8)))
    assert "2026-07-17" not in [one.first_day for one in backfill.kept(house.book)]


@pytest.mark.parametrize(("first", "last"), [("0001-01-02", "8999-12-30"), ("2026-07-14", "2099-07-13")])
@pytest.mark.parametrize("number", [314, 315])
def test_a_close_in_another_age_orders_no_day_that_the_pos_cannot_have(
    house: House, first: str, last: str, number: int
) -> None:
    house.now_ms = 1_784_462_400_000  # 2026-07-19
    for at, (day, period) in enumerate(((first, 313), (last, number)), 1):
        name = f"daily/{day}.{period}"
        house.take(segment(at, [document(name, [])], NEXT))
        house.book.execute("UPDATE day SET business_day = ?, status = 'complete' WHERE name = ?", (day, name))
    house.now_ms += backfill.JUMP_GRACE_MS
    house.take(segment(3, [Draft(2, b"anything")], NEXT))
    assert [one for one in backfill.kept(house.book) if one.last_day > "2026-07-20"] == []


def test_orders_outlive_a_book_begun_anew(house: House) -> None:
    lose(house)
    before = backfill.kept(house.book)
    house.follower.forget()
    house.follow()
    assert backfill.kept(house.book) == before


def test_a_gap_stays_open_until_its_day_is_complete(house: House) -> None:
    at = lose(house)
    [found] = gaps.open_gaps(house.book)
    assert (found.source, found.cause, found.first, found.last) == ("commander", "spool.full", at + 1, at + 1)
    assert "order 1" in found.order
    house.take(segment(at + 1, [genuine(DAILY_311)[at]], COMMANDER))
    assert list(gaps.open_gaps(house.book)) == []


def test_a_loss_before_numbering_is_harmless_where_the_whole_day_is_proven(house: House) -> None:
    """The POS was not reached for an hour; what it kept meanwhile came with its document."""
    noon_ms = 1_784_116_800_000  # 2026-07-15T12:00Z, a morning of day 311
    away = gap_draft(Gap(COMMANDER, 0, 0, "source.away", 0, noon_ms, noon_ms + 3_600_000))
    house.take(segment(1, [away], NEXT))
    [found] = gaps.open_gaps(house.book)
    assert (found.cause, found.from_ms, found.to_ms) == ("source.away", noon_ms, noon_ms + 3_600_000)
    house.take(*delivered(DAILY_311))
    assert list(gaps.open_gaps(house.book)) == []
