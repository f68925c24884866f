"""What happens to devices once they are known, on SQLite. Each function runs inside one transaction."""

import json
import sqlite3

from fleetd.enroll import assignment, registry
from fleetd.enroll.assignment import Assignment
from fleetd.enroll.registry import DRAIN_MS, By, Device, Health
from fleetd.enroll.sqlite_audit import note
from fleetd.refusal import Refusal

_DEVICE = """
SELECT d.*, a.store, a.epoch FROM device d
JOIN assignment a ON a.device = d.id AND a.epoch = (SELECT max(epoch) FROM assignment WHERE device = d.id)
"""
# From which states a person may lead a device where. Revoked is left by `reinstate` only.
_MOVES = {
    registry.RETIRED: {registry.ACTIVE, registry.RETIRING, registry.CONFLICT},
    registry.RETIRING: {registry.ACTIVE},
    registry.REVOKED: {registry.ACTIVE, registry.RETIRING, registry.CONFLICT, registry.RETIRED},
    registry.ACTIVE: {registry.REVOKED},
}


def device(db: sqlite3.Connection, tenant: str, device_id: str) -> Device:
    """Raises Refusal 404."""
    row = db.execute(f"{_DEVICE} WHERE d.id = ? AND d.tenant = ?", (device_id, tenant)).fetchone()
    if row is None:
        raise Refusal(404, "not_found", "there is no such device")
    return _read(row)


def devices(db: sqlite3.Connection, tenant: str, store: str, status: str, limit: int) -> list[Device]:
    sql = f"{_DEVICE} WHERE d.tenant = ?1 AND (?2 = '' OR a.store = ?2) AND (?3 = '' OR d.status = ?3)"
    return [_read(row) for row in db.execute(f"{sql} ORDER BY d.id LIMIT ?4", (tenant, store, status, limit))]


def history(db: sqlite3.Connection, tenant: str, device_id: str) -> list[Assignment]:
    device(db, tenant, device_id)
    sql = "SELECT epoch, store, from_ms FROM assignment WHERE device = ? ORDER BY epoch"
    return [Assignment(*row) for row in db.execute(sql, (device_id,))]


def assign(db: sqlite3.Connection, device_id: str, store: str, by: By) -> Device:
    made = assignment.assign(history(db, by.tenant, device_id), store, by.now_ms)
    if made:
        db.execute("INSERT INTO assignment VALUES (?, ?, ?, ?)", (device_id, made.epoch, made.store, made.from_ms))
        note(db, by, "device.assign", device_id, store=store, epoch=made.epoch)
    return device(db, by.tenant, device_id)


def replace(db: sqlite3.Connection, device_id: str, serial: str, by: By) -> Device:
    old = device(db, by.tenant, device_id)
    row = db.execute(
        "SELECT * FROM manifest_row WHERE tenant = ? AND serial = ? ORDER BY device IS NULL", (by.tenant, serial)
    ).fetchone()
    if row and row["replaces"] == old.serial and (row["device"] or row["store"] == old.store):
        return old  # said before
    if serial == old.serial or (row and row["device"]):
        raise Refusal(409, "serial_bound", "a device with this serial is there already: assign it instead")
    if row:
        values = (old.store, old.serial, row["no"])
        db.execute("UPDATE manifest_row SET store = ?, replaces = ?, not_after_ms = NULL WHERE no = ?", values)
    else:
        sql = "INSERT INTO manifest_row (tenant, model, serial, store, replaces, note) VALUES (?, '', ?, ?, ?, '')"
        db.execute(sql, (by.tenant, serial, old.store, old.serial))
    if old.status == registry.ACTIVE:
        move(db, old.id, registry.RETIRING, by, DRAIN_MS)
    note(db, by, "device.replace", old.id, serial=serial)
    return device(db, by.tenant, device_id)


def move(db: sqlite3.Connection, device_id: str, status: str, by: By, drain_ms: int | None = None) -> Device:
    """Raises Refusal 409 `device_status` for a move that is none."""
    held = device(db, by.tenant, device_id)
    if held.status == status:
        return held
    if held.status not in _MOVES[status]:
        raise Refusal(409, "device_status", f"the device is {held.status}: it cannot become {status}")
    until_ms = by.now_ms + drain_ms if drain_ms else None
    sql = "UPDATE device SET status = ?, drain_until_ms = ? WHERE id = ?"
    db.execute(sql, (status, until_ms, device_id))
    if status in (registry.REVOKED, registry.RETIRED):
        db.execute("DELETE FROM reset_ticket WHERE device = ?", (device_id,))
    note(db, by, f"device.{status}", device_id)
    return device(db, by.tenant, device_id)


def open_ticket(db: sqlite3.Connection, device_id: str, until_ms: int, by: By) -> None:
    if device(db, by.tenant, device_id).status not in (registry.ACTIVE, registry.RETIRING):
        raise Refusal(409, "device_status", "only an active or retiring device can be given another key")
    sql = "INSERT INTO reset_ticket VALUES (?, ?) ON CONFLICT (device) DO UPDATE SET until_ms = excluded.until_ms"
    db.execute(sql, (device_id, until_ms))
    note(db, by, "device.reset_ticket", device_id, until_ms=until_ms)


def put_health(db: sqlite3.Connection, device_id: str, health: Health) -> None:
    """An address is established when two documents in a row came from it: a copy of the key is found before it has
    brought two."""
    before = db.execute("SELECT ip FROM health WHERE device = ?", (device_id,)).fetchone()
    is_steady = before is not None and before["ip"] == health.ip
    document = json.dumps(dict(health.document), separators=(",", ":"))
    db.execute("INSERT OR REPLACE INTO health VALUES (?, ?, ?, ?)", (device_id, health.at_ms, health.ip, document))
    db.execute(
        "UPDATE device SET seen_ms = ?1, ip = CASE WHEN ?2 AND status != 'conflict' THEN ?3 ELSE ip END WHERE id = ?4",
        (health.at_ms, is_steady, health.ip, device_id),
    )


def health(db: sqlite3.Connection, tenant: str, device_id: str) -> Health | None:
    device(db, tenant, device_id)
    row = db.execute("SELECT at_ms, ip, document FROM health WHERE device = ?", (device_id,)).fetchone()
    return Health(row["at_ms"], row["ip"], json.loads(row["document"])) if row else None


def _read(row: sqlite3.Row) -> Device:
    names = ("status", "store", "epoch", "created_ms", "drain_until_ms", "seen_ms")
    macs = tuple(json.loads(row["macs"]))
    return Device(row["id"], row["tenant"], row["serial"], row["model"], macs, *(row[name] for name in names))
