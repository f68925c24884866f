"""How a device signs a request: one fixed profile of RFC 9421 (HTTP Message Signatures).

    Routerd-Boot      <boot id, 22 base64url chars>.<count>      a new id per process start, a count from 1
    Content-Digest    sha-256=:<base64>:                         RFC 9530, of the bytes as sent
    Signature-Input   sig=("@method" "@authority" "@path" "content-digest" "routerd-boot");nonce="…";keyid="…";
                      alg="ed25519";tag="routerd-v1"             on one line, without the blanks of this page
    Signature         sig=:<base64 of 64 bytes>:

Component list, order, `alg` and `tag` are constants: a verifier matches one expression, there is nothing to negotiate
and no structured-field parser to get wrong. Freshness comes from the nonce, which the cloud sends as `Routerd-Nonce`
with every answer and which is opaque to a router; no router clock is asked. A path that is signed has no query.

The cloud: `read` the headers, `check_digest`, find the key by `key_id`, `check_signature`, then judge nonce and boot.
Each raises CorruptError; its code with `_` for `.` is the code of the HTTP answer (`signature_malformed` …).
Headers that occur twice are the caller's to refuse.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hmac import compare_digest

from routerd.errors import CorruptError
from routerd.wire import base64url, ed25519
from routerd.wire.ed25519 import SigningKey

BOOT_HEADER = "Routerd-Boot"
DIGEST_HEADER = "Content-Digest"
INPUT_HEADER = "Signature-Input"
SIGNATURE_HEADER = "Signature"
NONCE_HEADER = "Routerd-Nonce"
BOOT_ID_BYTES = 16
NONCE_BYTES = 32  # as text: 43 characters
MAX_COUNT = (1 << 64) - 1
_COMPONENTS = '("@method" "@authority" "@path" "content-digest" "routerd-boot")'
_INPUT = re.compile(
    re.escape(f"sig={_COMPONENTS};")
    + 'nonce="(?P<nonce>[A-Za-z0-9_-]{43})";keyid="(?P<key_id>[0-9a-f]{32})";alg="ed25519";tag="routerd-v1"'
)
_SIGNATURE = re.compile("sig=:([A-Za-z0-9+/]{86}==):")
_DIGEST = re.compile("sha-256=:([A-Za-z0-9+/]{43}=):")
_BOOT = re.compile(r"([A-Za-z0-9_-]{22})\.([1-9][0-9]{0,19})")
_METHOD = re.compile("[A-Z]{3,7}")
_AUTHORITY = re.compile(r"(?:[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[1-9][0-9]{0,4})?")
_PATH = re.compile("/[A-Za-z0-9._~/-]{0,255}")  # nothing that two sides could escape in two ways


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is sent to. `authority` is lower case, without the scheme's own port (RFC 9421 §2.2.3)."""

    method: str
    authority: str
    path: str


@dataclass(frozen=True, slots=True)
class Boot:
    """Which run of the daemon speaks (16 random bytes as text, kept in RAM only) and how often it spoke."""

    id: str
    count: int


@dataclass(frozen=True, slots=True)
class Signed:
    """What the four headers of a request say, well-formed but not yet believed."""

    digest: str
    boot: Boot
    nonce: str
    key_id: str
    signature: bytes


def sign(target: Target, digest: str, boot: Boot, nonce: str, key: SigningKey) -> dict[str, str]:
    """The four headers. `digest` is `content_digest` of the body, `nonce` the newest the cloud sent.

    Raises ValueError for a target, boot or nonce that no verifier takes: a request that cannot be signed is a bug.
    """
    base = _base(target, digest, _boot_text(boot), _parameters(nonce, key.id))
    if not _DIGEST.fullmatch(digest) or len(base64url.decode(nonce)) != NONCE_BYTES:
        raise ValueError("a digest or nonce is malformed")
    signature = base64.b64encode(key.sign(base)).decode("ascii")
    return {
        BOOT_HEADER: _boot_text(boot),
        DIGEST_HEADER: digest,
        INPUT_HEADER: f"sig={_parameters(nonce, key.id)}",
        SIGNATURE_HEADER: f"sig=:{signature}:",
    }


