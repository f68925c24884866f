"""Letting in, on SQLite: what a decision writes. Each function runs inside one transaction."""

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from fleetd.enroll import assignment, decision, registry
from fleetd.enroll.decision import Decision, Effect
from fleetd.enroll.registry import DRAIN_MS, Admission, Asking, By
from fleetd.enroll.sqlite_audit import CLOUD, note
from fleetd.enroll.sqlite_facts import Found, gather, spot_of
from fleetd.refusal import Refusal

_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # read out over the telephone: no 0, O, 1, I, L
_RETRY_S = (300, 900, 3600)  # in the first hour, on the first day, after that
_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000


@dataclass(frozen=True, slots=True)
class _Board:
    """Who is let in: a key and the board that has it."""

    key_id: str
    public: bytes
    serial: str
    model: str
    macs: Sequence[str]
    ip: str


def enroll(db: sqlite3.Connection, asking: Asking) -> Admission:
    found = gather(db, asking)
    made = decision.decide(found.facts)
    request = asking.request
    board = _Board(asking.key_id, request.public, request.serial, request.model, request.macs, asking.ip)
    by = By(found.tenant, CLOUD, asking.now_ms)
    match made.effect:
        case Effect.BIND:
            _spend(db, asking)
            return _admitted(db, made, bind(db, board, found.row_no, None, by))
        case Effect.REKEY:
            if made.alarm:
                note(db, by, f"alarm.{made.alarm}", found.device, key=asking.key_id, ip=asking.ip)
            return _admitted(db, made, _rekey(db, board, found.device, by))
        case Effect.SAME:
            return _admitted(db, made, _device_of(db, asking.key_id))
        case Effect.QUEUE:
            _spend(db, asking)
            return _queue(db, asking, found, made)
        case Effect.CONFLICT:
            conflict(db, _device_of(db, asking.key_id), made.code, asking.now_ms)
    return Admission(made, retry_after_s=_RETRY_S[2] if made.status == 429 else 0)


def approve(db: sqlite3.Connection, ticket: str, store: str | None, by: By) -> str:
    """The device. Raises Refusal."""
    waiting = _waiting(db, ticket, by)
    if waiting["state"] == registry.APPROVED:
        return str(waiting["device"])
    macs = json.loads(waiting["macs"])
    spot = spot_of(db, by.tenant, (waiting["model"], waiting["serial"], macs), by.now_ms)
    effect = decision.approval(spot.place)
    if effect is Effect.NONE or _is_of_revoked(db, waiting["key_id"]):
        raise Refusal(409, "device_revoked", "the device of this serial is revoked: reinstate it first")
    texts = (waiting["serial"], waiting["model"], macs, waiting["ip"])
    board = _Board(waiting["key_id"], waiting["public"], *texts)
    is_bound = effect is Effect.REKEY
    device = _rekey(db, board, spot.device, by) if is_bound else bind(db, board, spot.row_no, store, by)
    note(db, by, "pending.approve", device, ticket=ticket)
    return device


def reject(db: sqlite3.Connection, ticket: str, by: By) -> None:
    waiting = _waiting(db, ticket, by)
    if waiting["state"] == registry.REJECTED:
        return
    if waiting["state"] == registry.APPROVED:
        raise Refusal(409, "ticket_approved", "this ticket is approved: revoke the device instead")
    db.execute("UPDATE pending SET state = 'rejected' WHERE ticket = ?", (ticket,))
    db.execute(
        "INSERT INTO device_key VALUES (?, ?, NULL, 'rejected', ?) ON CONFLICT DO NOTHING",
        (waiting["key_id"], waiting["public"], by.now_ms),
    )
    note(db, by, "pending.reject", waiting["serial"], ticket=ticket)


