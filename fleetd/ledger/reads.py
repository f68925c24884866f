"""What can be asked of the book: rows for people, for programs and for the data team. Read as they are wanted."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fleetd.ledger import skew
from fleetd.ledger.clocks import Redating, devices, of_device
from fleetd.ledger.evidence import live_since
from fleetd.tables import Detail
from routerd.model import KIND_NAMES

Row = dict[str, Any]
Readings = dict[tuple[str, str], list[tuple[str, int]]]
"""(POS time, captured time in ms) of tickets by their source and register."""
LINE = (
    "number",
    "kind",
    "description",
    "upc",
    "upc_modifier",
    "entry",
    "department",
    "quantity_milli",
    "unit_price_cents",
    "amount_cents",
    "is_void",
    "is_duplicate",
)
_TICKET = """
SELECT t.store, d.id, t.source, t.epoch, t.seq, t.identity, t.site, t.register, t.number, t.serial, t.kind, t.flags,
       t.pos_time, t.business_day, t.periods, t.total_cents, t.counted_cents, t.is_outside, t.cashier, t.linked,
       t.age_check, t.superseded_by, t.received_ms, t.device_no, t.boot_no, t.mono_ms, t.wall_ms, b.id, t.no AS no
FROM ticket t JOIN device d ON d.no = t.device_no JOIN boot b ON b.no = t.boot_no WHERE 1
"""
_NAMES = (
    "store",
    "device",
    "source",
    "epoch",
    "seq",
    "identity",
    "site",
    "register",
    "number",
    "serial",
    "kind",
    "flags",
    "pos_time",
    "business_day",
    "periods",
    "total_cents",
    "counted_cents",
    "is_outside",
    "cashier",
    "linked",
    "age_check",
)
_UNDECODABLE = """
SELECT d.id, u.source, u.epoch, u.seq, u.kind, u.pos_kind, u.code, u.reason, u.received_ms, u.record_no AS no
FROM undecodable u JOIN device d ON d.no = u.device_no WHERE 1
"""
# Every version: what counts is when a ticket was first seen.
_POLLED = """
SELECT source, register, pos_time, boot_no, mono_ms FROM ticket
WHERE device_no = ?1 AND received_ms >= ?2 AND pos_time != ''
AND source IN (SELECT source FROM document WHERE device_no = ?1)
"""
_CLOCK = ("source", "register", "ahead_s", "at_least_s", "spread_s", "samples", "drifting", "zone_minutes")
_NOTHING: Row = {**dict.fromkeys((*_CLOCK, "zone_guessed", "note")), "register": ""}
_BY_POLLS = "at least that: a poll finds a ticket late"
_UNDATED = "read from documents: dated by the poll, not by the sale"


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list; "" and None mean any. first_day, last_day: ISO dates; limit keeps the latest, oldest first."""

    store: str = ""
    device: str = ""
    source: str = ""
    first_day: str = ""
    last_day: str = ""
    since_ms: int | None = None
    limit: int | None = None
    all_versions: bool = False


def tickets(db: sqlite3.Connection, wanted: Filter) -> Iterator[Row]:
    """In order of arrival, each with its lines, promotions, tenders and loyalty; a superseded version only where all
    are asked for."""
    dates = Redating(db)
    tests = {
        "store": "t.store = :store",
        "device": "d.id = :device",
        "source": "t.source = :source",
        "first_day": "t.day >= :first_day",
        "last_day": "t.day <= :last_day",
        "since_ms": "t.received_ms >= :since_ms",
    }
    for row in _rows(db, _TICKET + ("" if wanted.all_versions else " AND t.superseded_by IS NULL"), tests, wanted):
        superseded_by, received_ms, device_no, boot_no, mono_ms, wall_ms, boot, number = row[len(_NAMES) :]
        offset = dates.offset(device_no, boot_no)
        found: Row = dict(zip(_NAMES, row, strict=False))
        found["flags"], found["periods"] = found["flags"].split(), found["periods"].split()
        found["is_outside"] = bool(found["is_outside"])
        found |= {"captured_ms": mono_ms + offset.offset_ms, "received_ms": received_ms}
        found |= {"captured_by": offset.quality, "captured_slack_ms": offset.slack_ms, "superseded_by": superseded_by}
        found["router"] = Detail(boot=boot.hex(), mono_ms=mono_ms, wall_ms=wall_ms)
        yield found | _parts(db, number)


def undecodable(db: sqlite3.Connection, wanted: Filter) -> Iterator[Row]:
    """In order of arrival."""
    tests = {"device": "d.id = :device", "source": "u.source = :source", "since_ms": "u.received_ms >= :since_ms"}
    for device, source, epoch, seq, kind, *told, _ in _rows(db, _UNDECODABLE, tests, wanted):
        place = {"device": device, "source": source, "epoch": epoch, "seq": seq, "kind": KIND_NAMES[kind]}
        yield place | dict(zip(("pos_kind", "code", "reason", "received_ms"), told, strict=True))


def clocks(db: sqlite3.Connection, device: str = "", store: str = "") -> Iterator[Row]:
    """For each boot of each router the offset of its monotonic clock, and how far its own wall clock was off."""
    for device_no, name, shop, _ in devices(db, device, store):
        for one in of_device(db, device_no):
            known, told = one.known, one.offset
            wrong = None if known.router_ms is None else known.router_ms - told.offset_ms
            yield {
                "store": shop,
                "device": name,
                "boot": one.boot,
                "quality": told.quality,
                "began_ms": told.offset_ms,
                "slack_s": round(told.slack_ms / 1000),
                "router_off_ms_ahead": wrong,
                "first_ms": known.first_mono_ms + told.offset_ms,
                "last_ms": known.last_mono_ms + told.offset_ms,
            }


