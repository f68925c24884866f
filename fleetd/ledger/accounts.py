"""The two accounts of a store that a witness lays side by side: journals, and what can be read again."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from fleetd.ledger.clocks import Redating
from fleetd.ledger.evidence import TICKET, held_ticket
from fleetd.ledger.verdict import HeldTicket

_OF_STORE = """
WHERE device_no IN (SELECT no FROM device WHERE store = ?1) AND superseded_by IS NULL AND pos_time != ''
AND EXISTS (SELECT 1 FROM document c WHERE c.device_no = ticket.device_no AND c.source = ticket.source) = ?2
"""
_DAYS = "AND day BETWEEN ?3 AND ?4"
_BEGINS = f"SELECT register, min(pos_time) FROM ticket {_OF_STORE} GROUP BY register"  # noqa: S608  constants
_TICKETS_SPAN = f"SELECT min(pos_time), max(pos_time) FROM ticket {_OF_STORE}"  # noqa: S608  constants
_MARKERS_SPAN = """
SELECT min(m.pos_time), max(m.pos_time) FROM marker m JOIN device d ON d.no = m.device_no
WHERE d.store = ? AND m.pos_time != ''
"""


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the sources of a store say of the same days: those that say everything once (journals), and those whose
    documents can be read again. begins: the first ticket of each register that a journal ever told; book_begin,
    book_end: the first and the last record of the documents; all POS local times, ISO 8601, "" where there is none."""

    journal: tuple[HeldTicket, ...]
    book: tuple[HeldTicket, ...]
    begins: Mapping[str, str]
    book_begin: str
    book_end: str


def of_store(db: sqlite3.Connection, store: str, first_day: str, last_day: str) -> Accounts:
    """Whichever of its routers sent them. A ticket without a time is in neither: it has no day."""
    dates = Redating(db)
    sides = []
    for is_documented in (False, True):
        rows = db.execute(f"{TICKET} {_OF_STORE} {_DAYS}", (store, is_documented, first_day, last_day)).fetchall()
        sides.append(tuple(held_ticket(db, row, dates) for row in rows))
    begins = dict(db.execute(_BEGINS, (store, False)))
    begin, end = db.execute(_TICKETS_SPAN, (store, True)).fetchone()
    low, high = db.execute(_MARKERS_SPAN, (store,)).fetchone()
    times = sorted(time for time in (begin, end, low, high) if time)
    return Accounts(sides[0], sides[1], begins, *(times[0], times[-1]) if times and begin else ("", ""))
