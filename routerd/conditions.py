"""Named faults with stable codes, raised until cleared. Each change is logged once, never its repetitions."""

import logging
from dataclasses import dataclass

from routerd.clock import Clock

log = logging.getLogger("routerd.conditions")

WARNING, CRITICAL = "warning", "critical"


@dataclass(frozen=True, slots=True)
class Condition:
    """One fault: `code` is what it is, `subject` what it is about (a source, a path), `message` what to do."""

    code: str
    subject: str
    severity: str
    message: str
    since_wall_ms: int
    since_mono_ns: int


class Conditions:
    """The faults of now. Rooms raise and clear; status and heartbeat read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._raised: dict[tuple[str, str], Condition] = {}

    def raise_(self, code: str, subject: str, message: str, severity: str = WARNING) -> None:
        """Raise, or renew with another message. The age runs from the first raise."""
        key = (code, subject)
        held = self._raised.get(key)
        if held is None:
            log.warning("%s: %s: %s", code, subject, message)
        elif held.message == message:
            return
        since_wall_ms = held.since_wall_ms if held else self._clock.wall_ms()
        since_mono_ns = held.since_mono_ns if held else self._clock.mono_ns()
        self._raised[key] = Condition(code, subject, severity, message, since_wall_ms, since_mono_ns)

    def clear(self, code: str, subject: str) -> None:
        """Clear; clearing what is not raised is no event."""
        held = self._raised.pop((code, subject), None)
        if held:
            age_s = (self._clock.mono_ns() - held.since_mono_ns) / 1e9
            log.info("%s: %s: mended after %.1f s", code, subject, age_s)

    def snapshot(self) -> list[Condition]:
        """All that is raised now, oldest first."""
        return sorted(self._raised.values(), key=lambda c: c.since_mono_ns)
