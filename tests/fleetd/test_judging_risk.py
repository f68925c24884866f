"""When a gap can no longer be healed, and which days are asked for again before that."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from fleetd.ledger.orders import FIRST_WAIT_MS, LAST_WAIT_MS, Wanted, next_attempt_ms, wanted
from fleetd.ledger.risk import PROGRAMMES, WINDOWS, Window, assess, due_ms, gone_ms
from fleetd.ledger.verdict import DayVerdict, Missing

DAY_MS = 86_400_000
LOST = Missing("101", "1014454", "1014455", 2, "", "", ())


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def verdict(day: str, status: str = "short", cents: int | None = -1234, **fields: object) -> DayVerdict:
    whole = DayVerdict("0042", day, "daily:1", status, 5000, 3766, cents, 9, 9, (), (LOST,), 0, ())
    return replace(whole, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "day", "due"),
    [
        ("Altria", "2026-07-11", "2026-07-13T23:59-04:00"),  # a Saturday ends its week
        ("Altria", "2026-07-12", "2026-07-20T23:59-04:00"),  # the Sunday after it begins the next
        ("RJRT", "2026-07-12", "2026-07-15T17:00-04:00"),  # a Sunday ends its week
        ("RJRT", "2026-07-13", "2026-07-22T17:00-04:00"),
        ("ITG", "2026-07-19", "2026-07-22T17:00-04:00"),
        ("RJRT", "2026-10-26", "2026-11-04T17:00-05:00"),  # the clocks went back on Sunday
    ],
)
def test_a_programmes_week_closes_when_its_text_says(name: str, day: str, due: str) -> None:
    [programme] = [one for one in PROGRAMMES if one.name == name]
    assert due_ms(programme, date.fromisoformat(day)) == ms(due)


def test_what_the_pos_overwrites_is_counted_from_the_stores_midnight() -> None:
    [risk] = assess([verdict("2026-11-15")], pos="passport", zone="America/Denver", now_ms=ms("2026-11-20T20:00-07:00"))
    assert risk.gone_ms == ms("2026-11-23T00:00-07:00")
    assert (risk.cents, risk.tickets, risk.is_gone) == (1234, 2, False)
    assert [name for name, _ in risk.deadlines] == ["RJRT", "ITG", "Altria"]
    assert (risk.first, risk.first_ms) == ("overwritten", risk.gone_ms)


def test_what_comes_first_is_the_next_that_has_not_passed() -> None:
    [risk] = assess([verdict("2026-07-11")], pos="commander", zone="America/New_York", now_ms=ms("2026-07-12T00:00Z"))
    assert (risk.first, risk.first_ms) == ("Altria", ms("2026-07-13T23:59-04:00"))
    [later] = assess([verdict("2026-07-11")], pos="commander", zone="America/New_York", now_ms=risk.first_ms or 0)
    assert later.first == "ITG"
    [gone] = assess([verdict("2026-07-11")], pos="commander", zone="America/New_York", now_ms=ms("2026-12-01T00:00Z"))
    assert (gone.first, gone.first_ms, gone.is_gone) == ("", None, True)


def test_a_pos_without_backfill_has_lost_it_when_the_day_ends_at_the_latest() -> None:
    now_ms = ms("2026-07-11T12:00Z")
    [risk] = assess([verdict("2026-07-11")], pos="clover", zone="America/New_York", now_ms=now_ms)
    assert risk.is_gone
    [unknown] = assess([verdict("2026-07-11")], pos="other", zone="America/New_York", now_ms=now_ms)
    assert (unknown.gone_ms, unknown.is_gone) == (None, False)


def test_only_gaps_are_at_risk_and_the_soonest_comes_first() -> None:
    verdicts = [
        verdict("2026-07-20"),
        verdict("2026-07-13"),
        verdict("2026-07-14", "complete", 0, missing=()),
        verdict("2026-07-15", "open", None),
        verdict("2026-07-16", "unknown", None, missing=()),
        verdict("2026-07-12", "unknown", None),
        verdict("2026-07-18", "over", 500),
        verdict(""),
    ]
    risks = assess(verdicts, pos="commander", zone="America/New_York", now_ms=ms("2026-07-12T12:00Z"))
    assert [risk.business_day for risk in risks] == ["2026-07-12", "2026-07-13", "2026-07-18", "2026-07-20"]
    assert [risk.cents for risk in risks] == [None, 1234, 0, 1234]


def test_every_window_and_programme_names_its_source() -> None:
    assert all(window.source for window in WINDOWS.values())
    assert all(programme.source for programme in PROGRAMMES)
    assert gone_ms("passport", date(2026, 7, 1), UTC) == ms("2026-07-09T00:00Z")  # type: ignore[arg-type]


def test_adjacent_days_are_one_order_and_complete_days_none() -> None:
    days = [
        *(("commander", verdict(f"2026-07-{day:02}")) for day in (11, 3, 4, 5)),
        *(("commander", verdict(f"2026-07-{day:02}", "complete", 0, missing=())) for day in (6, 7, 8, 9, 10, 12)),
        ("folder", verdict("2026-07-11")),
    ]
    assert wanted(days, {"commander": Window(91, ""), "folder": Window(7, "")}, ms("2026-07-13T12:00Z")) == (
        Wanted("commander", "2026-07-03", "2026-07-05"),
        Wanted("commander", "2026-07-11", "2026-07-11"),
        Wanted("folder", "2026-07-11", "2026-07-11"),
    )


def test_nothing_is_ordered_that_the_pos_no_longer_has() -> None:
    days = [("pos", verdict(f"2026-07-{day:02}")) for day in range(1, 12)]
    now_ms = ms("2026-07-13T12:00Z")
    assert wanted(days, {"pos": Window(7, "")}, now_ms) == (Wanted("pos", "2026-07-06", "2026-07-11"),)
    assert wanted(days, {"pos": Window(0, "")}, now_ms) == ()
    assert wanted(days, {}, now_ms) == ()


def test_a_day_between_others_of_which_nothing_arrived_is_ordered() -> None:
    days = [("pos", verdict(f"2026-07-{day:02}", "complete", 0, missing=())) for day in (1, 8, 12)]
    got = wanted(days, {"pos": Window(7, "")}, ms("2026-07-13T12:00Z"))
    assert got == (Wanted("pos", "2026-07-06", "2026-07-07"), Wanted("pos", "2026-07-09", "2026-07-11"))


@pytest.mark.parametrize(
    ("fields", "is_ordered"),
    [
        ({"status": "open", "cents": None}, False),
        ({"status": "late", "cents": 0, "missing": ()}, False),
        ({"status": "over", "cents": 500, "missing": ()}, False),
        ({"status": "over", "cents": 500}, True),
        ({"status": "short", "cents": 0, "missing": ()}, True),
        ({"status": "unknown", "cents": None, "missing": ()}, True),
        ({"status": "unknown", "cents": None, "missing": (), "period": "journal"}, False),
    ],
)
def test_what_is_ordered_is_what_a_second_reading_can_heal(fields: dict[str, object], is_ordered: bool) -> None:
    days = [("pos", verdict("2026-07-11", **fields))]  # type: ignore[arg-type]
    assert bool(wanted(days, {"pos": Window(7, "")}, ms("2026-07-13T12:00Z"))) == is_ordered


def test_attempts_come_less_and_less_often_and_never_stop() -> None:
    waits = [next_attempt_ms(attempts, 1_000) - 1_000 for attempts in (0, 1, 2, 3, 7, 8, 400)]
    assert waits == [0, FIRST_WAIT_MS, 2 * FIRST_WAIT_MS, 4 * FIRST_WAIT_MS, 64 * FIRST_WAIT_MS, DAY_MS, LAST_WAIT_MS]
