"""The calendar of business days as plain text: what is proven, what is missing. Pure."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta

from fleetd.ledger.verdict import COMPLETE, LATE, OPEN, OVER, SHORT, UNKNOWN, DayVerdict, described, money

COLUMNS = 100
CELL, NARROW_CELL = 10, 7  # `-1,234.50`; `lost 12`, where long names of stores need the room
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONDAY = 10  # an ISO date
WORST_FIRST = (SHORT, OVER, UNKNOWN, OPEN, LATE, COMPLETE)
LEGEND = (
    "ok  complete: money equal, nothing missing      late  the same, but it came long after the close",
    "-1.23  short by that much                       lost 2  tickets missing that carry no money",
    "+1.23  more arrived than the POS says           open  not closed yet     ?  no total to prove it by",
    ".  nothing arrived",
)


def render(verdicts: Iterable[DayVerdict]) -> Iterator[str]:
    """Lines of at most 100 columns: a row per store and week from Monday to Sunday, a legend, then every day that is
    not complete with its reasons. Several verdicts of a day: its daily period's, or the worst. A name too long
    for any column has a line of its own above its weeks: stores are often told by the ends of their names."""
    shown = _one_a_day(verdicts)
    dated = {key: verdict for key, verdict in shown.items() if _date(key[1])}
    cell, column = _widths(store for store, _ in dated)
    yield f"{'':{column}} {'week of':<{MONDAY}} " + " ".join(f"{name:>{cell}}" for name in WEEKDAYS)
    previous = ""
    for store, monday in sorted({(store, _monday(day)) for store, day in dated}):
        days = [(monday + timedelta(days=n)).isoformat() for n in range(7)]
        cells = " ".join(f"{_cell(dated.get((store, day)), cell):>{cell}}" for day in days)
        name = store if store != previous else ""
        if len(name) > column:
            yield name
            name = ""
        yield f"{name:<{column}} {monday.isoformat()} {cells}"
        previous = store
    yield ""
    yield from LEGEND
    for key in sorted(shown):
        if shown[key].status != COMPLETE:
            yield from _details(shown[key])


def _widths(stores: Iterable[str]) -> tuple[int, int]:
    """Of a day's cell and of the stores' column, which takes what the longest name needs, as far as there is room."""
    longest = max(map(len, stores), default=0)
    room = COLUMNS - MONDAY - 1 - len(WEEKDAYS)  # the rest are blanks between
    cell = min(CELL, max(NARROW_CELL, (room - longest) // len(WEEKDAYS)))
    return cell, room - cell * len(WEEKDAYS)


def _one_a_day(verdicts: Iterable[DayVerdict]) -> Mapping[tuple[str, str], DayVerdict]:
    shown: dict[tuple[str, str], DayVerdict] = {}
    for verdict in verdicts:
        key = (verdict.store, verdict.business_day)
        if key not in shown or _rank(verdict) < _rank(shown[key]):
            shown[key] = verdict
    return shown


def _rank(verdict: DayVerdict) -> tuple[bool, int]:
    return not verdict.period.startswith("daily"), WORST_FIRST.index(verdict.status)


def _cell(verdict: DayVerdict | None, width: int) -> str:
    if verdict is None:
        return "."
    if verdict.status in (SHORT, OVER):
        if verdict.difference_cents:
            return _amount(verdict.difference_cents, width)
        return f"lost {sum(lost.count for lost in verdict.missing) or '?'}"
    return {COMPLETE: "ok", UNKNOWN: "?"}.get(verdict.status, verdict.status)


def _amount(cents: int, width: int) -> str:
    """With its sign; without its cents, or in millions, where it would not fit."""
    sign, whole = "-" if cents < 0 else "+", abs(cents) // 100
    fitting = (f"{sign}{money(abs(cents))}", f"{sign}{whole:,}", f"{sign}{whole // 1_000_000}M")
    return next((text for text in fitting if len(text) <= width), sign)


def _details(verdict: DayVerdict) -> Iterator[str]:
    lines = [*verdict.reasons, *(described(lost) for lost in verdict.missing)]
    if verdict.late:
        lines.append(f"{verdict.late} ticket{'' if verdict.late == 1 else 's'} came long after the close")
    if verdict.status == OPEN and len(lines) <= 1:
        return  # it is open, and that is all there is to say
    day = _date(verdict.business_day)
    pos = "" if verdict.pos_cents is None else f" of {money(verdict.pos_cents)}"
    yield ""
    head = (
        f"{verdict.store}  {f'{day:%a} {day}' if day else 'no date'}  {verdict.period[:24]}"
        f"  {verdict.status}  {money(verdict.ledger_cents)}{pos} arrived"
    )
    yield from textwrap.wrap(head, COLUMNS, subsequent_indent="  ") if len(head) > COLUMNS else [head]
    for line in lines:
        yield from textwrap.wrap(line, COLUMNS, initial_indent="    ", subsequent_indent="      ")


def _monday(day: str) -> date:
    found = date.fromisoformat(day)
    return found - timedelta(days=found.weekday())


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
