"""NAXML-POSJournal events (Conexxus 3.4 to 3.6): Bulloch, Passport, Radiant, Verifone `vposjournal`. Pure.

What counts is `TransactionTotalGrandAmount`: tax included, what the customer owed. Measured on a Bulloch shift of 146
events: it is the sum of the event's tenders, and of its lines with fees and taxes, in each of the 140 sales. A prepay
counts as paid, and its completion counts the difference, for a line of its own takes the prepaid amount off again. The
shift's close states no totals, only how many customers there were: the sales that complete no prepay, exactly.

Refunds are negative (a public account of 17,700 Passport files), so one that is written positive is turned. Voids,
suspended sales and training count nothing. `SalesAmount` stands after promotions.
"""

from xml.etree.ElementTree import Element

from fleetd.decode.amounts import count
from fleetd.decode.markup import flagged, money, text
from fleetd.decode.naxmllines import lines, tenders
from fleetd.ledger.base import (
    COMPLETION,
    OFFLINE,
    PREPAY,
    REFUND,
    SUSPENDED,
    TRAINING,
    VOID,
    Decoded,
    Event,
    Marker,
    Ticket,
)
from routerd.errors import CorruptError

_KINDS = {"SaleEvent": "sale", "RefundEvent": "refund", "VoidEvent": "void"}
_UNCOUNTED = frozenset((VOID, SUSPENDED, TRAINING))


def read(root: Element, pos_time: str) -> tuple[Decoded, ...]:
    """What one event says. Raises CorruptError `decode.missing` for a sale or a refund without a total."""
    kind = _KINDS.get(root.tag)
    turn = next((part.get("detailType", "") for part in root if part.get("detailType") in ("open", "close")), "")
    if turn and kind is None:
        return (_marker(root, turn, pos_time),)
    number = text(root, "TransactionID") or text(root, "EventSequenceID")
    if kind is None and not number.strip("0"):
        return (Event(text(root, "StoreHierarchyID"), text(root, "RegisterID"), _detail(root), pos_time),)
    return (_ticket(root, kind or _detail(root), number, pos_time),)


def _marker(root: Element, turn: str, pos_time: str) -> Marker:
    return Marker(
        store=text(root, "StoreHierarchyID"),
        register=text(root, "RegisterID"),
        kind=turn,
        pos_time=pos_time,
        business_day=text(root, "BusinessDate")[:10],
        count=count(text(root, "Extension/Statistics/CustomerCount")),
    )


def _detail(root: Element) -> str:
    """What an event is that sells nothing, by the name of its detail: `SafeDropDetail` is `safedrop`."""
    if any(flag.get("value") == "yes" for flag in root.iter("NoSaleFlag")):
        return "nosale"
    inner = root.find("FinancialEventDetail")
    for part in root if inner is None else inner:
        if part.tag.endswith("Detail"):
            return part.tag.removesuffix("Detail").lower()
    return root.tag.removesuffix("Event").lower()


def _ticket(root: Element, kind: str, number: str, pos_time: str) -> Ticket:
    read_lines = lines(root)
    linked = text(root, ".//LinkedTransactionInfo/OriginalTransactionID")
    flags = _flags(root, kind, linked)
    total = _total(root, kind)
    counts = kind in ("sale", "refund") and not flags & _UNCOUNTED
    return Ticket(
        store=text(root, "StoreHierarchyID"),
        register=text(root, "RegisterID"),
        number=number,
        kind=kind,
        cashier=text(root, "CashierID"),
        business_day=text(root, "BusinessDate")[:10],
        pos_time=pos_time,
        flags=flags,
        total_cents=total,
        counted_cents=total or 0 if counts else 0,
        is_outside=flagged(root, "OutsideSalesFlag"),
        linked=linked,
        lines=read_lines,
        tenders=tenders(root),
        loyalty=_loyalty(root),
        age_check=_age_check(root),
    )


def _total(root: Element, kind: str) -> int | None:
    """What stands on the ticket: of a drop or a payment, the first amount in its detail."""
    if kind not in _KINDS.values():
        amounts = (money(part, ".") for part in root.iter() if part.tag.endswith("Amount"))
        return next((amount for amount in amounts if amount is not None), None)
    total = money(root, "TransactionSummary/TransactionTotalGrandAmount")
    if total is None:
        net = money(root, "TransactionSummary/TransactionTotalNetAmount")
        tax = money(root, "TransactionSummary/TransactionTotalTaxNetAmount")
        total = None if net is None else net + (tax or 0)
    if total is None and kind != "void":
        raise CorruptError("decode.missing", "a sale has no TransactionSummary")
    return -abs(total) if total and kind == "refund" else total


def _flags(root: Element, kind: str, linked: str) -> frozenset[str]:
    found = set()
    if kind == "void":
        found.add(VOID)
    if kind == "refund":
        found.add(REFUND)
    for name, flag in (("SuspendFlag", SUSPENDED), ("TrainingModeFlag", TRAINING), ("OfflineFlag", OFFLINE)):
        if flagged(root, name):
            found.add(flag)
    if kind == "sale" and linked:
        found.add(COMPLETION)
    elif root.find(".//FuelPrepayLine") is not None:
        found.add(PREPAY)
    return frozenset(found)


def _loyalty(root: Element) -> tuple[tuple[str, str], ...]:
    """Each (host or program, account) once: Bulloch has a line for what was earned and one for what was redeemed."""
    found: dict[tuple[str, str], None] = {}
    for line in root.iterfind("TransactionDetailGroup/TransactionLine"):
        account = text(line, "Loyalty/AccountInfo/AccountID") or text(line, "Loyalty/LoyaltyID")
        if account:
            found[text(line, "Extension/LoyaltyHostName") or text(line, "Loyalty/LoyaltyProgramID"), account] = None
    return tuple(found)


def _age_check(root: Element) -> str:
    """`bypassed` or `checked`, where a restricted sale says how the customer was identified (Passport)."""
    customer = root.find(".//RestrictedSalesDetail/CustomerID")
    if customer is None:
        return ""
    return "bypassed" if flagged(customer, "CashierBypassedFlag") else "checked"
