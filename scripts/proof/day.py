"""Recorded Commander periods through the real link: does the ledger come out at what the POS says? Shell."""

import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from scripts.commander.commander import Commander
from scripts.commander.recorded import Recorded
from scripts.commander.sessions import Site
from scripts.demo.place import DEVICE, Place
from scripts.demo.processes import DemoError
from scripts.pos.clock import WallClock
from scripts.proof.stage import Stage

SOURCE = "site"
PERIODS = {"1": "shift", "2": "daily"}
WITHIN_S = 240.0  # a period of 4 MB takes seconds; a pull that was cut waits a little longer each time
_MIDDLE_BYTES = 200_000  # into a document: records are captured by then
_PIECE_PAUSE_S = 0.02  # per 16 KiB while routerd is to be killed in the middle: a period then takes seconds
_OVERALL = re.compile(rb"<(?:[\w.-]+:)?overallSales>\s*(-?\d+)\.(\d\d)\s*<")


@dataclass(frozen=True, slots=True)
class Period:
    """What a recorded period says of itself, read without any of routerd's or fleetd's code."""

    kind: str  # `daily` or `shift`
    day: str
    number: str
    records: int
    pos_cents: int

    @property
    def name(self) -> str:
        """As the link names its document."""
        return f"{self.kind}/{self.day}.{self.number}"

    @property
    def key(self) -> tuple[str, str]:
        """As the ledger names it."""
        return self.day, f"{self.kind}:{self.number}"


@dataclass(frozen=True, slots=True)
class Hardship:
    """How the run is made harder: pulls cut at random, SIGKILLs of routerd in the middle, a clock of another year, a
    record that the POS holds back until the ledger has seen that it is missing."""

    cuts: int = 0
    kills: int = 0
    year: int | None = None
    hide: int = 0
    seed: int = 1


def judged(periods: Sequence[Period]) -> list[Period]:
    """Those the ledger gives a verdict of its own: a day's shifts are part of the day where its file is there."""
    days = {period.day for period in periods if period.kind == "daily"}
    return [period for period in periods if period.kind == "daily" or period.day not in days]


def read(data: bytes) -> Period:
    """Raises DemoError for what is no closed transSet."""
    head = re.search(rb"<(?:[\w.-]+:)?transSet\b([^>]*)>", data)
    facts = dict(re.findall(rb"(\w+)\s*=\s*[\"']([^\"']*)", head[1])) if head else {}
    totals = [int(units + cents) for units, cents in _OVERALL.findall(data)]
    kind = PERIODS.get(facts.get(b"periodID", b"").decode())
    if not kind or not facts.get(b"longId") or not facts.get(b"shortId") or len(totals) != 2:
        raise DemoError("this is no closed transSet with a period, a day, a number, startTotals and endTotals")
    records = len(re.findall(rb"<(?:[\w.-]+:)?trans[\s>]", data))
    return Period(kind, facts[b"longId"].decode(), facts[b"shortId"].decode(), records, totals[1] - totals[0])


async def prove(place: Place, files: Sequence[Path], hard: Hardship) -> dict[str, Any]:
    """The JSON object of the result. Raises DemoError when it cannot be had."""
    documents = [path.read_bytes() for path in files]
    periods = [read(data) for data in documents]
    recorded = Recorded(documents)
    clock = WallClock(datetime.now(), 1.0)
    async with Commander(Site(), recorded, clock, seed=hard.seed) as pos:
        hidden = _hide(pos, recorded, hard.hide)
        pos.troubles.cut(hard.cuts)
        stage = Stage(place, year=hard.year)
        try:
            _login(place, pos.site)
            await stage.begin(_section(place, pos.port, periods))
            for number in range(hard.kills):
                await _kill(stage, pos, number)
            rows = await _settled(stage, periods)
            if hidden:
                rows = await _filled(stage, pos, periods, rows, hidden)
            held = await stage.fleetctl("transactions", "--device", DEVICE)
            return _result(periods, rows, held)
        finally:
            await stage.end()


