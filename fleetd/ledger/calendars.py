"""The days of stores, gathered for the calendar: verdicts that are kept, and those on days no document proves."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta

from fleetd.ledger import days, verdicts
from fleetd.ledger.clocks import devices
from fleetd.ledger.evidence import of_day
from fleetd.ledger.verdict import LATE, OPEN, OVER, SHORT, DayVerdict

PROVES_NOTHING = (SHORT, OVER, LATE)
_DAYS = "SELECT DISTINCT day FROM ticket WHERE device_no = ? AND source = ? AND day BETWEEN ? AND ? ORDER BY day"


@dataclass(frozen=True, slots=True)
class Day:
    """A verdict, with the router and the source it was made from. document: the name of the one that closed the day,
    "" for none; unread: records of it that are set aside."""

    device: str
    source: str
    document: str
    verdict: DayVerdict
    unread: int = 0

    @property
    def is_trouble(self) -> bool:
        return self.verdict.status in PROVES_NOTHING or bool(self.verdict.missing)


@dataclass(frozen=True, slots=True)
class Known:
    """A store and its first and last business day of which anything is known, "" twice for none."""

    store: str
    first: str
    last: str


def known(db: sqlite3.Connection, *, device: str = "", store: str = "") -> list[Known]:
    """All stores asked for, by name."""
    select = """SELECT v.store, coalesce(min(k.day), ''), coalesce(max(k.day), '') FROM device v LEFT JOIN (
                    SELECT device_no, day FROM ticket WHERE day != ''
                    UNION ALL SELECT device_no, business_day FROM day WHERE business_day != ''
                ) k ON k.device_no = v.no
                WHERE ? IN ('', v.id) AND ? IN ('', v.store) GROUP BY v.store ORDER BY v.store"""
    return [Known(*row) for row in db.execute(select, (device, store))]


def of_stores(
    db: sqlite3.Connection, *, device: str = "", store: str = "", first: str = "", last: str = "9", now_ms: int
) -> list[Day]:
    """What is known of each business day from `first` to `last`: of a store whose POS closes periods its documents and
    what stands open behind them, of another what its tickets say."""
    found: list[Day] = []
    for device_no, name, shop, _ in devices(db, device, store):
        sources = [row[0] for row in db.execute("SELECT DISTINCT source FROM stream WHERE device_no = ?", (device_no,))]
        for one in verdicts.judged(db, device_no, first, last):
            told = replace(one.verdict, store=shop)
            found.append(Day(name, one.source, one.name, told, one.unread))
        for source in sources:
            closed = _last_close(db, device_no, source)
            for (day,) in db.execute(_DAYS, (device_no, source, max(first, closed), last)).fetchall():
                if day and (not closed or day > closed):
                    found.append(_undocumented(db, (device_no, name, shop, source), day, now_ms, is_open=bool(closed)))
    return _one_account(found)


def _undocumented(
    db: sqlite3.Connection, place: tuple[int, str, str, str], day: str, now_ms: int, *, is_open: bool
) -> Day:
    """A day that no document closes. Behind the last close of a POS that closes periods it is open."""
    device_no, device, store, source = place
    verdict = days.judge(of_day(db, device_no, store, source, day), now_ms)
    if is_open:
        verdict = replace(verdict, status=OPEN, business_day=day, missing=(), reasons=("not closed yet",))
    return Day(device, source, "", replace(verdict, business_day=day))


def _last_close(db: sqlite3.Connection, device_no: int, source: str) -> str:
    """The last business day that a document of the source closed, "" if there is none."""
    select = "SELECT coalesce(max(business_day), '') FROM day WHERE device_no = ? AND source = ?"
    return str(db.execute(select, (device_no, source)).fetchone()[0])


def _one_account(found: Iterable[Day]) -> list[Day]:
    """Of a store's day the account that can prove most: daily periods, then shifts, then what one of them will close,
    then what only tickets say."""
    best: dict[tuple[str, str], int] = {}
    ranked = [(one, _rank(one)) for one in found]
    for one, rank in ranked:
        key = (one.verdict.store, one.verdict.business_day)
        best[key] = min(rank, best.get(key, rank))
    return [one for one, rank in ranked if rank == best[one.verdict.store, one.verdict.business_day]]


def _rank(one: Day) -> int:
    kind = one.verdict.period.partition(":")[0].partition("/")[0]
    return {"daily": 0, "shift": 1}.get(kind, 2 if one.verdict.status == OPEN else 3)


def weeks_back(now_ms: int, weeks: int) -> str:
    """The Monday that many weeks before the one of `now_ms`, as an ISO date."""
    today = date(1970, 1, 1) + timedelta(milliseconds=now_ms)
    return (today - timedelta(days=today.weekday() + 7 * weeks)).isoformat()
