"""A back office's client of the emulated controller, and documents read by an XML parser instead of by their maker."""

import re
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import aiohttp

from scripts.commander.commander import Commander
from scripts.commander.sessions import Site
from scripts.commander.store import Store
from scripts.pos.clock import HandClock
from scripts.pos.formats import Settings

BEGIN = datetime(2026, 11, 20, 2, 5, 6)
MORNING = datetime(2026, 11, 22, 9, 0, 0)
PASSWORD = Site().password


def settings(**changes: object) -> Settings:
    """A quiet store: some fifty customers a day."""
    return Settings("transset", **({"start": BEGIN, "per_hour": 2.0} | changes))  # type: ignore[arg-type]


@dataclass
class Client:
    """Pins the certificate and asks; it keeps no cookie by itself."""

    pos: Commander
    session: aiohttp.ClientSession
    cookie: str = ""
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self, cmd: str, **query: str) -> bytes:
        """The body of an answer that is 200 and whole."""
        pin = aiohttp.Fingerprint(bytes.fromhex(self.pos.fingerprint))
        async with self.session.get(self.pos.url, params={"cmd": cmd, **query}, ssl=pin) as response:
            body = await response.read()
            assert response.status == 200, response.status
            self.content_type, self.headers = response.content_type, dict(response.headers)
        return body

    async def log_in(self, password: str = PASSWORD, otp: str = "") -> bytes:
        body = await self.ask("validate", user="router", passwd=password, otp=otp)
        found = re.search(rb"<cookie>([0-9a-f]{32})</cookie>", body)
        self.cookie = found[1].decode() if found else ""
        return body

    async def period(self, kind: int, name: str, cmd: str = "vtransset") -> bytes:
        return await self.ask(cmd, period=str(kind), filename=name, cookie=self.cookie)


@asynccontextmanager
async def open_store(
    site: Site | None = None, *, now: datetime = MORNING, store: Store | None = None
) -> AsyncIterator[tuple[Commander, Client, HandClock]]:
    """A controller on loopback, a client that is not logged in yet, and the clock of both."""
    clock = HandClock(now)
    async with (
        Commander(site or Site(), store or Store(settings()), clock) as pos,
        aiohttp.ClientSession() as session,
    ):
        yield pos, Client(pos, session), clock


def fault(body: bytes) -> tuple[str, str]:
    """Code and message of a fault; both empty when the answer is none."""
    root = ET.fromstring(body)
    if root.find("{urn:vfi-sapphire:np.domain.2001-07-01}Fault") is None:
        return "", ""
    message = next(one.text for one in root.iter("{urn:vfi-sapphire:np.domain.2001-07-01}message"))
    return next(one.text or "" for one in root.iter("faultCode")), message or ""


def uniques(data: bytes) -> list[str]:
    return [one.decode() for one in re.findall(rb"<uniqueID>([^<]+)</uniqueID>", data)]


def sums(data: bytes) -> dict[str, tuple[Decimal, Decimal]]:
    """Of each total of a closed period: by how much it moved, and what the records add up to by the genuine rule."""
    root = ET.fromstring(data)
    added = dict.fromkeys(("insideSales", "outsideSales", "overallSales", "overallGrand"), Decimal(0))
    for trans in root.iter("trans"):
        amount = trans.findtext("trValue/trTotWTax")
        flags = {name for name in ("rollback", "fuelPrepay", "suspended") if trans.get(name) == "true"}
        if amount is None or (flags and trans.get("type") != "void"):
            continue
        added["overallGrand"] += Decimal(trans.findtext("trValue/trGTotalizer") or "")
        if trans.get("type") != "void":
            pump = int(trans.findtext("trHeader/trTickNum/posNum") or 0) >= 900
            outside = pump and trans.get("fuelPrepayCompletion") != "true"
            added["outsideSales" if outside else "insideSales"] += Decimal(amount)
            added["overallSales"] += Decimal(amount)
    ends = {
        name: [Decimal(root.findtext(f"{tag}/{name}") or "") for tag in ("startTotals", "endTotals")] for name in added
    }
    return {name: (ends[name][1] - ends[name][0], total) for name, total in added.items()}


def assert_balanced(data: bytes) -> None:
    """Every total moved by what the records add up to, to the cent, and something was sold."""
    for name, (moved, added) in sums(data).items():
        assert moved == added > 0, name
