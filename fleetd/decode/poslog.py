"""ARTS/NRF POSLog transactions: NCR ACS (2.x), ROQQIO (6.0). Pure.

What counts is the Total of type `TransactionGrandAmount`, with its sign, unless the transaction was voided, suspended
or made in training. Measured: in NCR's it is the items' `ExtendedAmount` with the monetary rewards; ROQQIO writes a
returned item's `ExtendedAmount` without sign beside a negative `Quantity`, and a negative grand amount.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from fleetd.decode.amounts import count, milli, nearest_cents
from fleetd.decode.markup import digits, money, text
from fleetd.ledger.base import REFUND, SUSPENDED, TRAINING, VOID, Decoded, Line, Ticket
from routerd.errors import CorruptError

_BODY = "Transaction"
_STATES = {"voided": VOID, "postvoided": VOID, "canceled": VOID, "suspended": SUSPENDED, "training": TRAINING}
_DONE = {"PaidOut": "payout", "PaidIn": "payin", "TenderPickup": "safedrop", "TenderLoan": "safeloan"}
_GIVEN_BACK = ("refund", "return")


def read(root: Element, pos_time: str) -> tuple[Decoded, ...]:
    """What one `<Transaction>` says; () where it has no body that ARTS knows.

    Raises CorruptError `decode.missing` for a RetailTransaction without a grand amount.
    """
    body = next((part for part in root if part.tag != _BODY and part.tag.endswith(_BODY)), None)
    if body is None:
        return ()
    total = _total(body) if body.tag == "RetailTransaction" else None
    flags = _flags(root, body, total)
    return (
        Ticket(
            store=text(root, "RetailStoreID") or text(root, "BusinessUnit/UnitID"),
            register=text(root, "WorkstationID"),
            number=text(root, "SequenceNumber"),
            kind=_kind(body, flags),
            cashier=text(root, "OperatorID"),
            business_day=text(root, "BusinessDayDate")[:10],
            pos_time=pos_time,
            flags=flags,
            total_cents=total,
            counted_cents=0 if total is None or flags - {REFUND} else total,
            linked=text(body, ".//TransactionLink/SequenceNumber"),
            lines=tuple(_lines(body)),
            tenders=tuple(_tenders(body)),
            loyalty=tuple(_loyalty(body)),
        ),
    )


def _kind(body: Element, flags: frozenset[str]) -> str:
    """`sale`, `refund` or `void`; of any other transaction, the name of what was done: `operatorsignon`, `nosale`."""
    if body.tag == "RetailTransaction":
        return "void" if VOID in flags else "refund" if REFUND in flags else "sale"
    done = next((part.tag for part in body if len(part)), body.tag.removesuffix(_BODY))
    return _DONE.get(done, done.lower())


def _total(body: Element) -> int:
    for total in body.iterfind("Total"):
        if total.get("TotalType") == "TransactionGrandAmount":
            amount = money(total, ".")
            if amount is not None:
                return amount
    raise CorruptError("decode.missing", "a RetailTransaction has no TransactionGrandAmount")


def _flags(root: Element, body: Element, total: int | None) -> frozenset[str]:
    found = {flag for name, flag in _STATES.items() if body.get("TransactionStatus", "").lower() == name}
    if root.get("TrainingModeFlag") == "true":
        found.add(TRAINING)
    if root.get("CancelFlag") == "true" or root.get("VoidFlag") == "true":
        found.add(VOID)
    if total is not None and total < 0:
        found.add(REFUND)
    return frozenset(found)


def _lines(body: Element) -> Iterator[Line]:
    for i, item in enumerate(body.iterfind("LineItem"), 1):
        number = count(text(item, "SequenceNumber")) or i
        is_void = item.get("VoidFlag") == "true"
        for part in item:
            if part.tag in ("Sale", "Return"):
                yield _sold(part, item, number, is_void)
            elif part.tag == "Tax":
                yield Line(number, "tax", part.get("TaxType", ""), amount_cents=money(part, "Amount") or 0)
            elif part.tag == "LoyaltyReward" and _is_money_off(part):
                yield _reward(part, number, is_void)


def _sold(part: Element, item: Element, number: int, is_void: bool) -> Line:
    quantity, amount = milli(text(part, "Quantity") or "1"), money(part, "ExtendedAmount") or 0
    if part.tag == "Return" or quantity < 0:
        quantity, amount = -abs(quantity), -abs(amount)
    named = part.find("ItemID")
    upc = text(part, "POSIdentity/POSItemID") or text(part, "ItemID")
    return Line(
        number=number,
        kind="item" if upc else "department",
        description=text(part, "Description") or (named.get("Name", "") if named is not None else ""),
        upc=digits(upc),
        entry=item.get("EntryMethod", "").lower(),
        department=text(part, "MerchandiseHierarchy"),
        quantity_milli=quantity,
        unit_price_cents=nearest_cents(text(part, "RegularSalesUnitPrice") or "0"),
        amount_cents=amount,
        promotions=tuple(
            (text(modifier, "PromotionID"), "price modifier", money(modifier, "Amount") or 0)
            for modifier in part.iterfind("RetailPriceModifier")
        ),
        is_void=is_void or part.get("VoidFlag") == "true",
    )


def _is_money_off(reward: Element) -> bool:
    """NCR lists a monetary reward in detail, for each item, and summed up: only the sum is read."""
    summed = reward.get("summarizedActivity") == "true" or "detailedData" not in reward.attrib
    return summed and text(reward, "RewardCategory") in ("Monetary", "")


def _reward(reward: Element, number: int, is_void: bool) -> Line:
    amount = money(reward, "ExtendedRewardAmount") or 0
    promotion = (text(reward, "PromotionID"), text(reward, "RewardType"), -amount)
    return Line(number, "promotion", amount_cents=amount, promotions=(promotion,), is_void=is_void)


def _tenders(body: Element) -> Iterator[tuple[str, int]]:
    for tender in body.iterfind("LineItem/Tender"):
        amount = money(tender, "Amount") or 0
        given = tender.get("TypeCode", "").lower() in _GIVEN_BACK
        yield tender.get("TenderType", "").lower(), -abs(amount) if given else amount
        yield from _change(tender)
    for item in body.iterfind("LineItem"):
        yield from _change(item)


def _change(parent: Element) -> Iterator[tuple[str, int]]:
    """ROQQIO nests a TenderChange in a TenderChange, and the amount is in the inner one."""
    for change in parent.iterfind("TenderChange"):
        amount = money(change, "Amount")
        yield "change", -abs((money(change, "TenderChange/Amount") if amount is None else amount) or 0)


def _loyalty(body: Element) -> Iterator[tuple[str, str]]:
    for account in body.iterfind("LoyaltyAccount"):
        card = text(account, "LoyaltyID") or text(account, "LoyaltyCard/PrimaryAccountNumber")
        yield "", card or text(account, "CustomerID")
    for member in body.iterfind("LineItem/LoyaltyMembership/LoyaltyID"):
        yield member.get("Type", ""), (member.text or "").strip()
