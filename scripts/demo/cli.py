"""The command line of `make demo`."""

import argparse
import asyncio
import json
import secrets
import shutil
import signal
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from routerd.errors import RouterdError
from scripts.demo import place as places
from scripts.demo import report
from scripts.demo.place import Place
from scripts.demo.plan import MIN_SECONDS, SECONDS, Plan, draw
from scripts.demo.processes import DemoError
from scripts.demo.run import Demo
from scripts.demo.view import Screen

PROVEN, DISPROVEN, STOPPED = 0, 1, 130
_EPILOG = """\
Exit status: 0 every ticket is in the cloud once and nothing else is; 1 not so, or the demo could not run;
130 stopped by Ctrl-C. The last line on stdout is one JSON object.
"""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    plan = draw(arguments.seed, arguments.seconds, arguments.rate, cut=not arguments.no_cut, kill=not arguments.no_kill)
    try:
        told = asyncio.run(_run(replace(plan, tlog=arguments.tlog), keep=arguments.keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped; everything the demo started is gone", file=sys.stderr)
        return STOPPED
    print(json.dumps(told), flush=True)
    return PROVEN if told["ok"] else DISPROVEN


async def _run(plan: Plan, *, keep: bool) -> dict[str, Any]:
    """The JSON object; everything else is printed."""
    task = asyncio.current_task()
    assert task, "run as one"
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        place = places.make()
    except DemoError as exc:
        return _failed(plan, str(exc))
    stays = True
    try:
        told = await _in(place, plan)
        stays = keep or not told["ok"]
    except asyncio.CancelledError:
        stays = keep
        raise
    finally:
        place.keep() if stays else place.remove()
        if stays:
            print(f"The folder {place.root} stays: logs, truth, spool and the cloud's database.")
    return told


async def _in(place: Place, plan: Plan) -> dict[str, Any]:
    try:
        demo = Demo(plan, place, Screen())
        try:
            result = await demo.go()
        finally:
            await demo.end()
    except (DemoError, RouterdError, OSError, ValueError) as exc:
        return _failed(plan, str(exc))
    width = min(120, shutil.get_terminal_size((120, 0)).columns)
    print()
    for line in report.summary(result):
        print(textwrap.fill(line, width, subsequent_indent=" " * 12 if line.startswith(" ") else ""))
    if place.is_in_ram:
        print(f"({place.root} is a RAM disk: what was written to flash went to RAM.)")
    return report.document(result)


def _failed(plan: Plan, why: str) -> dict[str, Any]:
    print(f"\nFAILED: {why}")
    return {"ok": False, "error": why.splitlines()[0], "seed": plan.seed}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.demo",
        description="Sell on four tills, a Commander and a Passport, carry it all to a cloud, cut the line, kill the "
        "daemon, close the day, compare every ticket.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--tlog", type=_file, metavar="FILE", help="play this recorded t-log over a serial port instead"
    )
    parser.add_argument("--seconds", type=_seconds, default=SECONDS, metavar="S", help="how long the POS sells (45)")
    parser.add_argument("--rate", type=_rate, default=2.5, metavar="R", help="tickets a second and source (2.5)")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(1_000_000), metavar="N", help="baskets and the moment of the kill"
    )
    parser.add_argument("--no-kill", action="store_true", help="leave routerd alone")
    parser.add_argument("--no-cut", action="store_true", help="leave the WAN alone")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs, truth and databases")
    return parser


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text} is no file")
    return path


def _seconds(text: str) -> float:
    value = float(text)
    if not MIN_SECONDS <= value <= 3600:
        raise argparse.ArgumentTypeError(f"between {MIN_SECONDS:.0f} and 3600")
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value <= 50:
        raise argparse.ArgumentTypeError("above 0, at most 50")
    return value
