"""`fleetctl`: what arrived, what did not, and who may send. Reads the database while fleetd runs."""

import argparse
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from fleetd import cli_backfill, cli_devices, cli_ledger, tables, terminal
from fleetd.files import Folder
from fleetd.ledger.clocks import Redating
from fleetd.ledger.schema import open_book
from fleetd.store import Query, Transaction
from fleetd.terminal import INCOMPLETE, OK, USAGE, Command, Commands
from routerd.errors import PermanentError, RouterdError


def main(argv: Sequence[str] | None = None) -> int:
    """0: fine. 1: `streams` or `reconstruct` met holes or segments refused and never sent right, `ledger` a day that is
    not proven. 2: usage, no database, or trouble with it, told in one line on stderr."""
    arguments = _parser().parse_args(argv)
    run: Command = arguments.run
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
    with terminal.store(arguments) as store:
        found = store.transactions(terminal.query(arguments), raw=arguments.raw)
        if arguments.raw and not arguments.json:
            for one in found:
                sys.stdout.buffer.write(one.raw if one.raw.endswith(b"\n") else one.raw + b"\n")
            return OK
        dates = _Dates(Folder(arguments.data))
        rows = (tables.transaction(one, dates.captured_ms(one), raw=arguments.raw) for one in found)
        return terminal.show(arguments, rows, "no transaction matches")


class _Dates:
    """When transactions were captured, as the ledger knows it; without a ledger, as their routers said."""

    def __init__(self, folder: Folder) -> None:
        self._known: dict[tuple[str, bytes], int] = {}
        try:
            with closing(open_book(folder.ledger, read_only=True)) as db:
                dates = Redating(db)
                for device, device_no, boot_no, boot in db.execute(
                    "SELECT d.id, d.no, b.no, b.id FROM boot b JOIN device d ON d.no = b.device_no"
                ):
                    self._known[device, boot] = dates.offset(device_no, boot_no).offset_ms
        except (RouterdError, sqlite3.DatabaseError):
            self._known.clear()

    def captured_ms(self, one: Transaction) -> int:
        offset_ms = self._known.get((one.device, one.boot))
        return one.router_ms if offset_ms is None else one.mono_ms + offset_ms


def _streams(arguments: argparse.Namespace) -> int:
    query = terminal.query(arguments)
    with terminal.store(arguments) as store:
        found = list(store.streams(query))
        refused = sum(not one.is_superseded for one in store.invalid(query))
    terminal.show(arguments, (tables.stream(one) for one in found), "no stream matches")
    if refused:
        print(f"{refused} invalid segments: see `fleetctl invalid`", file=sys.stderr)
    return INCOMPLETE if refused or any(one.holes for one in found) else OK


def _gaps(arguments: argparse.Namespace) -> int:
    with terminal.store(arguments) as store:
        return terminal.show(arguments, map(tables.gap, store.gaps(terminal.query(arguments))), "no loss was declared")


def _conflicts(arguments: argparse.Namespace) -> int:
    with terminal.store(arguments) as store:
        found = store.conflicts(terminal.query(arguments))
        dates = _Dates(Folder(arguments.data))
        rows = (tables.conflict(one, dates.captured_ms(one.record)) for one in found)
        return terminal.show(arguments, rows, "no conflict")


def _invalid(arguments: argparse.Namespace) -> int:
    with terminal.store(arguments) as store:
        found = store.invalid(terminal.query(arguments))
        return terminal.show(arguments, map(tables.invalid, found), "no segment was refused")


def _reconstruct(arguments: argparse.Namespace) -> int:
    with terminal.store(arguments) as store:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fleetctl", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder `fleetd init` made")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    commands = Commands(parser)
    listings = [
        commands.add("transactions", _transactions, "POS transactions, each once, in order of arrival"),
        commands.add("streams", _streams, "what is stored of every stream, and what is missing"),
        commands.add("gaps", _gaps, "losses that routers declared"),
        commands.add("conflicts", _conflicts, "records with a known POS identity and other content"),
        commands.add("invalid", _invalid, "segments that were refused, and why"),
    ]
    listings[0].add_argument("--raw", action="store_true", help="the records themselves (base64 with --json)")
    for listing in listings:
        terminal.add_filters(listing)
    rebuilt = commands.add("reconstruct", _reconstruct, "a source's bytes as captured, on stdout")
    rebuilt.add_argument("--device", required=True, metavar="ID", help="the router that captured them")
    rebuilt.add_argument("--source", required=True, metavar="NAME", help="the source, as the router names it")
    rebuilt.add_argument("--epoch", type=terminal.number, metavar="E", help="one run of the router only")
    cli_ledger.add_commands(commands)
    cli_backfill.add_commands(commands)
    cli_devices.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
