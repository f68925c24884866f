"""The database of the reference cloud: tables, and how a connection to them is opened."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from routerd.errors import PermanentError

SCHEMA_VERSION = 2
_APPLICATION_ID = 0x666C7464  # "fltd"
_BUSY_MS = 5000  # fleetctl registers a device while a group commits: well under this
_READING = ("query_only = ON",)
_WRITING = (
    "synchronous = FULL",  # in WAL mode anything less acks what a power cut takes back
    "cache_size = -65536",  # KiB: the index pages of a small fleet
    "journal_size_limit = 67108864",  # a long reader lets the WAL grow; give it back afterwards
)

# Roles of a record, for ever.
TRANSACTION, COPY, CONFLICT, OTHER = 0, 1, 2, 3
CONTRADICTS = "segment.contradicts"  # the code of a segment that holds something else than what is kept
# Layers of spans: sequence numbers that are stored, and those stored or declared lost.
HELD, SETTLED = 0, 1

_TABLES = """
CREATE TABLE device (
    no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, status TEXT NOT NULL,
    created_ms INTEGER NOT NULL, secret_sha256 BLOB NOT NULL,
    store TEXT NOT NULL, timezone TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE stream (
    no INTEGER PRIMARY KEY, device_no INTEGER NOT NULL REFERENCES device(no),
    source TEXT NOT NULL, epoch INTEGER NOT NULL, copies INTEGER NOT NULL DEFAULT 0, received_ms INTEGER NOT NULL,
    UNIQUE (device_no, source, epoch)
) STRICT;
CREATE TABLE span (                  -- disjoint, never adjacent ranges; number of rows = number of holes + 1
    stream_no INTEGER NOT NULL REFERENCES stream(no), layer INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (stream_no, layer, first)
) STRICT, WITHOUT ROWID;
CREATE TABLE record (
    no INTEGER PRIMARY KEY,          -- order of arrival
    stream_no INTEGER NOT NULL REFERENCES stream(no), seq INTEGER NOT NULL,
    kind INTEGER NOT NULL, role INTEGER NOT NULL, copy_of INTEGER REFERENCES record(no),
    boot BLOB NOT NULL, mono_ms INTEGER NOT NULL, wall_ms INTEGER NOT NULL, synced INTEGER NOT NULL,
    received_ms INTEGER NOT NULL, identity TEXT, pos_time TEXT, pos_kind TEXT NOT NULL,
    digest BLOB NOT NULL, bytes INTEGER NOT NULL,
    lead BLOB, trail BLOB, raw BLOB, -- a copy has the white space around its content and no raw
    UNIQUE (stream_no, seq)
) STRICT;
CREATE INDEX record_conflict ON record(no) WHERE role = 2;
CREATE INDEX record_received ON record(received_ms) WHERE role = 0;
CREATE TABLE identity (              -- every version of a POS identity; the lowest record_no is the transaction
    device_no INTEGER NOT NULL REFERENCES device(no), identity TEXT NOT NULL, digest BLOB NOT NULL,
    record_no INTEGER NOT NULL REFERENCES record(no), copies INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device_no, identity, digest)
) STRICT, WITHOUT ROWID;
CREATE TABLE gap (
    no INTEGER PRIMARY KEY, record_no INTEGER NOT NULL REFERENCES record(no), device_no INTEGER NOT NULL,
    source TEXT NOT NULL, epoch INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    cause TEXT NOT NULL, lost_bytes INTEGER NOT NULL, from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE invalid (
    no INTEGER PRIMARY KEY, device_no INTEGER NOT NULL REFERENCES device(no), sha256 BLOB NOT NULL,
    source TEXT NOT NULL, epoch INTEGER NOT NULL, first_seq INTEGER NOT NULL, count INTEGER NOT NULL,
    code TEXT NOT NULL, reason TEXT NOT NULL, times INTEGER NOT NULL DEFAULT 1,
    first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, size INTEGER NOT NULL, packed BLOB NOT NULL,
    UNIQUE (device_no, sha256)
) STRICT;
"""

_FROM_1 = (
    "ALTER TABLE device ADD COLUMN store TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE device ADD COLUMN timezone TEXT NOT NULL DEFAULT ''",
    "UPDATE device SET store = id",
    "CREATE INDEX record_received ON record(received_ms) WHERE role = 0",
)


def create(path: Path) -> bool:
    """Make the database, 0600. False if there was one already; one of an older schema is brought up to this one.
    Raises PermanentError for any other."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    try:
        with closing(connect(path)) as db:
            if db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                _upgrade(db)
                check(db, path)
                return False
            db.execute("PRAGMA journal_mode = WAL")  # for good: fleetctl reads while fleetd writes
            db.execute("BEGIN IMMEDIATE")
            for statement in _TABLES.split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            db.execute("COMMIT")
            return True
    except sqlite3.Error as exc:
        told = f"{path} cannot be made a fleetd database ({exc})"
        raise PermanentError("store.create", f"{told}: choose another --data folder") from exc


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with this house's pragmas, in autocommit mode: transactions are written out."""
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
    db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        db.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        db.execute("PRAGMA trusted_schema = OFF")
        for pragma in _READING if read_only else _WRITING:
            db.execute(f"PRAGMA {pragma}")
    except sqlite3.Error:
        db.close()
        raise
    return db


def check(db: sqlite3.Connection, path: Path) -> None:
    """Raises PermanentError unless this is a database of this schema; a newer one is refused, not used."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION_ID:
        raise PermanentError("store.foreign", f"{path} is no fleetd database: choose another --data folder")
    if version < SCHEMA_VERSION:
        told = f"{path} has schema {version}, this fleetd needs {SCHEMA_VERSION}"
        raise PermanentError("store.schema", f"{told}: run `fleetd init --data {path.parent}`, which keeps the data")
    if version > SCHEMA_VERSION:
        told = f"{path} has schema {version}, this fleetd knows {SCHEMA_VERSION}"
        raise PermanentError("store.schema", f"{told}: install the fleetd that wrote it")


def _upgrade(db: sqlite3.Connection) -> None:
    """From schema 1, in one transaction; whatever else stands there is left for `check` to refuse."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    if (application, db.execute("PRAGMA user_version").fetchone()[0]) != (_APPLICATION_ID, 1):
        return
    db.execute("BEGIN IMMEDIATE")
    for statement in _FROM_1:
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")
