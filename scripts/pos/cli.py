"""The command line: `sell`, `replay`, `generate`."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from scripts.pos.formats import Settings, for_source
from scripts.pos.generate import KINDS, record
from scripts.pos.lines import Line, tcp
from scripts.pos.replay import replay, schedule, timing
from scripts.pos.sell import Pace, Source, sell
from scripts.pos.serial import PtyLine
from scripts.pos.textpos import END, EOL, START
from scripts.pos.truth import Truth

_SELL = """\
Each target is one till with sales and ticket numbers of its own. A TCP target is HOST:PORT (the simulator dials) or
listen:[HOST:]PORT (it listens; port 0 picks one, printed at the start). Selling begins when the other end is there.

  python -m scripts.pos sell --serial /tmp/pos0 --xml-tcp listen:9201 --text-tcp 127.0.0.1:9301 \\
      --rate 5 --tickets 200 --truth /tmp/truth.jsonl
"""
_REPLAY = """\
  python -m scripts.pos replay register.bin --timing register-timing.csv --speed 60 --serial /tmp/pos0
  python -m scripts.pos replay journal.bin --bytes-per-s 960 --tcp listen:9201
"""
_GENERATE = """\
  python -m scripts.pos generate journal --tickets 500 --out journal.bin
  python -m scripts.pos generate transset-period --tickets 400 --out daily.xml --truth daily.jsonl
  python -m scripts.pos generate naxml --tickets 50 --out BOOutBox/      (a file per event and the roll-up)
