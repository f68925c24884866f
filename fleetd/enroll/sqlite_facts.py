"""The facts of a request to be let in, gathered from the tables. Reads only, and only of one tenant."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from fleetd.enroll import claims, registry
from fleetd.enroll.decision import INCUMBENTS, Claim, Facts, Key, Macs, Place, Prev, Queue
from fleetd.enroll.registry import Asking

MAX_PENDING_PER_CLAIM = 500  # a leaked claim fills its own queue and no other
MAX_PENDING_PER_SERIAL = 8
_ROWS = "SELECT r.*, d.status, d.macs, d.ip, d.seen_ms FROM manifest_row r LEFT JOIN device d ON d.id = r.device"
_KEY = """
SELECT k.id, k.state, k.device, d.status, d.serial, d.tenant FROM device_key k LEFT JOIN device d ON d.id = k.device
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What the facts were made from: the tenant, the manifest row and the device bound to it, where there are any."""

    facts: Facts
    tenant: str = ""
    row_no: int | None = None
    device: str = ""


@dataclass(frozen=True, slots=True)
class Spot:
    """A serial's place, and the MAC addresses on record there."""

    place: Place
    row_no: int | None = None
    device: str = ""
    macs: frozenset[str] = frozenset()


def gather(db: sqlite3.Connection, asking: Asking) -> Found:
    request = asking.request
    own = db.execute(f"{_KEY} WHERE k.id = ?", (asking.key_id,)).fetchone()
    old = _vouching(db, asking)
    claim, worth = _claim(db, asking)
    if own and own["device"]:
        tenant = own["tenant"]
    else:
        tenant = old["tenant"] if old else claim.tenant if claim and worth is not Claim.INVALID else ""
    spot = spot_of(db, tenant, (request.model, request.serial, request.macs), asking.now_ms)
    if old and spot.device != old["device"]:
        old = None  # the serial stands for another device now
    policy = db.execute("SELECT * FROM tenant WHERE id = ?", (tenant,)).fetchone()
    device = db.execute("SELECT * FROM device WHERE id = ?", (spot.device,)).fetchone()
    facts = Facts(
        asking.is_proven,
        _key(own, request.serial),
        Prev.VALID if old else Prev.BAD if request.previous else Prev.ABSENT,
        spot.place,
        worth,
        _compare(frozenset(request.macs), spot.macs),
        has_ticket=_has_ticket(db, spot.device, asking.now_ms),
        allows_rekey=bool(policy and policy["rekey_after_s"] is not None),
        is_silent=bool(device and policy and _is_silent(device, policy, asking)),
        same_ip=bool(device and device["ip"] and device["ip"] == asking.ip),
        queue=_queue(db, asking, spot, (policy, claim)),
    )
    return Found(facts, tenant, spot.row_no, spot.device)


def spot_of(db: sqlite3.Connection, tenant: str, board: tuple[str, str, Sequence[str]], now_ms: int) -> Spot:
    """Where a board (model, serial, MACs) belongs under its tenant.

    A board names its model as its maker does, a spreadsheet as people do: it only tells rows of one serial apart.
    """
    model, serial, macs = board
    rows = db.execute(f"{_ROWS} WHERE r.tenant = ? AND r.serial = ?", (tenant, serial)).fetchall()
    rows = [row for row in rows if row["model"] == model] or rows
    if not rows:
        rows = _rows_of_macs(db, tenant, macs)
    if len(rows) > 1:
        rows = [row for row in rows if macs_of_row(db, row["no"]) & set(macs)] or rows
    if not rows:
        seen = db.execute("SELECT 1 FROM device WHERE tenant = ? AND serial = ?", (tenant, serial)).fetchone()
        return Spot(Place.SEEN if seen else Place.UNKNOWN)
    if len(rows) > 1:
        return Spot(Place.AMBIGUOUS)
    [row] = rows
    listed = macs_of_row(db, row["no"])
    if row["device"]:
        return Spot(Place(row["status"]), row["no"], row["device"], frozenset(json.loads(row["macs"])))
    is_late = row["not_after_ms"] is not None and now_ms > row["not_after_ms"]
    return Spot(Place.LAPSED if is_late else Place.EXPECTED, row["no"], "", listed)


def macs_of_row(db: sqlite3.Connection, row_no: int) -> frozenset[str]:
    return frozenset(mac for (mac,) in db.execute("SELECT mac FROM manifest_mac WHERE row_no = ?", (row_no,)))


