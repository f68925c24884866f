"""The POSes of the demo that are read instead of speaking: a Commander behind HTTPS and a Passport's folder.

    python -m scripts.demo.site --port P --folder DIR --truth FILE --rate R --seed N

Both sell until SIGUSR1 ends the business day: the Commander closes it, the last file gets whole, and after that the
store is quiet, but answers. SIGTERM ends the process. The truth file has a `period` line for each day that was closed.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from scripts.commander.book import Book
from scripts.commander.commander import Commander, Place
from scripts.commander.store import Store
from scripts.demo.place import SITE
from scripts.demo.plan import COMMANDER, PASSPORT
from scripts.passport.drops import Drop, events
from scripts.passport.outbox import Outbox, Pace
from scripts.pos.clock import WallClock
from scripts.pos.formats import Settings, for_source
from scripts.pos.period import DAILY
from scripts.pos.truth import Truth

OPENS_HOUR = 20  # of the POS's clock: as busy, whenever the demo runs
SPEED = 60.0  # a sale of a minute is one of a second; fuel takes longer than people watch
_WRITE_S = 30.0  # of the POS's clock: a file grows for half a second
_TICK_S = 0.1
_COMMANDER_INDEX, _PASSPORT_INDEX = 4, 5  # behind the four tills: no identity in common


class Hours:
    """A clock that stands still once the store is closed."""

    def __init__(self, start: datetime) -> None:
        self._clock = WallClock(start, SPEED)
        self._closed: datetime | None = None

    def now(self) -> datetime:
        return self._closed or self._clock.now()

    def close(self) -> None:
        self._closed = self._clock.now()


def main() -> int:
    arguments = _parser().parse_args()
    return asyncio.run(_run(arguments))


async def _run(arguments: argparse.Namespace) -> int:
    stop, closing = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, closing.set)
    truth = Truth(arguments.truth)
    start = datetime.now().replace(hour=OPENS_HOUR, minute=0, second=0, microsecond=0)
    hours = Hours(start)
    store = _store(arguments, start, truth)
    box = _outbox(arguments, start, truth, closing)
    try:
        async with Commander(SITE, store, hours, place=Place(port=arguments.port), seed=arguments.seed) as pos:
            print(f"serves {pos.url} and drops into {box.folder}", flush=True)
            await _sell(store, box, hours, closing)
            hours.close()
            pos.close()
            while not box.is_done:
                box.catch_up()
                await asyncio.sleep(_TICK_S)
            print("the day is closed", flush=True)
            await stop.wait()
    finally:
        box.close()
        truth.end()
    return 0


async def _sell(store: Store, box: Outbox, hours: Hours, closing: asyncio.Event) -> None:
    while not closing.is_set():
        store.catch_up(hours.now())
        box.catch_up()
        with suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), _TICK_S)


def _store(arguments: argparse.Namespace, start: datetime, truth: Truth) -> Store:
    def filed(book: Book) -> None:
        if book.period == DAILY:
            truth.note("period", source=COMMANDER, filename=book.name, sales_cents=book.sales_cents)

    return Store(
        for_source(_settings("transset", arguments, start), _COMMANDER_INDEX),
        closes_at=None,
        written=lambda ticket: truth.handed(COMMANDER, ticket),
        filed=filed,
    )


def _outbox(arguments: argparse.Namespace, start: datetime, truth: Truth, closing: asyncio.Event) -> Outbox:
    def whole(drop: Drop) -> None:
        for ticket in drop.tickets:
            truth.handed(PASSPORT, ticket, drop.name)

    drops = _until(closing, events(for_source(_settings("naxml", arguments, start), _PASSPORT_INDEX)))
    return Outbox(arguments.folder, drops, WallClock(start, SPEED), pace=Pace(_WRITE_S), whole=whole)


def _until(closing: asyncio.Event, drops: Iterator[Drop]) -> Iterator[Drop]:
    for drop in drops:
        if closing.is_set():
            return
        yield drop


def _settings(kind: str, arguments: argparse.Namespace, start: datetime) -> Settings:
    per_hour = arguments.rate * 3600 / SPEED
    return Settings(kind, seed=arguments.seed, start=start, per_hour=per_hour, noise=0.0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.demo.site", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="the Commander's")
    parser.add_argument("--folder", type=Path, required=True, help="the Passport's")
    parser.add_argument("--truth", required=True, metavar="FILE")
    parser.add_argument(
        "--rate", type=float, required=True, metavar="R", help="customers a second, for each of the two"
    )
    parser.add_argument("--seed", type=int, required=True, metavar="N")
    return parser


if __name__ == "__main__":
    sys.exit(main())
