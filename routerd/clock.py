"""The system's clocks behind one small object, so that tests can bring their own."""

import time
from pathlib import Path
from typing import Protocol

from routerd.model import Stamp

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# A wall clock outside these years was never set: routers without a battery start in 1970, some in 2099.
_PLAUSIBLE_MS = (1_735_689_600_000, 3_155_760_000_000)  # 2025-01-01 .. 2070-01-01


class Clock(Protocol):
    """Three readings: monotonic (never steps), wall (may step), and how far wall may be trusted."""

    def mono_ns(self) -> int: ...
    def wall_ms(self) -> int: ...
    def stamp(self) -> Stamp: ...


class SystemClock:
    """The machine's own clocks. CLOCK_MONOTONIC is comparable between processes of one boot."""

    def __init__(self) -> None:
        self.boot_id = _BOOT_ID.read_text(encoding="ascii")[:8]

    def mono_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def stamp(self) -> Stamp:
        wall_ms = self.wall_ms()
        low, high = _PLAUSIBLE_MS
        return Stamp(self.boot_id, self.mono_ns(), wall_ms, low <= wall_ms < high)
