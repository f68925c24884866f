"""Documents judged and the verdicts kept: what the calendar, the orders and the exit codes are made of."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from fleetd.ledger import days
from fleetd.ledger.clocks import Redating
from fleetd.ledger.evidence import beside, kind_of, of_document
from fleetd.ledger.verdict import COMPLETE, LATE, UNKNOWN, DayVerdict, Missing

SETTLED = (COMPLETE, LATE)
_INCOMPLETE = """
SELECT record_no FROM document c WHERE c.missing > 0 AND c.device_no = ? AND c.source = ?
    AND EXISTS (SELECT 1 FROM run r WHERE r.document_no = c.record_no AND r.epoch = ? AND r.last >= ? AND r.first <= ?)
"""
_KEEP = """
INSERT INTO day VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (device_no, source, name) DO UPDATE SET document_no = excluded.document_no, period = excluded.period,
    business_day = excluded.business_day, status = excluded.status, verdict = excluded.verdict,
    opened_ms = excluded.opened_ms, closed_ms = excluded.closed_ms, is_settled = excluded.is_settled
WHERE document_no = excluded.document_no
    OR excluded.document_no > document_no AND (?12 OR NOT is_settled)
    OR (SELECT missing FROM document WHERE record_no = day.document_no) > 0
"""  # the latest whole reading counts; one that is not whole takes nothing from a day that is settled


@dataclass(frozen=True, slots=True)
class JudgedDay:
    """A verdict as it is kept. `unread` counts records of the document that are set aside."""

    device: str
    source: str
    name: str
    kind: str
    verdict: DayVerdict
    missing_records: int
    unread: int
    opened_ms: int | None
    closed_ms: int | None
    document_no: int
    received_ms: int


def judge(
    db: sqlite3.Connection,
    documents: Iterable[int],
    touched: Mapping[tuple[int, str, int], tuple[int, int]],
    now_ms: int,
) -> None:
    """Inside the follower's transaction: judge new documents, and incomplete ones that more may have arrived for.

    touched: (device, source, epoch) to the lowest and the highest sequence number that arrived: a document that names
    none of them can say nothing new.
    """
    wanted = dict.fromkeys(documents)
    for place, span in touched.items():
        wanted |= dict.fromkeys(number for (number,) in db.execute(_INCOMPLETE, (*place, *span)))
    _judge_all(db, sorted(wanted), now_ms)


def judge_again(db: sqlite3.Connection, sources: Iterable[tuple[int, str]], now_ms: int) -> None:
    """Judge every document of these (device, source) that is not settled."""
    select = """SELECT c.record_no FROM document c LEFT JOIN day d
                ON d.device_no = c.device_no AND d.source = c.source AND d.name = c.name
                WHERE c.device_no = ? AND c.source = ? AND (c.missing > 0 OR coalesce(d.is_settled, 0) = 0)"""
    _judge_all(db, [number for place in sources for (number,) in db.execute(select, place)], now_ms)


def judged(db: sqlite3.Connection, device_no: int, first_day: str = "", last_day: str = "9") -> Iterator[JudgedDay]:
    """By business day, then name."""
    select = """SELECT v.id, d.source, d.name, d.period, d.verdict, c.missing, d.opened_ms, d.closed_ms,
                       c.record_no, c.received_ms
                FROM day d JOIN device v ON v.no = d.device_no JOIN document c ON c.record_no = d.document_no
                WHERE d.device_no = ? AND d.business_day BETWEEN ? AND ? ORDER BY d.business_day, d.name"""
    for device, source, name, kind, told, missing, *times in db.execute(select, (device_no, first_day, last_day)):
        said = json.loads(told)
        yield JudgedDay(device, source, name, kind, _verdict(said), missing, said["unread"], *times)


def _judge_all(db: sqlite3.Connection, documents: Iterable[int], now_ms: int) -> None:
    """A complete period closes an edge of the periods next to it: what they lack can be told better then."""
    dates = Redating(db)
    bounded: dict[int, None] = {}
    for document_no in documents:
        bounded |= dict.fromkeys(_judge_one(db, document_no, dates, now_ms))
    for document_no in bounded:
        _judge_one(db, document_no, dates, now_ms)


def _judge_one(db: sqlite3.Connection, document_no: int, dates: Redating, now_ms: int) -> list[int]:
    """The documents that gain an edge by it. A file is a piece of a day, not a period: of it only what is missing is
    noted."""
    gathered = of_document(db, document_no, dates)
    db.execute("UPDATE document SET missing = ? WHERE record_no = ?", (gathered.missing, document_no))
    evidence = gathered.evidence
    device_no, source = db.execute(
        "SELECT device_no, source FROM document WHERE record_no = ?", (document_no,)
    ).fetchone()
    if kind_of(evidence.document) == "file":
        return []
    verdict = days.judge(evidence, now_ms)
    day = verdict.business_day or evidence.document.partition("/")[2][:10]
    told = json.dumps({**asdict(verdict), "business_day": day, "unread": gathered.unread})
    sides = [side for side in (evidence.start, evidence.end) if side]  # the start has the head's facts
    opened = next((found for side in sides if (found := moment(side.opened))), None)
    closed = next((found for side in sides if (found := moment(side.closed))), None)
    key = (device_no, source, evidence.document, document_no, evidence.kind, day)
    is_settled = verdict.status in SETTLED
    is_whole = not gathered.missing and verdict.status != UNKNOWN
    db.execute(_KEEP, (*key, verdict.status, told, opened, closed, is_settled, is_whole))
    neighbours = beside(db, device_no, source, evidence.document) if is_settled else ()
    return [one.document_no for one in neighbours if one and not one.is_settled]


def moment(text: str) -> int | None:
    """UTC milliseconds of an ISO time with offset; None for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(found.timestamp() * 1000) if found.tzinfo else None


def _verdict(said: dict[str, Any]) -> DayVerdict:
    fields = {name: value for name, value in said.items() if name != "unread"}
    missing = tuple(
        Missing(**{**one, "hours": tuple(one["hours"]), "candidates": tuple(one["candidates"])})
        for one in fields["missing"]
    )
    by_register = tuple((register, tickets, cents) for register, tickets, cents in fields["by_register"])
    return DayVerdict(**{**fields, "missing": missing, "by_register": by_register, "reasons": tuple(fields["reasons"])})
