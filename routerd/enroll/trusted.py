"""The daemon's own clock: signed time laid over the monotonic clock. The system's clock is not touched. Pure.

trusted now = monotonic now + offset. Best first: `server` (signed time), `floor` (a moment that has certainly passed:
the image's build, the newest trust bundle, the last time that was kept), `none`.
"""

from dataclasses import dataclass, replace

SERVER, FLOOR, NONE = "server", "floor", "none"
MAX_ROUND_TRIP_MS = 10_000  # a statement held back longer is worth nothing
MAX_DRIFT_PPM = 200  # a router's crystal, warm and cold


@dataclass(frozen=True, slots=True)
class Trusted:
    """`offset_ms`: trusted minus monotonic. `uncertainty_ms` as of `at_mono_ms`; it grows with the crystal's drift."""

    source: str = NONE
    offset_ms: int = 0
    uncertainty_ms: int = 0
    at_mono_ms: int = 0

    def now_ms(self, mono_ms: int) -> int | None:
        """Milliseconds since 1970, None unless the cloud said so: a floor is a bound, no time."""
        return mono_ms + self.offset_ms if self.source == SERVER else None

    def earliest_ms(self, mono_ms: int) -> int:
        """What has certainly passed; 0 if nothing is known."""
        if self.source == NONE:
            return 0
        return mono_ms + self.offset_ms - (self.doubt_ms(mono_ms) if self.source == SERVER else 0)

    def doubt_ms(self, mono_ms: int) -> int:
        return self.uncertainty_ms + max(0, mono_ms - self.at_mono_ms) * MAX_DRIFT_PPM // 1_000_000


def floor(passed_ms: int, mono_ms: int) -> Trusted:
    """A clock that knows only that `passed_ms` has passed."""
    return Trusted(FLOOR, passed_ms - mono_ms, 0, mono_ms) if passed_ms > 0 else Trusted()


def heard(held: Trusted, said_ms: int, sent_mono_ms: int, received_mono_ms: int) -> Trusted:
    """The clock after a signed time whose question left at `sent_mono_ms`.

    A late answer changes nothing, nor does one that lies before what has certainly passed by more than it may be off:
    a time key's holder can stop a router's clock, not turn it back.
    """
    round_trip_ms = received_mono_ms - sent_mono_ms
    if not 0 <= round_trip_ms <= MAX_ROUND_TRIP_MS:
        return held
    doubt_ms = (round_trip_ms + 1) // 2
    offset_ms = said_ms + doubt_ms - received_mono_ms
    new = Trusted(SERVER, offset_ms, doubt_ms, received_mono_ms)
    earliest_ms = held.earliest_ms(received_mono_ms)
    if offset_ms + received_mono_ms + doubt_ms < earliest_ms:
        return held
    back_ms = earliest_ms - received_mono_ms - offset_ms  # how far the new one would still step behind the bound
    return replace(new, offset_ms=offset_ms + back_ms, uncertainty_ms=doubt_ms + back_ms) if back_ms > 0 else new
