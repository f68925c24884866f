"""A whole Commander period: `transSet` with its totals around the records, as one document. Pure.

The totals as genuine days have them, to the cent: pay-at-pump is outside, everything else inside, also a prepay that
completes at a pump, because it was paid indoors; the grand total adds every counted ticket's `trGTotalizer` and that of
every void. A SHIFT closes first, then the DAILY, so a SHIFT's file begins with the close of the DAILY before it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from scripts.pos.sale import Sale, money
from scripts.pos.shop import Shop
from scripts.pos.ticket import Ticket, whole
from scripts.pos.transset import Transset

SHIFT, DAILY = 1, 2
NAMES = {SHIFT: "SHIFT", DAILY: "DAILY"}


@dataclass(frozen=True, slots=True)
class Totals:
    """What the store has sold since it was installed; the defaults are what it had before the first period."""

    inside_cents: int = 81_234_567
    inside_grand_cents: int = 90_234_567
    outside_cents: int = 240_118_090
    outside_grand_cents: int = 240_120_490

    @property
    def overall_cents(self) -> int:
        return self.inside_cents + self.outside_cents

    def plus(self, sale: Sale) -> "Totals":
        """The totals after one more ticket."""
        grand = sale.grand_cents if sale.counts or sale.kind == "void" else 0
        cents = sale.total_cents if sale.counts else 0
        if sale.outdoor and not sale.completion:
            return replace(
                self, outside_cents=self.outside_cents + cents, outside_grand_cents=self.outside_grand_cents + grand
            )
        return replace(self, inside_cents=self.inside_cents + cents, inside_grand_cents=self.inside_grand_cents + grand)


@dataclass(frozen=True, slots=True)
class Period:
    """The document and what is in it. Over `tickets`, those that `counts` add up to `sales_cents`, which is also
    endTotals.overallSales - startTotals.overallSales: the rule that balances genuine periods to the cent."""

    data: bytes
    tickets: tuple[Ticket, ...]
    sales_cents: int


class Drawers:
    """The range of tickets of each indoor register while a cashier's drawer is open."""

    def __init__(self) -> None:
        self._ranges: dict[int, tuple[str, str]] = {}

    def sold(self, sale: Sale) -> None:
        if not sale.outdoor and not sale.rollback:
            first, _ = self._ranges.get(sale.register, (sale.number, ""))
            self._ranges[sale.register] = first, sale.number

    def range(self, register: int) -> tuple[str, str]:
        """The first and the last ticket's number; "0" twice for a drawer that sold nothing, as genuine ones say."""
        return self._ranges.get(register, ("0", "0"))


def period(
    shop: Shop,
    renderer: Transset,
    sales: Iterable[Sale],
    *,
    opened: datetime,
    closed: datetime | None,
    number: int = 311,
) -> Period:
    """The DAILY of `sales`, which come in wire order. `closed` None leaves it `current`: neither closes nor totals."""
    records = [opening(shop, renderer, register, opened) for register in shop.registers]
    bare = [twice(record) for record in records]
    start = totals = Totals()
    drawers = Drawers()
    for sale in sales:
        tickets = renderer.render(sale)
        records.extend(tickets)
        bare.extend(ticket.data for ticket in tickets)
        totals = totals.plus(sale)
        drawers.sold(sale)
    tail = b"</transSet>\n"
    if closed:
        drawn = [closing(shop, renderer, register, (opened, closed), drawers) for register in shop.registers]
        ends = [close(shop, renderer, *which, closed) for which in ((SHIFT, number + 80), (DAILY, number))]
        records.extend((*drawn, *ends))
        bare.extend((*(twice(record) for record in drawn), *(record.data for record in ends)))
        tail = ending(totals)
    data = b"".join((head(shop, renderer, DAILY, number, (opened, closed), start), *bare, tail))
    return Period(data, tuple(records), totals.overall_cents - start.overall_cents)


def head(
    shop: Shop, renderer: Transset, kind: int, number: int, when: tuple[datetime, datetime | None], totals: Totals
) -> bytes:
    """Everything before the first record: names, times (opened, and closed or None) and startTotals."""
    opened, closed = when
    end = f"\t<closedTime>{renderer.time(closed)}</closedTime>\n" if closed else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<transSet periodID="{kind}" periodname="{NAMES[kind]}" longId="{(closed or opened):%Y-%m-%d}" '
        f'shortId="{number}" site="{shop.number}">\n\t<openedTime>{renderer.time(opened)}</openedTime>\n{end}'
        f"\t<startTotals>\n{_rows(totals)}\t</startTotals>\n"
    ).encode()


