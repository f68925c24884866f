"""A controller that plays recorded periods: closed ones from the start, one as a growing `current`. Pure."""

import re
from collections.abc import Sequence
from datetime import datetime

from scripts.commander.book import Book, following, load, running

_TIME = re.compile(rb"<(?:date|cOpenTime|cCloseTime)>(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)")


class Recorded:
    """Serves `files`, the bytes of closed `transSet` documents, and plays `current`, another one.

    Of `current` the first `first` records are there at the start, each other one when the clock passes the latest date
    up to it (a register's clock may be behind); after the last one the period is closed and listed. Without `current`,
    or behind it, the running period is empty. Raises ValueError for a document that is none.
    """

    def __init__(self, files: Sequence[bytes], current: bytes = b"", *, first: int = 0) -> None:
        self._closed = [load(data) for data in files]
        self._played = load(current) if current else None
        self._due: list[datetime] = _written(self._played) if self._played else []
        self._shown = min(first, len(self._due))

    @property
    def begin(self) -> datetime | None:
        """What the clock should show at the start: when the last of the first records was written."""
        return self._due[max(self._shown - 1, 0)] if self._due else None

    def catch_up(self, now: datetime) -> None:
        while self._played and self._shown < len(self._due) and self._due[self._shown] <= now:
            self._shown += 1
        if self._played and self._shown == len(self._due):
            self._closed.append(self._played)
            self._played = None

    def call(self, at: datetime, words: str) -> None:
        """A request leaves no record in a recording."""

    def names(self) -> list[tuple[int, str]]:
        out: list[tuple[int, str]] = []
        for kind in (1, 2):
            if self.book(kind, "current"):
                out.append((kind, "current"))
            named = [(kind, book.name) for book in self._closed if book.period == kind]
            out.extend(sorted(named, key=lambda pair: _order(pair[1]), reverse=True))
        return out

    def book(self, kind: int, name: str) -> Book | None:
        """A closed period by its file name, or `current`; None when there is none."""
        mine = [book for book in self._closed if book.period == kind]
        if name != "current":
            return next((book for book in mine if book.name == name), None)
        if self._played and self._played.period == kind:
            return running(self._played, self._shown)
        return following(max(mine, key=lambda book: _order(book.name))) if mine else None


def _written(book: Book) -> list[datetime]:
    """When each piece entered the log, as far as dates can say: never before the piece in front of it."""
    out: list[datetime] = []
    latest = datetime.min
    for one in book.pieces:
        found = _TIME.search(one.data)
        if found:
            latest = max(latest, datetime.fromisoformat(found[1].decode()))
        out.append(latest)
    return out


def _order(name: str) -> tuple[str, int]:
    date, _, number = name.partition(".")
    return date, int(number) if number.isdigit() else 0
