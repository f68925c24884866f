"""The follower: reads stored records in order of arrival and writes the book, a short transaction at a time.

A transaction holds the rows and the position they bring the book to, so a crash anywhere costs a repetition and
nothing else. Several may follow one book (fleetd and `fleetctl reprocess`): whoever finds that the position moved
while it was reading drops what it read.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from fleetd.ledger import backfill, schema, verdicts
from fleetd.ledger.entries import Entries
from fleetd.ledger.reading import Decode, read
from fleetd.store import Store, StoredRecord

MAX_RECORDS = 1000  # in one transaction: a busy hour of one store, a quarter of a second of work
MAX_BYTES = 4 << 20  # of records in one transaction


class Follower:
    """One reader of `store` and writer of `book`. Belongs to one thread; the decoder is pure and comes in."""

    def __init__(self, book: sqlite3.Connection, store: Store, decode: Decode, now_ms: Callable[[], int]) -> None:
        self._book = book
        self._store = store
        self._decode = decode
        self._now_ms = now_ms

    def step(self) -> int:
        """Read what comes next; how many records that were, 0 when there are none. Raises sqlite3.Error and
        TransientError: nothing of the step is written then."""
        if (position := self.position()) > self._store.last_record():
            self.forget()  # a database that was restored from an older copy holds other records under these numbers
            position = 0
        batch = list(_batch(self._store.records_after(position)))
        if not batch:
            return 0
        outcomes = [(stored, () if stored.copy_of else read(stored.record.draft, self._decode)) for stored in batch]
        with transaction(self._book):
            if self.position() != position:
                return len(batch)
            entries = Entries(self._book, {device.id: device for device in self._store.devices()})
            for stored, outcome in outcomes:
                entries.take(stored, outcome)
            entries.finish(batch[-1].no)
            verdicts.judge(self._book, entries.documents, entries.touched, self._now_ms())
            if batch[-1].no == self._store.last_record():  # orders given halfway would be for what is read next
                backfill.revise(self._book, {device_no for device_no, _, _ in entries.touched}, self._now_ms())
        return len(batch)

    def position(self) -> int:
        """The last record that was read."""
        return int(self._book.execute("SELECT no FROM position").fetchone()[0])

    def read_again(self) -> Iterator[tuple[StoredRecord, str]]:
        """Decode once more what is set aside; each with what it gives now: "" or the code of what is still wrong."""
        waiting = [number for (number,) in self._book.execute("SELECT record_no FROM undecodable ORDER BY record_no")]
        for number in waiting:
            stored = next(self._store.records_after(number - 1), None)
            if stored is None or stored.no != number:
                continue
            outcome = read(stored.record.draft, self._decode)
            with transaction(self._book):
                if not self._book.execute("SELECT 1 FROM undecodable WHERE record_no = ?", (number,)).fetchone():
                    continue
                entries = Entries(self._book, {device.id: device for device in self._store.devices()})
                entries.again(stored, outcome)
                entries.finish(self.position())
                verdicts.judge(self._book, entries.documents, {}, self._now_ms())
                sources = {(device_no, source) for device_no, source, _ in entries.touched}
                verdicts.judge_again(self._book, sources, self._now_ms())
            yield stored, getattr(outcome, "code", "")

    def forget(self) -> None:
        """Empty the book, so that the next steps write it anew."""
        with transaction(self._book):
            schema.empty(self._book)


def _batch(found: Iterable[StoredRecord]) -> Iterator[StoredRecord]:
    size = 0
    for count, stored in enumerate(found, 1):
        yield stored
        size += len(stored.record.draft.data)
        if count == MAX_RECORDS or size >= MAX_BYTES:
            return


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
