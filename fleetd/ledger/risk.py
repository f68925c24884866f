"""What a gap still costs, and until when it can be healed. Pure.

Two clocks run against a gap: the POS overwrites what it kept, and the week of each scan-data programme closes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from fleetd.ledger.verdict import OVER, SHORT, UNKNOWN, DayVerdict

EASTERN = "America/New_York"
SUNDAY, MONDAY, WEDNESDAY = 6, 0, 2


@dataclass(frozen=True, slots=True)
class Window:
    """For how many days a POS can give a day again; 0 never. source: who says so."""

    days: int
    source: str


WINDOWS: Mapping[str, Window] = MappingProxyType(
    {
        "commander": Window(91, "vtlogpdlist lists about 91 daily and 91 shift periods"),
        "passport": Window(7, "Passport empties BOOutBox about every 7 days; help.skupos.com gives 7 days of backfill"),
        "radiant": Window(7, "help.skupos.com gives 7 days of backfill for NCR"),
        "clover": Window(0, "no t-log on the LAN and no backfill, help.skupos.com 9617224"),
        "journal": Window(0, "a serial journal says everything once"),
    }
)


@dataclass(frozen=True, slots=True)
class Programme:
    """A scan-data programme: its week begins on first_weekday (Monday is 0) and its file is due at due_time in `zone`
    on the first due_weekday after the week's last day. The contract rules; `source` is where this was read."""

    name: str
    first_weekday: int
    due_weekday: int
    due_time: time
    zone: str
    source: str


PROGRAMMES = (
    Programme(
        "Altria",
        SUNDAY,
        MONDAY,
        time(23, 59),
        EASTERN,
        "petrosoftinc.com blog: week Sunday to Saturday, typically Monday 23:59 Eastern; csi.works sends on Tuesday",
    ),
    Programme(
        "RJRT", MONDAY, WEDNESDAY, time(17), EASTERN, "RJRT programme text 2015: week Monday to Sunday, Wednesday 17:00"
    ),
    Programme(
        "ITG",
        MONDAY,
        WEDNESDAY,
        time(17),
        EASTERN,
        "shares RJRT's layout and week; help.skupos.com 8144425 closes then",
    ),
)


@dataclass(frozen=True, slots=True)
class Risk:
    """One day's open gap. cents, tickets: what is missing, None if not known.

    gone_ms: when the POS no longer has it, None if that window is not known; is_gone: that has passed.
    deadlines: (programme, when its week closes), soonest first, past ones included. first, first_ms: what comes next,
    `overwritten` or a programme's name; ("", None) when everything has passed.
    """

    store: str
    business_day: str
    cents: int | None
    tickets: int | None
    gone_ms: int | None
    is_gone: bool
    deadlines: tuple[tuple[str, int], ...]
    first: str
    first_ms: int | None


def assess(
    verdicts: Iterable[DayVerdict],
    *,
    pos: str,
    zone: str,
    now_ms: int,
    programmes: Iterable[Programme] = PROGRAMMES,
) -> tuple[Risk, ...]:
    """The gaps of one store's days, what passes soonest first. pos: a key of WINDOWS, others have no known window;
    zone: the store's, by its tz name (ZoneInfoNotFoundError if there is none such)."""
    programmes = tuple(programmes)
    risks = [_risk(verdict, pos, ZoneInfo(zone), now_ms, programmes) for verdict in verdicts if _is_gap(verdict)]
    return tuple(sorted(risks, key=lambda risk: (risk.first_ms is None, risk.first_ms or 0, risk.business_day)))


def due_ms(programme: Programme, day: date) -> int:
    """When the week that holds `day` closes, in UTC ms."""
    last = day + timedelta(days=(programme.first_weekday - 1 - day.weekday()) % 7)
    due = last + timedelta(days=(programme.due_weekday - last.weekday() - 1) % 7 + 1)
    return _ms(datetime.combine(due, programme.due_time, ZoneInfo(programme.zone)))


def gone_ms(pos: str, day: date, zone: ZoneInfo) -> int | None:
    """When the POS no longer has `day`: its window after the local midnight that ends it, None if not known."""
    window = WINDOWS.get(pos)
    if window is None:
        return None
    return _ms(datetime.combine(day + timedelta(days=1 + window.days if window.days else 0), time(), zone))


def _is_gap(verdict: DayVerdict) -> bool:
    has_day = len(verdict.business_day) == len("2026-07-17")
    return has_day and (verdict.status == SHORT or (verdict.status in (OVER, UNKNOWN) and bool(verdict.missing)))


def _risk(verdict: DayVerdict, pos: str, zone: ZoneInfo, now_ms: int, programmes: tuple[Programme, ...]) -> Risk:
    day = date.fromisoformat(verdict.business_day)
    gone = gone_ms(pos, day, zone)
    deadlines = sorted(((one.name, due_ms(one, day)) for one in programmes), key=lambda one: one[1])
    ends = [*deadlines, *([("overwritten", gone)] if gone is not None else [])]
    ahead = [(when, name) for name, when in ends if when > now_ms]
    first_ms, first = min(ahead, default=(None, ""))
    difference = verdict.difference_cents
    return Risk(
        verdict.store,
        verdict.business_day,
        None if difference is None else max(0, -difference),
        sum(lost.count for lost in verdict.missing) or None,
        gone,
        gone is not None and gone <= now_ms,
        tuple(deadlines),
        first,
        first_ms,
    )


def _ms(when: datetime) -> int:
    return int(when.astimezone(UTC).timestamp() * 1000)
