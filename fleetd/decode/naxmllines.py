"""The transaction lines of a NAXML event: items, fuel, fees, taxes, tenders. Pure."""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from fleetd.decode.amounts import count, milli, nearest_cents
from fleetd.decode.markup import digits, flagged, money, text
from fleetd.ledger.base import Line

_SOLD = {
    "ItemLine": "item",
    "MerchandiseCodeLine": "department",
    "FuelLine": "fuel",
    "FuelPrepayLine": "fuel",
}
_TAKEN_BACK = ("cancel", "void")


def lines(root: Element) -> tuple[Line, ...]:
    """Every line with money in it but the tenders. A fee and its item share a TransactionLine, and so its number."""
    return tuple(
        line
        for i, part in enumerate(root.iterfind("TransactionDetailGroup/TransactionLine"), 1)
        for line in _read(part, count(text(part, "TransactionLineSequenceNumber")) or i)
    )


def tenders(root: Element) -> tuple[tuple[str, int], ...]:
    """(code, cents) each; the sub-code where the code is a bare number, `change` for what was given back."""
    return tuple(_tender(info) for info in root.iter("TenderInfo") if info.find("TenderAmount") is not None)


def _tender(info: Element) -> tuple[str, int]:
    code, amount = text(info, "Tender/TenderCode"), money(info, "TenderAmount") or 0
    if flagged(info, "ChangeFlag"):
        return "change", -abs(amount)
    return (text(info, "Tender/TenderSubCode") or code if code.isdecimal() else code), amount


def _read(part: Element, number: int) -> Iterator[Line]:
    is_void = part.get("status", "") in _TAKEN_BACK
    for child in part:
        if child.tag in _SOLD:
            yield _sold(child, number, is_void)
        elif child.tag == "FeeLine":
            yield _plain(number, "other", text(child, "Description"), money(child, "FeeAmount"), is_void)
        elif child.tag == "TransactionTax":
            yield _plain(number, "tax", text(child, "TaxLevelID"), money(child, "TaxCollectedAmount"), is_void)


def _plain(number: int, kind: str, description: str, amount: int | None, is_void: bool) -> Line:
    return Line(number, kind, description, amount_cents=amount or 0, is_void=is_void)


def _sold(line: Element, number: int, is_void: bool) -> Line:
    method = line.find("EntryMethod")
    price = text(line, "RegularSellPrice") or text(line, "ActualSalesPrice")
    return Line(
        number=number,
        kind=_SOLD[line.tag],
        description=text(line, "Description"),
        upc=digits(text(line, "ItemCode/POSCode")),
        upc_modifier=text(line, "ItemCode/POSCodeModifier"),
        entry=method.get("method", "").lower() if method is not None else "",
        department=text(line, "MerchandiseCode"),
        quantity_milli=milli(text(line, "SalesQuantity") or "1"),
        unit_price_cents=nearest_cents(price or "0"),
        amount_cents=money(line, "SalesAmount") or 0,
        promotions=tuple(_promotion(promotion) for promotion in line.iterfind("Promotion")),
        is_void=is_void,
    )


def _promotion(promotion: Element) -> tuple[str, str, int]:
    amount = money(promotion, "PromotionAmount") or 0
    return text(promotion, "PromotionID"), text(promotion, "PromotionReason"), amount
