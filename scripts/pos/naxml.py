"""NAXML-POSJournal as a forecourt POS drops it: a document per sale, and a shift roll-up with the same event bytes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scripts.pos.sale import Fuel, Line, Sale, Tender, milli, money
from scripts.pos.shop import DEPOSIT, TAXES, Product, Shop
from scripts.pos.ticket import Ticket, stamp, whole
from scripts.pos.transxml import text

Node = tuple[str, "str | list[Node]"]


def _write(nodes: Sequence[Node], depth: int, out: list[str]) -> None:
    """Elements, one a line, tabs before them; a tag carries its attributes, an empty text closes itself."""
    pad = "\t" * depth
    for tag, body in nodes:
        if isinstance(body, str):
            name = tag.partition(" ")[0]
            out.append(f"{pad}<{tag}>{body}</{name}>\n" if body else f"{pad}<{tag} />\n")
            continue
        out.append(f"{pad}<{tag}>\n")
        _write(body, depth + 1, out)
        out.append(f"{pad}</{tag.partition(' ')[0]}>\n")


@dataclass(frozen=True, slots=True)
class Style:
    """How one make writes NAXML. `turns` is added to a time to get its business day; pumps' registers count from
    `pumps`; a store that is not named in the event stands in the document's head only."""

    prologue: str
    root: str
    vendor: str
    model: str
    turns: timedelta
    pumps: int = 900
    names_store: bool = True
    names_end: bool = True

    def business_day(self, at: datetime) -> str:
        return f"{at + self.turns:%Y-%m-%d}"

    def register(self, sale: Sale) -> int:
        """A prepay is completed where it was paid; what a pump sells alone is its own register's."""
        if sale.completion and sale.original:
            return sale.original[0]
        return sale.register - 900 + self.pumps if sale.outdoor else sale.register


FORECOURT = Style(
    prologue='<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n',
    root='NAXML-POSJournal version="3.6" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xmlns="http://www.naxml.org/POSBO/Vocabulary/2003-10-16"',
    vendor="Creekside",
    model="CP2 Forecourt 010203",
    turns=timedelta(hours=-5),
)


