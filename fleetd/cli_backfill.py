"""`fleetctl orders`, `backfill`, `witness`, `risk`: what is missing, what it costs, and how it is asked for again."""

import argparse
from dataclasses import asdict

from fleetd import tables, terminal
from fleetd.cli_ledger import add_days, add_place, check_days, check_place
from fleetd.ledger import accounts, backfill, calendars, evidence, skew, witness
from fleetd.ledger.clocks import devices
from fleetd.ledger.follower import transaction
from fleetd.ledger.risk import Risk, assess
from fleetd.ledger.verdict import HeldTicket
from fleetd.terminal import INCOMPLETE, OK, Commands
from routerd.errors import PermanentError

WEEKS_AT_RISK = 13  # a Commander's 91 days
DEFAULT_ZONE = "America/New_York"  # of stores that were registered without one: most programmes' own


def add_commands(commands: Commands) -> None:
    listed = commands.add("orders", _orders, "days asked of a POS again, by the ledger or by hand")
    listed.add_argument("--device", default="", metavar="ID", help="to this router only")
    listed.add_argument("--all", action="store_true", help="also those that were met or given up")
    asked = commands.add("backfill", _backfill, "order days of a source to be read from the POS again")
    asked.add_argument("--device", required=True, metavar="ID", help="the router at the POS")
    asked.add_argument("--source", required=True, metavar="NAME", help="the source, as the router names it")
    told = "the first business day"
    asked.add_argument("--from", dest="first", type=terminal.day, required=True, metavar="DAY", help=told)
    told = "the last business day (the first)"
    asked.add_argument("--to", dest="last", type=terminal.day, metavar="DAY", help=told)
    seen = commands.add("witness", _witness, "a serial journal against the documents of the same registers")
    add_place(seen)
    add_days(seen)
    add_place(commands.add("risk", _risk, "open days by what passes first: the POS's memory or a programme's week"))


def _orders(arguments: argparse.Namespace) -> int:
    with terminal.book(arguments) as db:
        found = [one for one in backfill.kept(db, arguments.device) if arguments.all or one.state == backfill.OPEN]
        return terminal.show(arguments, [_fields(one) for one in found], "nothing is ordered")


def _fields(order: backfill.Kept) -> tables.Fields:
    return {**asdict(order), "is_by_hand": "yes" if order.is_by_hand else "no"}


def _backfill(arguments: argparse.Namespace) -> int:
    last = arguments.last or arguments.first
    if last < arguments.first:
        raise PermanentError("backfill.days", f"{last} is before {arguments.first}: --from takes the earlier day")
    with terminal.book(arguments, writes=True) as db:
        known = next(devices(db, arguments.device), None)
        window = backfill.window_of(db, known[0], arguments.source) if known else None
        if window is None:
            told = f"{arguments.source} of {arguments.device} never gave a document that could be read again"
            raise PermanentError("backfill.source", f"{told}: see `fleetctl streams`")
        with transaction(db):
            span = (arguments.source, arguments.first, last)
            order = backfill.give(db, arguments.device, span, "support", terminal.now_ms(), by_hand=True)
    told = f"order {order}: the router gets it with its next request"
    print(tables.object_json({"id": order, "message": told}) if arguments.json else told)
    return OK


def _witness(arguments: argparse.Namespace) -> int:
    """1 if one of the two has a ticket that the other lacks, or other money for it."""
    rows: list[tables.Fields] = []
    check_days(arguments)
    with terminal.book(arguments) as db:
        check_place(arguments, db)
        terminal.warn_if_behind(arguments, db)
        stores = dict.fromkeys(store for _, _, store, _ in devices(db, arguments.device, arguments.store))
        for store in stores:
            told = accounts.of_store(db, store, arguments.first, arguments.last)
            registers = {held.ticket.register for held in told.journal} if told.book_begin else ()
            rows += [_account(store, register, told) for register in sorted(registers)]
    shown = rows if arguments.json else [_in_words(row) for row in rows]
    terminal.show(arguments, shown, "no journal stands beside documents here")
    return INCOMPLETE if any(row["differing"] or row["only_journal"] or row["only_book"] for row in rows) else OK


def _account(store: str, register: str, told: accounts.Accounts) -> tables.Fields:
    """Of one register. Numbers as the POS writes them, else the ticket's time."""
    said = [held for held in told.journal if held.ticket.register == register]
    ahead = skew.estimate(evidence.clock_samples(said))
    reach = witness.reach(told.begins.get(register, ""), told.book_begin, told.book_end)
    found = witness.compare(said, told.book, ahead, reach)
    return {
        "store": store,
        "register": register,
        "sources": sorted({held.source for held in said}),
        "matched": len(found.matched),
        "differing": [_name(one) for one, _ in found.differing],
        "only_journal": [_name(one) for one in found.only_journal],
        "only_book": [_name(one) for one in found.only_book],
        "explained": [{"number": _name(one), "why": sorted(one.ticket.flags)} for one in found.explained],
        "beyond": [_name(one) for one in found.beyond],
    }


def _in_words(row: tables.Fields) -> tables.Fields:
    """For a table: names in a row; of what needs no one's attention the count."""
    counted = ("explained", "beyond")
    plain = {
        name: " ".join(value) if isinstance(value, list) else value
        for name, value in row.items()
        if name not in counted
    }
    return {**plain, **{name: len(row[name]) for name in counted}}


def _name(held: HeldTicket) -> str:
    return held.ticket.number or held.ticket.pos_time


def _risk(arguments: argparse.Namespace) -> int:
    """1 while something is at risk."""
    now_ms = terminal.now_ms()
    first = calendars.weeks_back(now_ms, WEEKS_AT_RISK)
    found: list[tuple[str, Risk]] = []
    with terminal.book(arguments) as db:
        check_place(arguments, db)
        for device_no, device, _, zone in devices(db, arguments.device, arguments.store):
            days = calendars.of_stores(db, device=device, first=first, now_ms=now_ms)
            for source in sorted({one.source for one in days}):
                verdicts = [one.verdict for one in days if one.source == source]
                pos = backfill.pos_of(db, device_no, source)
                at_risk = assess(verdicts, pos=pos, zone=zone or DEFAULT_ZONE, now_ms=now_ms)
                found += [(source, one) for one in at_risk]
    found.sort(key=lambda pair: (pair[1].first_ms is None, pair[1].first_ms or 0))
    terminal.show(arguments, [_at_risk(source, one) for source, one in found], "nothing is at risk")
    return INCOMPLETE if found else OK


def _at_risk(source: str, one: Risk) -> tables.Fields:
    return {
        "store": one.store,
        "source": source,
        "business_day": one.business_day,
        "cents": one.cents,
        "tickets": one.tickets,
        "first": one.first or "all passed",
        "first_ms": one.first_ms,
        "gone_ms": one.gone_ms,
        "deadlines": tables.Detail(one.deadlines),
    }
