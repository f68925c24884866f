"""`routerctl backfill`: read closed business days again from a POS that still has them."""

import argparse
import json
import sys
import time
from datetime import date
from typing import Any

from routerd.cli.question import add_socket, ask

_LOOK_S = 2.0  # between two looks at a running backfill; a day's file takes seconds, the pauses between them minutes


def add_to(commands: Any) -> None:
    """Declare the command."""
    what = "read closed business days again from the POS; what is held already is skipped"
    epilog = "Exit status: 0 queued (with --wait: fetched) or nothing to do, 2 refused; the reason is printed."
    command = commands.add_parser("backfill", help=what, description=what, epilog=epilog)
    command.add_argument("--source", required=True, metavar="S", help="the source's name in the configuration")
    command.add_argument("--from", dest="first", type=_day, required=True, metavar="D", help="first day, 2026-07-01")
    command.add_argument("--to", dest="last", type=_day, metavar="D", help="last day (default: the first)")
    command.add_argument("--anew", action="store_true", help="also send again what is held already")
    command.add_argument("--wait", action="store_true", help="stay until all of it is fetched, and show the progress")
    command.add_argument("--json", action="store_true", help="print the daemon's answer as JSON")
    add_socket(command)
    command.set_defaults(action=run)


def run(arguments: argparse.Namespace) -> int:
    """The exit status. Raises PermanentError when the daemon refuses."""
    last = arguments.last or arguments.first
    wish = {"source": arguments.source, "first": arguments.first, "last": last, "anew": arguments.anew}
    plan = ask(arguments.socket, "backfill", **wish)
    if arguments.json:
        sys.stdout.write(json.dumps(plan, indent=2) + "\n")
    else:
        sys.stdout.write(render(plan))
    if arguments.wait:
        _wait(arguments, plan["queued"])
    return 0


def render(plan: dict[str, Any]) -> str:
    """The plan, a line for each document and day."""
    lines = [f"  fetch    {name}" for name in plan["queued"]]
    lines += [f"  held     {name}" for name in plan["held"]]
    lines += [f"  absent   {day}: the POS lists no closed period of this day" for day in plan["absent"]]
    head = f"{len(plan['queued'])} to fetch, {len(plan['held'])} held already, {len(plan['absent'])} days absent"
    return "\n".join([head, *lines]) + "\n"


def _wait(arguments: argparse.Namespace, wanted: list[str]) -> None:
    left = len(wanted)
    while left:
        time.sleep(_LOOK_S)
        [row] = [row for row in ask(arguments.socket, "sources") if row["name"] == arguments.source]
        now = sum(name in wanted for name in row["waiting_documents"])
        if now != left:
            sys.stderr.write(f"{len(wanted) - now} of {len(wanted)} fetched\n")
            left = now


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text} is no day like 2026-07-01") from exc
