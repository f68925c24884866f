"""`routerctl trust`: the POS has a new certificate, and that is right."""

import argparse
import json
import sys
from typing import Any

from routerd.cli.question import add_socket, ask


def add_to(commands: Any) -> None:
    """Declare the command."""
    what = "accept the POS's new certificate"
    told = (
        "The certificate of a POS is noted when it is first met; while it shows another one, no password is sent to it"
        " and pos.certificate_changed is raised with both fingerprints. Compare the new one with what the POS shows"
        " on its own screen, then accept it here."
    )
    command = commands.add_parser("trust", help=what, description=told)
    command.add_argument("--source", required=True, metavar="S", help="the source's name in the configuration")
    command.add_argument("--json", action="store_true", help="print the daemon's answer as JSON")
    add_socket(command)
    command.set_defaults(action=run)


def run(arguments: argparse.Namespace) -> int:
    """The exit status. Raises PermanentError when the daemon refuses."""
    told = ask(arguments.socket, "trust", source=arguments.source)
    sys.stdout.write(f"{json.dumps(told) if arguments.json else told}\n")
    return 0
