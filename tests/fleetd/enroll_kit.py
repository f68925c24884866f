"""Boxes as they leave the image builder, and a registry that expects some of them."""

import base64
import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fleetd.enroll.claims import Claim
from fleetd.enroll.manifest import Line, Row
from fleetd.enroll.registry import Admission, Asking, By, Registry, Tenant
from fleetd.enroll.tokens import SCOPES, Token, hashed, mint
from routerd.wire.ed25519 import SigningKey, verify
from routerd.wire.enrollment import EnrollRequest, Proof, claim_message, rekey_message

NOW = 1_800_000_000_000
HOUR = 3_600_000
NONCE = "n" * 43
CLAIM_KEY = SigningKey(b"c" * 32)
ANA = By("t1", "ana", NOW)
BOB = By("t2", "bob", NOW)
OpenRegistry = Callable[[], Registry]


def mac(number: int) -> str:
    return f"94:83:c4:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


@dataclass
class Box:
    """One router: a board and, at a time, one key."""

    number: int
    claim: str = "c1"
    model: str = "mt3000"
    key: SigningKey = field(default_factory=lambda: SigningKey(os.urandom(32)))
    claim_key: SigningKey = CLAIM_KEY
    old: SigningKey | None = None
    ip: str = "203.0.113.1"

    @property
    def serial(self) -> str:
        return f"GL-{self.number:05}"

    def reset(self) -> None:
        """The button: the key is gone."""
        self.key, self.old = SigningKey(os.urandom(32)), None

    def renew(self) -> None:
        """A new key, with the old one to vouch for it."""
        self.key, self.old = SigningKey(os.urandom(32)), self.key

    def request(self, nonce: str = NONCE) -> EnrollRequest:
        signed = self.claim_key.sign(claim_message(nonce, self.key.id, self.serial))
        vouched = Proof(self.old.id, self.old.sign(rekey_message(nonce, self.key.id))) if self.old else None
        claim = Proof(self.claim, signed) if self.claim else None
        macs = (mac(2 * self.number), mac(2 * self.number + 1))
        return EnrollRequest(self.key.public, self.serial, macs, self.model, "glinet,mt3000", {}, claim, vouched)

    def asks(self, registry: Registry, at_ms: int = NOW, **changed: Any) -> Admission:
        """As the handler asks once it has checked the signatures."""
        request = self.request()
        claim = registry.claim(self.claim)
        told = claim_message(NONCE, self.key.id, self.serial)
        is_claimed = bool(claim and request.claim and verify(claim.public, told, request.claim.signature))
        asking = Asking(request, self.key.id, self.ip, at_ms, True, is_claimed, self.old is not None)
        return registry.enroll(replace(asking, **changed))

    def row(self, store: str = "", no: int = 2, **changed: Any) -> Line:
        row = Row(self.serial, (mac(2 * self.number), mac(2 * self.number + 1)), self.model, store)
        return Line(no, replace(row, **changed))


def prepare(registry: Registry) -> Registry:
    """Two tenants, each with a claim; both are of one key, as when two builders share an image by mistake."""
    registry.add_tenant(Tenant("t1", "One"))
    registry.add_tenant(Tenant("t2", "Two"))
    registry.add_claim(Claim("c1", "t1", CLAIM_KEY.public, NOW), ANA)
    registry.add_claim(Claim("c2", "t2", CLAIM_KEY.public, NOW), BOB)
    return registry


def expect(registry: Registry, *lines: Line, by: By = ANA) -> None:
    registry.import_manifest(lines, by, dry_run=False)


def enrolled(registry: Registry, number: int = 1, store: str = "s1") -> tuple[Box, str]:
    """A box that is in, and its device."""
    box = Box(number)
    expect(registry, box.row(store))
    return box, box.asks(registry).device


def add_token(registry: Registry, tenant: str, *scopes: str, actor: str = "ana") -> dict[str, str]:
    """The header of a token with these scopes, all of them if none is named."""
    text = mint(hashlib.sha256(f"{tenant}{scopes}{actor}".encode()).digest())
    registry.add_token(hashed(text), Token(actor, tenant, frozenset(scopes or SCOPES)))
    return {"Authorization": f"Bearer {text}"}


def digest_header(data: bytes) -> Mapping[str, str]:
    return {"Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"}
