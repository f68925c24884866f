"""The command line of the controller."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from scripts.commander.book import Book
from scripts.commander.cgi import Books
from scripts.commander.commander import Commander, Place
from scripts.commander.levers import HELP, obey, status
from scripts.commander.recorded import Recorded
from scripts.commander.sessions import Site
from scripts.commander.store import CLOSES_AT, Store
from scripts.pos.clock import WallClock
from scripts.pos.formats import Settings
from scripts.pos.truth import Truth

_ABOUT = """\
A simulated Verifone Commander: HTTPS, its CGI, its period files.

  python -m scripts.commander --days 3 --tickets 400 --port 8443 --truth truth.jsonl
  python -m scripts.commander --days 1 --speed 1440                  (a business day passes in a minute)
  python -m scripts.commander --serve day1.xml day2.xml --current day3.xml --first 500 --speed 600

The first line it prints is JSON: url, fingerprint and counters. It runs until SIGTERM, SIGINT or --seconds.
"""
_SITE = Site()


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; 0 when it was."""
    arguments = _parser().parse_args(argv)
    try:
        return asyncio.run(_run(arguments))
    except (OSError, ValueError) as exc:
        print(f"commander: {exc}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m scripts.commander", description=_ABOUT, epilog=HELP, formatter_class=raw
    )
    _add_site(parser.add_argument_group("the site"))
    _add_generated(parser.add_argument_group("a generated store"))
    _add_recorded(parser.add_argument_group("recorded periods instead"))
    parser.add_argument("--seconds", type=float, default=0.0, metavar="S", help="stop by itself after S seconds")
    parser.add_argument(
        "--speed", type=float, default=1.0, metavar="X", help="the POS's clock runs X times as fast (1)"
    )
    parser.add_argument("--levers", action="store_true", help="obey standard input, see below")
    return parser


def _add_site(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="127.0.0.1")
    group.add_argument("--port", type=int, default=0, help="0 (default) takes a free one")
    group.add_argument("--user", default=_SITE.user)
    group.add_argument("--password", default=_SITE.password, help=f"a test password ({_SITE.password})")
    group.add_argument("--otp", default="", help="ask for this one-time password, too")
    group.add_argument("--cookie-life-s", type=float, default=_SITE.cookie_life_s, metavar="S")
    group.add_argument("--max-cookies", type=int, default=_SITE.max_cookies, metavar="N")
    group.add_argument("--lock-after", type=int, default=_SITE.lock_after, metavar="N", help="wrong passwords in a row")
    group.add_argument("--no-gzip", action="store_true", help="a release without vtranssetz")
    group.add_argument("--login-page", action="store_true", help="answer a bad cookie with HTML instead of a fault")
    group.add_argument("--no-journal", action="store_true", help="requests leave no SECURE USER records")
    group.add_argument("--certificate", type=Path, metavar="FILE", help="write the certificate there, PEM")


def _add_generated(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--days", type=int, default=1, metavar="N", help="closed days at the start (1)")
    group.add_argument("--tickets", type=float, default=400.0, metavar="N", help="customers a day (400)")
    group.add_argument("--seed", type=int, default=1)
    group.add_argument("--store", default=_SITE.store)
    group.add_argument("--now", type=datetime.fromisoformat, metavar="ISO", help="POS clock at the start (this hour's)")
    group.add_argument("--noise", type=float, default=0.5, help="other pollers' records per ticket (0.5; genuine 6)")
    group.add_argument("--no-unique-id", action="store_true", help="a release of 2018: no uniqueID")
    group.add_argument("--truth", default="", metavar="FILE", help="append every record and every close, as JSON lines")


def _add_recorded(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--serve", type=Path, nargs="+", default=[], metavar="FILE", help="closed transSet files")
    group.add_argument("--current", type=Path, metavar="FILE", help="a closed one that is played as `current`")
    group.add_argument("--first", type=int, default=0, metavar="K", help="records of it that are there at once (0)")


async def _run(arguments: argparse.Namespace) -> int:
    truth = Truth(arguments.truth)
    books, start = _books(arguments, truth)
    place = Place(arguments.host, arguments.port)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        clock = WallClock(start, arguments.speed)
        async with Commander(_site(arguments), books, clock, place=place, seed=arguments.seed) as pos:
            if arguments.certificate:
                arguments.certificate.write_bytes(pos.certificate.pem)
            print(json.dumps(status(pos)), flush=True)
            obeying = asyncio.create_task(obey(pos)) if arguments.levers else None
            with suppress(TimeoutError):
                async with asyncio.timeout(arguments.seconds or None):
                    await stop.wait()
            if obeying:
                obeying.cancel()
                with suppress(asyncio.CancelledError):
                    await obeying
    finally:
        truth.end()
    return 0


def _books(arguments: argparse.Namespace, truth: Truth) -> tuple[Books, datetime]:
    if arguments.serve or arguments.current:
        current = arguments.current.read_bytes() if arguments.current else b""
        played = Recorded([path.read_bytes() for path in arguments.serve], current, first=arguments.first)
        return played, played.begin or datetime.now()
    now = arguments.now or datetime.now().replace(minute=0, second=0, microsecond=0)
    begin = datetime.combine((now - timedelta(hours=2, minutes=5, seconds=6)).date(), CLOSES_AT)
    settings = Settings(
        "transset", seed=arguments.seed, store=arguments.store, start=begin - timedelta(days=arguments.days),
        per_hour=arguments.tickets / 24, noise=arguments.noise,
    )  # fmt: skip
    store = Store(
        settings,
        identified=not arguments.no_unique_id,
        written=lambda ticket: truth.handed("commander", ticket),
        filed=lambda book: note(truth, book),
    )
    return store, now


def note(truth: Truth, book: Book) -> None:
    """The `period` line of the truth file: what a closed period holds and sold."""
    sold = sum(ticket.sold for ticket in book.tickets)
    truth.note(
        "period", period=book.period, filename=book.name, records=len(book.tickets), tickets=sold,
        sales_cents=book.sales_cents,
    )  # fmt: skip


def _site(arguments: argparse.Namespace) -> Site:
    return Site(
        user=arguments.user, password=arguments.password, otp=arguments.otp, store=arguments.store,
        max_cookies=arguments.max_cookies, cookie_life_s=arguments.cookie_life_s, lock_after=arguments.lock_after,
        gzip=not arguments.no_gzip, login_page=arguments.login_page, journal=not arguments.no_journal,
    )  # fmt: skip
