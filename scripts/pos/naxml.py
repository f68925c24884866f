"""NAXML-POSJournal as a forecourt POS drops it: a document per sale, and a shift roll-up with the same event bytes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from scripts.pos.sale import Line, Sale, Tender, milli, money
from scripts.pos.shop import TAXES, Shop
from scripts.pos.ticket import Ticket, stamp, whole
from scripts.pos.transxml import text

_NAMESPACE = "http://www.naxml.org/POSBO/Vocabulary/2003-10-16"
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


class Naxml:
    """Renders events. Prepays appear when paid and again, linked, when the pump stops; rollbacks do not appear."""

    outdoor = True

    def __init__(self, shop: Shop, *, first: int = 500_000) -> None:
        self._shop, self._next = shop, first
        self._numbers: dict[tuple[int, int], int] = {}

    def render(self, sale: Sale) -> list[Ticket]:
        if sale.rollback or sale.kind == "suspended":
            return []
        self._next += 1
        number = self._next
        self._numbers[sale.register, sale.ticket] = number
        linked = self._numbers.get(sale.original, 0) if sale.original and sale.completion else 0
        out: list[str] = []
        tag = _event(sale)
        _write([(f'{tag} uuid="{number}"', _body(self._shop, sale, number, linked))], 2, out)
        data = "".join(out).strip().encode()  # the element alone, as a framer gives it
        time = stamp(sale.closed)
        event, day = tag.lower(), business_day(sale.closed)
        identity = f"naxml:{self._shop.number}/{sale.register}/{event}/{number}/{number}/{day}/{time}"
        total = sale.total_cents if sale.lines else 0
        return [Ticket(whole(data), identity, event, total, sale.counts, time, sale.pans, sale.loyalty)]

    def document(self, tickets: Sequence[Ticket], number: int = 10_001) -> bytes:
        """The events in one document: one for a sale's own file, many for a roll-up. No final newline."""
        begin, end = (tickets[0].pos_time, tickets[-1].pos_time) if tickets else ("T", "T")
        interval = "cashier" if len(tickets) > 1 else "other"
        day = business_day(datetime.fromisoformat(begin)) if tickets else ""
        head: list[Node] = [
            ("TransmissionHeader", [
                ("StoreLocationID", self._shop.number), ("VendorName", "Creekside"),
                ("VendorModelVersion", "CP2 Forecourt 010203"),
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
        out = [
            '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n'
            '<NAXML-POSJournal version="3.6" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            f'xmlns="{_NAMESPACE}">\n'
        ]
        _write(head, 1, out)
        out.append("\t<JournalReport>\n")
        _write(report, 2, out)
        out.extend(f"\t\t{ticket.data.decode()}\n" for ticket in tickets)
        out.append("\t</JournalReport>\n</NAXML-POSJournal>")
        return "".join(out).encode()


def business_day(at: datetime) -> str:
    """The day a sale belongs to: it turns at five in the morning, not at midnight."""
    return f"{at - timedelta(hours=5):%Y-%m-%d}"


def _event(sale: Sale) -> str:
    if sale.kind in ("safedrop", "payout"):
        return "FinancialEvent"
    return {"refund": "RefundEvent", "void": "VoidEvent", "nosale": "OtherEvent"}.get(sale.kind, "SaleEvent")


def _body(shop: Shop, sale: Sale, number: int, linked: int) -> list[Node]:
    opened, closed = sale.opened, sale.closed
    nodes: list[Node] = [
        ("EventSequenceID", str(number)), ('TrainingModeFlag value="no"', ""),
        ("CashierID", f"csh{sale.cashier.number:03d}"), ("RegisterID", str(sale.register)),
        (f'OutsideSalesFlag value="{"yes" if sale.outdoor else "no"}"', ""), ("TransactionID", str(number)),
        ("EventStartDate", f"{opened:%Y-%m-%d}"), ("EventStartTime", f"{opened:%H:%M:%S}"),
        ("EventEndDate", f"{closed:%Y-%m-%d}"), ("EventEndTime", f"{closed:%H:%M:%S}"),
        ("BusinessDate", business_day(closed)), ("ReceiptDate", f"{closed:%Y-%m-%d}"),
        ("ReceiptTime", f"{closed:%H:%M:%S}"), ('OfflineFlag value="no"', ""), ('SuspendFlag value="no"', ""),
    ]  # fmt: skip
    if linked:
        nodes.append(("LinkedTransactionInfo", [
            ("OriginalStoreLocationID", shop.number), ("OriginalTransactionID", str(linked)),
            ("TransactionLinkReason", "prepayCompletion"),
        ]))  # fmt: skip
    nodes.append(("StoreHierarchyID", shop.number))
    if sale.kind in ("safedrop", "payout"):
        nodes.append(_financial(sale))
    elif sale.kind == "nosale":
        nodes.append(("CashierDetail", [('NoSaleFlag value="yes"', "")]))
    else:
        nodes.extend((("TransactionDetailGroup", _details(sale)), _summary(sale)))
    return nodes


def _financial(sale: Sale) -> Node:
    tag, amount = ("SafeDropDetail", "DropAmount") if sale.kind == "safedrop" else ("PayOutDetail", "PayOutAmount")
    cash: list[Node] = [("Tender", [("TenderCode", "cash"), ("TenderSubCode", "USD")])]
    return ('FinancialEventDetail status="normal"', [
        (tag, [(f'{amount} currency="USD"', money(sale.amount_cents)), ("TenderInfo", cash)]),
    ])  # fmt: skip


def _details(sale: Sale) -> list[Node]:
    lines = [(_item(line), "cancel" if _cancelled(sale, line) else "normal") for line in sale.lines]
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
    for i, (node, status) in enumerate([*lines, *((node, "normal") for node in rest)], 1):
        nodes.append((f'TransactionLine status="{status}"', [("TransactionLineSequenceNumber", str(i)), node]))
    return nodes


def _cancelled(sale: Sale, line: Line) -> bool:
    return sale.kind == "void" or bool(line.voids)


def _item(line: Line) -> Node:
    product = line.product
    if line.fuel:
        return _fuel_line(line)
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


def _fuel_line(line: Line) -> Node:
    fuel = line.fuel
    assert fuel is not None
    if not fuel.grade:
        return "FuelPrepayLine", [
            ("FuelPositionID", str(fuel.pump)), ('SalesAmount currency="USD"', money(line.net_cents)),
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
