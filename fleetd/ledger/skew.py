"""How far a register's clock stands from the router's. Pure.

A ticket is captured when it is made, or later when a backlog is written: lateness only ever goes one way and has no
favourite length, while the true offset repeats. So the offset is where samples lie densest, and the rest are late.
Of what is polled every ticket is late, by up to the time between two polls: it only bounds the offset from below.

A time that carries its offset from UTC, or one of a store whose zone is known, is a moment, and any error shows. Only
without both is the zone guessed, as the nearest whole hour: an error of an hour then looks like another zone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from statistics import median

from fleetd.ledger.serials import local

MINUTE_MS = 60_000
HOUR_MINUTES = 60
CLUSTER_MS = 2_000  # the POS writes whole seconds, and a read completes a ticket within another
DRIFT_MS = 2_000  # what a constant offset never shows: twice the spread of the genuine register over four hours
MIN_DRIFT_SAMPLES = 12  # thirds of four; fewer agree by chance
ZONES = range(-12, 15)  # hours that places use
POLL_GAP_MS = 30_000  # polls are a minute apart at least, the records of one are stored within seconds
MIN_POLLS = 12  # below, all may have come long after they were sold, as a document does that is read late
RECENT_MS = 86_400_000  # of polled tickets: the bound is the highest seen, so an error that was mended must age out
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Skew:
    """What a register's clock is ahead of the router's: median_ms, negative when behind.

    spread_ms: width of the samples that agree; samples: how many were seen, late ones included. drifting: the offset
    is not constant; median_ms is then that of the newest third. zone_minutes: the zone the POS time was taken to be in;
    is_guessed: nothing but the samples told of it, so median_ms may be wrong by whole hours.
    """

    median_ms: int
    spread_ms: int
    samples: int
    drifting: bool
    zone_minutes: int = 0
    is_guessed: bool = False


@dataclass(frozen=True, slots=True)
class Bound:
    """The least that a register's clock can be ahead of the router's. samples: how many told of it, the newest day's.

    zone_minutes, is_guessed: as of Skew.
    """

    ahead_ms: int
    samples: int
    zone_minutes: int
    is_guessed: bool


def of_register(readings: Iterable[tuple[str, int]], zone: tzinfo | None) -> Skew:
    """The skew of one register from (POS time in ISO 8601, captured time in ms) pairs, in any order.

    zone: where the register stands, None if not known. Texts that say no time are left out; where some times are
    moments, those that are none are left out too.
    """
    samples, zone_minutes = _samples(readings, zone)
    if zone_minutes is None:
        return estimate(samples)
    return replace(estimate(samples, zone_minutes=0), zone_minutes=zone_minutes)


def of_polled(readings: Iterable[tuple[str, int]], zone: tzinfo | None) -> Bound | None:
    """What tickets that were captured by polls tell, arguments as of `of_register`; None if too few polls found one."""
    samples, zone_minutes = _samples(readings, zone)
    newest_ms = max((captured_ms for _, captured_ms in samples), default=0)
    recent = sorted((captured_ms, pos_ms) for pos_ms, captured_ms in samples if captured_ms > newest_ms - RECENT_MS)
    pauses = sum(after[0] - before[0] >= POLL_GAP_MS for before, after in pairwise(recent))
    if pauses + 1 < MIN_POLLS:
        return None
    ahead_ms = max(pos_ms - captured_ms for captured_ms, pos_ms in recent)
    if zone_minutes is not None:
        return Bound(ahead_ms, len(recent), zone_minutes, False)
    guessed = nearest_zone(ahead_ms)
    return Bound(ahead_ms - guessed * MINUTE_MS, len(recent), guessed, True)


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
    spread_ms = agreed[-1] - agreed[0]
    return Skew(middle - zone * MINUTE_MS, spread_ms, len(pairs), drifting, zone, zone_minutes is None)


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
    """The whole hour, in minutes, that a clock is within half an hour of; 0 where no place uses that hour."""
    hours = round(ahead_ms / (HOUR_MINUTES * MINUTE_MS))
    return hours * HOUR_MINUTES if hours in ZONES else 0


def moment(pos_time: str, captured_ms: int, zone: tzinfo | None) -> datetime | None:
    """When a POS says something was, with an offset; None if its text has none and `zone` is None, or says no time.

    Of the two moments of an hour that a clock shows twice, the one nearer to the capture.
    """
    try:
        said = datetime.fromisoformat(pos_time)
    except ValueError:
        return None
    if said.tzinfo is not None:
        return said
    if zone is None:
        return None
    both = [said.replace(tzinfo=zone, fold=fold) for fold in (0, 1)]
    return min(both, key=lambda when: abs(_ms(when) - captured_ms))


def _samples(readings: Iterable[tuple[str, int]], zone: tzinfo | None) -> tuple[list[tuple[int, int]], int | None]:
    """(POS time, captured time) pairs in ms and the zone of the newest in minutes; None: POS times are local."""
    ordered = sorted(readings, key=lambda reading: reading[1])
    dated = [(when, at) for text, at in ordered if (when := moment(text, at, zone)) is not None]
    if dated:
        offset = dated[-1][0].utcoffset()
        return [(_ms(when), at) for when, at in dated], round(offset.total_seconds() / 60) if offset else 0
    undated = [(when, at) for text, at in ordered if (when := local(text)) is not None]
    return [(_ms(when.replace(tzinfo=UTC)), at) for when, at in undated], None


def _ms(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(milliseconds=1)


def _is_drifting(ahead: Sequence[int]) -> bool:
    """Whether the oldest and the newest third disagree; both in the order of capture."""
    if len(ahead) < MIN_DRIFT_SAMPLES:
        return False
    third = len(ahead) // 3
    old, new = densest(ahead[:third]), densest(ahead[-third:])
    if min(len(old), len(new)) < third // 4:
        return False  # a third that is mostly late says nothing about the clock
    return abs(median(new) - median(old)) > DRIFT_MS
