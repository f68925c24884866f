"""The book's file: tables, and how it is opened. Everything in it but orders by hand is derived from the records."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from fleetd import sqlite_schema
from routerd.errors import PermanentError

SCHEMA_VERSION = 1  # another version is thrown away and written anew
_APPLICATION_ID = 0x666C746C  # "fltl"
DONE = 0  # the layer of spans: sequence numbers read, set aside or declared lost
DERIVED = (
    "position",  # one row: the last record that was read
    "device",
    "stream",
    "span",
    "boot",
    "place",
    "ticket",
    "line",
    "promotion",
    "tender",
    "loyalty",
    "marker",
    "totals",
    "document",
    "run",
    "day",
    "gap",
    "undecodable",
)
"""Tables that a rewriting empties. Orders stay: nothing else remembers those that a person gave."""

_TABLES = """
CREATE TABLE position (no INTEGER NOT NULL) STRICT;
CREATE TABLE device (
    no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, store TEXT NOT NULL, timezone TEXT NOT NULL
) STRICT;
CREATE TABLE stream (
    no INTEGER PRIMARY KEY, device_no INTEGER NOT NULL, source TEXT NOT NULL, epoch INTEGER NOT NULL,
    watermark INTEGER NOT NULL DEFAULT 0, moved INTEGER NOT NULL DEFAULT 0, -- position at which the watermark rose
    boot_no INTEGER, first_mono_ms INTEGER, last_mono_ms INTEGER, first_ms INTEGER, last_ms INTEGER,
    UNIQUE (device_no, source, epoch)
) STRICT;
CREATE INDEX stream_moved ON stream(device_no, moved);
CREATE TABLE span (
    stream_no INTEGER NOT NULL, layer INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (stream_no, layer, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE boot (                   -- what is known of the clock of one boot of a router, see dating.Boot
    no INTEGER PRIMARY KEY, device_no INTEGER NOT NULL, id BLOB NOT NULL, epoch INTEGER NOT NULL,
    upper_ms INTEGER NOT NULL, upper_received_ms INTEGER NOT NULL, is_live INTEGER NOT NULL,
    router_ms INTEGER, router_mono_ms INTEGER,
    first_mono_ms INTEGER NOT NULL, last_mono_ms INTEGER NOT NULL,
    first_received_ms INTEGER NOT NULL, last_received_ms INTEGER NOT NULL,
    UNIQUE (device_no, id)
) STRICT;
CREATE TABLE place (                  -- which record holds the content stored under a number
    stream_no INTEGER NOT NULL, seq INTEGER NOT NULL, record_no INTEGER NOT NULL,
    PRIMARY KEY (stream_no, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE ticket (
    no INTEGER PRIMARY KEY, record_no INTEGER NOT NULL, part INTEGER NOT NULL,
    device_no INTEGER NOT NULL, source TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
    identity TEXT, superseded_by INTEGER, -- the record that brought a later version of this identity
    boot_no INTEGER NOT NULL, mono_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL,
    store TEXT NOT NULL, site TEXT NOT NULL, register TEXT NOT NULL, number TEXT NOT NULL, kind TEXT NOT NULL,
    serial TEXT NOT NULL, cashier TEXT NOT NULL, business_day TEXT NOT NULL, periods TEXT NOT NULL,
    day TEXT NOT NULL,                -- the business day, else the date of pos_time
    pos_time TEXT NOT NULL, flags TEXT NOT NULL, total_cents INTEGER, counted_cents INTEGER NOT NULL,
    is_outside INTEGER NOT NULL, linked TEXT NOT NULL, age_check TEXT NOT NULL,
    UNIQUE (record_no, part)
) STRICT;
CREATE INDEX ticket_identity ON ticket(store, identity) WHERE identity IS NOT NULL;
CREATE INDEX ticket_received ON ticket(received_ms);
CREATE INDEX ticket_day ON ticket(device_no, source, day);
CREATE TABLE line (
    ticket_no INTEGER NOT NULL, place INTEGER NOT NULL, number INTEGER NOT NULL, kind TEXT NOT NULL,
    description TEXT NOT NULL, upc TEXT NOT NULL, upc_modifier TEXT NOT NULL, entry TEXT NOT NULL,
    department TEXT NOT NULL, quantity_milli INTEGER NOT NULL, unit_price_cents INTEGER NOT NULL,
    amount_cents INTEGER NOT NULL, is_void INTEGER NOT NULL, is_duplicate INTEGER NOT NULL,
    PRIMARY KEY (ticket_no, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE promotion (
    ticket_no INTEGER NOT NULL, line_place INTEGER NOT NULL, place INTEGER NOT NULL,
    id TEXT NOT NULL, kind TEXT NOT NULL, cents INTEGER NOT NULL,
    PRIMARY KEY (ticket_no, line_place, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE tender (
    ticket_no INTEGER NOT NULL, place INTEGER NOT NULL, kind TEXT NOT NULL, cents INTEGER NOT NULL,
    PRIMARY KEY (ticket_no, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE loyalty (
    ticket_no INTEGER NOT NULL, place INTEGER NOT NULL, program TEXT NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (ticket_no, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE marker (
    record_no INTEGER NOT NULL, part INTEGER NOT NULL, device_no INTEGER NOT NULL, source TEXT NOT NULL,
    site TEXT NOT NULL, register TEXT NOT NULL, kind TEXT NOT NULL, pos_time TEXT NOT NULL,
    business_day TEXT NOT NULL, period TEXT NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL,
    count INTEGER, total_cents INTEGER, day TEXT NOT NULL,
    PRIMARY KEY (record_no, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX marker_day ON marker(device_no, source, day);
CREATE TABLE totals (
    record_no INTEGER NOT NULL, part INTEGER NOT NULL, side TEXT NOT NULL, site TEXT NOT NULL, period TEXT NOT NULL,
    business_day TEXT NOT NULL, opened TEXT NOT NULL, closed TEXT NOT NULL, sums TEXT NOT NULL, -- JSON: name to cents
    PRIMARY KEY (record_no, part)
) STRICT, WITHOUT ROWID;
CREATE TABLE document (
    record_no INTEGER PRIMARY KEY, device_no INTEGER NOT NULL, source TEXT NOT NULL, name TEXT NOT NULL,
    frames INTEGER NOT NULL, missing INTEGER NOT NULL, received_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX document_short ON document(device_no, source) WHERE missing > 0;
CREATE TABLE run (
    document_no INTEGER NOT NULL, place INTEGER NOT NULL,
    epoch INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (document_no, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE day (                    -- the verdict on a document; of several of one name the latest counts
    device_no INTEGER NOT NULL, source TEXT NOT NULL, name TEXT NOT NULL, document_no INTEGER NOT NULL,
    period TEXT NOT NULL, business_day TEXT NOT NULL, status TEXT NOT NULL, verdict TEXT NOT NULL, -- JSON
    opened_ms INTEGER, closed_ms INTEGER, is_settled INTEGER NOT NULL,
    PRIMARY KEY (device_no, source, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX day_date ON day(business_day);
CREATE TABLE gap (
    record_no INTEGER PRIMARY KEY, device_no INTEGER NOT NULL, source TEXT NOT NULL, epoch INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, cause TEXT NOT NULL, lost_bytes INTEGER NOT NULL,
    from_wall_ms INTEGER NOT NULL, to_wall_ms INTEGER NOT NULL,
    boot_no INTEGER NOT NULL, mono_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL, received_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE undecodable (
    record_no INTEGER PRIMARY KEY, device_no INTEGER NOT NULL, source TEXT NOT NULL, epoch INTEGER NOT NULL,
    seq INTEGER NOT NULL, kind INTEGER NOT NULL, pos_kind TEXT NOT NULL, received_ms INTEGER NOT NULL,
    code TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE TABLE backfill (
    id INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT NOT NULL, source TEXT NOT NULL,
    first_day TEXT NOT NULL, last_day TEXT NOT NULL, is_by_hand INTEGER NOT NULL, reason TEXT NOT NULL,
    state TEXT NOT NULL, created_ms INTEGER NOT NULL, times INTEGER NOT NULL DEFAULT 0,
    sent_ms INTEGER, closed_ms INTEGER
) STRICT;
CREATE INDEX backfill_open ON backfill(device) WHERE state = 'open';
"""


def open_book(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection to the book, which is made, 0600, where there is none or one of another version.

    Raises PermanentError (`ledger.missing`) when it may only be read and is not there.
    """
    if read_only:
        if not path.is_file():
            raise PermanentError("ledger.missing", f"there is no {path} yet: fleetd writes it, or `fleetctl reprocess`")
        return sqlite_schema.connect(path, read_only=True)
    if path.is_file() and not _is_ours(path):
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = sqlite_schema.connect(path)
    db.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes back is read again from the records
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    if not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        for statement in _TABLES.split(";\n"):
            db.execute(statement)
        db.execute("INSERT INTO position VALUES (0)")
        db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")
    return db


def empty(db: sqlite3.Connection) -> None:
    """Inside a transaction: forget everything derived, so that following begins with the first record."""
    for table in DERIVED:
        db.execute(f"DELETE FROM {table}")  # noqa: S608  names from above
    db.execute("INSERT INTO position VALUES (0)")


def _is_ours(path: Path) -> bool:
    try:
        with closing(sqlite_schema.connect(path, read_only=True)) as db:
            application = db.execute("PRAGMA application_id").fetchone()[0]
            return (application, db.execute("PRAGMA user_version").fetchone()[0]) == (_APPLICATION_ID, SCHEMA_VERSION)
    except sqlite3.DatabaseError:
        return False  # damaged: it costs a reading of the records, no more