def skews(db: sqlite3.Connection, since_ms: int, device: str = "", store: str = "") -> Iterator[Row]:
    """For each register how far its clock stands ahead of the router's, from tickets received since then.

    What was captured as it was printed tells `ahead_s`. A document's tickets are dated by the poll that found them: of
    a register that the store's routers hear no other way they tell `at_least_s`, if a growing document was polled often
    enough, else a row without a register says so in `note`. zone_guessed: `~` where neither the POS nor `fleetctl
    device` told the zone.
    """
    found = list(devices(db, device, store))
    live = {device_no: _live(db, device_no, since_ms) for device_no, *_ in found}
    heard: dict[str, set[str]] = {}
    for device_no, _, shop, _ in found:
        heard.setdefault(shop, set()).update(register for _, register in live[device_no])
    for device_no, name, shop, zone_name in found:
        zone = _zone(zone_name)
        rows = [_heard(*key, skew.of_register(readings, zone)) for key, readings in sorted(live[device_no].items())]
        rows += _polled_rows(_polled(db, device_no, since_ms), zone, heard[shop])
        yield from ({"store": shop, "device": name} | row for row in rows)


def _live(db: sqlite3.Connection, device_no: int, since_ms: int) -> Readings:
    found: Readings = {}
    for held in live_since(db, device_no, since_ms):
        readings = found.setdefault((held.source, held.ticket.register), [])
        readings.append((held.ticket.pos_time, held.captured_ms))
    return found


def _heard(source: str, register: str, told: skew.Skew) -> Row:
    return {
        "source": source,
        "register": register,
        "ahead_s": round(told.median_ms / 1000, 1),
        "at_least_s": None,
        "spread_s": round(told.spread_ms / 1000, 1),
        "samples": told.samples,
        "drifting": "yes" if told.drifting else "no",
        "zone_minutes": told.zone_minutes,
        "zone_guessed": "~" if told.is_guessed else "",
        "note": "",
    }


def _polled_rows(found: Readings, zone: ZoneInfo | None, heard: set[str]) -> Iterator[Row]:
    """A row per register that was not heard live, or one per source whose registers tell nothing at all."""
    told: set[str] = set()
    for (source, register), readings in sorted(found.items()):
        bound = None if register in heard else skew.of_polled(readings, zone)
        if bound is not None:
            told.add(source)
            least = {"at_least_s": round(bound.ahead_ms / 1000, 1), "samples": bound.samples}
            place = {"zone_minutes": bound.zone_minutes, "zone_guessed": "~" if bound.is_guessed else ""}
            yield {**_NOTHING, "source": source, "register": register, **least, **place, "note": _BY_POLLS}
    for source in sorted({source for source, _ in found} - told):
        if not heard:
            counted = sum(len(readings) for (of, _), readings in found.items() if of == source)
            yield {**_NOTHING, "source": source, "samples": counted, "note": _UNDATED}


def _polled(db: sqlite3.Connection, device_no: int, since_ms: int) -> Readings:
    """Of the tickets of sources that give documents, received since then."""
    dates = Redating(db)
    found: Readings = {}
    for source, register, pos_time, boot_no, mono_ms in db.execute(_POLLED, (device_no, since_ms)):
        readings = found.setdefault((source, register), [])
        readings.append((pos_time, dates.captured_ms(device_no, boot_no, mono_ms)))
    return found


def _zone(name: str) -> ZoneInfo | None:
    """None for a zone that was not told, or that this machine does not know."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError):
        return None


def _parts(db: sqlite3.Connection, ticket_no: int) -> Row:
    lines = []
    select = f"SELECT place, {', '.join(LINE)} FROM line WHERE ticket_no = ? ORDER BY place"  # noqa: S608
    for place, *said in db.execute(select, (ticket_no,)).fetchall():
        line = dict(zip(LINE, said, strict=True)) | {"is_void": bool(said[-2]), "is_duplicate": bool(said[-1])}
        taken = "SELECT id, kind, cents FROM promotion WHERE ticket_no = ? AND line_place = ? ORDER BY place"
        line["promotions"] = [
            dict(zip(("id", "kind", "cents"), one, strict=True)) for one in db.execute(taken, (ticket_no, place))
        ]
        lines.append(line)
    tenders = db.execute("SELECT kind, cents FROM tender WHERE ticket_no = ? ORDER BY place", (ticket_no,))
    loyalty = db.execute("SELECT program, id FROM loyalty WHERE ticket_no = ? ORDER BY place", (ticket_no,))
    return {
        "lines": lines,
        "tenders": [{"kind": kind, "cents": cents} for kind, cents in tenders],
        "loyalty": [{"program": program, "id": name} for program, name in loyalty],
    }


def _rows(db: sqlite3.Connection, sql: str, tests: dict[str, str], wanted: Filter) -> Iterator[Any]:
    """The rows that pass, ascending by `no`; with a limit, the latest."""
    values = {name: getattr(wanted, name) for name in (*tests, "limit")}
    sql += "".join(f" AND {test}" for name, test in tests.items() if values[name] not in (None, ""))
    if wanted.limit is not None:
        sql = f"SELECT * FROM ({sql} ORDER BY no DESC LIMIT :limit)"  # noqa: S608  built from constants
    # with `yield from`, a reader that leaves early would close the cursor of a database that is closed already
    for row in db.execute(f"{sql} ORDER BY no", values):  # noqa: UP028
        yield row
