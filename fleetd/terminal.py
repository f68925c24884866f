"""What the commands of `fleetctl` share: the data folder, the filters, the ways to show rows."""

import argparse
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

from fleetd import tables
from fleetd.files import Folder
from fleetd.ledger.schema import open_book
from fleetd.sqlite_store import SqliteStore
from fleetd.store import Query
from routerd.errors import TransientError

OK, INCOMPLETE, USAGE = 0, 1, 2
Command = Callable[[argparse.Namespace], int]
_AGO = re.compile(r"(\d{1,6})([smhd])")
_AGO_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Commands:
    """The commands of a parser, each with its help; `--json` may stand before or behind any of them."""

    def __init__(self, parser: argparse.ArgumentParser, metavar: str = "COMMAND") -> None:
        self._anywhere = argparse.ArgumentParser(add_help=False)
        told = "one JSON document on stdout"
        self._anywhere.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=told)
        self._commands = parser.add_subparsers(required=True, metavar=metavar)

    def add(self, name: str, run: Command | None, told: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = self._commands.add_parser(
            name, help=told, description=told, parents=[self._anywhere]
        )
        if run:
            made.set_defaults(run=run)
        return made


def add_filters(parser: argparse.ArgumentParser) -> None:
    """The options that `query` reads."""
    parser.add_argument("--device", default="", metavar="ID", help="of this router only")
    parser.add_argument("--source", default="", metavar="NAME", help="of this source only")
    parser.add_argument("--since", type=since, metavar="WHEN", help="received since: 2h, or ISO 8601")
    parser.add_argument("--limit", type=number, metavar="N", help="only the latest N")


def query(arguments: argparse.Namespace) -> Query:
    return Query(arguments.device, arguments.source, arguments.since, arguments.limit)


def store(arguments: argparse.Namespace) -> SqliteStore:
    """The records, to read."""
    return SqliteStore(Folder(arguments.data).database, read_only=True)


@contextmanager
def book(arguments: argparse.Namespace, *, writes: bool = False) -> Iterator[sqlite3.Connection]:
    """The book. Raises PermanentError (`ledger.missing`) and TransientError."""
    try:
        db = open_book(Folder(arguments.data).ledger, read_only=not writes)
        try:
            yield db
        finally:
            db.close()
    except sqlite3.DatabaseError as exc:
        raise TransientError("ledger.unavailable", f"the ledger does not answer: {exc}") from exc


def warn_if_behind(arguments: argparse.Namespace, db: sqlite3.Connection) -> None:
    """Say on stderr how many records the book has not read yet."""
    with store(arguments) as records:
        behind = records.last_record() - db.execute("SELECT no FROM position").fetchone()[0]
    if behind > 0:
        print(f"fleetctl: the ledger is {behind} records behind what arrived", file=sys.stderr)


def show(arguments: argparse.Namespace, rows: Iterable[tables.Fields], nothing: str) -> int:
    for piece in tables.as_json(rows) if arguments.json else tables.as_table(rows, nothing):
        sys.stdout.write(piece)
    return OK


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def since(text: str) -> int:
    """`2h` ago, or a moment in ISO 8601 (UTC unless it says otherwise), as wall milliseconds."""
    if ago := _AGO.fullmatch(text):
        return int((time.time() - int(ago[1]) * _AGO_S[ago[2]]) * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text} is neither like 90m, 2h, 3d nor like 2026-07-15T02:05") from exc
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 63:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1")
    return int(text)


def day(text: str) -> str:
    """A business day as an ISO date."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text} is no day like 2026-07-16") from exc
