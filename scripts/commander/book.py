"""A period's document in pieces, so that a test can leave one out. Pure."""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise

from scripts.pos.ticket import Ticket

NOTHING: frozenset[str] = frozenset()
_ROOT = re.compile(rb"<transSet\b[^>]*>")
_PIECE = re.compile(rb"<trans\b.*?</trans>|<(openCashier|closeCashier)>.*?</\1>", re.DOTALL)
_UNIQUE = re.compile(rb"<uniqueID>([^<]+)</uniqueID>")
_END_TOTALS = re.compile(rb"[ \t]*<endTotals>")
_CLOSED_TIME = re.compile(rb"[ \t]*<closedTime>[^<]*</closedTime>\r?\n?")


@dataclass(frozen=True, slots=True)
class Piece:
    """One record with the white space before it.

    identity: `transset:<uniqueID>`, or `sha256:<hex>` of the bytes where the record has none.
    ticket: what the simulator knows about it; None for recorded ones and for a drawer's bare element.
    """

    data: bytes
    identity: str
    ticket: Ticket | None = None


def piece(data: bytes, ticket: Ticket | None = None) -> Piece:
    found = _UNIQUE.search(data)
    who = f"transset:{found[1].decode('ascii', 'replace')}" if found else f"sha256:{sha256(data).hexdigest()}"
    return Piece(data, who, ticket)


@dataclass(frozen=True, slots=True)
class Book:
    """A period as it is served. `period` is 1 for a SHIFT, 2 for a DAILY; `name` is its file name in the list."""

    period: int
    name: str
    head: bytes
    pieces: tuple[Piece, ...]
    tail: bytes

    def data(self, hidden: AbstractSet[str] = NOTHING) -> bytes:
        """The document without the pieces whose identity is `hidden`; its totals do not know."""
        shown = (one.data for one in self.pieces if one.identity not in hidden)
        return b"".join((self.head, *shown, self.tail))

    @property
    def tickets(self) -> tuple[Ticket, ...]:
        return tuple(one.ticket for one in self.pieces if one.ticket)

    @property
    def sales_cents(self) -> int:
        """What the period sold, by the records; its endTotals less its startTotals say the same."""
        return sum(ticket.total_cents for ticket in self.tickets if ticket.counts)


def load(data: bytes) -> Book:
    """Take a recorded, closed `transSet` apart. Raises ValueError saying what it lacks."""
    root = _ROOT.search(data)
    if not root:
        raise ValueError("no <transSet>")
    named = {name: re.search(rb'\b%b="([^"]*)"' % name, root[0]) for name in (b"periodID", b"longId", b"shortId")}
    missing = [name.decode() for name, found in named.items() if not found]
    if missing:
        raise ValueError(f"transSet lacks {', '.join(missing)}")
    end = _END_TOTALS.search(data)
    if not end or b"</transSet>" not in data[end.start() :]:
        raise ValueError("not a closed period: no endTotals or no </transSet>")
    period, long_id, short_id = (found[1].decode() for found in named.values() if found)
    found = list(_PIECE.finditer(data, root.end(), end.start()))
    cuts = [found[0].start() if found else end.start(), *(one.end() for one in found)]
    pieces = tuple(piece(data[start:stop]) for start, stop in pairwise(cuts))
    return Book(int(period), f"{long_id}.{short_id}", data[: cuts[0]], pieces, data[cuts[-1] :])


def running(book: Book, count: int) -> Book:
    """The first `count` pieces of a recorded period as `current`: not closed, so without end time and totals."""
    return Book(book.period, "current", _CLOSED_TIME.sub(b"", book.head), book.pieces[:count], b"</transSet>\n")


def following(book: Book) -> Book:
    """The empty running period behind a closed one: its startTotals are the closed one's endTotals."""
    totals = re.search(rb"<endTotals>(.*?)</endTotals>", book.tail, re.DOTALL)
    head = _CLOSED_TIME.sub(b"", book.head)
    if totals:
        head = re.sub(rb"(<startTotals>).*?(</startTotals>)", lambda m: m[1] + totals[1] + m[2], head, flags=re.DOTALL)
    return Book(book.period, "current", head, (), b"</transSet>\n")
