"""The registry on SQLite: each method one transaction, durable when it returns."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fleetd.enroll import registry, sqlite_admission, sqlite_audit, sqlite_lives, sqlite_manifests, sqlite_orders
from fleetd.enroll.assignment import Assignment
from fleetd.enroll.chain import Entry
from fleetd.enroll.claims import Claim
from fleetd.enroll.manifest import Line, Outcome
from fleetd.enroll.registry import Admission, Asking, By, Caller, Device, Health, Order, Tenant, Waiting
from fleetd.enroll.replay import MAX_BOOTS
from fleetd.enroll.schema import open_registry
from fleetd.enroll.sqlite_facts import claim_of
from fleetd.enroll.tokens import Token
from fleetd.refusal import Refusal
from routerd.errors import TransientError
from routerd.wire.commands import Result

_CALLER = """
SELECT k.public, k.state, d.id, d.tenant, d.status, (SELECT max(epoch) FROM assignment WHERE device = d.id) AS epoch
FROM device_key k LEFT JOIN device d ON d.id = k.device WHERE k.id = ?
"""
_OLD_BOOTS = """
DELETE FROM boot WHERE key_id = ?1 AND boot NOT IN
(SELECT boot FROM boot WHERE key_id = ?1 ORDER BY nonce_ms DESC LIMIT ?2)
"""
_WAITING = "SELECT * FROM pending WHERE tenant = ? AND state = 'open' ORDER BY first_ms, ticket"


class _Rollback(Exception):
    """Ends a rehearsal."""


class SqliteRegistry:
    """A `Registry` over one file, made where there is none."""

    def __init__(self, path: Path) -> None:
        """Raises PermanentError."""
        self._db = open_registry(path)

    def close(self) -> None:
        self._db.close()

    def add_tenant(self, tenant: Tenant) -> None:
        with self._transaction() as db:
            values = (tenant.id, tenant.name, tenant.allows_pending, tenant.rekey_after_s)
            db.execute(
                "INSERT INTO tenant VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET name = excluded.name,"
                " allows_pending = excluded.allows_pending, rekey_after_s = excluded.rekey_after_s",
                values,
            )

    def add_claim(self, claim: Claim, by: By) -> None:
        with self._transaction() as db:
            held = claim_of(db, claim.id)
            if held is not None and (held.tenant, held.public) != (by.tenant, claim.public):
                raise Refusal(409, "claim_exists", "another claim has this name: choose another")
            if held is None:
                times = (claim.created_ms, claim.not_after_ms, claim.is_enabled)
                limits = (claim.quota_total, claim.quota_per_hour, claim.allows_pending)
                values = (claim.id, by.tenant, claim.public, *times, *limits)
                db.execute("INSERT INTO claim VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
                sqlite_audit.note(db, by, "claim.add", claim.id)

    def disable_claim(self, claim_id: str, by: By) -> None:
        with self._transaction() as db:
            held = claim_of(db, claim_id)
            if held is None or held.tenant != by.tenant:
                raise Refusal(404, "not_found", "there is no such claim")
            if held.is_enabled:
                db.execute("UPDATE claim SET is_enabled = 0 WHERE id = ?", (claim_id,))
                sqlite_audit.note(db, by, "claim.disable", claim_id)

    def claim(self, claim_id: str) -> Claim | None:
        with _translated():
            return claim_of(self._db, claim_id)

    def claims(self, tenant: str) -> list[Claim]:
        with _translated():
            found = self._db.execute("SELECT id FROM claim WHERE tenant = ? ORDER BY id", (tenant,)).fetchall()
            return [claim for row in found if (claim := claim_of(self._db, row["id"]))]

    def add_token(self, hashed: bytes, token: Token) -> None:
        with self._transaction() as db:
            values = (hashed, token.tenant, token.actor, " ".join(sorted(token.scopes)), token.not_after_ms)
            db.execute("INSERT INTO token VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", values)

    def token(self, hashed: bytes) -> Token | None:
        with _translated():
            row = self._db.execute("SELECT * FROM token WHERE hash = ?", (hashed,)).fetchone()
        if row is None:
            return None
        return Token(row["actor"], row["tenant"], frozenset(row["scopes"].split()), row["not_after_ms"])

    def add_bundle(self, version: int, bundle: bytes) -> None:
        with self._transaction() as db:
            held = db.execute("SELECT bundle FROM trust WHERE version = ?", (version,)).fetchone()
            if held is not None and held["bundle"] == bundle:
                return
            newest = db.execute("SELECT max(version) FROM trust").fetchone()[0]
            if newest is not None and version != newest + 1:
                raise Refusal(409, "trust_version", f"the next version of the trust bundle is {newest + 1}")
            db.execute("INSERT INTO trust VALUES (?, ?)", (version, bundle))

    def bundles(self, after: int, limit: int) -> list[bytes]:
        with _translated():
            sql = "SELECT bundle FROM trust WHERE version > ? ORDER BY version LIMIT ?"
            return [row["bundle"] for row in self._db.execute(sql, (after, limit))]

    def trust_version(self) -> int:
        with _translated():
            return int(self._db.execute("SELECT coalesce(max(version), 0) FROM trust").fetchone()[0])

    def caller(self, key_id: str) -> Caller | None:
        with _translated():
            row = self._db.execute(_CALLER, (key_id,)).fetchone()
        if row is None:
            return None
        whose = (row["id"] or "", row["tenant"] or "", row["status"] or "", row["epoch"] or 0)
        return Caller(key_id, row["public"], row["state"], *whose)

    def boots(self, key_id: str) -> list[tuple[str, int]]:
        with _translated():
            sql = "SELECT boot, nonce_ms FROM boot WHERE key_id = ? ORDER BY nonce_ms"
            return [(row["boot"], row["nonce_ms"]) for row in self._db.execute(sql, (key_id,))]

    def note_boot(self, key_id: str, boot: str, nonce_ms: int, ip: str) -> None:
        with self._transaction() as db:
            db.execute("INSERT INTO boot VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (key_id, boot, nonce_ms, ip))
            db.execute(_OLD_BOOTS, (key_id, MAX_BOOTS))

    def enroll(self, asking: Asking) -> Admission:
        with self._transaction() as db:
            return sqlite_admission.enroll(db, asking)

    def pending(self, tenant: str) -> list[Waiting]:
        with _translated():
            return [_waiting(row) for row in self._db.execute(_WAITING, (tenant,))]

    def approve(self, ticket: str, store: str | None, by: By) -> Device:
        with self._transaction() as db:
            return sqlite_lives.device(db, by.tenant, sqlite_admission.approve(db, ticket, store, by))

    def reject(self, ticket: str, by: By) -> None:
        with self._transaction() as db:
            sqlite_admission.reject(db, ticket, by)

    def import_manifest(self, lines: Sequence[Line], by: By, *, dry_run: bool) -> list[Outcome]:
        outcomes: list[Outcome] = []
        try:
            with self._transaction() as db:
                outcomes = sqlite_manifests.import_lines(db, lines, by)
                if dry_run:
                    raise _Rollback
        except _Rollback:
            return outcomes
        return outcomes

    def conflict(self, device: str, why: str, now_ms: int) -> None:
        with self._transaction() as db:
            sqlite_admission.conflict(db, device, why, now_ms)

    def device(self, tenant: str, device: str) -> Device:
        with _translated():
            return sqlite_lives.device(self._db, tenant, device)

    def devices(self, tenant: str, *, store: str = "", status: str = "", limit: int = 1000) -> list[Device]:
        with _translated():
            return sqlite_lives.devices(self._db, tenant, store, status, limit)

    def active_count(self) -> int:
        with _translated():
            sql = "SELECT count(*) FROM device WHERE status IN ('active', 'retiring', 'conflict')"
            return int(self._db.execute(sql).fetchone()[0])

    def assignments(self, tenant: str, device: str) -> list[Assignment]:
        with _translated():
            return sqlite_lives.history(self._db, tenant, device)

    def assign(self, device: str, store: str, by: By) -> Device:
        with self._transaction() as db:
            return sqlite_lives.assign(db, device, store, by)

    def replace(self, device: str, serial: str, by: By) -> Device:
        with self._transaction() as db:
            return sqlite_lives.replace(db, device, serial, by)

    def retire(self, device: str, drain_ms: int, by: By) -> Device:
        with self._transaction() as db:
            status = registry.RETIRING if drain_ms else registry.RETIRED
            return sqlite_lives.move(db, device, status, by, drain_ms)

    def revoke(self, device: str, by: By) -> Device:
        with self._transaction() as db:
            return sqlite_lives.move(db, device, registry.REVOKED, by)

    def reinstate(self, device: str, by: By) -> Device:
        with self._transaction() as db:
            return sqlite_lives.move(db, device, registry.ACTIVE, by)

    def open_ticket(self, device: str, until_ms: int, by: By) -> None:
        with self._transaction() as db:
            sqlite_lives.open_ticket(db, device, until_ms, by)

    def put_health(self, device: str, health: Health) -> None:
        with self._transaction() as db:
            sqlite_lives.put_health(db, device, health)

    def health(self, tenant: str, device: str) -> Health | None:
        with _translated():
            return sqlite_lives.health(self._db, tenant, device)

    def audit(self, tenant: str, subject: str = "", after: int = 0, limit: int = 1000) -> list[tuple[Entry, bytes]]:
        with _translated():
            return sqlite_audit.read(self._db, tenant, subject, after, limit)

    def order(self, order: Order, by: By) -> None:
        with self._transaction() as db:
            sqlite_orders.order(db, order, by)

    def deliver(self, device: str, now_ms: int, limit: int) -> list[Order]:
        with self._transaction() as db:
            return sqlite_orders.deliver(db, device, now_ms, limit)

    def acknowledge(self, device: str, ids: Sequence[str]) -> None:
        with self._transaction() as db:
            sqlite_orders.acknowledge(db, device, ids)

    def finish(self, device: str, result: Result, now_ms: int) -> bool:
        with self._transaction() as db:
            return sqlite_orders.finish(db, device, result, now_ms)

    def orders(self, tenant: str, device: str, limit: int = 100) -> list[Order]:
        with _translated():
            return sqlite_orders.orders(self._db, tenant, device, limit)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _translated():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as exc:
        raise TransientError("registry.unavailable", f"the registry does not answer: {exc}") from exc


def _waiting(row: sqlite3.Row) -> Waiting:
    board = (row["serial"], row["model"], tuple(json.loads(row["macs"])), row["ip"])
    counts = (row["first_ms"], row["last_ms"], row["count"])
    return Waiting(row["ticket"], row["reason"], row["state"], *board, *counts, json.loads(row["request"]))
