"""The Commander's `<trans>` (Ruby2, Sapphire), read. Pure.

What counts, measured on two days of one site, to the cent: `trTotWTax` of every `trans` that has it adds up to the
change of `overallSales`, but for type `void`, `suspended`, `rollback` and `fuelPrepay`. The tickets say the first two
themselves: `trSTotalizer`, what a ticket adds to that total, is `0` on them and equals `trTotWTax` on all others. On
both days every prepay was followed by its completion and, as the very next record, its rollback, equal to the prepay to
the cent: so leaving out both is the same as counting one and taking the other off. Only where a period closes between
the two do these readings differ, and which one is right then is not known.

Measured on 67 laboratory tickets: a refund's `trTotWTax` and `trSTotalizer` are negative, its `trGTotalizer` positive.
So sales fall and the grand total rises; that refunds are subtracted from `overallSales` is inferred from this.

Measured on both days, to the cent: `outsideSales` are the sales without a cashier that complete no prepay, and all
others, completions on a pump's register too, are `insideSales`. The sum of the lines is `trTotNoTax` on every ticket,
once `trlPromoAmount` is taken off; every other discount, and fees, stand in `trlLineTot` already.
"""

from xml.etree.ElementTree import Element

from fleetd.decode.amounts import cents, count, milli, nearest_cents
from fleetd.decode.markup import digits, money, text
from fleetd.ledger.base import (
    COMPLETION,
    PREPAY,
    RECALLED,
    REFUND,
    ROLLBACK,
    SUSPENDED,
    VOID,
    Decoded,
    Event,
    Line,
    Marker,
    Ticket,
)
from routerd.errors import CorruptError

_KINDS = {"network sale": "sale", "refund sale": "refund", "refund network sale": "refund"}
_SELLS = ("sale", "refund")
_ATTRIBUTES = {
    "fuelPrepay": PREPAY,
    "fuelPrepayCompletion": COMPLETION,
    "rollback": ROLLBACK,
    "suspended": SUSPENDED,
    "recalled": RECALLED,
}
_UNCOUNTED = frozenset((VOID, ROLLBACK, PREPAY, SUSPENDED))
_PERIODS = {"0": "hour", "1": "shift", "2": "daily"}
_LINE_KINDS = {"plu": "item", "dept": "department", "preFuel": "fuel", "postFuel": "fuel"}
# Where a line names what was taken off: element, id, kind (a name, or what stands at that path), amount.
_DISCOUNTS = (
    ("trloPPGDisc", "@programID", "loyalty per unit", "PPGTotDisc"),
    ("trloLnItemDisc", "@programID", "loyalty", "discAmt"),
    ("trlPopDisc", "trlpdDiscProgramId", "pop discount", "trlpdAmount"),
    ("trlPromo", "", "promotion", "."),
    ("trlDisc", "", "discount", "."),
    ("trlCw/trlCwPromo", "", "car wash", "."),
)


def read(root: Element, pos_time: str) -> tuple[Decoded, ...]:
    """What one `<trans>` says: a Ticket if it has a ticket's number or a total.

    Raises CorruptError `decode.missing` for a sale without a total or a header.
    """
    kind = root.get("type", "").strip().lower()
    kind = _KINDS.get(kind, kind)
    if kind in ("opencashier", "closecashier"):
        return (cashier(root, pos_time),)
    if kind == "periodclose":
        return (_period(root, pos_time),)
    header = root.find("trHeader")
    numbered = header is not None and header.find("trTickNum") is not None
    sells = kind in _SELLS or root.find("trValue/trTotWTax") is not None
    if header is None and sells:
        raise CorruptError("decode.missing", "a sale has no header")
    if header is not None and (numbered or sells):
        return (_ticket(root, header, kind, pos_time),)
    return (Event(text(root, "trHeader/storeNumber"), _register(root), kind, pos_time, _said(root)),)


def cashier(root: Element, pos_time: str) -> Marker:
    """An `openCashier` or `closeCashier`, bare or as a `trans`: a period has each twice, equal in all that is read.

    Measured on two closes: the tickets from `first` to `last` are all there, and `count` is one less than they are. One
    ticket of each was suspended; whether that is why is not known.
    """
    closes = root.find("cCloseTime") is not None
    period = text(root, "cashierPeriod")
    return Marker(
        store=text(root, "trHeader/storeNumber"),
        register=text(root, "posNum"),
        kind="close" if closes else "open",
        pos_time=pos_time,
        period=f"cashier:{period}" if period else "",
        first=text(root, "beginTicket"),
        last=text(root, "endTicket"),
        count=count(text(root, "ticketCount")),
    )


def _period(root: Element, pos_time: str) -> Marker:
    header = root.find("trHeader")
    if header is None:
        raise CorruptError("decode.missing", "a period's close has no header")
    name = period_name(text(header, "periodType"), text(header, "periodName"), text(header, "periodSeq"))
    return Marker(text(header, "storeNumber"), "", "period", pos_time, period=name)


def period_name(level: str, name: str, number: str) -> str:
    """`daily:311`. A site may call its periods what it likes (`Day`), so shift and day go by their level."""
    return f"{_PERIODS.get(level, name.lower())}:{number}"


def _said(root: Element) -> str:
    """A journal record's words behind its type; for a price change, how many prices."""
    words = [f"{said.get('type', '')}: {said.text or ''}".strip(": \r\n") for said in root.iter("trjText")]
    prices = len(root.findall("trPriceChange/priceChangeInfo"))
    return "; ".join(words) or (f"{prices} prices" if prices else "")