def read(headers: Mapping[str, str]) -> Signed:
    """The headers of a request, looked up by the names above. Raises CorruptError `signature.malformed`."""
    parameters = _INPUT.fullmatch(headers.get(INPUT_HEADER, ""))
    signature = _SIGNATURE.fullmatch(headers.get(SIGNATURE_HEADER, ""))
    boot = _BOOT.fullmatch(headers.get(BOOT_HEADER, ""))
    digest = headers.get(DIGEST_HEADER, "")
    if not (parameters and signature and boot and _DIGEST.fullmatch(digest)):
        raise _malformed("one of the four signature headers is missing or malformed")
    count = int(boot[2])
    if count > MAX_COUNT:
        raise _malformed("the boot counter is too large")
    try:
        base64url.decode(boot[1], BOOT_ID_BYTES)
        base64url.decode(parameters["nonce"], NONCE_BYTES)
    except CorruptError as exc:
        raise _malformed("a boot id or nonce has stray bits") from exc
    return Signed(digest, Boot(boot[1], count), parameters["nonce"], parameters["key_id"], _standard(signature[1]))


def check_digest(signed: Signed, body: bytes) -> None:
    """`body` as it arrived, before any decoding. Raises CorruptError `digest.mismatch`."""
    if not compare_digest(signed.digest, content_digest(body)):
        raise CorruptError("digest.mismatch", "the body is not what was signed")


def check_signature(target: Target, signed: Signed, public: bytes) -> None:
    """Whether the holder of `public` (32 bytes, found by `signed.key_id`) signed this request for this target.

    Raises CorruptError `signature.bad`. `target` is what the cloud saw; whether it serves that authority is the
    cloud's to judge before.
    """
    try:
        base = _base(target, signed.digest, _boot_text(signed.boot), _parameters(signed.nonce, signed.key_id))
    except ValueError as exc:
        raise CorruptError("signature.bad", "no request to this target is ever signed") from exc
    if signed.key_id != ed25519.key_id(public) or not ed25519.verify(public, base, signed.signature):
        raise CorruptError("signature.bad", "the signature does not fit the request")


def content_digest(body: bytes) -> str:
    """The value of `Content-Digest`."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode('ascii')}:"


def signature_base(components: Sequence[tuple[str, str]], parameters: str) -> bytes:
    """RFC 9421 §2.5: the bytes that are signed, from (name, value) in order and the value of `@signature-params`."""
    lines = [f'"{name}": {value}' for name, value in components]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode("ascii")


def _base(target: Target, digest: str, boot: str, parameters: str) -> bytes:
    if not (_METHOD.fullmatch(target.method) and _AUTHORITY.fullmatch(target.authority)):
        raise ValueError(f"{target.method} {target.authority} is no target")
    if not _PATH.fullmatch(target.path):
        raise ValueError(f"{target.path} is no path to sign")
    components = [
        ("@method", target.method),
        ("@authority", target.authority),
        ("@path", target.path),
        ("content-digest", digest),
        ("routerd-boot", boot),
    ]
    return signature_base(components, parameters)


def _parameters(nonce: str, key_id: str) -> str:
    return f'{_COMPONENTS};nonce="{nonce}";keyid="{key_id}";alg="ed25519";tag="routerd-v1"'


def _boot_text(boot: Boot) -> str:
    text = f"{boot.id}.{boot.count}"
    if not _BOOT.fullmatch(text) or boot.count > MAX_COUNT:
        raise ValueError("a boot id or counter is malformed")
    return text


def _standard(text: str) -> bytes:
    """Structured fields use base64 with padding (RFC 8941 §3.3.5)."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise _malformed("the signature is no base64") from exc
    if base64.b64encode(data).decode("ascii") != text:
        raise _malformed("the signature has stray bits")
    return data


def _malformed(message: str) -> CorruptError:
    return CorruptError("signature.malformed", message)
