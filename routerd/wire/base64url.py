"""Bytes as text without padding (RFC 4648 §5): keys, signatures, nonces, payloads within JSON. One text per value."""

import base64
import binascii

from routerd.errors import CorruptError


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(text: str, size_bytes: int | None = None) -> bytes:
    """Raises CorruptError unless `text` is what `encode` makes of these bytes, and of the size asked for."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        data = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as exc:
        raise CorruptError("base64.malformed", "this is no base64url text") from exc
    if encode(data) != text or size_bytes not in (None, len(data)):  # stray last bits would give one value two texts
        raise CorruptError("base64.malformed", "this is no base64url text of the right length")
    return data