def _register(root: Element) -> str:
    found = text(root, "trHeader/trTickNum/posNum") or text(root, "trHeader/posNum")
    serial = root.find("trHeader/termMsgSN")
    return found or (serial.get("term", "") if serial is not None else "")


def _ticket(root: Element, header: Element, kind: str, pos_time: str) -> Ticket:
    flags = _flags(root, kind)
    total = money(root, "trValue/trTotWTax")
    if total is None and kind in _SELLS:
        raise CorruptError("decode.missing", "a sale has no trTotWTax")
    nobody = not _number(header.find("cashier"))
    return Ticket(
        store=text(header, "storeNumber"),
        register=_register(root),
        number=text(header, "trTickNum/trSeq"),
        kind=kind,
        serial=text(header, "trUniqueSN"),
        cashier=_number(header.find("originalCashier")) or _number(header.find("cashier")),
        periods=tuple(
            period_name(period.get("level", ""), period.get("name", ""), period.get("seq", ""))
            for period in header.iterfind("period")
        ),
        pos_time=pos_time,
        flags=flags,
        total_cents=money(root, "trValue/trCurrTot") if total is None else total,
        counted_cents=_counted(root, kind, flags, total),
        is_outside=nobody and COMPLETION not in flags,
        linked=text(header, "trOriginalTickNum/trSeq") or text(header, "trRecall/trSeq"),
        lines=(*_lines(root), *_taxes(root)),
        tenders=tuple(_tender(payline) for payline in root.iterfind("trPaylines/trPayline")),
        loyalty=_loyalty(root),
        age_check=_age_check(root),
    )


def _flags(root: Element, kind: str) -> frozenset[str]:
    found = {flag for name, flag in _ATTRIBUTES.items() if root.get(name) == "true"}
    found.update(flag for flag in (VOID, SUSPENDED, REFUND) if flag in kind.split())
    return frozenset(found)


def _counted(root: Element, kind: str, flags: frozenset[str], total: int | None) -> int:
    """What the ticket adds to `overallSales`. Of kinds nobody has measured, `trSTotalizer` is believed."""
    if total is None or flags & _UNCOUNTED:
        return 0
    moved = None if kind in _SELLS else money(root, "trValue/trSTotalizer")
    return total if moved is None else moved


def _number(cashier: Element | None) -> str:
    """The cashier's number, "" for nobody: a pump's register sells for `sysid="0" empNum=""`."""
    if cashier is None:
        return ""
    return cashier.get("empNum", "") or cashier.get("sysid", "").removeprefix("0")


def _lines(root: Element) -> tuple[Line, ...]:
    return tuple(_line(number, line) for number, line in enumerate(root.iterfind("trLines/trLine"), 1))


def _line(number: int, line: Element) -> Line:
    written = line.get("type", "")
    kind = written.removeprefix("void ")
    sign = -1 if text(line, "trlSign").startswith("-") else 1
    matched = tuple(_match(match, sign) for match in line.iterfind("trlMixMatches/trlMatchLine"))
    department = line.find("trlDept")
    entry = line.find("trlUPCEntry")
    return Line(
        number=number,
        kind=_LINE_KINDS.get(kind, "other"),
        description=text(line, "trlDesc"),
        upc=digits(text(line, "trlUPC")),
        upc_modifier=text(line, "trlModifier"),
        entry=entry.get("type", "").lower() if entry is not None else "",
        department=department.get("number", "") if department is not None else "",
        quantity_milli=sign * milli(text(line, "trlQty") or "1"),
        unit_price_cents=nearest_cents(text(line, "trlUnitPrice") or "0"),
        amount_cents=(money(line, "trlLineTot") or 0) - sum(off for _, _, off in matched),
        promotions=(*matched, *_discounts(line, sign)),
        is_void=kind != written or line.find("trlFlags/trlNetVoid") is not None,
        is_duplicate=line.get("duplicate") == "true",
    )


def _match(match: Element, sign: int) -> tuple[str, str, int]:
    promotion = match.find("trlPromotionID")
    kind = promotion.get("promotype", "") if promotion is not None else ""
    return text(match, "trlPromotionID"), kind, sign * abs(money(match, "trlPromoAmount") or 0)


def _discounts(line: Element, sign: int) -> tuple[tuple[str, str, int], ...]:
    found = []
    for path, name, kind, amount in _DISCOUNTS:
        for discount in line.iterfind(path):
            known = discount.get(name[1:], "") if name.startswith("@") else text(discount, name) if name else ""
            written = discount.text if amount == "." else discount.findtext(amount)
            found.append((known, kind, sign * abs(cents(written or "0"))))
    return tuple(found)


def _taxes(root: Element) -> tuple[Line, ...]:
    """`negTaxAmts` repeats of `taxAmts` what is negative, so only the latter is read."""
    number = len(root.findall("trLines/trLine"))
    nets = enumerate(root.iterfind("trValue/trTax/taxAmts/taxNet"), number + 1)
    return tuple(Line(i, "tax", net.get("cat", ""), amount_cents=cents(net.text or "0")) for i, net in nets)


def _tender(payline: Element) -> tuple[str, int]:
    """A refund gives its tender back on a payline of type `cancel`, with a positive amount."""
    amount = money(payline, "trpAmt") or 0
    return text(payline, "trpPaycode"), -amount if payline.get("type") == "cancel" else amount


def _loyalty(root: Element) -> tuple[tuple[str, str], ...]:
    programs = root.iterfind("trLoyalty/trLoyaltyProgram")
    return tuple((program.get("programID", ""), text(program, "trloAccount")) for program in programs)


def _age_check(root: Element) -> str:
    born = root.find("trValue/custDOB")
    return born.get("dobEntryMeth", "").lower() if born is not None else ""
