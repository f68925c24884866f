"""Every format the simulator speaks, by name."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from scripts.pos.journal import Journal
from scripts.pos.naxml import Naxml
from scripts.pos.poslog import Poslog
from scripts.pos.sale import Sale
from scripts.pos.shop import PosClock, Shop
from scripts.pos.textpos import END, EOL, START, Stx, Text
from scripts.pos.ticket import Format, Ticket
from scripts.pos.trade import Trade, arrivals
from scripts.pos.transset import Transset

FORMATS = ("journal", "transset", "text", "stx", "naxml", "poslog")


@dataclass(frozen=True, slots=True)
class Settings:
    """What one source sells and how it says so."""

    format: str
    seed: int = 1
    store: str = "0042"
    registers: tuple[int, ...] = (101, 102)
    start: datetime = datetime(2026, 11, 22, 5, 0, 0)
    utc_offset_min: int = -300
    skew_s: float = 0.0
    drift_ppm: float = 0.0
    per_hour: float = 60.0  # genuine sites: 390 to 590 sales a day, 55 in the busiest hour
    noise: float = 0.5
    pan_rate: float = 0.04
    text_start: str = START
    text_end: str = END
    text_eol: str = EOL
    site: int = 500000001

    @property
    def shop(self) -> Shop:
        registers = self.registers if self.format not in ("journal", "text", "stx") else self.registers[:1]
        return Shop(number=self.store, registers=registers, utc_offset_min=self.utc_offset_min)

    @property
    def clock(self) -> PosClock:
        return PosClock(self.start, self.skew_s, self.drift_ppm)


def renderer(settings: Settings) -> Format:
    """The renderer of a source; it keeps counters, so each source has its own."""
    shop = settings.shop
    if settings.format == "journal":
        return Journal(shop)
    if settings.format == "transset":
        return transset(settings)
    if settings.format == "text":
        return Text(shop, start=settings.text_start, end=settings.text_end, eol=settings.text_eol)
    if settings.format == "stx":
        return Stx(shop, eol=settings.text_eol)
    if settings.format == "naxml":
        return Naxml(shop)
    if settings.format == "poslog":
        return Poslog(shop)
    raise ValueError(f"no format {settings.format!r}; there are {', '.join(FORMATS)}")


def transset(settings: Settings) -> Transset:
    return Transset(
        settings.shop, installed=settings.start, site=settings.site, noise=settings.noise, seed=settings.seed
    )


def trade(settings: Settings, *, outdoor: bool, at_end: bool = False) -> Trade:
    rate = settings.pan_rate
    return Trade(settings.shop, settings.clock, seed=settings.seed, outdoor=outdoor, at_end=at_end, pan_rate=rate)


def sales(settings: Settings, *, outdoor: bool) -> Iterator[Sale]:
    """Endless sales on the shop's own calendar, from `start` on. One register serves one customer at a time."""
    stream = trade(settings, outdoor=outdoor)
    free = settings.start
    alone = len(settings.shop.registers) == 1 and not outdoor
    for came in arrivals(Random(settings.seed ^ 0xA221), settings.start, settings.per_hour):
        at = max(came, free) if alone else came
        for sale in stream.serve(at):
            free = max(free, at + timedelta(seconds=sale.lasted_s + 2.0)) if alone else free
            yield sale


def tickets(settings: Settings, count: int) -> Iterator[Ticket]:
    """Exactly `count` sold tickets with the noise between them."""
    render = renderer(settings)
    for sale in sales(settings, outdoor=render.outdoor):
        for ticket in render.render(sale):
            if count <= 0:
                return
            yield ticket
            count -= ticket.sold


def for_source(settings: Settings, index: int) -> Settings:
    """The settings of the `index`-th source of a process: other sales, and no identity in common."""
    if index == 0:
        return settings
    registers = tuple(register + index * len(settings.registers) for register in settings.registers)
    return replace(settings, seed=settings.seed + 7919 * index, registers=registers, site=settings.site + index)
