"""`fleetd`: prepare a data folder, then serve it."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from fleetd.files import Folder
from fleetd.init import init
from fleetd.service import serve
from routerd.errors import RouterdError

DEFAULT_LISTEN = "127.0.0.1:8443"


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 when it ended as asked, 2 when it could not start: one line on stderr says what to do."""
    arguments = _parser().parse_args(argv)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    try:
        if arguments.command == "init":
            _say(*init(arguments.data, arguments.name))
            _say(f"next: fleetctl --data {arguments.data} device add ID --key-file PATH")
            _say(f"      fleetd run --data {arguments.data}")
        else:
            host, port = arguments.listen
            asyncio.run(serve(Folder(arguments.data), host, port, lambda at: _say(f"fleetd listens on {at}")))
    except (RouterdError, OSError) as exc:
        sys.stderr.write(f"fleetd: {exc}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fleetd", description="The reference cloud of routerd.")
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("init", help="prepare a data folder; safe to repeat")
    made.add_argument("--name", action="append", default=[], metavar="HOST", help="name or address routers will use")
    run = commands.add_parser("run", help="serve a prepared folder until SIGTERM")
    run.add_argument(
        "--listen", type=_address, default=_address(DEFAULT_LISTEN), metavar="HOST:PORT", help="where to listen"
    )
    for command in (made, run):
        command.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder of keys and data")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is no HOST:PORT (port 0 takes any free one)")
    return host.strip("[]"), int(port)


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
