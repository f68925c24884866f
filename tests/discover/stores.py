"""A store with devices, a disk and a clock, for the tests of the room."""

import asyncio
import json
import queue
import tomllib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from routerd.board import board
from routerd.board.mnsp import Mnsp
from routerd.conditions import Conditions
from routerd.discover.discover import Discover, Knowledge
from routerd.discover.evidence import ALIVE, Evidence, Sighting
from routerd.discover.fingerprint import rules_from
from routerd.discover.inventoryfile import InventoryFile, Kept
from routerd.discover.kernel import Report
from routerd.discover.netlink import NetLink
from routerd.discover.proposal import profiles_from
from tests.fakes.clock import FakeClock

DATA = Path(__file__).parents[2] / "board"
RULES = rules_from(json.loads((DATA / "fingerprints.json").read_text(encoding="utf-8")), "f")
PROFILES = profiles_from(tomllib.loads((DATA / "profiles.toml").read_text(encoding="utf-8")), "p")
GENERIC = board.load_mnsp(DATA, "generic")
HOME, AWAY = "192.168.31.11", "192.168.31.20"
POS = Sighting("mac:00:0b:4f:01:02:03", HOME, ALIVE, "br-pos")
PRINTER = Sighting("mac:00:11:62:01:02:03", "192.168.31.40", ALIVE, "br-pos")
ADAPTER = Sighting("usb:0403:6001:A1", "usb:1-1.2", ALIVE, hints=frozenset({Evidence("usb", "0403:6001")}))
LAPTOP = Sighting("mac:3c:00:00:00:00:09", "192.168.31.77", ALIVE, "br-pos")
PHONE = Sighting("mac:8a:00:00:00:00:09", "192.168.31.78", ALIVE, "br-pos")


class Follower:
    """What the daemon would be told."""

    def __init__(self) -> None:
        self.sources: list[Mapping[str, Any]] = []
        self.moves: list[tuple[str, str, str]] = []

    def approved(self, source: Mapping[str, Any]) -> None:
        self.sources.append(source)

    def moved(self, name: str, place: str, was: str) -> None:
        self.moves.append((name, place, was))


class Eye:
    """An edge that reports what a test tells it to."""

    def __init__(self, *first: Sighting | NetLink) -> None:
        self._first = first
        self.started = asyncio.Event()

    async def run(self, report: Report) -> None:
        report(self._first)
        self.started.set()
        await asyncio.Event().wait()


class Noticed(InventoryFile):
    """Tells each time whether something was written."""

    def __init__(self, path: Path, writes: "queue.Queue[bool]") -> None:
        super().__init__(path)
        self._writes = writes

    def save(self, kept: Kept) -> bool:
        self._writes.put(has_written := super().save(kept))
        return has_written


class Store:
    def __init__(self, folder: Path, mnsp: Mnsp = GENERIC) -> None:
        self.clock = FakeClock()
        self.conditions = Conditions(self.clock)
        self.follower = Follower()
        self.path = folder / "inventory.json"
        self.mnsp = mnsp
        self.writes: queue.Queue[bool] = queue.Queue()
        self.nudged = 0
        self.room = self.fresh()

    def fresh(self, *seen: Sighting | NetLink) -> Discover:
        self.eye = Eye(*seen)
        return Discover(
            Knowledge(RULES, PROFILES, self.mnsp),
            Noticed(self.path, self.writes),
            {"eye": self.eye},
            self.clock,
            self.conditions,
            follower=self.follower,
            nudges=[self._nudge],
            sleep=self._sleep,
        )

    def _nudge(self) -> None:
        self.nudged += 1

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    def see(self, *seen: Sighting | NetLink) -> None:
        self.room.take(seen)

    def raised(self) -> dict[tuple[str, str], str]:
        return {(each.code, each.subject): each.message for each in self.conditions.snapshot()}

    def codes(self) -> set[str]:
        return {code for code, _ in self.raised()}

    @asynccontextmanager
    async def running(self, *seen: Sighting | NetLink) -> AsyncIterator[Discover]:
        """The room, started anew on the same disk, having seen `seen`."""
        self.room = self.fresh(*seen)
        task = asyncio.create_task(self.room.run())
        started = asyncio.create_task(self.eye.started.wait())
        await asyncio.wait([task, started], return_when=asyncio.FIRST_COMPLETED, timeout=20)
        try:
            yield self.room
        finally:
            started.cancel()
            task.cancel()
            await asyncio.wait([task, started])
