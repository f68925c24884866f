"""What stands around a document's records: heads, totals and bare cashier elements. Pure.

An envelope is a piece of a document, cut before a record: its root is open or already closed, so each thing is found by
its tags and read for itself.
"""

import re
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from fleetd.decode.amounts import cents
from fleetd.decode.markup import parse, text
from fleetd.decode.transset import cashier, period_name
from fleetd.ledger.base import Decoded, Totals
from routerd.errors import CorruptError

_ROOTS = (b"transSet", b"transactionSet", b"NAXML-POSJournal")
_THING = re.compile(
    rb"<((?:[\w.-]+:)?(transSet|transactionSet|openedTime|closedTime|startTotals|endTotals|openCashier|closeCashier"
    rb"|NAXML-POSJournal|TransmissionHeader|JournalHeader))(\s[^<>]*)?>"
)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


@dataclass(slots=True)
class _Head:
    """What is known of the document so far."""

    store: str = ""
    period: str = ""
    business_day: str = ""
    opened: str = ""
    closed: str = ""
    sums: tuple[tuple[str, int], ...] = ()
    is_empty: bool = True


@dataclass(slots=True)
class _Reading:
    head: _Head = field(default_factory=_Head)
    out: list[Decoded] = field(default_factory=list)

    def end_head(self) -> None:
        """Hand out the start of a document, once everything that was said of it is known."""
        head = self.head
        if not head.is_empty:
            self.out.append(_totals("start", head, head.sums))
            head.is_empty = True


def read(data: bytes) -> tuple[Decoded, ...]:
    """Totals and Markers in document order. `start` Totals hold the head's facts, with sums where it had them.

    Raises CorruptError `decode.xml` where an element's end is missing.
    """
    reading, at = _Reading(), 0
    data = _without_comments(data)
    while found := _THING.search(data, at):
        if found[2] in _ROOTS:
            reading.end_head()
            reading.head = _Head()
            _root(reading.head, parse(found[0].rstrip(b"/>") + b"/>"))
            at = found.end()
            continue
        at = _end(data, found)
        _thing(reading, parse(data[found.start() : at]))
    reading.end_head()
    return tuple(reading.out)


def _without_comments(data: bytes) -> bytes:
    """In one pass: a pattern would look for the end again behind every comment that has none."""
    kept, at = [], 0
    while (start := data.find(b"<!--", at)) >= 0 and (end := data.find(b"-->", start + 4)) >= 0:
        kept.append(data[at:start])
        at = end + 3
    return b"".join((*kept, data[at:]))


def _end(data: bytes, found: re.Match[bytes]) -> int:
    if found[0].endswith(b"/>"):
        return found.end()
    tag = b"</%b>" % found[1]
    end = data.find(tag, found.end())
    if end < 0:
        raise CorruptError("decode.xml", "an element around the records has no end")
    return end + len(tag)


def _root(head: _Head, root: Element) -> None:
    """A `transSet` says in its attributes what a NAXML document says in two elements."""
    if root.tag == "NAXML-POSJournal":
        return
    head.is_empty = False
    head.store = root.get("site", "")
    head.period = period_name(root.get("periodID", ""), root.get("periodname", ""), root.get("shortId", ""))
    day = root.get("longId", "")
    head.business_day = day if _DAY.fullmatch(day) else ""


def _thing(reading: _Reading, element: Element) -> None:
    head = reading.head
    if element.tag in ("openCashier", "closeCashier"):
        reading.end_head()
        reading.out.append(cashier(element, text(element, "cCloseTime") or text(element, "cOpenTime")))
    elif element.tag == "endTotals":
        reading.end_head()
        reading.out.append(_totals("end", head, _sums(element)))
    else:
        head.is_empty = False
        if element.tag == "startTotals":
            head.sums = _sums(element)
        elif element.tag == "openedTime":
            head.opened = (element.text or "").strip()
        elif element.tag == "closedTime":
            head.closed = (element.text or "").strip()
        elif element.tag == "TransmissionHeader":
            head.store = text(element, "StoreLocationID")
        else:
            _journal_header(head, element)


def _journal_header(head: _Head, header: Element) -> None:
    """The secondary period is a cashier's shift in a roll-up, `other` in the file of one sale."""
    for name in ("SecondaryReportPeriod", "PrimaryReportPeriod"):
        period = header.find(name)
        if period is not None and not head.period:
            head.period = f"{period.get('interval', '')}:{(period.text or '').strip()}"
    head.business_day = text(header, "BusinessDate")[:10]
    head.opened = _moment(text(header, "BeginDate"), text(header, "BeginTime"))
    head.closed = _moment(text(header, "EndDate"), text(header, "EndTime"))


def _moment(day: str, clock: str) -> str:
    return f"{day[:10]}T{clock.lstrip('T')}" if day and clock else ""


def _sums(element: Element) -> tuple[tuple[str, int], ...]:
    return tuple((part.tag, cents(part.text)) for part in element if part.text and part.text.strip())


def _totals(side: str, head: _Head, sums: tuple[tuple[str, int], ...]) -> Totals:
    return Totals(side, head.store, head.period, head.business_day, head.opened, head.closed, sums)