class Naxml:
    """Renders events. As on genuine files a prepay counts when it is paid; its completion, linked to it, takes the
    deposit off what was pumped, so that it counts the difference. Rollbacks do not appear."""

    outdoor = True

    def __init__(self, shop: Shop, *, first: int = 500_000, style: Style = FORECOURT) -> None:
        self._shop, self._next, self._style = shop, first, style
        self._numbers: dict[tuple[int, int], int] = {}
        self._deposits: dict[tuple[int, int], int] = {}
        self._customers: dict[int, int] = {}

    def render(self, sale: Sale) -> list[Ticket]:
        if sale.rollback or sale.kind == "suspended":
            return []
        self._next += 1
        number, register = self._next, self._style.register(sale)
        self._numbers[sale.register, sale.ticket] = number
        linked = 0
        if sale.completion and sale.original:
            linked = self._numbers.pop(sale.original, 0)
            sale = _completed(sale, self._deposits.pop(sale.original, 0))
        elif sale.prepay:
            self._deposits[sale.register, sale.ticket] = sum(line.cents for line in sale.lines if line.fuel)
        tag = _event(sale)
        self._customers[register] = self._customers.get(register, 0) + (tag == "SaleEvent" and not linked)
        total = sale.total_cents if sale.lines else 0
        body = _body(self._shop, self._style, sale, (number, linked))
        return [self._ticket(sale, f'{tag} uuid="{number}"', body, total)]

    def close(self, register: int, at: datetime) -> Ticket:
        """The register's shift ends: TransactionID 0, a date for its EventSequenceID, and how many customers it had,
        which are its sales that complete no prepay."""
        day = self._style.business_day(at)
        ends = f"{at:%Y-%m-%d}", f"{at:%H:%M:%S}"
        body: list[Node] = [
            ("EventSequenceID", day[2:].replace("-", "")), ("TransactionID", "0"),
            ('TrainingModeFlag value="no"', ""), ("CashierID", "csh001"), ("RegisterID", str(register)),
            ("EventStartDate", ends[0]), ("EventStartTime", ends[1]), ("EventEndDate", ends[0]),
            ("EventEndTime", ends[1]), ("BusinessDate", day), ('ShiftDetail detailType="close"', ""),
            ("Extension", [("Statistics", [("CustomerCount", str(self._customers.pop(register, 0)))])]),
        ]  # fmt: skip
        data, time = _element("OtherEvent", body), stamp(at)
        who = f"naxml:-/{register}/otherevent/0/{day[2:].replace('-', '')}/{day}/{time}"
        return Ticket(whole(data), who, "otherevent", pos_time=time)

    def _ticket(self, sale: Sale, tag: str, body: list[Node], total: int) -> Ticket:
        style, data, time = self._style, _element(tag, body), stamp(sale.closed)
        event, number = tag.partition(" ")[0].lower(), self._next
        store = self._shop.number if style.names_store else "-"
        day = style.business_day(sale.closed)
        identity = f"naxml:{store}/{style.register(sale)}/{event}/{number}/{number}/{day}/{time}"
        counts = sale.kind in ("sale", "refund")
        return Ticket(whole(data), identity, event, total, counts, time, sale.pans, sale.loyalty)

    def document(self, tickets: Sequence[Ticket], number: int = 10_001) -> bytes:
        """The events in one document: one for a sale's own file, many for a roll-up. No final newline."""
        begin, end = (tickets[0].pos_time, tickets[-1].pos_time) if tickets else ("T", "T")
        interval, style = "cashier" if len(tickets) > 1 else "other", self._style
        day = style.business_day(datetime.fromisoformat(begin)) if tickets else ""
        head: list[Node] = [
            ("TransmissionHeader", [
                ("StoreLocationID", self._shop.number), ("VendorName", style.vendor),
                ("VendorModelVersion", style.model),
            ]),
        ]  # fmt: skip
        report: list[Node] = [
            ("JournalHeader", [
                ("ReportSequenceNumber", str(number)), ('PrimaryReportPeriod interval="day"', day),
                (f'SecondaryReportPeriod interval="{interval}"', str(number)),
                ("BeginDate", begin.partition("T")[0]), ("BeginTime", begin.partition("T")[2]),
                ("EndDate", end.partition("T")[0]), ("EndTime", end.partition("T")[2]), ("BusinessDate", day),
            ]),
        ]  # fmt: skip
        out = [f"{style.prologue}<{style.root}>\n"]
        _write(head, 1, out)
        out.append("\t<JournalReport>\n")
        _write(report, 2, out)
        out.extend(f"\t\t{ticket.data.decode()}\n" for ticket in tickets)
        out.append("\t</JournalReport>\n</NAXML-POSJournal>")
        return "".join(out).encode()


def business_day(at: datetime) -> str:
    """The day a sale belongs to: it turns at five in the morning, not at midnight."""
    return FORECOURT.business_day(at)


def _element(tag: str, body: list[Node]) -> bytes:
    """One event alone, as a framer gives it."""
    out: list[str] = []
    _write([(tag, body)], 2, out)
    return "".join(out).strip().encode()


def _completed(sale: Sale, deposit: int) -> Sale:
    """What stands on a completion: the fuel and the deposit taken off. The basket and its taxes stood on the prepay."""
    fuel = next(line for line in sale.lines if line.fuel)
    assert fuel.fuel
    prepaid = Product("PREPAY", DEPOSIT, deposit)
    lines = (replace(fuel, duplicate=False), Line(prepaid, deposit, sign=-1, fuel=Fuel(fuel.fuel.pump)))
    due = fuel.cents - deposit
    tenders = tuple(replace(tender, cents=due, change_cents=0) for tender in sale.tenders)
    return replace(sale, lines=lines, taxes=(), tenders=tenders)