def conflict(db: sqlite3.Connection, device: str, why: str, now_ms: int) -> None:
    """Only what lives comes into conflict: nothing returns from revoked or retired this way."""
    sql = "UPDATE device SET status = 'conflict' WHERE id = ? AND status IN ('active', 'retiring') RETURNING tenant"
    if changed := db.execute(sql, (device,)).fetchone():
        note(db, By(changed["tenant"], CLOUD, now_ms), "alarm.conflict", device, why=why)


def bind(db: sqlite3.Connection, board: _Board, row_no: int | None, store: str | None, by: By) -> str:
    """A new device for a row, which is made if there is none. `store`: None takes the row's."""
    device = f"d-{secrets.token_hex(8)}"
    values = (device, by.tenant, board.serial, board.model, json.dumps(list(board.macs)), by.now_ms, board.ip)
    db.execute("INSERT INTO device VALUES (?, ?, ?, ?, ?, 'active', ?, NULL, ?, NULL)", values)
    _take_key(db, board, device, by.now_ms)
    if row_no is None:
        row_no = _new_row(db, board, by.tenant)
    row = db.execute("UPDATE manifest_row SET device = ? WHERE no = ? RETURNING *", (device, row_no)).fetchone()
    inherited = _replace(db, row["replaces"], by) if row["replaces"] else ""
    if store is None:
        store = row["store"] or inherited
    first = assignment.first(store, by.now_ms)
    db.execute("INSERT INTO assignment VALUES (?, ?, ?, ?)", (device, first.epoch, first.store, first.from_ms))
    note(db, by, "device.bind", device, serial=board.serial, key=board.key_id, store=store, ip=board.ip)
    return device


def _replace(db: sqlite3.Connection, serial: str, by: By) -> str:
    """The device of `serial` makes room. Its store."""
    sql = "SELECT d.id, d.status FROM manifest_row r JOIN device d ON d.id = r.device"
    sql += " WHERE r.tenant = ? AND r.serial = ?"
    old = db.execute(sql, (by.tenant, serial)).fetchone()
    if old is None:
        return ""
    if old["status"] == registry.ACTIVE:
        drain = (by.now_ms + DRAIN_MS, old["id"])
        db.execute("UPDATE device SET status = 'retiring', drain_until_ms = ? WHERE id = ?", drain)
        note(db, by, "device.retire", old["id"], replaced=True)
    latest = "SELECT store FROM assignment WHERE device = ? ORDER BY epoch DESC LIMIT 1"
    return str(db.execute(latest, (old["id"],)).fetchone()["store"])


def _rekey(db: sqlite3.Connection, board: _Board, device: str, by: By) -> str:
    """One key is current at a time. A conflict ends, for its key is nobody's now."""
    db.execute("UPDATE device_key SET state = 'superseded' WHERE device = ? AND state = 'current'", (device,))
    _take_key(db, board, device, by.now_ms)
    db.execute("DELETE FROM reset_ticket WHERE device = ?", (device,))
    db.execute(
        "UPDATE device SET macs = ?, ip = ?, status = CASE WHEN status != 'conflict' THEN status"
        " WHEN drain_until_ms IS NULL THEN 'active' ELSE 'retiring' END WHERE id = ?",
        (json.dumps(list(board.macs)), board.ip, device),
    )
    note(db, by, "device.rekey", device, key=board.key_id, ip=board.ip)
    return device


def _take_key(db: sqlite3.Connection, board: _Board, device: str, now_ms: int) -> None:
    db.execute(
        "INSERT INTO device_key VALUES (?, ?, ?, 'current', ?)"
        " ON CONFLICT (id) DO UPDATE SET device = excluded.device, state = 'current'",
        (board.key_id, board.public, device, now_ms),
    )
    db.execute("UPDATE pending SET state = 'approved', device = ? WHERE key_id = ?", (device, board.key_id))


