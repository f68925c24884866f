"""Arguments to actions. Exit status: 0 all well, 1 degraded, 2 down or not possible."""

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import Any

from routerd import __version__
from routerd.cli import backfill, frame, show, trust
from routerd.cli.question import add_socket, ask
from routerd.errors import ConfigError, PermanentError

EXIT_BY_STATE = {"ok": 0, "degraded": 1, "down": 2}
EXIT_DOWN = 2


def main() -> int:
    """The console script `routerctl`."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.action(arguments))
    except (ConfigError, PermanentError) as exc:
        sys.stderr.write(f"routerctl: {exc}\n")
        return EXIT_DOWN
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader (head, less) has seen enough
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="routerctl",
        description="See and test what routerd does on this router.",
        epilog="Exit status: 0 all well, 1 degraded, 2 down or not possible.",
    )
    parser.add_argument("--version", action="version", version=f"routerctl {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _asking(commands, "status", "is all well, and does the sum hold?", show.status)
    _asking(commands, "sources", "every source: its link, its state, its sum", show.sources)
    backfill.add_to(commands)
    trust.add_to(commands)
    frame.add_to(commands)
    return parser


def _asking(commands: Any, name: str, what: str, render: Callable[[Any], str]) -> None:
    command = commands.add_parser(name, help=what, description=what)
    command.add_argument("--json", action="store_true", help="print the daemon's answer as JSON")
    add_socket(command)
    command.set_defaults(action=lambda arguments: _ask(name, arguments, render))


def _ask(name: str, arguments: argparse.Namespace, render: Callable[[Any], str]) -> int:
    answer = ask(arguments.socket, name)
    sys.stdout.write(json.dumps(answer, indent=2) + "\n" if arguments.json else render(answer))
    if isinstance(answer, dict):
        return EXIT_BY_STATE[answer["state"]]
    states = {source["state"] for source in answer}
    return EXIT_DOWN if states == {"down"} else int("down" in states)
