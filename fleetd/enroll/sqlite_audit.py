"""The audit of each tenant: one chain, written within the transaction of what it tells."""

import json
import sqlite3

from fleetd.enroll import chain
from fleetd.enroll.chain import Entry
from fleetd.enroll.registry import By

CLOUD = "fleetd"  # the actor where no person acted


def note(db: sqlite3.Connection, by: By, kind: str, subject: str, **document: object) -> None:
    """`document` as JSON, with the reason if there is one."""
    last = db.execute("SELECT no, hash FROM audit WHERE tenant = ? ORDER BY no DESC LIMIT 1", (by.tenant,)).fetchone()
    no, before = (last["no"] + 1, last["hash"]) if last else (1, chain.START)
    said = document | ({"reason": by.reason} if by.reason else {})
    entry = Entry(no, by.now_ms, by.actor, kind, subject, json.dumps(said, separators=(",", ":"), sort_keys=True))
    values = (by.tenant, no, entry.at_ms, entry.actor, kind, subject, entry.document, chain.link(before, entry))
    db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)


def read(db: sqlite3.Connection, tenant: str, subject: str, after: int, limit: int) -> list[tuple[Entry, bytes]]:
    found = db.execute(
        "SELECT no, at_ms, actor, kind, subject, document, hash FROM audit"
        " WHERE tenant = ?1 AND no > ?3 AND (?2 = '' OR subject = ?2) ORDER BY no LIMIT ?4",
        (tenant, subject, after, limit),
    )
    return [(Entry(*row[:6]), row["hash"]) for row in found]
