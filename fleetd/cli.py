"""`fleetctl`: what arrived, what did not, and who may send. Reads the database while fleetd runs."""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from fleetd import auth, tables
from fleetd.files import Folder, write_new
from fleetd.sqlite_store import SqliteStore
from fleetd.store import ACTIVE, DISABLED, Query
from routerd.errors import PermanentError, RouterdError

OK, INCOMPLETE, USAGE = 0, 1, 2
_AGO = re.compile(r"(\d{1,6})([smhd])")
_AGO_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_Command = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """0: fine. 1: `streams` or `reconstruct` met holes or invalid segments. 2: usage, no database, or trouble with
    it, told in one line on stderr."""
    arguments = _parser().parse_args(argv)
    run: _Command = arguments.run
    try:
        code = run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever reads has seen enough
        return OK
    except (RouterdError, OSError) as exc:
        print(f"fleetctl: {exc}", file=sys.stderr)
        return USAGE


def _transactions(arguments: argparse.Namespace) -> int:
    with _reading(arguments) as store:
        found = store.transactions(_query(arguments), raw=arguments.raw)
        if arguments.raw and not arguments.json:
            for one in found:
                sys.stdout.buffer.write(one.raw if one.raw.endswith(b"\n") else one.raw + b"\n")
            return OK
        rows = (tables.transaction(one, raw=arguments.raw) for one in found)
        return _show(arguments, rows, "no transaction matches")


def _streams(arguments: argparse.Namespace) -> int:
    query = _query(arguments)
    with _reading(arguments) as store:
        found = list(store.streams(query))
        refused = sum(1 for _ in store.invalid(query))
    _show(arguments, (tables.stream(one) for one in found), "no stream matches")
    if refused:
        print(f"{refused} invalid segments: see `fleetctl invalid`", file=sys.stderr)
    return INCOMPLETE if refused or any(one.holes for one in found) else OK


def _gaps(arguments: argparse.Namespace) -> int:
    with _reading(arguments) as store:
        return _show(arguments, map(tables.gap, store.gaps(_query(arguments))), "no loss was declared")


def _conflicts(arguments: argparse.Namespace) -> int:
    with _reading(arguments) as store:
        return _show(arguments, map(tables.conflict, store.conflicts(_query(arguments))), "no conflict")


def _invalid(arguments: argparse.Namespace) -> int:
    with _reading(arguments) as store:
        return _show(arguments, map(tables.invalid, store.invalid(_query(arguments))), "no segment was refused")


def _reconstruct(arguments: argparse.Namespace) -> int:
    with _reading(arguments) as store:
        for data in store.captured(arguments.device, arguments.source, arguments.epoch):
            sys.stdout.buffer.write(data)
        query = Query(device=arguments.device, source=arguments.source)
        found = [one for one in store.streams(query) if arguments.epoch in (None, one.epoch)]
    if not found:
        raise PermanentError("source.unknown", "nothing of this source is stored: see `fleetctl streams`")
    missing = sum(one.missing for one in found)
    if missing:
        print(f"fleetctl: {missing} records are missing: see `fleetctl streams`", file=sys.stderr)
    return INCOMPLETE if missing else OK


def _devices(arguments: argparse.Namespace) -> int:
    with _reading(arguments) as store:
        found = [one for one in store.devices() if arguments.device in ("", one.id)]
        return _show(arguments, map(tables.device, found), "no device: add one with `fleetctl device add`")


