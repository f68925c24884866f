"""The command line of `make day` and `make folder`."""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from routerd.errors import RouterdError
from scripts.demo import place as places
from scripts.demo.processes import DemoError
from scripts.proof import day, folder

COMPLETE, NOT_COMPLETE = 0, 1
_EPILOG = """\
The last line on stdout is one JSON object: pos_total, ledger_total, difference, records, unique, status.
Exit status: 0 everything is there, to the cent; 1 not so, or it could not be found out.
"""


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    told = asyncio.run(_run(arguments))
    print(json.dumps(told), flush=True)
    return COMPLETE if told["status"] == "complete" and told["difference"] in ("0.00", None) else NOT_COMPLETE


async def _run(arguments: argparse.Namespace) -> dict[str, Any]:
    try:
        place = places.make()
    except DemoError as exc:
        return {"status": "failed", "error": str(exc)}
    try:
        if arguments.what == "day":
            hard = day.Hardship(arguments.cut, arguments.kill, arguments.year, arguments.hide, arguments.seed)
            told = await day.prove(place, arguments.file, hard)
        else:
            told = await folder.prove(place, arguments.dir)
    except (DemoError, RouterdError, OSError, ValueError) as exc:
        told = {"status": "failed", "error": str(exc)}
    if arguments.keep or told["status"] == "failed":
        place.keep()
        sys.stderr.write(f"The folder {place.root} stays: logs, spool and the cloud's database.\n")
    else:
        place.remove()
    return told


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m scripts.proof", description=__doc__, epilog=_EPILOG, formatter_class=raw
    )
    whats = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    days = whats.add_parser("day", help="recorded Commander periods through the emulator", epilog=_EPILOG)
    days.add_argument("file", type=Path, nargs="+", metavar="FILE", help="a closed transSet; several of one store")
    days.add_argument("--cut", type=int, default=0, metavar="N", help="the first N documents break at a random byte")
    days.add_argument("--kill", type=int, default=0, metavar="N", help="SIGKILL routerd N times in the middle of one")
    days.add_argument("--year", type=int, metavar="Y", help="the router's clock says January of that year: 1970, 2099")
    days.add_argument("--hide", type=int, default=0, metavar="N", help="the POS leaves N sales out until a backfill")
    days.add_argument("--seed", type=int, default=1, help="of what is random (default %(default)s)")
    folders = whats.add_parser("folder", help="NAXML or POSLog files in a folder", epilog=_EPILOG)
    folders.add_argument("dir", type=Path, metavar="DIR", help="where the recorded files are; it is only read")
    for each in (days, folders):
        each.add_argument("--keep", action="store_true", help="leave the folder of the run in place")
    return parser