"""
_T = TypeVar("_T")
_ESCAPES = {"\\r": "\r", "\\n": "\n", "\\t": "\t"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it ended as asked, also by SIGTERM or SIGINT."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return command(arguments)
    except (OSError, ValueError) as exc:
        print(f"pos: {exc}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m scripts.pos", description="A simulated point of sale.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    selling = commands.add_parser("sell", help="sell over serial and TCP", description=_SELL, formatter_class=raw)
    _add_targets(selling)
    _add_shop(selling)
    _add_pace(selling)
    selling.set_defaults(run=_run_sell)
    replaying = commands.add_parser("replay", help="play a recording back", description=_REPLAY, formatter_class=raw)
    _add_replay(replaying)
    making = commands.add_parser(
        "generate", help="write a recording, no link", description=_GENERATE, formatter_class=raw
    )
    making.add_argument("kind", choices=KINDS)
    making.add_argument("--tickets", type=int, default=100, metavar="N")
    making.add_argument("--out", default="-", metavar="PATH", help="file, - (default), or a folder: one file a ticket")
    making.add_argument("--per-hour", type=float, default=60.0, help="customers an hour on the shop's calendar (60)")
    _add_shop(making)
    making.set_defaults(run=_run_generate)
    return parser


def _add_targets(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("targets, each repeatable")

    def target(option: str, known: str, metavar: str, text: str) -> None:
        group.add_argument(
            option, dest="targets", action="append", default=[], metavar=metavar, help=text,
            type=lambda value: (known, option.strip("-"), value),
        )  # fmt: skip

    target("--serial", "journal", "PATH", "ESC journal on a pty, linked at PATH")
    target("--journal-tcp", "journal", "TARGET", "ESC journal over TCP")
    target("--xml-tcp", "transset", "TARGET", "XML t-log: Commander <trans> records")
    target("--text-tcp", "text", "TARGET", "tickets between a start and an end line")
    target("--stx-tcp", "stx", "TARGET", "tickets framed STX ... ETX LRC")
    target("--naxml-tcp", "naxml", "TARGET", "NAXML events")
    group.add_argument(
        "--resend-s",
        type=float,
        default=3.0,
        metavar="S",
        help="after a reconnect send again what was sent in the last S seconds before the break (3)",
    )
    group.add_argument("--unplug-every", type=float, default=0.0, metavar="S", help="break every link each S seconds")
    group.add_argument("--unplug-for", type=float, default=2.0, metavar="S", help="... for this long (2)")


def _add_shop(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the shop")
    group.add_argument("--seed", type=int, default=1, help="the same seed sells the same baskets (1)")
    group.add_argument("--store", default="0042")
    group.add_argument("--registers", default="101,102", metavar="N,N", help="a journal or text till uses the first")
    group.add_argument(
        "--start",
        type=datetime.fromisoformat,
        metavar="ISO",
        help="POS clock at the start (sell: now; generate: 2026-11-22T05:00:00)",
    )
    group.add_argument("--utc-offset-min", type=int, default=-300, metavar="MIN")
    group.add_argument("--skew-s", type=float, default=0.0, metavar="S", help="POS clock ahead of the true time")
    group.add_argument("--drift-ppm", type=float, default=0.0, metavar="PPM")
    group.add_argument("--noise", type=float, default=0.5, help="journal records per XML ticket (0.5; real sites 6)")
    group.add_argument("--pan-rate", type=float, default=0.04, help="share of cards shown whole, test numbers (0.04)")
    group.add_argument("--text-start", default=START)
    group.add_argument("--text-end", default=END)
    group.add_argument("--text-eol", default="\\r\\n", help=r"\r, \n or \r\n (default)")
    group.add_argument("--truth", default="", metavar="FILE", help="append what was handed over, as JSON lines")


def _add_pace(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("pace, per source")
    group.add_argument("--rate", type=float, default=1.0, metavar="R", help="tickets a second (1)")
    group.add_argument(
        "--speed",
        type=float,
        default=0.0,
        metavar="X",
        help="journal keying X times a human's; default: as fast as the rate needs",
    )
    group.add_argument("--poisson", action="store_true", help="tickets come at random, R a second on average")
    group.add_argument("--tickets", type=int, default=0, metavar="N", help="stop after N tickets")
    group.add_argument("--seconds", type=float, default=0.0, metavar="S", help="stop after S seconds")


def _add_replay(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--serial", metavar="PATH")
    where.add_argument("--tcp", metavar="TARGET", help="HOST:PORT or listen:[HOST:]PORT")
    parser.add_argument("--timing", type=Path, metavar="CSV", help="host_utc,offset,length of each recorded read")
    parser.add_argument("--speed", type=float, default=1.0, metavar="N", help="N times as fast as recorded (1)")
    parser.add_argument("--bytes-per-s", type=float, default=0.0, metavar="B", help="default: as fast as it goes")
    parser.set_defaults(run=_run_replay)


def _settings(arguments: argparse.Namespace, known: str) -> Settings:
    eol = arguments.text_eol
    for escape, byte in _ESCAPES.items():
        eol = eol.replace(escape, byte)
    defaults = Settings(known)
    return Settings(
        known, seed=arguments.seed, store=arguments.store,
        registers=tuple(int(number) for number in arguments.registers.split(",")),
        start=arguments.start or defaults.start, utc_offset_min=arguments.utc_offset_min, skew_s=arguments.skew_s,
        drift_ppm=arguments.drift_ppm, noise=arguments.noise, pan_rate=arguments.pan_rate,
        text_start=arguments.text_start, text_end=arguments.text_end, text_eol=eol or EOL,
    )  # fmt: skip


def _run_sell(arguments: argparse.Namespace) -> int:
    if not arguments.targets:
        raise ValueError("nothing to sell on; give --serial, --xml-tcp, --text-tcp or --stx-tcp")
    if arguments.rate <= 0:
        raise ValueError("--rate must be above 0")
    truth = Truth(arguments.truth)
    pace = Pace(
        rate=arguments.rate, speed=arguments.speed, tickets=arguments.tickets, seconds=arguments.seconds,
        poisson=arguments.poisson, fixed_clock=arguments.start is not None,
        unplug_every_s=arguments.unplug_every, unplug_for_s=arguments.unplug_for,
    )  # fmt: skip
    sources = []
    for i, (known, option, value) in enumerate(arguments.targets):
        settings, name = for_source(_settings(arguments, known), i), f"{option}-{i + 1}"
        line = _line(option, value, arguments.resend_s, partial(truth.resent, name))
        sources.append(Source(name, settings, line, pace, truth))
    try:
        _until_signalled(lambda stop: sell(sources, stop))
    finally:
        truth.end()
    for name, total in truth.sums.items():
        print(f"{name}: {total.tickets} tickets, {total.records} records, {total.bytes} bytes, "
              f"{total.sales_cents / 100:.2f} sold, {total.resent} sent again", file=sys.stderr)  # fmt: skip
    return 0


def _line(option: str, value: str, resend_s: float, on_resend: Callable[[bytes], None]) -> Line:
    return PtyLine(value) if option == "serial" else tcp(value, resend_s=resend_s, on_resend=on_resend)


def _run_replay(arguments: argparse.Namespace) -> int:
    data = arguments.file.read_bytes()
    reads = timing(arguments.timing.read_text().splitlines()) if arguments.timing else []
    plan = schedule(len(data), reads, speed=arguments.speed, bytes_per_s=arguments.bytes_per_s)
    line: Line = PtyLine(arguments.serial) if arguments.serial else tcp(arguments.tcp, resend_s=0.0)
    sent = _until_signalled(lambda stop: replay(data, plan, line, stop))
    print(f"{sent} of {len(data)} bytes sent", file=sys.stderr)
    return 0


def _run_generate(arguments: argparse.Namespace) -> int:
    known = arguments.kind.partition("-")[0]
    settings = replace(_settings(arguments, known), per_hour=arguments.per_hour)
    truth, began = Truth(arguments.truth), time.monotonic()
    try:
        size = record(arguments.kind, settings, arguments.tickets, arguments.out, truth)
    finally:
        truth.end()
    took = max(time.monotonic() - began, 1e-6)
    count = sum(total.tickets for total in truth.sums.values())
    print(f"{count} tickets, {size} bytes, {count / took:.0f} tickets/s, {size / took / 1e6:.1f} MB/s", file=sys.stderr)
    return 0


def _until_signalled(work: Callable[[asyncio.Event], Coroutine[Any, Any, _T]]) -> _T:
    """Run to the end; SIGTERM or SIGINT ask for an earlier one."""

    async def run() -> _T:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        return await work(stop)

    return asyncio.run(run())
