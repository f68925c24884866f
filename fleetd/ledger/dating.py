"""When something was captured, whatever the router's clock said. Pure.

A router's monotonic clock is right about differences within one boot. What is wanted is the offset of that boot: UTC
milliseconds = monotonic milliseconds + offset. Nothing is captured after it was received, so every record bounds the
offset from above, and one that was sent as soon as it was captured bounds it tightly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

FIX, ROUTER, BOUND = "fix", "router", "bound"
LIVE_MS = 5_000  # a router sends within a second what it captures; a slow line and a commit fit in as well
AHEAD_MS = 2_000  # how far a synced router may seem ahead of this machine before it is not believed
APART_MS = 10_000  # two deliveries this far apart that agree within LIVE_MS are no burst after an outage
_SANE_MS = 1_577_836_800_000  # 2020: no router of this make was ever rightly told an earlier time


@dataclass(frozen=True, slots=True)
class Sample:
    """What one record says about the clock of its boot."""

    mono_ms: int
    wall_ms: int
    is_synced: bool
    received_ms: int


@dataclass(frozen=True, slots=True)
class Boot:
    """What is known of one boot of a router.

    epoch: the first run of the daemon in it: boots are in this order. upper_ms: the lowest `received - mono` so far,
    upper_received_ms: when that record was received. is_live: two records received at different times agree on it.
    router_ms: `wall - mono` of the latest record whose clock was synced, router_mono_ms: when that was.
    """

    epoch: int
    upper_ms: int
    upper_received_ms: int
    is_live: bool
    router_ms: int | None
    router_mono_ms: int | None
    first_mono_ms: int
    last_mono_ms: int
    first_received_ms: int
    last_received_ms: int


@dataclass(frozen=True, slots=True)
class Offset:
    """The best estimate for one boot. Captured times may be too late by `slack_ms`, but not by more.

    quality: `fix` (measured here on live traffic), `router` (the router's clock was synced), `bound` (between boots).
    """

    offset_ms: int
    quality: str
    slack_ms: int = 0


def begin(sample: Sample, epoch: int) -> Boot:
    """A boot that is first heard of."""
    mono_ms, received_ms = sample.mono_ms, sample.received_ms
    bare = Boot(
        epoch,
        received_ms - mono_ms,
        received_ms,
        False,
        None,
        None,
        mono_ms,
        mono_ms,
        received_ms,
        received_ms,
    )
    return learn(bare, sample, epoch)


def learn(boot: Boot, sample: Sample, epoch: int) -> Boot:
    """The boot with one record more, in whatever order they come."""
    upper_ms = sample.received_ms - sample.mono_ms
    agrees = abs(upper_ms - boot.upper_ms) <= LIVE_MS
    apart = abs(sample.received_ms - boot.upper_received_ms) >= APART_MS
    is_live = (agrees and (boot.is_live or apart)) or (boot.is_live and upper_ms > boot.upper_ms)
    learned = replace(
        boot,
        epoch=min(boot.epoch, epoch),
        is_live=is_live,
        first_mono_ms=min(boot.first_mono_ms, sample.mono_ms),
        last_mono_ms=max(boot.last_mono_ms, sample.mono_ms),
        first_received_ms=min(boot.first_received_ms, sample.received_ms),
        last_received_ms=max(boot.last_received_ms, sample.received_ms),
    )
    if upper_ms < boot.upper_ms:
        learned = replace(learned, upper_ms=upper_ms, upper_received_ms=sample.received_ms)
    if sample.is_synced and sample.mono_ms >= (boot.router_mono_ms or 0):
        learned = replace(learned, router_ms=sample.wall_ms - sample.mono_ms, router_mono_ms=sample.mono_ms)
    return learned


def estimate(boots: Sequence[Boot]) -> list[Offset]:
    """The offset of each boot of one router, which are given in order. Two passes: what is measured or told by the
    router first, then the others between their neighbours."""
    known = [_own(boot, is_last=boot is boots[-1]) for boot in boots]
    found: list[Offset] = []
    for at, boot in enumerate(boots):
        offset = known[at]
        if offset is None:
            ceiling = _begin_of_next(boots, known, at)
            upper_ms = min(boot.upper_ms, ceiling - boot.last_mono_ms) if ceiling is not None else boot.upper_ms
            floor = found[-1].offset_ms + boots[at - 1].last_mono_ms if found else None  # the boot before had ended
            slack_ms = max(0, upper_ms - floor) if floor is not None else 0
            offset = Offset(upper_ms, BOUND, slack_ms)
        found.append(offset)
    return found


def _own(boot: Boot, *, is_last: bool) -> Offset | None:
    """What the boot's own records give. The running boot is taken for live until another one follows it."""
    told_ms = boot.router_ms
    if told_ms is not None:
        believed = told_ms <= boot.upper_ms + AHEAD_MS and told_ms + (boot.router_mono_ms or 0) >= _SANE_MS
        told_ms = min(told_ms, boot.upper_ms) if believed else None
    if boot.is_live or (is_last and told_ms is None):
        near = told_ms is not None and boot.upper_ms - told_ms <= LIVE_MS
        return Offset(told_ms if near and told_ms is not None else boot.upper_ms, FIX)
    return Offset(told_ms, ROUTER) if told_ms is not None else None


def _begin_of_next(boots: Sequence[Boot], known: Sequence[Offset | None], at: int) -> int | None:
    """When the next boot whose offset is known had begun, in UTC milliseconds: by then this one had ended."""
    for offset in known[at + 1 :]:
        if offset is not None:
            return offset.offset_ms  # its monotonic clock began at 0
    return None
