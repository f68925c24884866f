"""Manifest rows, on SQLite: each line against what is there."""

import sqlite3
from collections.abc import Sequence

from fleetd.enroll.manifest import CONFLICT, CREATED, UNCHANGED, UPDATED, Line, Outcome, Row
from fleetd.enroll.registry import By
from fleetd.enroll.sqlite_audit import note
from fleetd.enroll.sqlite_facts import macs_of_row

_STORE = "SELECT store FROM assignment WHERE device = ? ORDER BY epoch DESC LIMIT 1"


def import_lines(db: sqlite3.Connection, lines: Sequence[Line], by: By) -> list[Outcome]:
    outcomes = [_take(db, line, by.tenant) for line in lines]
    changed = sum(outcome.result in (CREATED, UPDATED) for outcome in outcomes)
    if changed:
        note(db, by, "manifest.import", "", rows=len(lines), changed=changed)
    return outcomes


def _take(db: sqlite3.Connection, line: Line, tenant: str) -> Outcome:
    row = line.row
    held = _held(db, row, tenant)
    owners = _owners(db, row, tenant) - ({held["no"]} if held else set())
    if owners:
        return Outcome(line.no, CONFLICT, "mac_in_use: another row has one of these MAC addresses")
    if held is None:
        _write_macs(db, tenant, _insert(db, row, tenant), row.macs)
        return Outcome(line.no, CREATED)
    if held["device"]:
        return _against_bound(db, line, held)
    fields = (row.model, row.store, row.not_after_ms, row.replaces, row.note)
    was = (held["model"], held["store"], held["not_after_ms"], held["replaces"], held["note"])
    if fields == was and macs_of_row(db, held["no"]) == set(row.macs):
        return Outcome(line.no, UNCHANGED)
    sql = "UPDATE manifest_row SET model = ?, store = ?, not_after_ms = ?, replaces = ?, note = ? WHERE no = ?"
    db.execute(sql, (*fields, held["no"]))
    _write_macs(db, tenant, held["no"], row.macs)
    return Outcome(line.no, UPDATED)


def _held(db: sqlite3.Connection, row: Row, tenant: str) -> sqlite3.Row | None:
    """The row this one speaks of: of the same serial and model, else, without a serial, of one of its MACs."""
    if row.serial:
        sql = "SELECT * FROM manifest_row WHERE tenant = ? AND serial = ? AND model = ?"
        held: sqlite3.Row | None = db.execute(sql, (tenant, row.serial, row.model)).fetchone()
        return held
    sql = "SELECT r.* FROM manifest_mac m JOIN manifest_row r ON r.no = m.row_no WHERE m.tenant = ? AND m.mac = ?"
    found = [db.execute(sql, (tenant, mac)).fetchone() for mac in row.macs]
    return next((one for one in found if one and not one["serial"]), None)


def _owners(db: sqlite3.Connection, row: Row, tenant: str) -> set[int]:
    """The rows that list one of these MAC addresses."""
    sql = "SELECT row_no FROM manifest_mac WHERE tenant = ? AND mac = ?"
    return {number for mac in row.macs for (number,) in db.execute(sql, (tenant, mac))}


def _against_bound(db: sqlite3.Connection, line: Line, held: sqlite3.Row) -> Outcome:
    """A device is there already: an old spreadsheet, uploaded again, moves no store."""
    now_in = db.execute(_STORE, (held["device"],)).fetchone()["store"]
    if line.row.store and line.row.store != now_in:
        return Outcome(line.no, CONFLICT, f"use_assign: device {held['device']} is in store {now_in or '(none)'}")
    return Outcome(line.no, UNCHANGED)


def _insert(db: sqlite3.Connection, row: Row, tenant: str) -> int:
    sql = """
    INSERT INTO manifest_row (tenant, model, serial, store, not_after_ms, replaces, note) VALUES (?, ?, ?, ?, ?, ?, ?)
    RETURNING no
    """
    values = (tenant, row.model, row.serial, row.store, row.not_after_ms, row.replaces, row.note)
    return int(db.execute(sql, values).fetchone()["no"])


def _write_macs(db: sqlite3.Connection, tenant: str, row_no: int, macs: Sequence[str]) -> None:
    db.execute("DELETE FROM manifest_mac WHERE row_no = ?", (row_no,))
    db.executemany("INSERT INTO manifest_mac VALUES (?, ?, ?)", [(tenant, mac, row_no) for mac in macs])
