"""Commands, on SQLite: kept before they are sent, and their first result for ever. Each runs inside one transaction."""

import json
import sqlite3
from collections.abc import Sequence

from fleetd.enroll import registry
from fleetd.enroll.registry import By, Order
from fleetd.enroll.sqlite_audit import note
from fleetd.enroll.sqlite_lives import device
from fleetd.refusal import Refusal
from routerd.wire.commands import Envelope, Result, read_result, result_values


def order(db: sqlite3.Connection, made: Order, by: By) -> None:
    device(db, by.tenant, made.device)
    held = db.execute("SELECT payload FROM command WHERE id = ?", (made.id,)).fetchone()
    if held is None:
        sealed = (made.envelope.payload, made.envelope.kid, made.envelope.signature)
        values = (made.id, made.device, made.kind, registry.QUEUED, 0, *sealed, made.expires_ms, None)
        db.execute("INSERT INTO command VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        note(db, by, f"command.{made.kind}", made.device, id=made.id)
    elif held["payload"] != made.envelope.payload:
        raise Refusal(409, "command_exists", "this id stands for another command")


def deliver(db: sqlite3.Connection, device_id: str, now_ms: int, limit: int) -> list[Order]:
    sql = "SELECT * FROM command WHERE device = ? AND state != 'done' AND NOT is_held AND expires_ms >= ?"
    rows = db.execute(f"{sql} ORDER BY id LIMIT ?", (device_id, now_ms, limit)).fetchall()
    for row in rows:
        db.execute("UPDATE command SET state = 'delivered' WHERE id = ? AND state = 'queued'", (row["id"],))
    return [_read(row) for row in rows]


def acknowledge(db: sqlite3.Connection, device_id: str, ids: Sequence[str]) -> None:
    sql = "UPDATE command SET is_held = 1 WHERE id = ? AND device = ?"
    db.executemany(sql, [(one, device_id) for one in ids])


def finish(db: sqlite3.Connection, device_id: str, result: Result, now_ms: int) -> bool:
    row = db.execute(
        "SELECT c.state, c.kind, d.tenant FROM command c JOIN device d ON d.id = c.device WHERE c.id = ? AND d.id = ?",
        (result.id, device_id),
    ).fetchone()
    if row is None:
        return False
    if row["state"] != registry.DONE:
        said = json.dumps(result_values(result), separators=(",", ":"))
        db.execute("UPDATE command SET state = 'done', is_held = 1, result = ? WHERE id = ?", (said, result.id))
        by = By(row["tenant"], device_id, now_ms)
        note(db, by, "command.result", device_id, id=result.id, state=result.state)
    return True


def orders(db: sqlite3.Connection, tenant: str, device_id: str, limit: int) -> list[Order]:
    device(db, tenant, device_id)
    sql = "SELECT * FROM command WHERE device = ? ORDER BY id DESC LIMIT ?"
    return [_read(row) for row in db.execute(sql, (device_id, limit))]


def _read(row: sqlite3.Row) -> Order:
    envelope = Envelope(row["payload"], row["kid"], row["signature"])
    result = read_result(json.loads(row["result"])) if row["result"] else None
    return Order(row["id"], row["device"], row["kind"], row["state"], row["expires_ms"], envelope, result)
