"""Whether a request comes from the device whose key signed it: the checks in order of what they cost.

Shape, authority, digest and nonce cost microseconds and come first; a nonce cannot be made up, so nobody makes this
server verify signatures without having asked it before. Then the key, the signature, the window, the device's status,
which is told to nobody who has not proven to be that device.
"""

import base64
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from fleetd.auth import Inbound
from fleetd.enroll import nonce, registry
from fleetd.enroll.registry import Admitting, Caller
from fleetd.enroll.replay import Seen, Window
from fleetd.http import check_protocol
from fleetd.refusal import Refusal
from routerd.errors import CorruptError
from routerd.wire import signing
from routerd.wire.signing import Signed, Target

_ONCE = {"signature", "signature-input", "content-digest", "routerd-boot", "routerd-protocol"}
_MAX_HEADER_CHARS = 512
_DIGEST_PREFIX = "sha-256=:"


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Proven:
    """A request whose shape and nonce are good and whose signature is still to be checked."""

    signed: Signed
    target: Target
    nonce_ms: int
    now_ms: int


class SignedAuthenticator:
    """`fleetd.auth.Authenticator` for devices that sign. Called on the thread that owns the registry."""

    def __init__(
        self,
        known: Admitting,
        nonce_keys: Sequence[bytes],
        authorities: Set[str],
        *,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        """`nonce_keys`: random per start for a single process, so that nothing of before can be replayed.
        `authorities`: the names this server is reached by, `host` or `host:port`, lower case."""
        self._known = known
        self._keys = nonce_keys
        self._authorities = authorities
        self._now_ms = now_ms
        self._windows: dict[str, Window] = {}

    def authenticate(self, inbound: Inbound) -> str:
        """The device. Besides `identify`'s refusals, a device that two hold is held off until that is settled: what
        either sends could be the other's. Routers keep what is refused so."""
        caller = self.identify(inbound)
        if caller.status == registry.CONFLICT:
            raise Refusal(409, "identity_conflict", "two hold the key of this device", retry_after_s=300)
        return caller.device

    def identify(self, inbound: Inbound) -> Caller:
        """Whose request this is; the body is still to be held to the digest. Raises Refusal by the error table."""
        proven = self.read(inbound)
        caller = self._known.caller(proven.signed.key_id)
        if caller is None or caller.key_state != registry.CURRENT:
            raise Refusal(401, "key_unknown", "this key is not registered here")
        self.check(proven, caller.public)
        if self._judge(proven, caller):
            caller = self._known.caller(caller.key_id) or caller
        if caller.status == registry.REVOKED:
            raise Refusal(403, "device_revoked", "this device is revoked")
        if caller.status == registry.RETIRED:
            raise Refusal(403, "device_disabled", "this device is retired")
        return caller

    def read(self, inbound: Inbound) -> Proven:
        """What costs nothing. Raises Refusal 400, 401, 426."""
        _check_once(inbound)
        check_protocol(inbound.headers)
        try:
            signed = signing.read(inbound.headers)
        except CorruptError as exc:
            raise Refusal(401, "signature_malformed", str(exc)) from exc
        if base64.b64decode(signed.digest[len(_DIGEST_PREFIX) : -1]) != inbound.content_sha256:
            raise Refusal(400, "digest_mismatch", "the digest that is signed is not the body's")
        authority = inbound.authority.lower()
        if authority not in self._authorities:
            raise Refusal(401, "signature_bad", "this server is not the one the request was signed for")
        now_ms = self._now_ms()
        made_ms = nonce.minted_ms(signed.nonce, self._keys, now_ms)
        return Proven(signed, Target(inbound.method, authority, inbound.path), made_ms, now_ms)

    def check(self, proven: Proven, public: bytes) -> None:
        """Raises Refusal 401 `signature_bad`."""
        try:
            signing.check_signature(proven.target, proven.signed, public)
        except CorruptError as exc:
            raise Refusal(401, "signature_bad", str(exc)) from exc

    def _judge(self, proven: Proven, caller: Caller) -> bool:
        """Whether the device's standing may have changed. Raises Refusal 409 `replayed`."""
        signed = proven.signed
        window = self._windows.get(caller.key_id)
        if window is None:
            window = self._windows[caller.key_id] = Window(self._known.boots(caller.key_id))
        boot = signed.boot
        seen = window.judge(boot.id, boot.count, signed.signature, proven.nonce_ms, proven.now_ms)
        if seen is Seen.REPLAYED:
            raise Refusal(409, "replayed", "this request was seen before")
        if seen is Seen.NEW_BOOT:
            self._known.note_boot(caller.key_id, boot.id, proven.nonce_ms, "")
        if seen is Seen.CLONE and caller.status in (registry.ACTIVE, registry.RETIRING):
            self._known.conflict(caller.device, "clone", proven.now_ms)
            return True
        return False


def _check_once(inbound: Inbound) -> None:
    """A header that is there twice is read by one and signed by another. Raises Refusal 401."""
    seen: set[str] = set()
    for name, value in inbound.headers.items():  # items, not names: those hide what is there twice
        lower = name.lower()
        if lower in _ONCE:
            if lower in seen or len(value) > _MAX_HEADER_CHARS:
                raise Refusal(401, "signature_malformed", "a header of the signature is there twice or too long")
            seen.add(lower)