def _event(sale: Sale) -> str:
    if sale.kind in ("safedrop", "payout"):
        return "FinancialEvent"
    return {"refund": "RefundEvent", "void": "VoidEvent", "nosale": "OtherEvent"}.get(sale.kind, "SaleEvent")


def _body(shop: Shop, style: Style, sale: Sale, numbers: tuple[int, int]) -> list[Node]:
    """`numbers` are the event's own and that of the prepay it completes, or 0."""
    opened, closed = sale.opened, sale.closed
    number, linked = numbers
    outside = "yes" if sale.outdoor and not sale.completion else "no"
    ends = [("EventEndDate", f"{closed:%Y-%m-%d}"), ("EventEndTime", f"{closed:%H:%M:%S}")] if style.names_end else []
    nodes: list[Node] = [
        ("EventSequenceID", str(number)), ('TrainingModeFlag value="no"', ""),
        ("CashierID", f"csh{sale.cashier.number:03d}"), ("RegisterID", str(style.register(sale))),
        (f'OutsideSalesFlag value="{outside}"', ""), ("TransactionID", str(number)),
        ("EventStartDate", f"{opened:%Y-%m-%d}"), ("EventStartTime", f"{opened:%H:%M:%S}"),
        *ends, ("BusinessDate", style.business_day(closed)), ("ReceiptDate", f"{closed:%Y-%m-%d}"),
        ("ReceiptTime", f"{closed:%H:%M:%S}"), ('OfflineFlag value="no"', ""), ('SuspendFlag value="no"', ""),
    ]  # fmt: skip
    if style.names_store:
        nodes.append(("StoreHierarchyID", shop.number))
    if sale.kind in ("safedrop", "payout"):
        nodes.append(_financial(sale))
    elif sale.kind == "nosale":
        nodes.append(("CashierDetail", [('NoSaleFlag value="yes"', "")]))
    else:
        nodes.extend((("TransactionDetailGroup", _details(sale, linked)), _summary(sale)))
    return nodes


def _financial(sale: Sale) -> Node:
    tag, amount = ("SafeDropDetail", "DropAmount") if sale.kind == "safedrop" else ("PayOutDetail", "PayOutAmount")
    cash: list[Node] = [("Tender", [("TenderCode", "cash"), ("TenderSubCode", "USD")])]
    return ('FinancialEventDetail status="normal"', [
        (tag, [(f'{amount} currency="USD"', money(sale.amount_cents)), ("TenderInfo", cash)]),
    ])  # fmt: skip


def _details(sale: Sale, linked: int) -> list[Node]:
    lines = [(_item(line, linked), "cancel" if _cancelled(sale, line) else "normal") for line in sale.lines]
    rest: list[Node] = []
    if sale.loyalty:
        rest.append(("Loyalty", [("AccountInfo", [("AccountID", sale.loyalty)]), ("EarnedPointsQuantity", "25")]))
    for tax in sale.taxes:
        rest.append(("TransactionTax", [
            (f'TaxLevelID taxLevelSequenceID="{TAXES[tax.letter][0]}"', TAXES[tax.letter][1]),
            ('TaxableSalesAmount currency="USD"', money(tax.base_cents)),
            ('TaxCollectedAmount currency="USD"', money(tax.cents)),
        ]))  # fmt: skip
    for tender in sale.tenders:
        rest.extend(_tenders(tender))
    nodes: list[Node] = []
    other = "cancel" if sale.kind == "void" else "normal"
    for i, (node, status) in enumerate([*lines, *((node, other) for node in rest)], 1):
        nodes.append((f'TransactionLine status="{status}"', [("TransactionLineSequenceNumber", str(i)), node]))
    return nodes


def _cancelled(sale: Sale, line: Line) -> bool:
    return sale.kind == "void" or bool(line.voids)


