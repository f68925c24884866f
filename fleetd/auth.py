"""Who sends a request. Until devices sign, a bearer secret per device; the rest of fleetd does not know which."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from fleetd.refusal import Refusal
from fleetd.store import ACTIVE, Device, Store

_DEVICE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SECRET_BYTES = 32  # 256 random bits: a fast hash suffices, nobody guesses them
_NO_HASH = bytes(32)  # compared when the device is unknown, so that both refusals take as long


@dataclass(frozen=True, slots=True)
class Inbound:
    """What of a request can prove who sent it, read before its body. `headers` is case-insensitive; `content_sha256` is
    what the request says of its body, which is held to it later."""

    method: str
    authority: str
    path: str
    headers: Mapping[str, str]
    content_sha256: bytes


class Authenticator(Protocol):
    """Called on the judging thread, before the body is read: it may read the store."""

    def authenticate(self, inbound: Inbound) -> str:
        """The id of the device that sent this. Raises Refusal: 401 `key_unknown`, 403 `device_disabled`."""
        ...


class BearerAuthenticator:
    """`Authorization: Bearer <device id>.<secret>`."""

    def __init__(self, registry: Store) -> None:
        self._registry = registry

    def authenticate(self, inbound: Inbound) -> str:
        scheme, _, token = inbound.headers.get("Authorization", "").partition(" ")
        device_id, _, secret = token.strip().rpartition(".")
        named = scheme.lower() == "bearer" and is_device_id(device_id)
        device = self._registry.device(device_id) if named else None
        expected = device.secret_sha256 if device else _NO_HASH
        matches = hmac.compare_digest(secret_hash(secret), expected)
        if device is None or not matches:
            raise Refusal(401, "key_unknown", "this key is not registered here")
        if device.status != ACTIVE:
            raise Refusal(403, "device_disabled", "this device is disabled")
        return device.id


def is_device_id(text: str) -> bool:
    return _DEVICE_ID.fullmatch(text) is not None


def secret_hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def mint(device_id: str, now_ms: int, store: str = "", timezone: str = "") -> tuple[Device, str]:
    """A new device and the one line of its key file, which is kept nowhere else."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    device = Device(device_id, ACTIVE, now_ms, secret_hash(secret), store or device_id, timezone)
    return device, f"{device_id}.{secret}"