def ending(totals: Totals) -> bytes:
    """Everything behind the last record of a closed period; it follows on the records' own line."""
    return f"\t<endTotals>\n{_rows(totals)}\t</endTotals>\n</transSet>\n".encode()


def _rows(totals: Totals) -> str:
    rows = (
        ("insideSales", totals.inside_cents), ("insideGrand", totals.inside_grand_cents),
        ("outsideSales", totals.outside_cents), ("outsideGrand", totals.outside_grand_cents),
        ("attendantInsideSales", 0), ("attendantInsideGrand", 0),
        ("attendantOutsideSales", 0), ("attendantOutsideGrand", 0),
        ("overallSales", totals.overall_cents),
        ("overallGrand", totals.inside_grand_cents + totals.outside_grand_cents),
    )  # fmt: skip
    return "".join(f"\t\t<{name}>{money(cents)}</{name}>\n" for name, cents in rows)


def twice(record: Ticket) -> bytes:
    """Genuine periods carry open/closeCashier twice: as an element of that name and as a `trans`."""
    data = record.data
    name = data.split(b'"', 2)[1]
    body = data.partition(b"</trHeader>")[2].removesuffix(b"</trans>")
    return b"<%b>%b</%b>%b" % (name, body, name, data)


def opening(shop: Shop, renderer: Transset, register: int, at: datetime) -> Ticket:
    """A cashier opens a drawer. The record has no `uniqueID`, as genuine ones: its identity is the dialect's."""
    body = (
        f"<cOpenTime>{renderer.time(at)}</cOpenTime>{_cashier_period(shop, register)}"
        '<beginCash mop="1" cat="0">200.00</beginCash>'
    )
    return _cashier_record(shop, register, "openCashier", body)


def closing(shop: Shop, renderer: Transset, register: int, when: tuple[datetime, datetime], drawers: Drawers) -> Ticket:
    """The drawer is counted. `ticketCount` is last less first, one short of the tickets, as measured."""
    first, last = drawers.range(register)
    count = int(last) - int(first)
    body = (
        f"<cOpenTime>{renderer.time(when[0])}</cOpenTime><cCloseTime>{renderer.time(when[1])}</cCloseTime>"
        f"<beginTicket>{first}</beginTicket><endTicket>{last}</endTicket>{_cashier_period(shop, register)}"
        f"<ticketCount>{count if count >= 0 else count + 9999}</ticketCount><beginCash>0.00</beginCash>"
        "<beginFoodStmp>0.00</beginFoodStmp>"
    )
    return _cashier_record(shop, register, "closeCashier", body)


def _cashier_record(shop: Shop, register: int, kind: str, body: str) -> Ticket:
    cashier = shop.cashiers[register % len(shop.cashiers)]
    who = (
        f'<cashier sysid="{cashier.number}" empNum="{cashier.number}" posNum="{register}" '
        f'period="{400 + cashier.number}" drawer="1">{cashier.name}</cashier><posNum>{register}</posNum>'
    )
    data = f'<trans type="{kind}"><trHeader>{who}</trHeader>{who}{body}</trans>'
    return Ticket(whole(data.encode()), None, kind.lower())


def _cashier_period(shop: Shop, register: int) -> str:
    return f"<cashierPeriod>{400 + shop.cashiers[register % len(shop.cashiers)].number}</cashierPeriod>"


def close(shop: Shop, renderer: Transset, kind: int, number: int, at: datetime) -> Ticket:
    """The record that a SHIFT or a DAILY was closed."""
    unique, time = renderer.next_unique(), renderer.time(at)
    tag = renderer.unique_tag(unique)
    data = (
        f'<trans type="periodClose"><trHeader><date>{time}</date><storeNumber>{shop.number}</storeNumber>'
        f"<periodName>{NAMES[kind]}</periodName><periodType>{kind}</periodType><periodSeq>{number}</periodSeq>"
        f"{tag}</trHeader></trans>"
    )
    return Ticket(whole(data.encode()), f"transset:{unique}" if tag else None, "periodclose", pos_time=time)
