"""What time it is for an emulated POS: its own local time, without offset. Tests move it by hand."""

import time
from datetime import datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The POS's local time; it never goes back."""
        ...


class HandClock:
    """Stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`, which is not negative."""
        if seconds < 0:
            raise ValueError("a POS clock is not turned back here")
        self._at += timedelta(seconds=seconds)


class WallClock:
    """Shows `start` when it is made and runs `speed` times as fast as the machine's monotonic clock."""

    def __init__(self, start: datetime, speed: float = 1.0) -> None:
        self._start, self._speed, self._began = start, speed, time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(time.monotonic() - self._began) * self._speed)