def _hide(pos: Commander, recorded: Recorded, count: int) -> list[str]:
    """Take counted sales out of what the POS serves; its totals stay. Returns their identities."""
    sales = [
        (period, name, piece)
        for period, name in recorded.names()
        if name != "current" and (book := recorded.book(period, name))
        for piece in book.pieces
        if re.match(rb'<trans type="(network )?sale" recalled="false">', piece.data.strip())
        and not re.search(rb"<trTotWTax>0\.00<", piece.data)
    ]
    identities = [piece.identity for _, _, piece in sales[:: max(1, len(sales) // (count + 1))][1 : count + 1]]
    for identity in identities:
        pos.hide(identity)
    return identities


def _login(place: Place, site: Site) -> None:
    descriptor = os.open(place.root / "site.login", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="ascii") as login:
        login.write(f"{site.user}\n{site.password}\n")


def _section(place: Place, port: int, periods: Sequence[Period]) -> str:
    kinds = sorted({period.kind for period in periods})
    rows = ["[[source]]", f'name = "{SOURCE}"', 'link = "commander"', 'host = "127.0.0.1"', f"port = {port}"]
    rows += [f'login_file = "{place.root}/site.login"', f"periods = {json.dumps(kinds)}", "poll_s = 60"]
    return "\n".join([*rows, "catch_up_days = 91", "pull_gap_s = 0", ""])


async def _kill(stage: Stage, pos: Commander, number: int) -> None:
    """SIGKILL routerd when it is in the middle of a document, and start it again."""
    served = pos.counters.bytes_served
    pos.troubles.pause_s = _PIECE_PAUSE_S

    async def begun() -> bool:
        return pos.counters.bytes_served > served + _MIDDLE_BYTES

    await stage.until("document on its way", begun, WITHIN_S)
    await stage.routerd.kill()
    say(f"routerd is killed with SIGKILL in the middle of a document ({number + 1})")
    pos.troubles.pause_s = 0.0
    await stage.routerd.start()


async def _settled(stage: Stage, periods: Sequence[Period]) -> list[dict[str, Any]]:
    """The ledger's rows when all periods have one and nothing waits on the router any more."""
    found: list[dict[str, Any]] = []

    async def done() -> bool:
        sources = await stage.progress()
        if not sources or sources[0]["waiting_documents"] or sources[0]["sum"]["queued"]:
            return False
        first, last = min(period.day for period in periods), max(period.day for period in periods)
        try:
            rows = (await stage.fleetctl("ledger", "--store", DEVICE, "--from", first, "--to", last))["days"]
        except DemoError:  # the ledger does not know the store before its first record
            return False
        wanted = {period.key for period in judged(periods)}
        found[:] = [row for row in rows if _key(row) in wanted]
        return len(found) == len(wanted)

    await stage.until("verdict on every period", done, WITHIN_S)
    return found


async def _filled(
    stage: Stage, pos: Commander, periods: Sequence[Period], rows: Sequence[dict[str, Any]], hidden: Sequence[str]
) -> list[dict[str, Any]]:
    """Say what the ledger misses, put it back, have the days read again. The rows after that."""
    for row in rows:
        where = [missing["register"] or " or ".join(missing["candidates"]) for missing in row["missing"]]
        what = f"{row['status']} {row['difference_cents'] / 100:.2f}, register {', '.join(where) or 'unknown'}"
        say(f"{row['period']} of {row['business_day']}: {what}")
    for identity in hidden:
        pos.show(identity)
    days = sorted(period.day for period in periods)
    await stage.ask("backfill", source=SOURCE, first=days[0], last=days[-1], anew=True)
    after: list[dict[str, Any]] = []

    async def complete() -> bool:
        after[:] = await _settled(stage, periods)
        return all(row["status"] == "complete" for row in after)

    await stage.until("complete ledger", complete, WITHIN_S)
    return after


def _result(
    periods: Sequence[Period], rows: Sequence[dict[str, Any]], held: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    by_key = {_key(row): row for row in rows}
    days = judged(periods)
    shown = [by_key[period.key] for period in days]
    statuses = {row["status"] for row in shown}
    pos_cents = sum(period.pos_cents for period in days)
    ledger_cents = sum(row["ledger_cents"] for row in shown)
    return {
        "documents": [period.name for period in periods],
        "pos_total": f"{pos_cents / 100:.2f}",
        "ledger_total": f"{ledger_cents / 100:.2f}",
        "difference": f"{(ledger_cents - pos_cents) / 100:.2f}",
        "records": sum(period.records for period in periods),
        "unique": len(held),
        "status": statuses.pop() if len(statuses) == 1 else "mixed",
    }


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["business_day"], row["period"]


def say(line: str) -> None:
    """Progress, for people: standard output's last line is the result's alone."""
    sys.stderr.write(f"{line}\n")
