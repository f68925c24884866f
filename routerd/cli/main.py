"""Arguments to actions. Exit status: 0 all well, 1 degraded, 2 down or not possible."""

import argparse
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from routerd import __version__
from routerd.cli import frame, show
from routerd.errors import ConfigError, PermanentError

EXIT_BY_STATE = {"ok": 0, "degraded": 1, "down": 2}
EXIT_DOWN = 2
_TIMEOUT_S = 10.0


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
    frame.add_to(commands)
    return parser


def _asking(commands: Any, name: str, what: str, render: Callable[[Any], str]) -> None:
    command = commands.add_parser(name, help=what, description=what)
    command.add_argument("--json", action="store_true", help="print the daemon's answer as JSON")
    command.add_argument(
        "--socket",
        type=Path,
        default=Path(os.environ.get("ROUTERD_SOCKET", "/run/routerd/control.sock")),
        help="the daemon's control socket (default $ROUTERD_SOCKET, else %(default)s)",
    )
    command.set_defaults(action=lambda arguments: _ask(name, arguments, render))


def _ask(name: str, arguments: argparse.Namespace, render: Callable[[Any], str]) -> int:
    answer = ask(arguments.socket, name)
    sys.stdout.write(json.dumps(answer, indent=2) + "\n" if arguments.json else render(answer))
    if isinstance(answer, dict):
        return EXIT_BY_STATE[answer["state"]]
    states = {source["state"] for source in answer}
    return EXIT_DOWN if states == {"down"} else int("down" in states)


def ask(path: Path, name: str) -> Any:
    """One question to the daemon. Raises PermanentError with the remedy when nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(json.dumps({"ask": name}).encode() + b"\n")
            with connection.makefile("rb") as lines:
                reply = json.loads(lines.readline() or b"{}")
    except PermissionError as exc:
        raise PermanentError("control.denied", f"{path} is not yours to ask: run routerctl as root") from exc
    except (OSError, ValueError) as exc:
        reason = f"no routerd answers at {path} ({exc}): is it running? start it, or pass --socket"
        raise PermanentError("control.down", reason) from exc
    if "answer" not in reply:
        raise PermanentError("control.refused", str(reply.get("error", "the daemon gave no answer")))
    return reply["answer"]
