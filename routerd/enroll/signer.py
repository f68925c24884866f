"""Who signs requests: the key of now, this run of the daemon, and the newest nonce."""

import contextlib
from collections.abc import Mapping

from routerd.errors import CorruptError, TransientError
from routerd.wire import base64url, signing
from routerd.wire.ed25519 import SigningKey
from routerd.wire.signing import Boot, Target


class Signer:
    """One for all requests of a device: the count under a boot id must never repeat. The boot id lives in RAM only."""

    def __init__(self, key: SigningKey, boot: bytes, authority: str) -> None:
        """`boot`: 16 random bytes of this process. `authority`: host, and port unless it is 443, in lower case."""
        self._key = key
        self._seen = key.id
        self._boot_id = base64url.encode(boot)
        self._count = 0
        self.authority = authority
        self.nonce = ""

    @property
    def key_id(self) -> str:
        return self._key.id

    @property
    def boot(self) -> Boot:
        """Which run speaks, and how often it spoke."""
        return Boot(self._boot_id, self._count)

    def use(self, key: SigningKey) -> None:
        """Sign with another key from now on."""
        self._key = key

    def heard(self, nonce: str | None) -> None:
        """Take the nonce of an answer, whatever the answer was. What is none is ignored."""
        with contextlib.suppress(CorruptError):
            if nonce and base64url.decode(nonce, signing.NONCE_BYTES):
                self.nonce = nonce

    def headers(self, method: str, path: str, body_digest: str) -> Mapping[str, str]:
        """The signature's headers for a request. Raises TransientError while the cloud has sent no nonce yet."""
        return self.headers_by(self._key, method, path, body_digest)

    def headers_by(self, key: SigningKey, method: str, path: str, body_digest: str) -> Mapping[str, str]:
        """The same by another key of this device."""
        if not self.nonce:
            raise TransientError("enroll.no_nonce", "the cloud has not been reached yet")
        self._count += 1
        target = Target(method, self.authority, path)
        return signing.sign(target, body_digest, Boot(self._boot_id, self._count), self.nonce, key)

    def renewed(self) -> bool:
        """Whether another key signs than when this was asked last."""
        before, self._seen = self._seen, self._key.id
        return self._seen != before
