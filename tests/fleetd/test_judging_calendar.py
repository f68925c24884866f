"""The calendar reads without colour, in 100 columns, for one store and for fifty."""

from dataclasses import replace
from datetime import date, timedelta

from fleetd.ledger.calendar import COLUMNS, LEGEND, render
from fleetd.ledger.days import judge
from fleetd.ledger.verdict import DayVerdict, Missing
from tests.fleetd.genuine import CLOSED_MS, DAYS, day

LOST = Missing("101", "1014454", "1014454", 1, "2026-07-17T07:02:00-04:00", "2026-07-17T07:10:00-04:00", (7,))


def verdict(store: str, day: str, status: str = "complete", cents: int | None = 0, **fields: object) -> DayVerdict:
    whole = DayVerdict(store, day, "daily:1", status, 5000, 3766, cents, 9, 9, (), (), 0, ())
    return replace(whole, **fields)  # type: ignore[arg-type]


def month(store: str = "0042") -> list[DayVerdict]:
    return [verdict(store, (date(2026, 6, 29) + timedelta(days=n)).isoformat()) for n in range(28)]


def row(lines: list[str], start: str) -> list[str]:
    return next(line for line in lines if start in line).split(start)[1].split()


def test_one_store_has_a_row_for_each_week_from_monday_to_sunday() -> None:
    lines = list(render(reversed(month())))
    assert lines[0].split() == ["week", "of", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    assert [line.split()[-8] for line in lines[1:5]] == ["2026-06-29", "2026-07-06", "2026-07-13", "2026-07-20"]
    assert [line[:4] for line in lines[1:5]] == ["0042", "    ", "    ", "    "]
    assert all(line.split()[-7:] == ["ok"] * 7 for line in lines[1:5])
    assert lines[5:] == ["", *LEGEND], "a complete month needs no explanation"


def test_every_status_has_its_mark_and_a_short_day_its_amount() -> None:
    days = [
        verdict("0042", "2026-07-13", "short", -123_456_78, missing=(LOST,), reasons=("short by 123,456.78",)),
        verdict("0042", "2026-07-14", "short", 0, missing=(LOST,)),
        verdict("0042", "2026-07-15", "over", 105),
        verdict("0042", "2026-07-16", "late", 0, late=3),
        verdict("0042", "2026-07-17", "unknown", None),
        verdict("0042", "2026-07-19", "open", None, reasons=("not closed yet",)),
    ]
    lines = list(render(days))
    assert row(lines, "2026-07-13") == ["-123,456", "lost", "1", "+1.05", "late", "?", ".", "open"]
    assert "    101: 1 ticket missing, number 1014454, 07:02-07:10" in lines
    assert "    3 tickets came long after the close" in lines
    assert not [line for line in lines if "2026-07-19" in line], "an open day alone needs no explanation"


def test_a_genuine_day_short_by_one_ticket_says_what_and_where() -> None:
    evidence = day(DAYS[0])
    place = next(n for n, one in enumerate(evidence.tickets) if one.ticket.number == "1014446")
    gone = replace(evidence, tickets=evidence.tickets[:place] + evidence.tickets[place + 1 :])
    lines = list(render([judge(gone, CLOSED_MS), judge(day(DAYS[1]), CLOSED_MS)]))
    assert row(lines, "2026-07-13") == [".", ".", ".", "-7.19", "ok", ".", "."]
    assert "    101: 1 ticket missing, number 1014446, 06:07-06:15" in lines
    assert "0042  Thu 2026-07-16  daily:311  short  11,981.39 of 11,988.58 arrived" in lines


def test_fifty_stores_fit_a_row_each() -> None:
    days = [verdict(f"store-{n:04}-with-a-long-name", f"2026-07-{d}") for n in range(50) for d in range(13, 20)]
    lines = list(render(days))
    assert sum(line.split()[-7:] == ["ok"] * 7 for line in lines) == 50
    assert len(lines) < 60


def test_no_line_is_wider_than_the_page() -> None:
    wide = verdict(
        "store-with-a-very-long-name-indeed",
        "2026-07-13",
        "short",
        -(10**14),
        pos_cents=10**15,
        period="file:with-a-name-as-long-as-a-path-may-be.xml",
        reasons=("word " * 60,),
        missing=(replace(LOST, register="", candidates=tuple(str(n) for n in range(900, 950))),),
    )
    lines = list(render([wide, verdict("0042", "no date", "unknown", None), *month()]))
    assert max(map(len, lines)) <= COLUMNS
    assert any("no date" in line for line in lines)


def test_a_days_own_period_is_shown_before_its_shifts_and_else_the_worst() -> None:
    days = [
        verdict("0042", "2026-07-13", "short", -100, period="shift:8"),
        verdict("0042", "2026-07-13", "complete", period="daily:1"),
        verdict("0042", "2026-07-14", "complete", period="shift:9"),
        verdict("0042", "2026-07-14", "short", -200, period="shift:10"),
    ]
    assert row(list(render(days)), "2026-07-13")[:2] == ["ok", "-2.00"]