def _device_add(arguments: argparse.Namespace) -> int:
    """The key file first: a device whose key nobody has would be worse than a key without a device."""
    if not auth.is_device_id(arguments.id):
        raise PermanentError("device.id", "a device id is 1 to 64 of A-Z a-z 0-9 . _ - and does not begin with . _ -")
    device, line = auth.mint(arguments.id, time.time_ns() // 1_000_000)
    with SqliteStore(Folder(arguments.data).database) as store:
        if store.device(device.id):
            raise PermanentError("device.exists", f"device {device.id} exists: choose another id")
        write_new(arguments.key_file, f"{line}\n".encode(), mode=0o600)
        try:
            store.add_device(device)
        except RouterdError:
            arguments.key_file.unlink()
            raise
    return _said(arguments, device.id, f"added; its key is in {arguments.key_file}, nowhere else")


def _device_enable(arguments: argparse.Namespace) -> int:
    return _device_set(arguments, ACTIVE)


def _device_disable(arguments: argparse.Namespace) -> int:
    return _device_set(arguments, DISABLED)


def _device_set(arguments: argparse.Namespace, status: str) -> int:
    with SqliteStore(Folder(arguments.data).database) as store:
        store.set_status(arguments.id, status)
    return _said(arguments, arguments.id, f"is {status} from its next request on")


def _said(arguments: argparse.Namespace, device_id: str, told: str) -> int:
    print(tables.object_json({"id": device_id, "message": told}) if arguments.json else f"device {device_id} {told}")
    return OK


def _show(arguments: argparse.Namespace, rows: Iterable[tables.Fields], nothing: str) -> int:
    for piece in tables.as_json(rows) if arguments.json else tables.as_table(rows, nothing):
        sys.stdout.write(piece)
    return OK


def _reading(arguments: argparse.Namespace) -> SqliteStore:
    return SqliteStore(Folder(arguments.data).database, read_only=True)


def _query(arguments: argparse.Namespace) -> Query:
    return Query(arguments.device, arguments.source, arguments.since, arguments.limit)


def _since(text: str) -> int:
    """`2h` ago, or a moment in ISO 8601 (UTC unless it says otherwise), as wall milliseconds."""
    if ago := _AGO.fullmatch(text):
        return int((time.time() - int(ago[1]) * _AGO_S[ago[2]]) * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text} is neither like 90m, 2h, 3d nor like 2026-07-15T02:05") from exc
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 63:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fleetctl", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder `fleetd init` made")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    anywhere = argparse.ArgumentParser(add_help=False)  # --json may also stand behind the command
    anywhere.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: _Command, told: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=told, description=told, parents=[anywhere])
        made.set_defaults(run=run)
        return made

    listings = [
        command("transactions", _transactions, "POS transactions, each once, in order of arrival"),
        command("streams", _streams, "what is stored of every stream, and what is missing"),
        command("gaps", _gaps, "losses that routers declared"),
        command("conflicts", _conflicts, "records with a known POS identity and other content"),
        command("invalid", _invalid, "segments that were refused, and why"),
    ]
    listings[0].add_argument("--raw", action="store_true", help="the records themselves (base64 with --json)")
    for listing in listings:
        listing.add_argument("--device", default="", metavar="ID")
        listing.add_argument("--source", default="", metavar="NAME")
        listing.add_argument("--since", type=_since, metavar="WHEN", help="received since: 2h, or ISO 8601")
        listing.add_argument("--limit", type=_number, metavar="N", help="only the latest N")
    rebuilt = command("reconstruct", _reconstruct, "a source's bytes as captured, on stdout")
    rebuilt.add_argument("--device", required=True, metavar="ID")
    rebuilt.add_argument("--source", required=True, metavar="NAME")
    rebuilt.add_argument("--epoch", type=_number, metavar="E", help="one run of the router only")
    command("devices", _devices, "who may send").add_argument("--device", default="", metavar="ID")
    _device_parser(command("device", _devices, "register, disable and enable routers"), anywhere)
    return parser


def _device_parser(parser: argparse.ArgumentParser, anywhere: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="ACTION")
    listing = commands.add_parser("list", help="who may send", parents=[anywhere])
    listing.set_defaults(run=_devices, device="")
    actions: dict[str, tuple[_Command, str]] = {
        "add": (_device_add, "register a router and write its key file"),
        "disable": (_device_disable, "refuse a router's uploads; it keeps its data"),
        "enable": (_device_enable, "take a router's uploads again"),
    }
    for name, (run, told) in actions.items():
        action = commands.add_parser(name, help=told, parents=[anywhere])
        action.add_argument("id", metavar="ID")
        action.set_defaults(run=run)
        if name == "add":
            action.add_argument("--key-file", type=Path, required=True, metavar="PATH", help="must not exist")


if __name__ == "__main__":
    sys.exit(main())
