"""Bearer tokens of people and programs: of one tenant, for named scopes, kept as a hash only."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from fleetd.refusal import Refusal
from routerd.wire import base64url

SCOPES = (
    "manifest:read",
    "manifest:write",
    "pending:read",
    "pending:write",
    "devices:read",
    "devices:write",
    "claims:write",
    "support:read",
    "support:operate",
)
CHANCE_BYTES = 32  # 256 random bits: a fast hash suffices, nobody guesses them
_PREFIX = "fleet_"  # so that a token in a log or a repository is found by its look


@dataclass(frozen=True, slots=True)
class Token:
    """`actor` is what the audit calls its holder."""

    actor: str
    tenant: str
    scopes: frozenset[str]
    not_after_ms: int | None = None


def mint(chance: bytes) -> str:
    """The token, shown once. `chance`: 32 random bytes."""
    return _PREFIX + base64url.encode(chance)


def hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def carried(headers: Mapping[str, str]) -> bytes:
    """The hash of the token a request carries. Raises Refusal 401 `token_missing`."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip().startswith(_PREFIX):
        raise Refusal(401, "token_missing", "this needs `Authorization: Bearer fleet_…`")
    return hashed(token.strip())


def allow(token: Token | None, scope: str, now_ms: int) -> Token:
    """Raises Refusal 401 `token_unknown`, 403 `scope_missing`."""
    if token is None or (token.not_after_ms is not None and now_ms > token.not_after_ms):
        raise Refusal(401, "token_unknown", "this token is not valid here")
    if scope not in token.scopes:
        raise Refusal(403, "scope_missing", f"this token lacks {scope}")
    return token
