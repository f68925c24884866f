"""The ledger inside fleetd: the thread that follows, and what an answer to a router says of it."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fleetd.files import Folder
from fleetd.ledger import backfill
from fleetd.ledger.follower import Follower, transaction
from fleetd.ledger.orders import next_attempt_ms
from fleetd.ledger.reading import Decode
from fleetd.ledger.schema import open_book
from fleetd.sqlite_store import SqliteStore
from routerd.errors import TransientError
from routerd.model import Stream
from routerd.wire.batch import Order

RETRY_S = 5.0  # after trouble with the disk, or another writer that holds the book
MAX_STREAMS_TOLD = 3000  # in one answer; more than one step can move, so that none is passed over

_log = logging.getLogger(__name__)
_MOVED = """
SELECT s.source, s.epoch, s.watermark, s.moved FROM stream s JOIN device d ON d.no = s.device_no
WHERE d.id = ? AND s.moved > ? ORDER BY s.moved LIMIT ?
"""
_WATERMARK = """
SELECT s.watermark FROM stream s JOIN device d ON d.no = s.device_no WHERE d.id = ? AND s.source = ? AND s.epoch = ?
"""


@dataclass(frozen=True, slots=True)
class Word:
    """What the ledger adds to an answer: watermarks of what is processed, and orders that are due."""

    processed: tuple[tuple[Stream, int], ...] = ()
    orders: tuple[Order, ...] = ()


class Desk:
    """Start with `start`, end with `close`. `wake` from any thread; `word` and `orders_for` from one."""

    def __init__(self, folder: Folder, decode: Decode, now_ms: Callable[[], int] = lambda: _now_ms()) -> None:
        self._folder = folder
        self._decode = decode
        self._now_ms = now_ms
        self._changed = threading.Condition()
        self._is_news = True
        self._closing = False
        self._sent: list[tuple[int, int]] = []  # orders given, not yet written down
        self._last_sent: dict[int, tuple[int, int]] = {}  # order -> times given, when, in this run of fleetd
        self._told: dict[str, int] = {}  # device -> the book's position its last answer spoke of
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._reading = open_book(folder.ledger)
        self._reading.execute("PRAGMA query_only = ON")
        self._is_broken = False

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._is_broken

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was committed."""
        with self._changed:
            self._is_news = True
            self._changed.notify_all()

    def close(self) -> None:
        """End after the transaction under way; what is not yet read is read after the next start."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._reading.close()

    def word(self, device: str, touched: Sequence[Stream]) -> Word:
        """What to tell a device whose request touched these streams. Without the book there is nothing to tell: the
        records are safe all the same."""
        try:
            return Word(self._processed(device, touched), tuple(Order(*one) for one in self.orders_for(device)))
        except sqlite3.Error as exc:
            _log.error("the ledger cannot be read: %s", exc)
            return Word()

    def orders_for(self, device: str) -> tuple[tuple[int, str, str, str, bool], ...]:
        """(id, source, first day, last day, anew) of the orders that are due; they count as given."""
        now_ms = self._now_ms()
        due = []
        for order in backfill.standing(self._reading, device):
            times, sent_ms = max((order.times, order.sent_ms or 0), self._last_sent.get(order.id, (0, 0)))
            if now_ms >= next_attempt_ms(times, sent_ms):
                self._last_sent[order.id] = (times + 1, now_ms)
                due.append((order.id, order.source, order.first_day, order.last_day, True))
        if due:
            with self._changed:
                self._sent += [(number, now_ms) for number, *_ in due]
                self._is_news = True
                self._changed.notify_all()
        return tuple(due)

    def _processed(self, device: str, touched: Sequence[Stream]) -> tuple[tuple[Stream, int], ...]:
        """The watermarks of the streams touched, and of those of the device that moved since it was last told."""
        (position,) = self._reading.execute("SELECT no FROM position").fetchone()
        told = min(self._told.get(device, 0), position)  # the book may have been begun anew
        found: dict[Stream, int] = {}
        for stream in touched:
            row = self._reading.execute(_WATERMARK, (device, stream.source, stream.epoch)).fetchone()
            found[stream] = row[0] if row else 0
        moved = list(self._reading.execute(_MOVED, (device, told, MAX_STREAMS_TOLD)))
        found |= {Stream(source, epoch): watermark for source, epoch, watermark, _ in moved}
        if moved:
            is_all = len(moved) < MAX_STREAMS_TOLD
            self._told[device] = moved[-1][3] if is_all else moved[-1][3] - 1  # what moved with the last comes again
        return tuple(found.items())

    def _run(self) -> None:
        book = open_book(self._folder.ledger)
        try:
            with SqliteStore(self._folder.database, read_only=True) as store:
                follower = Follower(book, store, self._decode, self._now_ms)
                while self._await_news():
                    self._follow(follower, book)
        finally:
            book.close()

    def _await_news(self) -> bool:
        """False when the desk closes."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_news or self._closing, RETRY_S if self._is_broken else None)
            self._is_news = False
            return not self._closing

    def _follow(self, follower: Follower, book: sqlite3.Connection) -> None:
        try:
            self._write_down(book)
            while not self._closing and follower.step():
                pass
        except (sqlite3.Error, TransientError) as exc:
            if not self._is_broken:
                _log.error("the ledger stands still: %s", exc)
            self._is_broken = True
        else:
            if self._is_broken:
                _log.warning("the ledger follows again")
            self._is_broken = False

    def _write_down(self, book: sqlite3.Connection) -> None:
        with self._changed:
            sent, self._sent = self._sent, []
        if not sent:
            return
        try:
            with transaction(book):
                backfill.note_sent(book, sent)
        except sqlite3.Error:
            with self._changed:
                self._sent = sent + self._sent
            raise


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
