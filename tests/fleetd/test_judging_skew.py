"""A register's clock error is found within a second, whatever arrives late."""

import csv
import io
import random
import re
from bisect import bisect_left
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from fleetd.ledger.skew import (
    CLUSTER_MS,
    MIN_POLLS,
    MINUTE_MS,
    Bound,
    Skew,
    densest,
    estimate,
    nearest_zone,
    of_polled,
    of_register,
)
from tests.samples import sample

HOUR_MS = 3_600_000
EASTERN = ZoneInfo("America/New_York")
SUMMER, WINTER = datetime(2026, 7, 14, 9, tzinfo=UTC), datetime(2026, 11, 2, 14, tzinfo=UTC)
FOOTER = re.compile(rb"CSH: [^\n]*?(\d\d/\d\d/\d\d \d\d:\d\d:\d\d)\n")


def genuine_samples() -> list[tuple[int, int]]:
    """The footer time of each ticket beside the host time of the read that completed it."""
    reads = list(csv.DictReader(io.StringIO(sample("verifone-serial", "register-timing.csv").decode())))
    ends = [int(read["offset"]) + int(read["length"]) for read in reads]
    hosts = [int(datetime.fromisoformat(read["host_utc"]).timestamp() * 1000) for read in reads]
    samples = []
    for footer in FOOTER.finditer(sample("verifone-serial", "register.bin")):
        written = datetime.strptime(footer[1].decode(), "%m/%d/%y %H:%M:%S").replace(tzinfo=UTC)
        samples.append((int(written.timestamp() * 1000), hosts[bisect_left(ends, footer.end())]))
    return samples


