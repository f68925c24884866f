"""A register's clock error is found within a second, whatever arrives late."""

import csv
import io
import random
import re
from bisect import bisect_left
from datetime import UTC, datetime

import pytest

from fleetd.ledger.skew import CLUSTER_MS, MINUTE_MS, Skew, densest, estimate, nearest_zone
from tests.samples import sample

HOUR_MS = 3_600_000
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
    assert estimate(genuine_samples(), zone_minutes=-240) == skew


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


@pytest.mark.parametrize(
    ("ahead_minutes", "zone"), [(-240 + 8, -240), (-300 - 14, -300), (330 + 5, 330), (-208, -210), (0, 0), (841, 840)]
)
def test_the_zone_is_one_that_some_place_uses(ahead_minutes: int, zone: int) -> None:
    assert nearest_zone(ahead_minutes * MINUTE_MS) == zone


def test_no_samples_say_nothing() -> None:
    assert estimate(()) == Skew(0, 0, 0, False)


def test_the_densest_cluster_is_the_least_late_of_equals() -> None:
    assert densest([0, 1, CLUSTER_MS, CLUSTER_MS + 1]) == [1, CLUSTER_MS, CLUSTER_MS + 1]
    assert densest([0, 10, 90_000, 90_010]) == [90_000, 90_010]
