"""The registry's file: tables, and how it is opened. Unlike the book it is the only place that knows what it knows."""

import os
import sqlite3
from pathlib import Path

from fleetd import sqlite_schema
from routerd.errors import PermanentError

SCHEMA_VERSION = 1
_APPLICATION_ID = 0x666C7267  # "flrg"

_TABLES = """
CREATE TABLE tenant (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, allows_pending INTEGER NOT NULL, rekey_after_s INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE claim (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL REFERENCES tenant(id), public BLOB NOT NULL, created_ms INTEGER NOT NULL,
    not_after_ms INTEGER, is_enabled INTEGER NOT NULL, quota_total INTEGER NOT NULL, quota_per_hour INTEGER NOT NULL,
    allows_pending INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE claim_use (              -- each key counts once, however often it asks
    claim TEXT NOT NULL REFERENCES claim(id), key_id TEXT NOT NULL, at_ms INTEGER NOT NULL,
    PRIMARY KEY (claim, key_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX claim_use_at ON claim_use(claim, at_ms);
CREATE TABLE token (
    hash BLOB PRIMARY KEY, tenant TEXT NOT NULL REFERENCES tenant(id), actor TEXT NOT NULL, scopes TEXT NOT NULL,
    not_after_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE device (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL REFERENCES tenant(id), serial TEXT NOT NULL, model TEXT NOT NULL,
    macs TEXT NOT NULL, status TEXT NOT NULL, created_ms INTEGER NOT NULL, drain_until_ms INTEGER,
    ip TEXT NOT NULL,                 -- from where it spoke last while nobody doubted it
    seen_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX device_tenant ON device(tenant, id);
CREATE TABLE manifest_row (
    no INTEGER PRIMARY KEY, tenant TEXT NOT NULL REFERENCES tenant(id), model TEXT NOT NULL, serial TEXT NOT NULL,
    store TEXT NOT NULL, not_after_ms INTEGER, replaces TEXT NOT NULL, note TEXT NOT NULL,
    device TEXT REFERENCES device(id) -- once bound
) STRICT;
CREATE INDEX manifest_row_place ON manifest_row(tenant, serial);
CREATE UNIQUE INDEX manifest_row_serial ON manifest_row(tenant, serial, model) WHERE serial != '';
CREATE INDEX manifest_row_device ON manifest_row(device) WHERE device IS NOT NULL;
CREATE TABLE manifest_mac (
    tenant TEXT NOT NULL, mac TEXT NOT NULL, row_no INTEGER NOT NULL REFERENCES manifest_row(no),
    PRIMARY KEY (tenant, mac)
) STRICT, WITHOUT ROWID;
CREATE INDEX manifest_mac_row ON manifest_mac(row_no);
CREATE TABLE device_key (
    id TEXT PRIMARY KEY, public BLOB NOT NULL, device TEXT REFERENCES device(id), state TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX device_key_current ON device_key(device) WHERE state = 'current';
CREATE TABLE assignment (
    device TEXT NOT NULL REFERENCES device(id), epoch INTEGER NOT NULL, store TEXT NOT NULL, from_ms INTEGER NOT NULL,
    PRIMARY KEY (device, epoch)
) STRICT, WITHOUT ROWID;
CREATE TABLE pending (
    ticket TEXT PRIMARY KEY, tenant TEXT NOT NULL REFERENCES tenant(id), key_id TEXT NOT NULL UNIQUE,
    public BLOB NOT NULL, claim TEXT NOT NULL, serial TEXT NOT NULL, model TEXT NOT NULL, macs TEXT NOT NULL,
    reason TEXT NOT NULL, state TEXT NOT NULL, ip TEXT NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
    count INTEGER NOT NULL, request TEXT NOT NULL, device TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX pending_serial ON pending(tenant, serial, state);
CREATE INDEX pending_claim ON pending(claim, state);
CREATE TABLE reset_ticket (
    device TEXT PRIMARY KEY REFERENCES device(id), until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE boot (
    key_id TEXT NOT NULL, boot TEXT NOT NULL, nonce_ms INTEGER NOT NULL, ip TEXT NOT NULL,
    PRIMARY KEY (key_id, boot)
) STRICT, WITHOUT ROWID;
CREATE TABLE command (
    id TEXT PRIMARY KEY, device TEXT NOT NULL REFERENCES device(id), kind TEXT NOT NULL, state TEXT NOT NULL,
    is_held INTEGER NOT NULL,         -- the router has said that it keeps it
    payload BLOB NOT NULL, kid TEXT NOT NULL, signature BLOB NOT NULL, expires_ms INTEGER NOT NULL, result TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX command_device ON command(device, id);
CREATE TABLE health (
    device TEXT PRIMARY KEY REFERENCES device(id), at_ms INTEGER NOT NULL, ip TEXT NOT NULL, document TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE audit (
    tenant TEXT NOT NULL, no INTEGER NOT NULL, at_ms INTEGER NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL,
    subject TEXT NOT NULL, document TEXT NOT NULL, hash BLOB NOT NULL,
    PRIMARY KEY (tenant, no)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_subject ON audit(tenant, subject, no);
CREATE TABLE trust (version INTEGER PRIMARY KEY, bundle BLOB NOT NULL) STRICT;
"""


def open_registry(path: Path) -> sqlite3.Connection:
    """A connection to the registry, which is made, 0600, where there is none.

    Raises PermanentError (`registry.foreign`, `registry.schema`) for another file or another version.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        return _open(path)
    except sqlite3.DatabaseError as exc:
        told = f"{path} is no registry ({exc})"
        raise PermanentError("registry.foreign", f"{told}: choose another --data folder") from exc


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite_schema.connect(path)
    db.row_factory = sqlite3.Row
    try:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN IMMEDIATE")
        if not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            for statement in _TABLES.split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("COMMIT")
        _check(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
        raise PermanentError("registry.foreign", f"{path} is no registry: choose another --data folder")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != SCHEMA_VERSION:
        told = f"{path} has schema {version}, this fleetd needs {SCHEMA_VERSION}"
        raise PermanentError("registry.schema", f"{told}: install the fleetd that wrote it")
