"""The command line of the outbox."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from scripts.passport.drops import Drop, copies, events
from scripts.passport.levers import HELP, obey, status
from scripts.passport.outbox import Outbox, Pace
from scripts.pos.clock import WallClock
from scripts.pos.formats import Settings
from scripts.pos.truth import Truth

_ABOUT = """\
A simulated Gilbarco Passport outbox: NAXML files dropped into a folder.

  python -m scripts.passport /tmp/BOOutBox --tickets 400 --speed 60 --truth truth.jsonl
  python -m scripts.passport /tmp/BOOutBox --copy recorded/ --every-s 5

The first line it prints is JSON. It runs until SIGTERM, SIGINT or --seconds, and a copy until its last file is whole.
"""
_TICK_S = 0.1


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; 0 when it was."""
    arguments = _parser().parse_args(argv)
    try:
        return asyncio.run(_run(arguments))
    except (OSError, ValueError) as exc:
        print(f"passport: {exc}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m scripts.passport", description=_ABOUT, epilog=HELP, formatter_class=raw
    )
    parser.add_argument("folder", type=Path, help="made if it does not exist")
    parser.add_argument("--seconds", type=float, default=0.0, metavar="S", help="stop by itself after S seconds")
    parser.add_argument(
        "--speed", type=float, default=1.0, metavar="X", help="the POS's clock runs X times as fast (1)"
    )
    parser.add_argument("--write-s", type=float, default=2.0, metavar="S", help="POS seconds a file takes to grow (2)")
    parser.add_argument("--levers", action="store_true", help="obey standard input, see below")
    parser.add_argument("--truth", default="", metavar="FILE", help="append every event, with its file, as JSON lines")
    made = parser.add_argument_group("generated events")
    made.add_argument("--tickets", type=float, default=400.0, metavar="N", help="customers a day (400)")
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--store", default="0042")
    made.add_argument("--now", type=datetime.fromisoformat, metavar="ISO", help="POS clock at the start (now)")
    made.add_argument("--roll-up", action="store_true", help="drop each day's events once more, in one file")
    recorded = parser.add_argument_group("recorded files instead")
    recorded.add_argument("--copy", type=Path, metavar="FOLDER", help="copy its files in, in the order of their names")
    recorded.add_argument("--every-s", type=float, default=5.0, metavar="S", help="POS seconds between two (5)")
    return parser


async def _run(arguments: argparse.Namespace) -> int:
    truth = Truth(arguments.truth)
    start = arguments.now or datetime.now().replace(microsecond=0)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    box = Outbox(
        arguments.folder, _drops(arguments, start), WallClock(start, arguments.speed), pace=Pace(arguments.write_s),
        seed=arguments.seed, whole=lambda drop: note(truth, drop),
    )  # fmt: skip
    print(json.dumps(status(box)), flush=True)
    obeying = asyncio.create_task(obey(box)) if arguments.levers else None
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(arguments.seconds or None):
                await _write(box, stop)
    finally:
        box.close()
        truth.end()
        if obeying:
            obeying.cancel()
            with suppress(asyncio.CancelledError):
                await obeying
    return 0


async def _write(box: Outbox, stop: asyncio.Event) -> None:
    while not (stop.is_set() or box.is_done):
        box.catch_up()
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _TICK_S)


def _drops(arguments: argparse.Namespace, start: datetime) -> Iterator[Drop]:
    if arguments.copy:
        files = [(path.name, path.read_bytes()) for path in sorted(arguments.copy.iterdir()) if path.is_file()]
        return copies(files, start, arguments.every_s)
    settings = Settings(
        "naxml", seed=arguments.seed, store=arguments.store, start=start, per_hour=arguments.tickets / 24
    )
    return events(settings, roll_up=arguments.roll_up)


def note(truth: Truth, drop: Drop) -> None:
    """A `ticket` line for every new event of a file that is whole; `file` for one that brings none."""
    for ticket in drop.tickets:
        truth.handed("passport", ticket, drop.name)
    if not drop.tickets:
        truth.note("file", file=drop.name, bytes=len(drop.data))
