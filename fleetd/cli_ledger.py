"""`fleetctl ledger` and what stands behind it: days, tickets, clocks, and records that were set aside."""

import argparse
import csv
import sqlite3
import sys
from collections.abc import Iterable
from dataclasses import asdict

from fleetd import tables, terminal
from fleetd.decode import decode
from fleetd.ledger import calendar, calendars, gaps, reads
from fleetd.ledger.calendars import Day
from fleetd.ledger.clocks import devices
from fleetd.ledger.follower import Follower
from fleetd.terminal import INCOMPLETE, OK, Commands
from routerd.errors import PermanentError

FIRST_DAY, LAST_DAY = "0001-01-01", "9999-12-31"  # any: business days are compared as text
WEEKS = 3  # shown before the running one: what a support call is about
_TICKET_COLUMNS = (
    *("store", "register", "number", "kind", "flags", "linked", "pos_time", "business_day", "total_cents"),
    *("counted_cents", "lines", "captured_ms"),
)
_TOLD_EVERY = 50_000  # records, between two lines of progress


def add_commands(commands: Commands) -> None:
    days = commands.add("ledger", _ledger, "what the POS sold against what arrived, per day (exit 0: nothing is open)")
    add_place(days)
    add_days(days)
    sold = commands.add("tickets", _tickets, "tickets as they were read: normalised, each once")
    add_place(sold)
    add_days(sold)
    sold.add_argument("--source", default="", metavar="NAME", help="of this source only")
    sold.add_argument("--since", type=terminal.since, metavar="WHEN", help="received since: 2h, or ISO 8601")
    sold.add_argument("--limit", type=terminal.number, metavar="N", help="only the latest N")
    sold.add_argument("--csv", action="store_true", help="one row per line of a ticket, with the ticket's columns")
    sold.add_argument("--all-versions", action="store_true", help="also versions that a later one supersedes")
    aside = commands.add("undecodable", _undecodable, "records that arrived and could not be read, and why")
    terminal.add_filters(aside)
    again = commands.add("reprocess", _reprocess, "read again what was set aside; fleetd may run meanwhile")
    again.add_argument("--all", action="store_true", help="forget the whole ledger and write it anew from the records")
    add_place(commands.add("clocks", _clocks, "how right the clocks of routers and registers are"))


def add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", default="", metavar="STORE", help="of this store only")
    parser.add_argument("--device", default="", metavar="ID", help="of this router only")


def add_days(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="first", type=terminal.day, default=FIRST_DAY, metavar="DAY", help="from this day on"
    )
    parser.add_argument("--to", dest="last", type=terminal.day, default=LAST_DAY, metavar="DAY", help="up to this day")


def check_days(arguments: argparse.Namespace) -> None:
    """Raises PermanentError (`ledger.days`) for days that end before they begin."""
    if arguments.last < arguments.first:
        told = f"{arguments.last} is before {arguments.first}: --from takes the earlier day"
        raise PermanentError("ledger.days", told)


def check_place(arguments: argparse.Namespace, db: sqlite3.Connection) -> None:
    """Raises PermanentError (`ledger.place`) for a store or a router of which no record ever came."""
    if (arguments.store or arguments.device) and not any(devices(db, arguments.device, arguments.store)):
        asked = " at ".join(name for name in (arguments.device, arguments.store) if name)
        raise PermanentError("ledger.place", f"no record of {asked} ever came: see `fleetctl devices`")


def _ledger(arguments: argparse.Namespace) -> int:
    """0 nothing is open, 1 something short, over, late or lost."""
    now_ms = terminal.now_ms()
    check_days(arguments)
    first = arguments.first if arguments.first != FIRST_DAY else calendars.weeks_back(now_ms, WEEKS)
    place = {"device": arguments.device, "store": arguments.store}
    with terminal.book(arguments) as db:
        check_place(arguments, db)
        days = calendars.of_stores(db, **place, first=first, last=arguments.last, now_ms=now_ms)
        known = calendars.known(db, **place)
        lost = list(gaps.open_gaps(db, **place))
        terminal.warn_if_behind(arguments, db)
    if arguments.json:
        told = {"days": [_day(one) for one in days], "known": [asdict(one) for one in known]}
        print(tables.object_json({**told, "gaps": [asdict(one) for one in lost]}))
    else:
        _print_days(days)
        _print_unseen(days, known)
        _print_gaps(lost)
    return INCOMPLETE if lost or any(one.is_trouble for one in days) else OK


def _print_days(days: Iterable[Day]) -> None:
    shown = [one.verdict for one in days]
    if not shown:
        print("nothing is known of these days")
    for line in calendar.render(shown) if shown else ():
        print(tables.printable(line))


def _print_unseen(days: Iterable[Day], known: Iterable[calendars.Known]) -> None:
    """Stores that all days shown passed by: a store that fell silent must not fall out of sight."""
    seen = {one.verdict.store for one in days}
    for one in known:
        if one.store not in seen:
            how = f"known are {one.first} to {one.last}: `fleetctl ledger --store {one.store} --from {one.first}`"
            print(tables.printable(f"{one.store}: nothing of these days; {how if one.first else 'none is known'}"))


