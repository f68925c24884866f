"""Both daemons under mixed faults for minutes: every line arrives once and in order, and nothing grows."""

import asyncio
import contextlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from routerd.cli.question import ask
from routerd.errors import PermanentError
from scripts.demo import place as places
from scripts.demo.place import DEVICE, Place, configuration, free_port
from scripts.demo.processes import Child, DemoError, outcome
from scripts.faults.line import GOOD, Line, Mood

SOURCES = 8
SAFE_S = 2.0
BROKEN_S = 0.25  # a till may write once more into a connection that a kill has just broken
_EVERY_S = 0.1
_LOOK_S = 1.0
_SETTLED_S = 15.0  # after a start the first requests and caches still make it grow
_GROWTH = {"rss_kb": 4096, "fds": 4, "threads": 1, "data_kb": 256}
_MOODS = (
    GOOD,
    GOOD,
    Mood(latency_s=0.2),
    Mood(bytes_per_s=8000),
    Mood(lose_answers=0.05),
    Mood(lose_answers=0.3, break_requests=0.1),
    Mood(swallows=True),
    Mood(says=b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n"),
)


class Till:
    """Dials routerd and sells numbered lines; `sold` says when each was handed over."""

    def __init__(self, name: str, port: int, chance: random.Random) -> None:
        self.name, self.port = name, port
        self.sold: dict[bytes, float] = {}
        self.stopping = False
        self._chance = chance

    async def run(self) -> None:
        number = 0
        while not self.stopping:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    while not self.stopping and self._chance.random() > 0.002:  # now and then it hangs up
                        number += 1
                        filler = "tobacco " * self._chance.choice((1, 6, 6, 60))
                        line = f"{self.name}:{number:08}:{filler}\n".encode()
                        writer.write(line)
                        await writer.drain()
                        if not writer.is_closing():
                            self.sold[line] = time.monotonic()
                        await asyncio.sleep(_EVERY_S)
                finally:
                    writer.close()
            await asyncio.sleep(_EVERY_S)


@dataclass(frozen=True, slots=True)
class Size:
    """What routerd occupies at one moment."""

    rss_kb: int
    fds: int
    threads: int
    data_kb: int


def size(pid: int, data: Path) -> Size:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    data_kb = sum(path.stat().st_size for path in data.iterdir()) >> 10
    fds = len(os.listdir(f"/proc/{pid}/fd"))
    return Size(int(fields["VmRSS"].split()[0]), fds, int(fields["Threads"]), data_kb)


class Soak:
    def __init__(self, place: Place, seconds: float, chance: random.Random) -> None:
        self._place = place
        self._seconds = seconds
        self._chance = chance
        self._port = free_port()
        serve = ("fleetd.server", "run", "--data", str(place.cloud), "--listen", f"127.0.0.1:{self._port}")
        self._fleetd = Child("fleetd", place.log("fleetd"), *serve)
        self._routerd = Child("routerd", place.log("routerd"), "routerd.daemon", "--config", str(place.config))
        self._line = Line(self._port, chance)
        self._tills = [Till(f"till{n}", free_port(), chance) for n in range(SOURCES)]
        self._kills: list[float] = []
        self._cloud_kills = 0
        self._sizes: list[Size] = []
        self._failed: list[str] = []

    async def run(self) -> dict[str, Any]:
        try:
            await self._begin()
            selling = [asyncio.create_task(till.run()) for till in self._tills]
            await self._trouble()
            for till in self._tills:
                till.stopping = True
            await asyncio.gather(*selling)
            self._line.turn(GOOD)
            status = await self._until(_all_acknowledged, 120.0)
            self._expect(status["sum"]["balances"], f"the counters do not balance: {status['sum']}")
            self._expect(not status["sum"]["gaps"], f"there are gaps: {status['sum']}")
            for till in self._tills:
                await self._compare(till)
            self._flat()
            await self._routerd.stop()
            return self._told(status["sum"])
        except DemoError as exc:
            self._failed.append(str(exc))
            return self._told({})
        finally:
            await self._routerd.kill()
            await self._fleetd.kill()
            await self._line.stop()

    async def _begin(self) -> None:
        place = self._place
        for words in (("fleetd.server", "init"), ("fleetd.cli",)):
            more = () if words[-1] == "init" else ("device", "add", DEVICE, "--key-file", str(place.key))
            code, _, err = await outcome(*words, "--data", str(place.cloud), *more)
            if code:
                raise DemoError(err)
        await self._fleetd.start()
        await self._fleetd.said("listens on", 30.0)
        await self._line.start()
        sections = [
            f'[[source]]\nname = "{till.name}"\nlink = "tcp-listen"\nbind = "127.0.0.1"\nport = {till.port}\n'
            'allow = ["127.0.0.1"]\nframer = "text"\n'
            for till in self._tills
        ]
        text = configuration(place, self._line.port, sections)
        place.config.write_text(text.replace("[forward]\n", "[forward]\ntimeout_s = 3.0\n"))
        await self._routerd.start()
        await self._until(lambda status: True, 30.0)

    async def _trouble(self) -> None:
        """The line changes all the time; both daemons are killed in the first third, then left to grow if they do."""
        began = time.monotonic()
        settled = began + _SETTLED_S
        while (now := time.monotonic()) < began + self._seconds:
            if self._chance.random() < 0.3:
                self._line.turn(self._chance.choice(_MOODS), cut=self._chance.random() < 0.5)
            if now < began + self._seconds / 3 and self._chance.random() < 0.1:
                await self._kill_one()
                settled = time.monotonic() + _SETTLED_S
            self._fleetd.check()
            self._routerd.check()
            if now > settled:
                self._sizes.append(size(self._routerd.pid, self._place.root / "spool"))
            await asyncio.sleep(_LOOK_S)

    async def _kill_one(self) -> None:
        if self._chance.random() < 0.5:
            await self._routerd.kill()
            self._kills.append(time.monotonic())
            await self._routerd.start()
        else:
            await self._fleetd.kill()
            self._cloud_kills += 1
            await self._fleetd.start()

    async def _until(self, done: Callable[[Any], bool], within_s: float) -> Any:
        status = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not (status := await asyncio.to_thread(self._status)) or not done(status):  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_S)
                return status
        raise DemoError(f"not all was acknowledged after {within_s:.0f} s: {status and status['sum']}")

    def _status(self) -> Any:
        try:
            return ask(self._place.control, "status")
        except PermanentError:
            return None

    async def _compare(self, till: Till) -> None:
        """A line may be missing only if a kill came within the promise after it was handed over."""
        words = ("fleetd.cli", "--data", str(self._place.cloud), "reconstruct", "--device", DEVICE)
        code, out, err = await outcome(*words, "--source", till.name)
        self._expect(code == 0, f"{till.name}: {err}")
        lines = out.splitlines(keepends=True)
        doubled = [line for line, count in Counter(lines).items() if count > 1 and line in till.sold]
        self._expect(not doubled, f"{till.name}: {len(doubled)} lines are there twice: {doubled[:2]}")
        there = [line for line in lines if line in till.sold]
        self._expect(there == sorted(there), f"{till.name}: not in the order sold")
        missing = till.sold.keys() - set(lines)
        lost = [line for line in missing if not any(-BROKEN_S < at - till.sold[line] < SAFE_S for at in self._kills)]
        self._expect(not lost, f"{till.name}: {len(lost)} lines are missing: {sorted(lost)[:2]}")

    def _flat(self) -> None:
        """The last third of what was measured beside the first."""
        third = len(self._sizes) // 3
        for name, most in _GROWTH.items() if third else []:
            values = [getattr(each, name) for each in self._sizes]
            grown = median(values[-third:]) - median(values[:third])
            self._expect(grown <= most, f"{name} grew by {grown}: {values[0]} to {values[-1]}")

    def _expect(self, holds: object, otherwise: str) -> None:
        if not holds:
            self._failed.append(otherwise)

    def _told(self, sums: dict[str, Any]) -> dict[str, Any]:
        def ends(name: str) -> list[int]:
            values = [getattr(each, name) for each in self._sizes]
            return [values[0], max(values), values[-1]] if values else []

        return {
            "ok": not self._failed,
            "sold": sum(len(till.sold) for till in self._tills),
            "routerd_kills": len(self._kills),
            "fleetd_kills": self._cloud_kills,
            "answers_lost": self._line.answers_lost,
            "requests_broken": self._line.requests_broken,
            "connections": self._line.connections,
            **{name: ends(name) for name in _GROWTH},  # first, highest, last
            "sum": sums,
            "failed": self._failed,
        }


def _all_acknowledged(status: Any) -> bool:
    sums = status["sum"]
    return bool(sums["captured"]) and sums["captured"] == sums["uploaded"] + sums["processed"]


def run(minutes: float, seed: int) -> dict[str, Any]:
    """The soak's story; `ok` says whether everything held. What it wrote stays if something did not."""
    try:
        place = places.make()
    except DemoError as exc:
        return {"ok": False, "failed": [str(exc)]}
    told = asyncio.run(Soak(place, minutes * 60, random.Random(seed)).run())
    if told["ok"]:
        place.remove()
    else:
        place.keep()
        print(f"what they wrote is in {place.root}", file=sys.stderr)
    return told
