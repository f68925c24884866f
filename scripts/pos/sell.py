"""Sells over a line, at a rate, until told to stop. Shell."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from scripts.pos.formats import Settings, renderer, trade
from scripts.pos.lines import Line
from scripts.pos.sale import Sale, paced
from scripts.pos.ticket import Ticket
from scripts.pos.truth import Truth

SLOT_SHARE = 0.7  # of the time between two tickets is spent keying, where no speed is given
GRACE_S = 2.0  # what a stop gives a ticket that nobody takes


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast and how long. `speed` 0 fits the keying of a ticket into its slot; 1 is a human cashier."""

    rate: float = 1.0
    speed: float = 0.0
    tickets: int = 0
    seconds: float = 0.0
    poisson: bool = False
    fixed_clock: bool = False  # POS times count from Settings.start instead of now: the same bytes every time
    unplug_every_s: float = 0.0
    unplug_for_s: float = 2.0


@dataclass(slots=True)
class Source:
    """One till and its line. `run` returns when it sold what it should, or soon after `stop`."""

    name: str
    settings: Settings
    line: Line
    pace: Pace
    truth: Truth

    async def run(self, stop: asyncio.Event) -> None:
        await self.line.open()
        print(f"{self.name}: {self.settings.format} on {self.line.where}", file=sys.stderr, flush=True)
        try:
            if not await either(stop, self.line.ready()):
                await self._sell(stop)
        finally:
            await self.line.close(GRACE_S)

    async def _sell(self, stop: asyncio.Event) -> None:
        settings = self.settings
        if not self.pace.fixed_clock:  # also where a POS installed today begins its ids: no two runs share one
            settings = replace(settings, start=_local(datetime.now(UTC), settings))
        render, trickles = renderer(settings), settings.format == "journal"
        stream = trade(settings, outdoor=render.outdoor, at_end=not trickles)
        slots, started = self._slots(), time.monotonic()
        sold, due_s, unplug_s = 0, 0.0, self.pace.unplug_every_s
        while not (self.pace.seconds and due_s >= self.pace.seconds):
            if await until(stop, started + due_s):
                return
            if unplug_s and due_s >= unplug_s:
                unplug_s += self.pace.unplug_every_s
                await self.line.cut(self.pace.unplug_for_s)
            before = sold
            for sale in stream.serve(settings.start + timedelta(seconds=due_s)):
                for ticket in render.render(self._paced(sale) if trickles else sale):
                    await self._hand(ticket, started + due_s, stop)
                    sold += ticket.sold
                    if self.pace.tickets and sold >= self.pace.tickets:
                        return
            due_s += sum(next(slots) for _ in range(max(1, sold - before)))

    async def _hand(self, ticket: Ticket, began: float, stop: asyncio.Event) -> None:
        for piece in ticket.pieces:
            if piece.at_s:
                await until(stop, began + piece.at_s)
            await self.line.send(piece.data, last=piece is ticket.pieces[-1])
        self.truth.handed(self.name, ticket)

    def _paced(self, sale: Sale) -> Sale:
        if self.pace.speed:
            return paced(sale, 1.0 / self.pace.speed)
        return paced(sale, min(1.0, SLOT_SHARE / self.pace.rate / max(sale.lasted_s, 0.001)))

    def _slots(self) -> Iterator[float]:
        """The seconds from one ticket to the next."""
        rng, rate = Random(self.settings.seed ^ 0x510), self.pace.rate
        while True:
            yield rng.expovariate(rate) if self.pace.poisson else 1.0 / rate


def _local(wall: datetime, settings: Settings) -> datetime:
    return (wall + timedelta(minutes=settings.utc_offset_min)).replace(tzinfo=None)


async def until(stop: asyncio.Event, at: float) -> bool:
    """Wait for a monotonic time; true at once when stopped."""
    wait_s = at - time.monotonic()
    if wait_s > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait_s)
    return stop.is_set()


async def either(stop: asyncio.Event, ready: Coroutine[Any, Any, None]) -> bool:
    """Wait for `ready` unless stopped first; whether it was stopped."""
    tasks = (asyncio.ensure_future(ready), asyncio.ensure_future(stop.wait()))
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return stop.is_set()


async def sell(sources: list[Source], stop: asyncio.Event) -> None:
    """Run every source to its end. After `stop` each may finish its ticket; one that nobody takes is abandoned."""
    tasks: list[asyncio.Task[None]] = [asyncio.create_task(source.run(stop), name=source.name) for source in sources]
    for task in tasks:
        task.add_done_callback(lambda ended: stop.set() if not ended.cancelled() and ended.exception() else None)
    stopped = asyncio.ensure_future(stop.wait())
    everything = asyncio.ensure_future(asyncio.wait(tasks))
    await asyncio.wait((stopped, everything), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not everything.done():
        await asyncio.wait(tasks, timeout=2 * GRACE_S)
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
