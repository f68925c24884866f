"""Which days to ask of a POS again, and when to ask again after that. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from fleetd.ledger.risk import Window
from fleetd.ledger.verdict import OVER, SHORT, UNKNOWN, DayVerdict

FIRST_WAIT_MS = 15 * 60_000  # as often as a Commander should be pulled: each pull is written into its own log
LAST_WAIT_MS = 24 * 3_600_000  # a day that the POS does not give today it may give after its next close
PERIODS = ("daily", "shift")  # they carry totals, so one without is one that did not arrive whole


@dataclass(frozen=True, slots=True)
class Wanted:
    """A backfill to order from a source: its business days first_day to last_day, ISO dates, both included."""

    source: str
    first_day: str
    last_day: str


def wanted(
    verdicts: Iterable[tuple[str, DayVerdict]], windows: Mapping[str, Window], now_ms: int
) -> tuple[Wanted, ...]:
    """What to order of one store from (source, verdict) pairs, adjacent days in one order, oldest first per source.

    A day is wanted if something of it is missing, or if nothing of it arrived at all though days before and after it
    did. Nothing older than the source's window is, no absent day that is yet to come, nor anything of a source that
    has no window.
    """
    days: dict[str, dict[date, list[DayVerdict]]] = {}
    for source, verdict in verdicts:
        if (day := _date(verdict.business_day)) is not None:
            days.setdefault(source, {}).setdefault(day, []).append(verdict)
    today = datetime.fromtimestamp(now_ms / 1000, UTC).date()
    return tuple(
        Wanted(source, first.isoformat(), last.isoformat())
        for source in sorted(days)
        if source in windows and windows[source].days
        for first, last in _runs(sorted(_wanted_days(days[source], today, windows[source])))
    )


def next_attempt_ms(attempts: int, last_ms: int) -> int:
    """When to order a day again that was ordered `attempts` times, the last time at last_ms: at once if never, then
    after a quarter of an hour, doubled each time up to a day."""
    if attempts <= 0:
        return last_ms
    # 2^7 quarter hours are past a day; the bound keeps the power small after months
    return last_ms + min(LAST_WAIT_MS, FIRST_WAIT_MS << min(attempts - 1, 7))


def _wanted_days(known: Mapping[date, list[DayVerdict]], today: date, window: Window) -> Iterator[date]:
    oldest, tomorrow = today - timedelta(days=window.days), today + timedelta(days=1)  # a store may be a day ahead
    yield from (day for day, told in known.items() if day >= oldest and any(map(_is_wanted, told)))
    for before, after in pairwise(sorted(known)):
        low, high = max(before + timedelta(days=1), oldest), min(after - timedelta(days=1), tomorrow)
        yield from (low + timedelta(days=n) for n in range((high - low).days + 1))


def _is_wanted(verdict: DayVerdict) -> bool:
    if verdict.status in (OVER, UNKNOWN):
        is_headless = verdict.status == UNKNOWN and verdict.period.startswith(PERIODS)
        return bool(verdict.missing) or is_headless
    return verdict.status == SHORT


def _runs(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    run: tuple[date, date] | None = None
    for day in days:
        if run and day - run[1] <= timedelta(days=1):
            run = (run[0], day)
            continue
        if run:
            yield run
        run = (day, day)
    if run:
        yield run


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
