"""A loss at the very edge of a day is named by the numbers next door, once that period is proven."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fleetd.ledger.verdict import BY_ROLLBACK, COMPLETE, SHORT
from routerd.model import Draft, Stream
from tests.fleetd.kit import gap, segment
from tests.fleetd.ledger_kit import COMMANDER, DAILY_311, DAILY_312, House, document, frames_of, genuine, segments

BEFORE = Stream("commander", 8)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def place_of(made: Sequence[Draft], serial: str) -> int:
    return next(n for n, one in enumerate(made) if b"<trUniqueSN>%b</trUniqueSN>" % serial.encode() in one.data)


def deliver(house: House, name: str, stream: Stream, *serials: str) -> None:
    """A document of which the tickets with these serials are declared lost."""
    made = genuine(name)
    gone = sorted(place_of(made, serial) for serial in serials)
    first = 0
    for end in [*gone, len(made)]:
        house.take(*segments(made[first:end], first + 1, stream))
        first = end + 1
    declared = [gap(n + 1, n + 1, stream) for n in gone]
    frames = frames_of(made, epoch=stream.epoch)
    house.take(segment(len(made) + 1, [*declared, document(name, frames)], stream))


def missing(house: House, name: str) -> list[tuple[str, str, str, int]]:
    """(register, first, last, count) of what is told to be missing of a day, which must be short."""
    verdict = house.verdict(name)
    assert verdict.status == SHORT
    return [(one.register, one.first, one.last, one.count) for one in verdict.missing]


MORNING = tuple(str(serial) for serial in range(305548, 305557))  # the first of day 312: 101 six times, 905, 908, 903
NIGHT = tuple(str(serial) for serial in range(305537, 305548))  # the last of day 311: 907, 903, then 101 and 905


def test_the_first_ticket_of_a_day_is_named(house: House) -> None:
    deliver(house, DAILY_311, BEFORE)
    deliver(house, DAILY_312, COMMANDER, MORNING[0])
    assert missing(house, DAILY_312) == [("101", "1014722", "1014722", 1)]


def test_what_a_day_lost_before_its_first_ticket_is_counted_by_the_day_before(house: House) -> None:
    deliver(house, DAILY_312, COMMANDER, *MORNING)
    alone = missing(house, DAILY_312)
    assert sum(count for *_, count in alone) < len(MORNING), "nothing in the day itself can show the pumps'"
    deliver(house, DAILY_311, BEFORE)
    told = missing(house, DAILY_312)
    assert sum(count for *_, count in told) == len(MORNING)
    assert ("101", "1014722", "1014727", 6) in told
    assert {register for register, *_ in told} >= {"101", "905", "908"}, "the rollbacks' lines name the pumps"


def test_what_a_day_lost_behind_its_last_ticket_is_counted_by_the_day_after(house: House) -> None:
    deliver(house, DAILY_311, BEFORE, *NIGHT)
    alone = missing(house, DAILY_311)
    deliver(house, DAILY_312, COMMANDER)
    told = missing(house, DAILY_311)
    assert sum(count for *_, count in alone) < len(NIGHT)
    assert sum(count for *_, count in told) == len(NIGHT)
    assert house.verdict(DAILY_312).status == COMPLETE


def test_a_day_that_lacks_something_itself_closes_no_edge_of_another(house: House) -> None:
    """Its own last ticket may be what it lacks."""
    deliver(house, DAILY_311, BEFORE, NIGHT[-1])
    deliver(house, DAILY_312, COMMANDER)
    verdict = house.verdict(DAILY_312)
    assert (verdict.status, verdict.reasons) == (COMPLETE, ())


def test_a_completion_that_is_lost_is_named_by_the_line_of_its_prepay(house: House) -> None:
    deliver(house, DAILY_311, BEFORE)
    deliver(house, DAILY_312, COMMANDER, "305554")
    [lost] = house.verdict(DAILY_312).missing
    assert (lost.register, lost.count, lost.seen_by) == ("908", 1, BY_ROLLBACK)
