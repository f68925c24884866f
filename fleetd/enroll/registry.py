"""What the cloud knows of devices, as an interface: nouns, and promises `tests/fleetd/test_enroll_registry.py` holds.

Each method is one atomic step and may be repeated: the same call again changes nothing and gives the same answer. A
tenant is an argument wherever a person or a program acts for one; what belongs to another tenant is not there (Refusal
404 `not_found`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from fleetd.enroll.assignment import Assignment
from fleetd.enroll.chain import Entry
from fleetd.enroll.claims import Claim
from fleetd.enroll.decision import Decision
from fleetd.enroll.manifest import Line, Outcome
from fleetd.enroll.tokens import Token
from routerd.wire.commands import Envelope, Result
from routerd.wire.enrollment import EnrollRequest

ACTIVE, RETIRING, CONFLICT, REVOKED, RETIRED = "active", "retiring", "conflict", "revoked", "retired"
QUEUED, DELIVERED, DONE = "queued", "delivered", "done"
CURRENT, SUPERSEDED, REJECTED = "current", "superseded", "rejected"
OPEN, APPROVED = "open", "approved"
DRAIN_MS = 14 * 86_400_000  # how long a replaced router may still bring what it holds


@dataclass(frozen=True, slots=True)
class Tenant:
    """An MNSP. allows_pending: strangers may wait for a person. rekey_after_s: how long a device must have been silent
    before its board may come back with a new key by itself, None for never."""

    id: str
    name: str = ""
    allows_pending: bool = True
    rekey_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """A key and whose it is: all that answering a signed request takes. Of a rejected key `device` is ""."""

    key_id: str
    public: bytes
    key_state: str
    device: str
    tenant: str
    status: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Device:
    """`store` is where it is now, "" for nowhere. `seen_ms` is when it last brought its health."""

    id: str
    tenant: str
    serial: str
    model: str
    macs: tuple[str, ...]
    status: str
    store: str
    epoch: int
    created_ms: int
    drain_until_ms: int | None = None
    seen_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """A request to be let in, its signatures checked.

    is_proven: signed by the key it carries. is_claimed, is_vouched: the claim's and the old key's signature verify too.
    heard: when each device was heard of last, in ms, as far as this process knows, which runs since `started_ms`.
    """

    request: EnrollRequest
    key_id: str
    ip: str
    now_ms: int
    is_proven: bool = True
    is_claimed: bool = False
    is_vouched: bool = False
    heard: Callable[[str], int] | None = None
    started_ms: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """The decision and, when let in, the device; when queued, the ticket. `retry_after_s` with 202 and 429."""

    decision: Decision
    device: str = ""
    store: str = ""
    epoch: int = 0
    ticket: str = ""
    retry_after_s: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A key in the queue. `request` is what it said of itself: shown to a person, never believed."""

    ticket: str
    reason: str
    state: str
    serial: str
    model: str
    macs: tuple[str, ...]
    ip: str
    first_ms: int
    last_ms: int
    count: int
    request: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, for which tenant, when, and why."""

    tenant: str
    actor: str
    now_ms: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """The last health document of a device and when it came."""

    at_ms: int
    ip: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """A command as it is kept: QUEUED, DELIVERED (sent, perhaps not received), DONE (a result came)."""

    id: str
    device: str
    kind: str
    state: str
    expires_ms: int
    envelope: Envelope
    result: Result | None = None


class Credentials(Protocol):
    """Tenants, claims, tokens, trust: what is set up by hand."""

    def add_tenant(self, tenant: Tenant) -> None: ...

    def add_claim(self, claim: Claim, by: By) -> None:
        """Raises Refusal 409 `claim_exists` when there is another claim of this id."""
        ...

    def disable_claim(self, claim_id: str, by: By) -> None: ...

    def claim(self, claim_id: str) -> Claim | None: ...

    def claims(self, tenant: str) -> list[Claim]: ...

    def add_token(self, hashed: bytes, token: Token) -> None: ...

    def token(self, hashed: bytes) -> Token | None: ...

    def add_bundle(self, version: int, bundle: bytes) -> None:
        """Raises Refusal 409 `trust_version` unless it follows the newest one."""
        ...

    def bundles(self, after: int, limit: int) -> list[bytes]:
        """Versions above `after`, in order."""
        ...

    def trust_version(self) -> int: ...


class Admitting(Protocol):
    """Keys and how they become devices."""

    def caller(self, key_id: str) -> Caller | None: ...

    def boots(self, key_id: str) -> list[tuple[str, int]]:
        """The runs kept of a key: id and when a nonce it signed with was made, in ms."""
        ...

    def note_boot(self, key_id: str, boot: str, nonce_ms: int, ip: str) -> None: ...

    def enroll(self, asking: Asking) -> Admission: ...

    def pending(self, tenant: str) -> list[Waiting]:
        """The open ones, longest waiting first."""
        ...

    def approve(self, ticket: str, store: str | None, by: By) -> Device:
        """`store`: None leaves it to the manifest. Raises Refusal 404, 409 `device_revoked`."""
        ...

    def reject(self, ticket: str, by: By) -> None: ...

    def import_manifest(self, lines: Sequence[Line], by: By, *, dry_run: bool) -> list[Outcome]: ...

    def conflict(self, device: str, why: str, now_ms: int) -> None:
        """Two hold this device's key."""
        ...


class Lives(Protocol):
    """What happens to devices afterwards."""

    def device(self, tenant: str, device: str) -> Device: ...

    def devices(self, tenant: str, *, store: str = "", status: str = "", limit: int = 1000) -> list[Device]: ...

    def active_count(self) -> int: ...

    def assignments(self, tenant: str, device: str) -> list[Assignment]: ...

    def assign(self, device: str, store: str, by: By) -> Device: ...

    def replace(self, device: str, serial: str, by: By) -> Device:
        """Expect `serial` in this device's store; the device itself is left to drain. Answers the old device."""
        ...

    def retire(self, device: str, drain_ms: int, by: By) -> Device:
        """Retiring for so long, or retired at once when it is 0."""
        ...

    def revoke(self, device: str, by: By) -> Device: ...

    def reinstate(self, device: str, by: By) -> Device: ...

    def open_ticket(self, device: str, until_ms: int, by: By) -> None:
        """Until then one new key may take the place of this device's, once."""
        ...

    def put_health(self, device: str, health: Health) -> None: ...

    def health(self, tenant: str, device: str) -> Health | None: ...

    def audit(self, tenant: str, subject: str = "", after: int = 0, limit: int = 1000) -> list[tuple[Entry, bytes]]: ...


class Orders(Protocol):
    """Commands: at most once, so they are kept before they are sent, and their results before they are acknowledged."""

    def order(self, order: Order, by: By) -> None:
        """Keep a signed command. Raises Refusal 409 `command_exists` when its id stands for another one."""
        ...

    def deliver(self, device: str, now_ms: int, limit: int) -> list[Order]:
        """What to send now, oldest first: what was not acknowledged and has not expired. Sending twice is no harm, a
        router runs an id once."""
        ...

    def acknowledge(self, device: str, ids: Sequence[str]) -> None:
        """The router holds these durably: they are not sent again."""
        ...

    def finish(self, device: str, result: Result, now_ms: int) -> bool:
        """Keep the first result of a command; False when there is no such command of this device."""
        ...

    def orders(self, tenant: str, device: str, limit: int = 100) -> list[Order]:
        """Latest first."""
        ...


class Registry(Credentials, Admitting, Lives, Orders, Protocol):
    """All of it. May be called from one thread."""

    def close(self) -> None: ...
