"""A whole Commander period: `transSet` with its totals around the records, as one document. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from scripts.pos.sale import Sale, money
from scripts.pos.shop import Shop
from scripts.pos.ticket import Ticket, whole
from scripts.pos.transset import Transset

_START_CENTS = {"inside": 81_234_567, "outside": 240_118_090}  # what the store had sold before this period


@dataclass(frozen=True, slots=True)
class Period:
    """The document and what is in it. Over `tickets`, those that `counts` add up to `sales_cents`, which is also
    endTotals.overallSales - startTotals.overallSales: the rule that balances genuine periods to the cent."""

    data: bytes
    tickets: tuple[Ticket, ...]
    sales_cents: int


def period(
    shop: Shop,
    renderer: Transset,
    sales: Iterable[Sale],
    *,
    opened: datetime,
    closed: datetime | None,
    number: int = 311,
) -> Period:
    """The period of `sales`, which come in wire order. `closed` None leaves it `current`: no close records."""
    records: list[Ticket] = [_record(_cashier_record(shop, renderer, register, opened)) for register in shop.registers]
    bare = [_bare(record) for record in records]
    inside = outside = 0
    for sale in sales:
        tickets = renderer.render(sale)
        records.extend(tickets)
        bare.extend(ticket.data for ticket in tickets)
        if sale.counts and sale.outdoor:
            outside += sale.total_cents
        elif sale.counts:
            inside += sale.total_cents
    for record in _closing(shop, renderer, closed, number) if closed else ():
        records.append(record)
        bare.append(_bare(record) if b"closeCashier" in record.data[:30] else record.data)
    head = _head(shop, renderer, opened, closed, number) + _totals("startTotals", 0, 0)
    tail = _totals("endTotals", inside, outside) + "</transSet>\n"
    data = b"".join((head.encode(), *bare, b"\t", tail.lstrip("\t").encode()))
    return Period(data, tuple(records), inside + outside)


def _head(shop: Shop, renderer: Transset, opened: datetime, closed: datetime | None, number: int) -> str:
    end = f"\t<closedTime>{renderer.time(closed)}</closedTime>\n" if closed else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<transSet periodID="2" periodname="DAILY" longId="{(closed or opened):%Y-%m-%d}" shortId="{number}" '
        f'site="{shop.number}">\n\t<openedTime>{renderer.time(opened)}</openedTime>\n{end}'
    )


def _totals(tag: str, inside: int, outside: int) -> str:
    """Sales and grand totals run on for ever; grand totals count refunds as if sold."""
    inside += _START_CENTS["inside"]
    outside += _START_CENTS["outside"]
    rows = (
        ("insideSales", inside), ("insideGrand", inside + 9_000_000), ("outsideSales", outside),
        ("outsideGrand", outside + 2_400), ("attendantInsideSales", 0), ("attendantInsideGrand", 0),
        ("attendantOutsideSales", 0), ("attendantOutsideGrand", 0), ("overallSales", inside + outside),
        ("overallGrand", inside + outside + 9_002_400),
    )  # fmt: skip
    body = "".join(f"\t\t<{name}>{money(cents)}</{name}>\n" for name, cents in rows)
    return f"\t<{tag}>\n{body}\t</{tag}>\n"


def _record(data: str) -> Ticket:
    """A record without a `uniqueID`, as genuine openCashier and closeCashier are: its identity is the dialect's."""
    kind = data.split('"', 2)[1]
    return Ticket(whole(data.encode()), None, kind.lower())


def _bare(record: Ticket) -> bytes:
    """Genuine periods carry open/closeCashier twice: as an element of that name and as a `trans`."""
    data = record.data
    name = data.split(b'"', 2)[1]
    body = data.partition(b"</trHeader>")[2].removesuffix(b"</trans>")
    return b"<%b>%b</%b>%b" % (name, body, name, data)


def _cashier_record(shop: Shop, renderer: Transset, register: int, at: datetime, *, closes: bool = False) -> str:
    kind = "closeCashier" if closes else "openCashier"
    cashier = shop.cashiers[register % len(shop.cashiers)]
    who = (
        f'<cashier sysid="{cashier.number}" empNum="{cashier.number}" posNum="{register}" '
        f'period="{400 + cashier.number}" drawer="1">{cashier.name}</cashier><posNum>{register}</posNum>'
    )
    time = "cCloseTime" if closes else "cOpenTime"
    return (
        f'<trans type="{kind}"><trHeader>{who}</trHeader>{who}<{time}>{renderer.time(at)}</{time}>'
        f'<cashierPeriod>{400 + cashier.number}</cashierPeriod><beginCash mop="1" cat="0">200.00</beginCash></trans>'
    )


def _closing(shop: Shop, renderer: Transset, closed: datetime, number: int) -> list[Ticket]:
    out = [_record(_cashier_record(shop, renderer, register, closed, closes=True)) for register in shop.registers]
    for kind, name, sequence in ((1, "SHIFT", number + 80), (2, "DAILY", number)):
        unique = renderer.next_unique()
        data = (
            f'<trans type="periodClose"><trHeader><date>{renderer.time(closed)}</date>'
            f"<storeNumber>{shop.number}</storeNumber><periodName>{name}</periodName><periodType>{kind}</periodType>"
            f"<periodSeq>{sequence}</periodSeq><uniqueID>{unique}</uniqueID></trHeader></trans>"
        )
        out.append(Ticket(whole(data.encode()), f"transset:{unique}", "periodclose", pos_time=renderer.time(closed)))
    return out