def _item(line: Line, linked: int) -> Node:
    product = line.product
    if line.fuel:
        return _fuel_line(line, linked)
    code: list[Node] = [
        (f'POSCodeFormat format="{"upcA" if product.upc else "plu"}" checkDigit="present"', ""),
        ("POSCode", product.upc or f"{product.department.number:014d}"), ('POSCodeModifier name="ea"', "0"),
    ]  # fmt: skip
    body: list[Node] = [
        ("ItemCode", code), ("Description", text(product.name)),
        (f'EntryMethod method="{"scan" if line.entry == "scanned" else "manual"}"', ""),
        ('ActualSalesPrice currency="USD"', money(line.cents)),
        ("MerchandiseCode", f"{product.department.number:06d}"),
    ]  # fmt: skip
    if line.promotion:
        body.append(("Promotion", [
            ("PromotionID", f"P{line.promotion.number:05d}"), ("PromotionReason", "Quantity"),
            ('PromotionAmount currency="USD"', money(line.promo_cents)),
        ]))  # fmt: skip
    body += [
        ('RegularSellPrice currency="USD"', money(line.cents)), ("SalesQuantity", str(line.sign * line.qty)),
        ('SalesAmount currency="USD"', money(line.net_cents)), ("ItemTypeCode", "MDSE"),
        ("SalesRestrictCode", "null" if not product.department.min_age else str(product.department.min_age)),
    ]  # fmt: skip
    return "ItemLine", body


def _fuel_line(line: Line, linked: int) -> Node:
    fuel = line.fuel
    assert fuel is not None
    if not fuel.grade:
        origin: list[Node] = [("LinkedTransactionInfo", [("OriginalTransactionID", str(linked))])] if linked else []
        return "FuelPrepayLine", [
            ("FuelPositionID", str(fuel.pump)), ('SalesAmount currency="USD"', money(line.net_cents)), *origin,
        ]  # fmt: skip
    return "FuelLine", [
        ("FuelGradeID", str(fuel.grade.number)), ("FuelPositionID", str(fuel.pump)), ("ServiceLevelCode", "self"),
        ("Description", fuel.grade.name), ('ActualSalesPrice currency="USD"', milli(fuel.grade.mills)),
        ('SalesQuantity uom="gallon"', milli(fuel.gallons_milli)),
        ('SalesAmount currency="USD"', money(line.net_cents)),
    ]  # fmt: skip


def _tenders(tender: Tender) -> list[Node]:
    out = [_tender(tender, tender.cents, change=False)]
    if tender.change_cents:
        out.append(_tender(tender, -tender.change_cents, change=True))
    return out


def _tender(tender: Tender, cents: int, *, change: bool) -> Node:
    card, code = tender.card, "cash"
    if card:
        code = tender.kind.lower()
    nodes: list[Node] = [
        ("Tender", [("TenderCode", code), ("TenderSubCode", card.brand if card else "USD")]),
        ('TenderAmount currency="USD"', money(cents)), (f'ChangeFlag value="{"yes" if change else "no"}"', ""),
    ]  # fmt: skip
    if card:
        account = card.pan or f"{'*' * 12}{card.account[-4:]}"
        nodes.append(("Authorization", [
            (f'PreAuthorizationFlag value="{"yes" if tender.pending else "no"}"', ""),
            ('RequestedAmount currency="USD"', money(cents)),
            ("CardInfo", [(f'EntryMethod method="{card.entry.lower()}"', ""), ("AccountID", account)]),
        ]))  # fmt: skip
    return "TenderInfo", nodes


def _summary(sale: Sale) -> Node:
    net, tax, total = money(sale.net_cents), money(sale.tax_cents), money(sale.total_cents)
    return "TransactionSummary", [
        ('TransactionTotalGrossAmount currency="USD"', net), ('TransactionTotalNetAmount currency="USD"', net),
        ('TransactionTotalTaxNetAmount currency="USD"', tax), ('TransactionTotalGrandAmount currency="USD"', total),
    ]  # fmt: skip