def _rows_of_macs(db: sqlite3.Connection, tenant: str, macs: Sequence[str]) -> list[sqlite3.Row]:
    """Rows that name no serial."""
    marks = ", ".join("?" * len(macs))
    listed = f"SELECT row_no FROM manifest_mac WHERE tenant = ? AND mac IN ({marks})"  # noqa: S608  marks only
    return db.execute(f"{_ROWS} WHERE r.serial = '' AND r.no IN ({listed})", (tenant, *macs)).fetchall()


def _key(own: sqlite3.Row | None, serial: str) -> Key:
    if own is None:
        return Key.UNKNOWN
    if own["status"] == registry.REVOKED:
        return Key.REVOKED
    if own["state"] != registry.CURRENT:
        return Key(own["state"])
    if own["status"] == registry.RETIRED:
        return Key.RETIRED
    return Key.CURRENT if own["serial"] == serial else Key.OTHER_SERIAL


def _vouching(db: sqlite3.Connection, asking: Asking) -> sqlite3.Row | None:
    """The old key, if it vouches and is the current one of a device with this serial."""
    if not (asking.is_vouched and asking.request.previous):
        return None
    old: sqlite3.Row | None = db.execute(f"{_KEY} WHERE k.id = ?", (asking.request.previous.id,)).fetchone()
    is_current = old is not None and old["state"] == registry.CURRENT and old["serial"] == asking.request.serial
    return old if is_current else None


def claim_of(db: sqlite3.Connection, claim_id: str) -> claims.Claim | None:
    row = db.execute("SELECT * FROM claim WHERE id = ?", (claim_id,)).fetchone()
    if row is None:
        return None
    flags = (bool(row["is_enabled"]), row["quota_total"], row["quota_per_hour"], bool(row["allows_pending"]))
    return claims.Claim(row["id"], row["tenant"], row["public"], row["created_ms"], row["not_after_ms"], *flags)


def _claim(db: sqlite3.Connection, asking: Asking) -> tuple[claims.Claim | None, Claim]:
    claim = claim_of(db, asking.request.claim.id) if asking.request.claim else None
    if claim is None:
        return None, Claim.INVALID
    total, hour, counted = db.execute(
        "SELECT count(*), count(*) FILTER (WHERE at_ms > ?2), count(*) FILTER (WHERE key_id = ?3)"
        " FROM claim_use WHERE claim = ?1",
        (claim.id, asking.now_ms - claims.HOUR_MS, asking.key_id),
    ).fetchone()
    use = claims.Use(total, hour, bool(counted))
    return claim, claims.judge(claim, use, is_signed=asking.is_claimed, now_ms=asking.now_ms)


def _compare(told: frozenset[str], listed: frozenset[str]) -> Macs:
    if told == listed:
        return Macs.EQUAL
    return Macs.COMMON if told & listed or not listed else Macs.DISJOINT


def _has_ticket(db: sqlite3.Connection, device: str, now_ms: int) -> bool:
    sql = "SELECT 1 FROM reset_ticket WHERE device = ? AND until_ms >= ?"
    return db.execute(sql, (device, now_ms)).fetchone() is not None


def _is_silent(device: sqlite3.Row, policy: sqlite3.Row, asking: Asking) -> bool:
    """Before this process started nobody listened here: that is no silence of the device's."""
    if policy["rekey_after_s"] is None:
        return False
    heard = asking.heard(device["id"]) if asking.heard else 0
    last_ms = max(device["seen_ms"] or 0, heard, asking.started_ms, device["created_ms"])
    return bool(asking.now_ms - last_ms >= policy["rekey_after_s"] * 1000)


def _queue(
    db: sqlite3.Connection, asking: Asking, spot: Spot, rules: tuple[sqlite3.Row | None, claims.Claim | None]
) -> Queue:
    policy, claim = rules
    if db.execute("SELECT 1 FROM pending WHERE key_id = ?", (asking.key_id,)).fetchone():
        return Queue.OPEN  # it waits already: asking again takes no place
    if spot.place in INCUMBENTS or spot.row_no is not None:
        sql, names = "tenant = ? AND serial = ?", (policy["id"] if policy else "", asking.request.serial)
        return Queue.FULL if _waiting(db, sql, names) >= MAX_PENDING_PER_SERIAL else Queue.OPEN
    if not (policy and policy["allows_pending"] and claim and claim.allows_pending):
        return Queue.CLOSED
    return Queue.FULL if _waiting(db, "claim = ?", (claim.id,)) >= MAX_PENDING_PER_CLAIM else Queue.OPEN


def _waiting(db: sqlite3.Connection, where: str, names: tuple[str, ...]) -> int:
    sql = f"SELECT count(*) FROM pending WHERE state = 'open' AND {where}"  # noqa: S608  from above
    return int(db.execute(sql, names).fetchone()[0])
