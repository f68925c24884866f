"""A controller that sells by itself: running periods, their closes, reboots and outages. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from random import Random

from scripts.commander.book import Book, Piece, piece
from scripts.pos.formats import Settings, sales
from scripts.pos.period import DAILY, SHIFT, Drawers, Totals, close, closing, ending, head, opening, twice
from scripts.pos.sale import Sale
from scripts.pos.ticket import Ticket
from scripts.pos.transset import Transset

KEPT = 91  # periods of each kind, as on two genuine controllers
CLOSES_AT = time(2, 5, 6)  # a genuine site's automatic end of day


@dataclass(slots=True)
class Running:
    """A period that is not closed yet."""

    number: int
    opened: datetime
    start: Totals
    pieces: list[Piece]


class Store:
    """A shop on its own calendar, `begin` on. The same settings give the same sales, whoever asks and whenever.

    `closes_at` is when the day ends; None leaves that to `close`. `identified` False is a release without `uniqueID`.
    `written` is told of every record as it enters the log, `filed` of every period as it is closed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        closes_at: time | None = CLOSES_AT,
        identified: bool = True,
        written: Callable[[Ticket], None] = lambda ticket: None,
        filed: Callable[[Book], None] = lambda book: None,
    ) -> None:
        begin, self._shop = settings.start, settings.shop
        self._written, self._filed, self._closes_at = written, filed, closes_at
        self._transset = Transset(
            settings.shop, installed=begin, site=settings.site, noise=settings.noise, seed=settings.seed,
            identified=identified,
        )  # fmt: skip
        self._sales: Iterator[Sale] = sales(settings, outdoor=True)
        self._next = next(self._sales)
        self._rng = Random(settings.seed ^ 0x0FF)
        self._offline: dict[int, list[Sale]] | None = None
        self._up_since = begin
        self.totals = Totals()
        self._running = {
            SHIFT: Running(391, begin, self.totals, []),
            DAILY: Running(311, begin, self.totals, []),
        }
        self._closed: list[Book] = []
        self._drawers = Drawers()
        self._open_drawers(begin)

    def catch_up(self, now: datetime) -> None:
        """Everything that happens by itself until `now`: customers come, days end. No day ends while it is down."""
        while True:
            due = self._closing_time() if self._offline is None else None
            if due and due <= now and due < self._next.closed:
                self.close(due)
            elif self._next.closed <= now:
                self._sell()
            else:
                return

    def sell(self, count: int) -> None:
        """The next `count` tickets, whatever the clock says; they keep the dates they would have had."""
        for _ in range(count):
            self._sell()

    def call(self, at: datetime, words: str) -> None:
        """A request leaves its SECURE USER record."""
        self._write(self._transset.note(at, "SECURE USER", words))

    def close(self, at: datetime, *, shift_only: bool = False) -> None:
        """End the shift, and then the day: files for the list, totals handed on, drawers opened anew."""
        self._write(self._transset.note(at, "OTHER", "REQUEST INACTIVE PERIOD CLOSE from AEOD Service"))
        opened = self._running[SHIFT].opened
        for register in self._shop.registers:
            self._write_twice(closing(self._shop, self._transset, register, (opened, at), self._drawers))
        self._drawers = Drawers()
        for kind in (SHIFT,) if shift_only else (SHIFT, DAILY):
            number = self._running[kind].number
            self._write(close(self._shop, self._transset, kind, number, at))
            self._file(kind, at)
        self._open_drawers(at)

    def go_down(self) -> None:
        """The controller is away; registers go on selling and keep their tickets."""
        self._offline = self._offline or {}

    def come_up(self, at: datetime) -> None:
        """It boots: serials restart, and what the registers kept comes in, each in its order, all of them mixed."""
        queues = list((self._offline or {}).values())
        self._offline, self._up_since = None, at
        self._transset.restart()
        while queues:
            queue = self._rng.choice(queues)
            self._enter(queue.pop(0))
            if not queue:
                queues.remove(queue)

    def reinstall(self, at: datetime) -> None:
        """Reloaded from an image: `uniqueID` starts over behind a new prefix, and so do the serials."""
        self._transset.reinstall(at)

    def names(self) -> list[tuple[int, str]]:
        """(period, file name) as the list has them: shifts, then days, `current` first, newest next."""
        out: list[tuple[int, str]] = []
        for kind in (SHIFT, DAILY):
            out.append((kind, "current"))
            out.extend((kind, book.name) for book in reversed(self.closed(kind)))
        return out

    def closed(self, kind: int) -> list[Book]:
        """The closed periods of a kind that are still kept, oldest first."""
        return [book for book in self._closed if book.period == kind]

    def book(self, kind: int, name: str) -> Book | None:
        """A closed period by its file name, or `current`; None when there is none."""
        if name == "current" and kind in self._running:
            run = self._running[kind]
            front = self._head(kind, None)
            return Book(kind, name, front, tuple(run.pieces), b"</transSet>\n")
        return next((book for book in self._closed if (book.period, book.name) == (kind, name)), None)

    def _closing_time(self) -> datetime | None:
        if self._closes_at is None:
            return None
        opened = self._running[DAILY].opened
        due = datetime.combine(opened.date(), self._closes_at)
        return max(due if due > opened else due + timedelta(days=1), self._up_since)

    def _sell(self) -> None:
        sale, self._next = self._next, next(self._sales)
        if self._offline is None:
            self._enter(sale)
        else:
            self._offline.setdefault(sale.register, []).append(sale)

    def _enter(self, sale: Sale) -> None:
        for ticket in self._transset.render(sale):
            self._write(ticket)
        self.totals = self.totals.plus(sale)
        self._drawers.sold(sale)

    def _write(self, ticket: Ticket) -> None:
        self._append(piece(ticket.data, ticket))
        self._written(ticket)

    def _write_twice(self, record: Ticket) -> None:
        """A drawer's record stands in the log as a bare element and as a `trans`."""
        self._append(piece(twice(record).removesuffix(record.data)))
        self._write(record)

    def _append(self, one: Piece) -> None:
        for run in self._running.values():
            run.pieces.append(one)

    def _open_drawers(self, at: datetime) -> None:
        self._transset.shift, self._transset.daily = (self._running[kind].number for kind in (SHIFT, DAILY))
        for register in self._shop.registers:
            self._write_twice(opening(self._shop, self._transset, register, at))

    def _head(self, kind: int, closed: datetime | None) -> bytes:
        run = self._running[kind]
        return head(self._shop, self._transset, kind, run.number, (run.opened, closed), run.start)

    def _file(self, kind: int, at: datetime) -> None:
        run = self._running[kind]
        name = f"{at:%Y-%m-%d}.{run.number}"
        book = Book(kind, name, self._head(kind, at), tuple(run.pieces), ending(self.totals))
        self._closed.append(book)
        for old in self.closed(kind)[:-KEPT]:
            self._closed.remove(old)
        self._running[kind] = Running(run.number + 1, at, self.totals, [])
        self._filed(book)
