"""Looks at routerd as support would, twice a second, and adds up what its death makes it forget. Shell."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routerd.cli.question import ask
from routerd.errors import PermanentError
from scripts.demo.processes import DemoError

BEFORE_MS = 1000  # tickets on their way when trouble begins meet it too: sealed after 0.25 s, acked soon after
CALM_S = 1.0  # nothing waits longer than this once the backlog of an outage is gone


Status = dict[str, Any]  # as `routerctl status --json` prints it


@dataclass(frozen=True, slots=True)
class Counts:
    """A source over all runs of routerd. What a start recovers is not captured twice."""

    captured: int = 0
    queued: int = 0
    uploaded: int = 0
    processed: int = 0
    state: str = ""


class Watch:
    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._run = 0
        self.status: Status | None = None
        self._last: Status | None = None
        self._captured: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._captured_bytes = self._flash_bytes = 0
        self._trouble_since_ms = 0
        self.windows: list[tuple[int, int]] = []

    async def sample(self) -> None:
        """Ask routerd; `status` is None while nobody answers. An answer that comes after its death counts no more."""
        run = self._run
        try:
            answer = await asyncio.to_thread(ask, self._socket, "status")
        except PermanentError:
            answer = None
        if run == self._run:
            self.status = answer
            self._last = answer or self._last

    async def act(self, name: str, **details: Any) -> Any:
        """What routerctl would ask for. Raises PermanentError when routerd refuses, or is away."""
        return await asyncio.to_thread(ask, self._socket, name, **details)

    async def until(self, what: str, condition: Callable[[Status], bool], within_s: float) -> Status:
        """The first status that meets `condition`. Raises DemoError when none does in time."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    await self.sample()
                    if self.status and condition(self.status):
                        return self.status
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise DemoError(f"{what} did not come within {within_s:.0f} s; routerd last said {self._last}") from None

    def trouble(self) -> None:
        """What disturbs begins now, or goes on."""
        self._trouble_since_ms = self._trouble_since_ms or _now_ms() - BEFORE_MS

    def calm(self) -> None:
        """Nothing disturbs any more; the window closes once routerd is through with what came of it."""
        if self._trouble_since_ms and self.status and _is_through(self.status):
            self.windows.append((self._trouble_since_ms, _now_ms()))
            self._trouble_since_ms = 0

    def end(self) -> None:
        """The run is over; whatever is still open lasted until now."""
        if self._trouble_since_ms:
            self.windows.append((self._trouble_since_ms, _now_ms()))

    def fold(self) -> None:
        """routerd is about to die: what it counted is kept. What it holds comes back as captured in its next run."""
        last, self.status, self._last = self._last, None, None
        self._run += 1
        if last is None:
            return
        for row in last["sources"]:
            counts = row["sum"]
            self._captured[row["name"]] += counts["captured"] - counts["queued"]
            self._done[row["name"]] += counts["uploaded"] + counts["processed"]
        self._captured_bytes += sum(last["spool"]["captured_bytes"].values())
        self._flash_bytes += last["spool"]["flash_bytes"]

    def counts(self) -> dict[str, Counts]:
        """By source."""
        found = {name: Counts(captured=n, processed=self._done[name]) for name, n in self._captured.items()}
        for row in self._last["sources"] if self._last else ():
            name, now = row["name"], row["sum"]
            found[name] = Counts(
                self._captured[name] + now["captured"],
                now["queued"],
                now["uploaded"],
                self._done[name] + now["processed"],
                row["trouble"] or row["state"],
            )
        return found

    @property
    def captured_bytes(self) -> int:
        return self._captured_bytes + (sum(self._last["spool"]["captured_bytes"].values()) if self._last else 0)

    @property
    def flash_bytes(self) -> int:
        """What the spool counted over all runs; its own start-up (making the ring, one page of state) is not in it."""
        return self._flash_bytes + (self._last["spool"]["flash_bytes"] if self._last else 0)


def all_up(status: Status, lines: Collection[str]) -> bool:
    return all(row["state"] == "up" for row in status["sources"] if row["name"] in lines)


def drained(status: Status, lines: Collection[str]) -> bool:
    """Every line is gone, so everything is read that does not stay at the POS; and nothing waits."""
    quiet = not any(row["state"] == "up" for row in status["sources"] if row["name"] in lines)
    return quiet and not status["sum"]["queued"] and not status["spool"]["in_flight"]


def _is_through(status: Status) -> bool:
    return bool(status["forward"]["state"] == "online" and status["spool"]["oldest_waiting_s"] < CALM_S)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
