"""The life of a claim: the credential that an image batch carries, good for asking and for nothing else."""

from dataclasses import dataclass

from fleetd.enroll import decision

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Claim:
    """One per image batch. The cloud holds only the public half (32 bytes); quotas count distinct new keys, so a device
    that asks again spends nothing. not_after_ms: None for no end. Numbers of 0 mean no limit."""

    id: str
    tenant: str
    public: bytes
    created_ms: int
    not_after_ms: int | None = None
    is_enabled: bool = True
    quota_total: int = 0
    quota_per_hour: int = 0
    allows_pending: bool = True


@dataclass(frozen=True, slots=True)
class Use:
    """How many distinct keys came with a claim, and whether the one asking now is among them."""

    total: int
    last_hour: int
    is_counted: bool


def judge(claim: Claim | None, use: Use, *, is_signed: bool, now_ms: int) -> decision.Claim:
    """`is_signed`: the claim's signature verifies over this request's nonce, key and serial."""
    if claim is None or not is_signed:
        return decision.Claim.INVALID
    if not claim.is_enabled or (claim.not_after_ms is not None and now_ms > claim.not_after_ms):
        return decision.Claim.DISABLED
    if use.is_counted:
        return decision.Claim.USABLE
    if claim.quota_total and use.total >= claim.quota_total:
        return decision.Claim.DISABLED
    if claim.quota_per_hour and use.last_hour >= claim.quota_per_hour:
        return decision.Claim.BUSY
    return decision.Claim.USABLE
