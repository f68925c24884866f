"""How far a register's clock stands from the router's. Pure.

A ticket is captured when it is made, or later when a backlog is written: lateness only ever goes one way and has no
favourite length, while the true offset repeats. So the offset is where samples lie densest, and the rest are late.
A journal's time has neither zone nor part of a second; its zone is guessed as the nearest offset that any place uses,
which holds while the clock is less than a quarter of an hour wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

MINUTE_MS = 60_000
CLUSTER_MS = 2_000  # the POS writes whole seconds, and a read completes a ticket within another
DRIFT_MS = 2_000  # what a constant offset never shows: twice the spread of the genuine register over four hours
MIN_DRIFT_SAMPLES = 12  # thirds of four; fewer agree by chance
# Whole hours, and the offsets of the tz database that are none.
_ODD_ZONES: tuple[int, ...] = (-570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825)
ZONES: tuple[int, ...] = (*range(-12 * 60, 14 * 60 + 1, 60), *_ODD_ZONES)


@dataclass(frozen=True, slots=True)
class Skew:
    """What a register's clock is ahead of the router's: median_ms, negative when behind.

    spread_ms: width of the samples that agree; samples: how many were seen, late ones included. drifting: the offset
    is not constant; median_ms is then that of the newest third. zone_minutes: the zone the POS time was taken to be in.
    """

    median_ms: int
    spread_ms: int
    samples: int
    drifting: bool
    zone_minutes: int = 0


def estimate(samples: Iterable[tuple[int, int]], *, zone_minutes: int | None = None) -> Skew:
    """The skew of one register from (POS local time as if it were UTC, captured time) pairs, in ms, in any order.

    zone_minutes: the POS's offset from UTC if it is known, 0 for POS times that are UTC already; None guesses it.
    No samples give Skew(0, 0, 0, False).
    """
    pairs = sorted(samples, key=lambda pair: pair[1])
    if not pairs:
        return Skew(0, 0, 0, False)
    ahead = [pos_ms - captured_ms for pos_ms, captured_ms in pairs]
    drifting = _is_drifting(ahead)
    agreed = densest(ahead[-(len(ahead) // 3) :] if drifting else ahead)
    middle = round(median(agreed))
    zone = nearest_zone(middle) if zone_minutes is None else zone_minutes
    return Skew(middle - zone * MINUTE_MS, agreed[-1] - agreed[0], len(pairs), drifting, zone)


def densest(values: Iterable[int]) -> Sequence[int]:
    """The largest group of values within CLUSTER_MS of each other, sorted; of equals the highest, the least late."""
    ordered = sorted(values)
    best: Sequence[int] = ()
    first = 0
    for last, value in enumerate(ordered):
        while value - ordered[first] > CLUSTER_MS:
            first += 1
        if last + 1 - first >= len(best):
            best = ordered[first : last + 1]
    return best


def nearest_zone(ahead_ms: int) -> int:
    """The offset in use, in minutes, that leaves the smallest error of the clock; of two alike the whole hour."""
    errors = [(abs(ahead_ms - zone * MINUTE_MS), zone % 60, zone) for zone in ZONES]
    return min(errors)[2]


def _is_drifting(ahead: Sequence[int]) -> bool:
    """Whether the oldest and the newest third disagree; both in the order of capture."""
    if len(ahead) < MIN_DRIFT_SAMPLES:
        return False
    third = len(ahead) // 3
    old, new = densest(ahead[:third]), densest(ahead[-third:])
    if min(len(old), len(new)) < third // 4:
        return False  # a third that is mostly late says nothing about the clock
    return abs(median(new) - median(old)) > DRIFT_MS
