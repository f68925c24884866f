"""The house both proofs stand on: fleetd and routerd as processes, and what fleetctl says of the result. Shell."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from routerd.cli.question import ask
from routerd.errors import PermanentError
from scripts.demo.place import DEVICE, Place, configuration
from scripts.demo.processes import Child, DemoError, outcome

READY_S = 30.0
LOOK_S = 0.5
_ANSWERS = (0, 1)  # fleetctl's statuses for all well and for something incomplete: both are answers


class Stage:
    """Start with `begin`, wait with `until`, end with `end` whatever happens."""

    def __init__(self, place: Place, *, year: int | None) -> None:
        self.place = place
        self._told = ""
        self._began_s = time.monotonic()
        serve = ("fleetd.server", "run", "--data", str(place.cloud), "--listen", "127.0.0.1:0")
        self._fleetd = Child("fleetd", place.log("fleetd"), *serve)
        program = ("scripts.proof.oldclock", str(year)) if year else ("routerd.daemon",)
        self.routerd = Child("routerd", place.log("routerd"), *program, "--config", str(place.config))

    async def begin(self, section: str) -> None:
        """`section` is the one [[source]] of routerd's configuration."""
        place = self.place
        await _must("fleetd.server", "init", "--data", str(place.cloud))
        await _must("fleetd.cli", "--data", str(place.cloud), "device", "add", DEVICE, "--key-file", str(place.key))
        await self._fleetd.start()
        found = await self._fleetd.said(r"listens on https://127\.0\.0\.1:(\d+)", READY_S)
        place.config.write_text(configuration(place, int(found[1]), [section], ring_mb=24))
        await self.routerd.start()

    async def end(self) -> None:
        for child in (self.routerd, self._fleetd):
            await child.kill()

    async def fleetctl(self, *words: str) -> Any:
        """A command's JSON. Raises DemoError."""
        code, out, err = await outcome("fleetd.cli", "--data", str(self.place.cloud), "--json", *words)
        if code not in _ANSWERS:
            raise DemoError(f"fleetctl {' '.join(words)} failed with status {code}: {err.strip()}")
        return json.loads(out)

    async def ask(self, what: str, **details: Any) -> Any:
        """routerd's answer, or None while nobody answers. Raises PermanentError when it refuses."""
        try:
            return await asyncio.to_thread(ask, self.place.control, what, **details)
        except PermanentError as exc:
            if exc.code == "control.down":
                return None
            raise

    async def progress(self) -> list[dict[str, Any]]:
        """The sources as routerd shows them, empty while it is away; what changed is told on stderr."""
        rows: list[dict[str, Any]] = await self.ask("sources") or []
        for row in rows:
            told = f"{row['state']}{' ' + row['trouble'] if row['trouble'] else ''}: {row['sum']['captured']} captured,"
            told += f" {row['sum']['queued']} waiting, {row['documents']} documents whole"
            if told != self._told:
                sys.stderr.write(f"{time.monotonic() - self._began_s:5.1f} s  {row['name']} {told}\n")
            self._told = told
        return rows

    async def until(self, what: str, done: Callable[[], Any], within_s: float) -> None:
        """Wait until the coroutine `done()` says yes. Raises DemoError when it does not in time or a child ended."""
        end_s = time.monotonic() + within_s
        while not await done():
            for child in (self._fleetd, self.routerd):
                child.check()
            if time.monotonic() > end_s:
                raise DemoError(f"no {what} within {within_s:.0f} s; routerd's last words:\n{self.routerd.tail()}")
            await asyncio.sleep(LOOK_S)


async def _must(*words: str) -> None:
    code, _, err = await outcome(*words)
    if code:
        raise DemoError(f"{' '.join(words)} failed with status {code}: {err.strip()}")
