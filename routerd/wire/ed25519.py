"""Ed25519 (RFC 8032) through libsodium. Deterministic: no chance, no clock, no file."""

import hashlib

from nacl import bindings
from nacl.exceptions import BadSignatureError

SEED_BYTES = 32
PUBLIC_BYTES = 32
SIGNATURE_BYTES = 64
KEY_ID_CHARS = 32


class SigningKey:
    """A private key. `public` is its 32-byte public half, `id` its key id; the seed shows in no representation."""

    __slots__ = ("_secret", "id", "public")

    def __init__(self, seed: bytes) -> None:
        """`seed`: 32 random bytes. Raises ValueError for another length."""
        if len(seed) != SEED_BYTES:
            raise ValueError("an Ed25519 seed has 32 bytes")
        self.public, self._secret = bindings.crypto_sign_seed_keypair(seed)
        self.id = key_id(self.public)

    @property
    def seed(self) -> bytes:
        """What to write into a file that only we can read."""
        return self._secret[:SEED_BYTES]  # libsodium's secret key is seed and public key

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature."""
        return bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"SigningKey({self.id})"


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is the holder's. Never raises.

    libsodium refuses public keys of small order and values that are not reduced, so no signature has a second form.
    """
    if len(public) != PUBLIC_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public)
    except BadSignatureError:
        return False
    return True


def key_id(public: bytes) -> str:
    """The first 32 hex digits of the public key's SHA-256."""
    return hashlib.sha256(public).hexdigest()[:KEY_ID_CHARS]
