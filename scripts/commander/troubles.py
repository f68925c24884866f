"""What goes wrong between the controller and its reader, as a test or a person ordered it."""

import asyncio
from collections import deque
from dataclasses import dataclass
from random import Random

DOCUMENTS = frozenset({"vtransset", "vtranssetz"})


@dataclass(frozen=True, slots=True)
class Trouble:
    """One answer that goes wrong.

    kind: `unavailable` (HTTP 503), `busy` (a fault), `reset` (the connection breaks behind `at` bytes of the body),
    `short` (a complete HTTP answer of the first `at` bytes), `stall` (silence behind `at` bytes until `resume`).
    at: a negative one is drawn at random.
    """

    kind: str
    at: int = -1

    def cut(self, size: int, rng: Random) -> int:
        """How many of `size` bytes are sent."""
        return min(self.at, size) if self.at >= 0 else rng.randrange(1, max(size, 2))


class Troubles:
    """Orders, taken by the requests they fit in the order given; deterministic by seed."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed ^ 0x7B0B)
        self.pause_s = 0.0  # between two pieces of 16 KiB of every answer
        self._any: deque[Trouble] = deque()
        self._documents: deque[Trouble] = deque()
        self._stalled, self._resumed = asyncio.Event(), asyncio.Event()

    def unavailable(self, count: int = 1) -> None:
        """The next `count` requests, whatever they ask, are answered 503."""
        self._any.extend([Trouble("unavailable")] * count)

    def busy(self, count: int = 1) -> None:
        """The next `count` requests, whatever they ask, are answered with the fault of a busy controller."""
        self._any.extend([Trouble("busy")] * count)

    def cut(self, count: int = 1, at: int = -1, *, short: bool = False) -> None:
        """The next `count` period documents break behind `at` bytes of the body; `short` without breaking anything."""
        self._documents.extend([Trouble("short" if short else "reset", at)] * count)

    def stall(self, count: int = 1, at: int = 0) -> None:
        """The next `count` period documents stop behind `at` bytes of the body until `resume`."""
        self._stalled.clear()
        self._resumed.clear()
        self._documents.extend([Trouble("stall", at)] * count)

    def resume(self) -> None:
        """What stalled goes on."""
        self._resumed.set()

    async def stalled(self) -> None:
        """Wait until an answer stands still as ordered."""
        await self._stalled.wait()

    async def resumed(self) -> None:
        """Stand still until `resume`."""
        self._stalled.set()
        await self._resumed.wait()

    def next(self, command: str) -> Trouble | None:
        """The trouble of this request, if any was ordered."""
        if self._any:
            return self._any.popleft()
        return self._documents.popleft() if command in DOCUMENTS and self._documents else None
