"""The tickets of the Verifone DVR journal: 40 printed columns, no item codes, no taxes. Pure.

What counts is the last `TOTAL` printed, tax included, unless the ticket was voided or suspended. A prepay counts as
paid: its completion runs on a pump's register, which this port never prints. Measured on 109 tickets: the register's
numbers have holes only where a ticket was suspended, and a recalled ticket gets a number of its own.

A line taken back is printed again with the opposite sign, between two lines of `ERROR CORRECT` or marked `V`; both are
`is_void`, so that a ticket's lines add up the same with them and without.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from fleetd.decode.amounts import cents, milli
from fleetd.ledger.base import PREPAY, RECALLED, REFUND, SUSPENDED, VOID, Decoded, Line, Ticket
from routerd.errors import CorruptError
from routerd.tlog import DIALECTS

MAX_LINE_BYTES = 128  # twice what a register prints with its stamp; what is longer is no line, and slow to match
LOOK_BACK_LINES = 200  # for the line that another takes back: the longest ticket seen has 8

_MARK = re.compile(rb"\x1bc0\x01(?:\x1b!.)?|\n", re.DOTALL)
_STAMPED = re.compile(r"(?:\d\d/){2}\d\d \d\d?:\d\d:\d\d(?: ?[AP]M)? +(\d+) (.*)")
_NUMBER = re.compile(r"ST#\s*\d+\s+DR#\s*\d+\s+TRAN#\s*(\d+)")
_SUSPENDED = re.compile(r"TRANSACTION SUSPENDED\s*#\s*(\d+)")
_RECALLED = re.compile(r"TRANSACTION RECALLED\s*#\s*(\d+)")
_CASHIER = re.compile(r"CSH:\s*(.*?)\s*(?:\d\d/\d\d/\d\d .*)?")
_ITEM = re.compile(r"(.{3})(.{1,20}?) +(-?\d+(?:\.\d+)?) +(-?\d*\.\d\d)\s*")
_AMOUNT = re.compile(r"\s*(\S.*?) +(-?\d*\.\d\d)\s*")
_BIRTH_DATE = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [A-Z]{3,4} \d{4}")
_OTHERWISE = frozenset(("nosale", "payin", "payout", "safedrop"))


@dataclass(slots=True)
class _Roll:
    """One ticket's lines, as far as they are read."""

    register: str = ""
    number: str = ""
    cashier: str = ""
    linked: str = ""
    age_check: str = ""
    total_cents: int | None = None
    is_correcting: bool = False
    flags: set[str] = field(default_factory=set)
    lines: list[Line] = field(default_factory=list)
    tenders: list[tuple[str, int]] = field(default_factory=list)


def read(data: bytes) -> tuple[Decoded, ...]:
    """A Ticket for each footer or suspension in the frame. The line names no store.

    Raises CorruptError `decode.missing` for lines sold without a total: what printed it was lost.
    """
    return tuple(_ticket(piece) for piece in _tickets(data))


def _tickets(data: bytes) -> Iterator[bytes]:
    """The bytes of each ticket: through its cashier's line, its number where none follows, or its suspension."""
    start, is_numbered = 0, False
    for begin, end in _lines(data):
        shown = data[begin:end].decode("ascii", "replace")
        if is_numbered and "CSH:" not in shown and shown.strip():
            yield data[start:begin]
            start, is_numbered = begin, False
        if _NUMBER.search(shown):
            is_numbered = True
        elif _SUSPENDED.search(shown) or (is_numbered and "CSH:" in shown):
            yield data[start:end]
            start, is_numbered = end, False
    if is_numbered:
        yield data[start:]


def _lines(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each printed line begins and ends."""
    begin = 0
    for mark in _MARK.finditer(data):
        yield begin, mark.start()
        begin = mark.end()
    yield begin, len(data)


def _ticket(piece: bytes) -> Ticket:
    roll = _Roll()
    for begin, end in _lines(piece):
        line = piece[begin : min(end, begin + MAX_LINE_BYTES)].decode("ascii", "replace")
        found = _STAMPED.fullmatch(line.rstrip("\r"))
        if found:
            roll.register = found[1]
            _take(roll, found[2])
    facts = DIALECTS["verifone-journal"].describe(piece)
    kind = "sale" if facts.kind == "suspended" else facts.kind
    if kind == "void":
        roll.flags.add(VOID)
    if kind == "refund":
        roll.flags.add(REFUND)
    sells = kind not in _OTHERWISE and not roll.flags & {VOID, SUSPENDED}
    if sells and roll.lines and roll.total_cents is None:
        raise CorruptError("decode.missing", "a ticket that sells has no TOTAL")
    return Ticket(
        store="",
        register=roll.register,
        number=roll.number,
        kind=kind,
        cashier=roll.cashier,
        pos_time=facts.pos_time or "",
        flags=frozenset(roll.flags),
        total_cents=roll.total_cents,
        counted_cents=roll.total_cents or 0 if sells else 0,
        linked=roll.linked,
        lines=tuple(roll.lines),
        tenders=tuple(roll.tenders),
        age_check=roll.age_check,
    )


def _take(roll: _Roll, shown: str) -> None:
    """Take in one printed line."""
    words = shown.strip()
    if found := _NUMBER.fullmatch(words):
        roll.number = found[1]
    elif found := _SUSPENDED.fullmatch(words):
        roll.number = found[1]
        roll.flags.add(SUSPENDED)
    elif found := _RECALLED.fullmatch(words):
        roll.linked = found[1]
        roll.flags.add(RECALLED)
    elif words.startswith("CSH:") and (found := _CASHIER.fullmatch(words)):
        roll.cashier = found[1]
    elif words.startswith("*"):
        roll.is_correcting = "ERROR CORRECT" in words
    elif "MANUAL ENTRY OVERRIDE" in words:
        roll.age_check = "manual entry override"
    elif _BIRTH_DATE.fullmatch(words):
        roll.age_check = roll.age_check or "birth date"
    elif found := _ITEM.fullmatch(shown):
        _sell(roll, found)
    elif found := _AMOUNT.fullmatch(shown):
        _count(roll, found[1].lower(), cents(found[2]))


def _count(roll: _Roll, label: str, amount: int) -> None:
    """A total, a tender behind it, or, where nothing was sold, what was paid in or out."""
    if label == "total" or (roll.total_cents is None and not roll.lines):
        roll.total_cents = amount
    else:
        roll.tenders.append((label, amount))


def _sell(roll: _Roll, found: re.Match[str]) -> None:
    description, amount = found[2].strip(), cents(found[4])
    is_void = roll.is_correcting or "V" in found[1]
    if is_void:
        _take_back(roll.lines, description, -amount)
    if description.startswith("PREPAY "):
        roll.flags.add(PREPAY)
    roll.lines.append(
        Line(
            number=len(roll.lines) + 1,
            kind="fuel" if description.startswith("PREPAY ") else "item",
            description=description,
            quantity_milli=milli(found[3]),
            amount_cents=amount,
            is_void=is_void,
        )
    )


def _take_back(lines: list[Line], description: str, amount: int) -> None:
    """Mark the latest line that the one now printed takes back."""
    for i in reversed(range(max(0, len(lines) - LOOK_BACK_LINES), len(lines))):
        line = lines[i]
        if not line.is_void and (line.description, line.amount_cents) == (description, amount):
            lines[i] = replace(line, is_void=True)
            return