def _print_gaps(lost: Iterable[gaps.OpenGap]) -> None:
    rows = [
        {
            "store": one.store,
            "device": one.device,
            "source": one.source,
            "from_ms": one.from_ms,
            "to_ms": one.to_ms,
            "cause": one.cause,
            "records": one.last - one.first + 1 if one.first else None,
            "until_ms": one.until_ms,
            "order": one.order,
        }
        for one in lost
    ]
    if rows:
        print("\nopen gaps (`until`: how long the POS can still give it)")
        for line in tables.as_table(rows, ""):
            sys.stdout.write(line)


def _day(one: Day) -> tables.Fields:
    place = {"device": one.device, "source": one.source, "document": one.document}
    return {**asdict(one.verdict), **place, "unread": one.unread}


def _tickets(arguments: argparse.Namespace) -> int:
    wanted = reads.Filter(
        arguments.store,
        arguments.device,
        arguments.source,
        arguments.first,
        arguments.last,
        arguments.since,
        arguments.limit,
        arguments.all_versions,
    )
    with terminal.book(arguments) as db:
        terminal.warn_if_behind(arguments, db)
        found = reads.tickets(db, wanted)
        if arguments.csv:
            _write_csv(found)
            return OK
        if arguments.json:
            return terminal.show(arguments, found, "")
        rows = ({name: _plain(row[name]) for name in _TICKET_COLUMNS} for row in found)
        return terminal.show(arguments, rows, "no ticket matches")


def _plain(value: object) -> object:
    """A cell of a table: lists of words as words, of lines as their number."""
    if not isinstance(value, list):
        return value
    return " ".join(value) if all(isinstance(one, str) for one in value) else len(value)


def _write_csv(found: Iterable[reads.Row]) -> None:
    """Money in whole cents, quantities in thousandths; a ticket without lines has one row."""
    out = None
    for row in found:
        apart = ("lines", "tenders", "loyalty", "router")
        head = {name: _plain(value) for name, value in row.items() if name not in apart}
        head |= {f"router_{name}": value for name, value in row["router"].items()}
        head["tenders"] = " ".join(f"{one['kind']}:{one['cents']}" for one in row["tenders"])
        head["loyalty"] = " ".join(f"{one['program']}:{one['id']}" for one in row["loyalty"])
        if out is None:
            columns = [*head, *(f"line_{name}" for name in reads.LINE), "line_promotions"]
            out = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
            out.writeheader()
        for line in row["lines"] or [{}]:
            taken = " ".join(f"{one['id']}:{one['kind']}:{one['cents']}" for one in line.get("promotions", ()))
            said = {f"line_{name}": line.get(name) for name in reads.LINE}
            out.writerow({**head, **said, "line_promotions": taken})


def _undecodable(arguments: argparse.Namespace) -> int:
    wanted = reads.Filter("", arguments.device, arguments.source, since_ms=arguments.since, limit=arguments.limit)
    with terminal.book(arguments) as db:
        terminal.warn_if_behind(arguments, db)
        return terminal.show(arguments, reads.undecodable(db, wanted), "every record that arrived was read")


def _reprocess(arguments: argparse.Namespace) -> int:
    """Progress on stderr, what changed on stdout. Reads on to the last record there is."""
    with terminal.book(arguments, writes=True) as db, terminal.store(arguments) as store:
        follower = Follower(db, store, decode, terminal.now_ms)
        before = _facts(db)
        if arguments.all:
            follower.forget()
        read = told = 0
        while count := follower.step():
            read += count
            if read - told >= _TOLD_EVERY:
                told = read
                print(f"fleetctl: {follower.position()} of {store.last_record()} records", file=sys.stderr)
        mended = 0
        for at, (stored, code) in enumerate(follower.read_again(), 1):
            mended += not code
            still = code or "read"
            place = f"{stored.device} {stored.record.stream.source} {stored.record.stream.epoch} {stored.record.seq}"
            print(tables.printable(f"fleetctl: set aside {at}: {place}: {still}"), file=sys.stderr)
        after = _facts(db)
    changed = {"records": read, "mended": mended, "before": before, "after": after}
    if arguments.json:
        print(tables.object_json(changed))
    else:
        print(f"{read} records read, {mended} that were set aside can be read now")
        for name in before:
            print(f"{name}: {before[name]} before, {after[name]} now")
    return OK if not after["undecodable"] else INCOMPLETE


def _facts(db: sqlite3.Connection) -> dict[str, int]:
    """What a reprocessing may change."""
    count = {
        "tickets": "SELECT count(*) FROM ticket WHERE superseded_by IS NULL",
        "counted_cents": "SELECT coalesce(sum(counted_cents), 0) FROM ticket WHERE superseded_by IS NULL",
        "undecodable": "SELECT count(*) FROM undecodable",
        "days complete": "SELECT count(*) FROM day WHERE is_settled",
        "days not complete": "SELECT count(*) FROM day WHERE NOT is_settled",
    }
    return {name: int(db.execute(sql).fetchone()[0]) for name, sql in count.items()}


def _clocks(arguments: argparse.Namespace) -> int:
    """Registers by the tickets of the last fortnight: enough of them, and no older clock among them."""
    place = (arguments.device, arguments.store)
    with terminal.book(arguments) as db:
        routers = list(reads.clocks(db, *place))
        newest = max((row["last_ms"] for row in routers), default=0)
        registers = list(reads.skews(db, newest - 14 * 86_400_000, *place))
    if arguments.json:
        print(tables.object_json({"routers": routers, "registers": registers}))
        return OK
    for rows, nothing in ((routers, "no router was heard of"), (registers, "no register's ticket has a time")):
        terminal.show(arguments, rows, nothing)
        print()
    return OK