def _new_row(db: sqlite3.Connection, board: _Board, tenant: str) -> int:
    """What a manifest would have said of a board that a person let in."""
    sql = "SELECT no FROM manifest_row WHERE tenant = ? AND serial = ? AND model = ?"
    if row := db.execute(sql, (tenant, board.serial, board.model)).fetchone():
        return int(row["no"])
    made = db.execute(
        "INSERT INTO manifest_row (tenant, model, serial, store, replaces, note)"
        " VALUES (?, ?, ?, '', '', '') RETURNING no",
        (tenant, board.model, board.serial),
    ).fetchone()
    for mac in board.macs:
        db.execute("INSERT INTO manifest_mac VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (tenant, mac, made["no"]))
    return int(made["no"])


def _spend(db: sqlite3.Connection, asking: Asking) -> None:
    if asking.request.claim and asking.is_claimed:
        use = (asking.request.claim.id, asking.key_id, asking.now_ms)
        db.execute("INSERT INTO claim_use VALUES (?, ?, ?) ON CONFLICT DO NOTHING", use)


def _queue(db: sqlite3.Connection, asking: Asking, found: Found, made: Decision) -> Admission:
    now_ms, request = asking.now_ms, asking.request
    held = db.execute("SELECT * FROM pending WHERE key_id = ?", (asking.key_id,)).fetchone()
    if held and held["state"] == registry.OPEN and held["reason"] == made.code:
        again = (now_ms, asking.ip, held["ticket"])
        db.execute("UPDATE pending SET last_ms = ?, ip = ?, count = count + 1 WHERE ticket = ?", again)
        return _queued(made, held["ticket"], now_ms - held["first_ms"])
    ticket = held["ticket"] if held else _ticket(db)
    claim = request.claim.id if request.claim else ""
    board = (request.serial, request.model, json.dumps(list(request.macs)))
    said = json.dumps({"hints": dict(request.hints), "fw": dict(request.firmware), "board": request.board})
    known = (ticket, found.tenant, asking.key_id, request.public, claim, *board, made.code)
    db.execute(
        "INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, ?, 1, ?, NULL)",
        (*known, asking.ip, held["first_ms"] if held else now_ms, now_ms, said),
    )
    by = By(found.tenant, CLOUD, now_ms)
    note(db, by, f"alarm.{made.alarm}" if made.alarm else "pending.new", request.serial, ticket=ticket, why=made.code)
    return _queued(made, ticket, 0)


def _queued(made: Decision, ticket: str, age_ms: int) -> Admission:
    retry_s = _RETRY_S[(age_ms > _HOUR_MS) + (age_ms > _DAY_MS)]
    return Admission(made, ticket=ticket, retry_after_s=retry_s)


def _ticket(db: sqlite3.Connection) -> str:
    while True:
        text = "".join(secrets.choice(_LETTERS) for _ in range(6))
        ticket = f"{text[:4]}-{text[4:]}"
        if not db.execute("SELECT 1 FROM pending WHERE ticket = ?", (ticket,)).fetchone():
            return ticket


def _waiting(db: sqlite3.Connection, ticket: str, by: By) -> sqlite3.Row:
    row: sqlite3.Row | None = db.execute(
        "SELECT * FROM pending WHERE ticket = ? AND tenant = ?", (ticket, by.tenant)
    ).fetchone()
    if row is None:
        raise Refusal(404, "not_found", "there is no such ticket")
    return row


def _is_of_revoked(db: sqlite3.Connection, key_id: str) -> bool:
    sql = "SELECT 1 FROM device_key k JOIN device d ON d.id = k.device WHERE k.id = ? AND d.status = 'revoked'"
    return db.execute(sql, (key_id,)).fetchone() is not None


def _device_of(db: sqlite3.Connection, key_id: str) -> str:
    return str(db.execute("SELECT device FROM device_key WHERE id = ?", (key_id,)).fetchone()["device"])


def _admitted(db: sqlite3.Connection, made: Decision, device: str) -> Admission:
    sql = "SELECT epoch, store FROM assignment WHERE device = ? ORDER BY epoch DESC LIMIT 1"
    latest = db.execute(sql, (device,)).fetchone()
    return Admission(made, device, latest["store"], latest["epoch"])
