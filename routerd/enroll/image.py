"""What the firmware image brings: the claim that may ask for an identity, and the least that is trusted.

    claim.json   {"v": 1, "claim": {"id": …, "seed": <32 bytes>, "not_after_ms": …}?, "trust": <bundle>}

The trust is a whole bundle of the chain: a first start asks for what came after it, and a reset never goes below it.
One image is on thousands of routers: the claim key can co-sign a request to enroll and nothing else.
"""

import re
from dataclasses import dataclass

from routerd.errors import CorruptError
from routerd.wire import ed25519, fields
from routerd.wire.ed25519 import SigningKey
from routerd.wire.trust import Bundle, Trust, bundle_of, read_trust

MAX_IMAGE_BYTES = 256 << 10
_CLAIM_ID = re.compile("[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Claim:
    """`not_after_ms` is for the image's builder to see: a router never holds it against a clock it may not have."""

    id: str
    key: SigningKey
    not_after_ms: int


@dataclass(frozen=True, slots=True)
class Image:
    """`claim` is None in an image whose devices are registered one by one."""

    claim: Claim | None
    trust: Trust
    bundle: Bundle


def read_image(data: bytes) -> Image:
    """Raises CorruptError `image.malformed` or `trust.malformed`."""
    document = fields.read(data, "image", MAX_IMAGE_BYTES)
    bundle = bundle_of(document.table("trust"))
    trust = read_trust(bundle.payload)
    if not trust.hosts or not trust.tls_anchors or not trust.time_keys:
        raise CorruptError("image.malformed", "the image's trust names no host, no anchor or no time key")
    if not document.has("claim"):
        return Image(None, trust, bundle)
    claim = document.table("claim")
    key = SigningKey(claim.blob("seed", ed25519.SEED_BYTES))
    return Image(Claim(claim.word("id", _CLAIM_ID), key, claim.integer("not_after_ms")), trust, bundle)
