"""One question to the running daemon over its local socket."""

import argparse
import json
import os
import socket
from pathlib import Path
from typing import Any

from routerd.errors import PermanentError

_TIMEOUT_S = 150.0  # longer than the daemon gives an action that must ask a slow POS first


def add_socket(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--socket",
        type=Path,
        default=Path(os.environ.get("ROUTERD_SOCKET", "/run/routerd/control.sock")),
        help="the daemon's control socket (default $ROUTERD_SOCKET, else %(default)s)",
    )


def ask(path: Path, name: str, **details: Any) -> Any:
    """Ask for `name`, with what else it needs. Raises PermanentError with the remedy when nobody answers or the daemon
    refuses."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_TIMEOUT_S)
            connection.connect(str(path))
            connection.sendall(json.dumps({"ask": name, **details}).encode() + b"\n")
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