def constant(offset_ms: int, count: int = 60, seed: int = 1) -> list[tuple[int, int]]:
    """Tickets of a clock that is offset_ms ahead and writes whole seconds, each read within half a second."""
    chance = random.Random(seed)
    out = []
    for n in range(count):
        made_ms = n * 97_000 + chance.randrange(1000)
        out.append(((made_ms + offset_ms) // 1000 * 1000, made_ms + chance.randrange(500)))
    return out


def test_the_genuine_register_is_427_seconds_ahead() -> None:
    skew = estimate(genuine_samples())
    assert skew.samples == 109
    assert 426_700 <= skew.median_ms <= 427_900
    assert skew.spread_ms < 1_100
    assert skew.zone_minutes == -240
    assert not skew.drifting
    assert skew.is_guessed
    assert estimate(genuine_samples(), zone_minutes=-240) == replace(skew, is_guessed=False)


@pytest.mark.parametrize("share", [0, 0.2, 0.45])
def test_late_flushes_are_outliers(share: float) -> None:
    chance = random.Random(3)
    samples = [
        (pos_ms, captured_ms + (chance.randrange(5_000, 7 * HOUR_MS) if chance.random() < share else 0))
        for pos_ms, captured_ms in constant(-33_000)
    ]
    skew = estimate(samples)
    assert abs(skew.median_ms + 33_000) <= 1_000
    assert (skew.zone_minutes, skew.drifting) == (0, False)


def test_order_and_repeats_change_nothing() -> None:
    samples = constant(5_000)
    shuffled = random.Random(2).sample(samples, len(samples))
    assert estimate(shuffled) == estimate(samples)


def test_a_clock_that_runs_away_is_drifting_and_its_newest_offset_counts() -> None:
    samples = [(pos_ms + n * 200, captured_ms) for n, (pos_ms, captured_ms) in enumerate(constant(0, 90))]
    skew = estimate(samples, zone_minutes=0)
    assert skew.drifting
    assert 12_000 <= skew.median_ms <= 18_000
    assert not estimate(samples[:11], zone_minutes=0).drifting


def test_a_clock_that_was_set_is_drifting() -> None:
    samples = constant(600_000, 60) + [(pos_ms + 60 * 97_000, at + 60 * 97_000) for pos_ms, at in constant(1_000, 60)]
    skew = estimate(samples, zone_minutes=0)
    assert skew.drifting
    assert abs(skew.median_ms - 1_000) <= 1_000


def test_a_known_zone_shows_an_error_that_a_guess_would_take_for_a_zone() -> None:
    samples = constant(-4 * HOUR_MS)
    assert estimate(samples).zone_minutes == -240
    assert abs(estimate(samples).median_ms) <= 1_000
    assert abs(estimate(samples, zone_minutes=0).median_ms + 4 * HOUR_MS) <= 1_000


def readings(begin: datetime, ahead: timedelta, *, zone: timedelta, writes_offset: bool) -> list[tuple[str, int]]:
    """What a register that believes in `zone` writes, a ticket every 97 s, each captured within half a second."""
    out = []
    for pos_ms, captured_ms in constant(0):
        shown = (begin + timedelta(milliseconds=pos_ms) + ahead + zone).replace(tzinfo=None).isoformat()
        hours = abs(zone) // timedelta(hours=1)
        text = f"{shown}-{hours:02d}:00" if writes_offset else shown
        out.append((text, int(begin.timestamp() * 1000) + captured_ms))
    return out


@pytest.mark.parametrize("minutes", [17, -17, 29, -29, 60, -60, 720, 0])
@pytest.mark.parametrize("writes_offset", [True, False])
def test_with_an_offset_or_a_known_zone_any_error_shows_as_it_is(minutes: int, writes_offset: bool) -> None:
    error = timedelta(minutes=minutes)
    said = readings(SUMMER, error, zone=timedelta(hours=-4), writes_offset=writes_offset)
    skew = of_register(said, None if writes_offset else EASTERN)
    assert abs(skew.median_ms - minutes * MINUTE_MS) <= 1_000
    assert (skew.zone_minutes, skew.is_guessed, skew.samples) == (-240, False, 60)


@pytest.mark.parametrize("minutes", [17, -17, 29, -29, 0])
def test_a_guessed_zone_is_a_whole_hour_and_said_to_be_guessed(minutes: int) -> None:
    skew = of_register(
        readings(SUMMER, timedelta(minutes=minutes), zone=timedelta(hours=-4), writes_offset=False), None
    )
    assert abs(skew.median_ms - minutes * MINUTE_MS) <= 1_000
    assert (skew.zone_minutes, skew.is_guessed) == (-240, True)


def test_a_register_that_missed_the_change_of_summer_time_is_an_hour_ahead() -> None:
    said = readings(WINTER, timedelta(), zone=timedelta(hours=-4), writes_offset=False)
    skew = of_register(said, EASTERN)
    assert (round(skew.median_ms / HOUR_MS, 2), skew.zone_minutes) == (1.0, -300)


@pytest.mark.parametrize("hour", [5, 6])
def test_a_register_that_followed_the_change_is_right_in_the_hour_that_comes_twice(hour: int) -> None:
    begin = datetime(2026, 11, 1, hour, tzinfo=UTC)  # 01:00 in New York, either time
    said = []
    for minute in range(60):
        moment = begin + timedelta(minutes=minute)
        shown = moment.astimezone(EASTERN).replace(tzinfo=None).isoformat()
        said.append((shown, int(moment.timestamp() * 1000)))
    skew = of_register(said, EASTERN)
    assert (skew.median_ms, skew.spread_ms, skew.drifting, skew.zone_minutes) == (0, 0, False, 60 * (1 - hour))


def test_times_that_are_no_times_tell_nothing() -> None:
    said = [("", 5), ("yesterday", 6), ("0001-01-01T00:00:00+14:00", 7), ("9999-12-31T23:59:59-12:00", 8)]
    assert of_register(said[:2], None) == of_register([], EASTERN) == Skew(0, 0, 0, False)
    assert of_register(said, EASTERN).samples == 2
    assert of_polled(said, EASTERN) is None


def polled(ahead_s: int, polls: int) -> list[tuple[str, int]]:
    """Sales every 7 s, found by a poll each minute; the clock is ahead and writes its offset."""
    begin_ms = int(SUMMER.timestamp() * 1000)
    out = []
    for at_ms in range(0, polls * 60_000, 7_000):
        shown = (SUMMER + timedelta(milliseconds=at_ms, seconds=ahead_s, hours=-4)).replace(tzinfo=None).isoformat()
        out.append((f"{shown}-04:00", begin_ms + (at_ms // 60_000 + 1) * 60_000))
    return out


@pytest.mark.parametrize("ahead_s", [427, -3600, 0])
def test_polled_tickets_bound_a_clock_from_below_whatever_came_late(ahead_s: int) -> None:
    said = polled(ahead_s, 60)
    late = [(text, captured_ms + 5 * HOUR_MS) for text, captured_ms in said[:40]]
    bound = of_polled(said + late, None)
    assert bound is not None
    assert ahead_s - 10 <= bound.ahead_ms / 1000 <= ahead_s
    assert (bound.zone_minutes, bound.is_guessed) == (-240, False)


def test_a_few_polls_bound_nothing() -> None:
    assert of_polled(polled(0, MIN_POLLS - 1), None) is None
    assert of_polled(polled(0, MIN_POLLS), None) is not None


def test_an_error_that_was_mended_ages_out_of_the_bound() -> None:
    mended = [(text, at + 25 * HOUR_MS) for text, at in polled(-25 * 3600, 30)]
    today = [(_later(text, 25), at) for text, at in mended]
    bound = of_polled(polled(900, 30) + [(_later(text, 25), at) for text, at in today], None)
    assert bound is not None
    assert -10 <= bound.ahead_ms / 1000 <= 0


def _later(text: str, hours: int) -> str:
    return (datetime.fromisoformat(text) + timedelta(hours=hours)).isoformat()


def test_a_bound_without_zone_or_offset_says_that_its_zone_is_guessed() -> None:
    bare = [(text[:19], at) for text, at in polled(427, 30)]
    assert of_polled(bare, None) == Bound(426_000, 258, -240, True)
    assert of_polled(bare, EASTERN) == Bound(426_000, 258, -240, False)


@pytest.mark.parametrize(
    ("ahead_minutes", "zone"),
    [(-240 + 8, -240), (-240 + 17, -240), (-300 - 29, -300), (330 + 5, 360), (0, 0), (841, 840), (14 * 60 + 31, 0)],
)
def test_a_guess_is_a_whole_hour_that_some_place_uses(ahead_minutes: int, zone: int) -> None:
    assert nearest_zone(ahead_minutes * MINUTE_MS) == zone


def test_no_samples_say_nothing() -> None:
    assert estimate(()) == Skew(0, 0, 0, False)


def test_the_densest_cluster_is_the_least_late_of_equals() -> None:
    assert densest([0, 1, CLUSTER_MS, CLUSTER_MS + 1]) == [1, CLUSTER_MS, CLUSTER_MS + 1]
    assert densest([0, 10, 90_000, 90_010]) == [90_000, 90_010]
