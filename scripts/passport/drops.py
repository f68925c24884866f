"""What the outbox gets and when: generated events, roll-ups and closes, or copies of recorded files. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from heapq import heappop, heappush

from scripts.pos.formats import Settings, sales
from scripts.pos.naxml import Naxml, Style
from scripts.pos.sale import Sale
from scripts.pos.ticket import Ticket

DAY_TURNS = time(22, 50)  # when a genuine site was seen to roll its BusinessDate
PASSPORT = Style(
    prologue='<?xml version ="1.0" encoding="ISO-8859-1" standalone="no"?>\n',
    root='NAXML-POSJournal version="3.4"',
    vendor="Creekside",
    model="Passport-like 22.01",
    turns=timedelta(hours=1, minutes=10),
    pumps=10_000,
    names_store=False,
    names_end=False,
)


@dataclass(frozen=True, slots=True)
class Drop:
    """One file. at: the POS's clock when its first byte is written. tickets: the events that are new in it; a roll-up
    and a recorded file have none."""

    at: datetime
    name: str
    data: bytes
    tickets: tuple[Ticket, ...] = ()


def events(settings: Settings, *, first: int = 1_000_001, roll_up: bool = False) -> Iterator[Drop]:
    """Endless files of a store on its own calendar: a PJR for each event, numbered from `first`, and the days' ends."""
    render = Naxml(settings.shop, style=PASSPORT)
    today: list[Ticket] = []
    number = first
    ends = _next_end(settings.start)
    for sale in _ended(sales(settings, outdoor=True)):
        while sale.closed >= ends:
            yield from _day_end(render, settings, ends, today if roll_up else [])
            today, ends = [], ends + timedelta(days=1)
        for ticket in render.render(sale):
            data = render.document([ticket], number)
            yield Drop(sale.closed, f"PJR{number}.xml", data, (ticket,))
            today.append(ticket)
            number += 1


def copies(files: Sequence[tuple[str, bytes]], start: datetime, every_s: float) -> Iterator[Drop]:
    """Recorded files under their own names, one each `every_s`."""
    for i, (name, data) in enumerate(files):
        yield Drop(start + timedelta(seconds=i * every_s), name, data)


def _ended(stream: Iterator[Sale]) -> Iterator[Sale]:
    """Sales in the order they end, which is when their files are written; they come in the order of their first key."""
    waiting: list[tuple[datetime, int, Sale]] = []
    for i, sale in enumerate(stream):
        while waiting and not sale.rollback and waiting[0][0] <= sale.opened:
            yield heappop(waiting)[2]
        heappush(waiting, (sale.closed, i, sale))


def _next_end(after: datetime) -> datetime:
    end = datetime.combine(after.date(), DAY_TURNS)
    return end if end > after else end + timedelta(days=1)


def _day_end(render: Naxml, settings: Settings, at: datetime, today: Sequence[Ticket]) -> Iterator[Drop]:
    closed = at - timedelta(seconds=1)  # the last second of the business day
    closes = tuple(render.close(register, closed) for register in settings.shop.registers)
    yield Drop(at, f"StoreClose{closed:%Y%m%d}.xml", render.document(closes), closes)
    if today:
        yield Drop(at, f"PJRSHIFT{closed:%Y%m%d}.xml", render.document(today))
