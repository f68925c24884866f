"""The one HTTP client: TLS against our own anchors, credentials, and every failure translated into a `Reply`."""

import asyncio
import base64
import hashlib
import json
import os
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from routerd import __version__
from routerd.clock import Clock
from routerd.errors import PermanentError
from routerd.wire.answers import MEDIA_TYPE, PROTOCOL, PROTOCOL_HEADER, Meaning, Reaction, meaning

# aiohttp builds a TLS context with the system's CA file at import: 1.6 MB and a second of a small CPU, never used here
_before = os.environ.get("SSL_CERT_FILE")
os.environ["SSL_CERT_FILE"] = os.devnull
import aiohttp  # noqa: E402

if _before is None:
    del os.environ["SSL_CERT_FILE"]
else:
    os.environ["SSL_CERT_FILE"] = _before

_MAX_REPLY_BYTES = 1 << 20  # an answer to the largest batch is a tenth of this
_KEEPALIVE_S = 150.0  # longer than two heartbeats, so that an idle line costs no handshake
_UNREACHABLE = Meaning(Reaction.RETRY, "cloud.unreachable", "no connection: check the internet line")
_TIMED_OUT = Meaning(Reaction.RETRY, "cloud.timeout", "no answer in time: check the internet line")
_NO_NAME = Meaning(Reaction.RETRY, "cloud.no_dns", "its name does not resolve: check DNS")
_INTERCEPTED = Meaning(
    Reaction.RETRY,
    "cloud.tls_intercepted",
    "its certificate is not ours: something opens TLS on the way, or ca_file is old",
)
_MISNAMED = Meaning(Reaction.RETRY, "cloud.tls_name", "its certificate is for another name: check [forward] url")
_OUT_OF_TIME = Meaning(
    Reaction.RETRY, "cloud.tls_time", "its certificate is not valid at this router's date: check the clock"
)
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a request. `body` is worth reading only when the reaction is TAKE."""

    meaning: Meaning
    body: bytes = b""
    retry_after_s: float | None = None
    detail: str = ""


class Credentials(Protocol):
    """How a device says who it is. Signed requests replace the provisional key behind this."""

    def headers(self, method: str, path: str, body_digest: str) -> Mapping[str, str]: ...

    def renewed(self) -> bool:
        """Whether requests are another's from now on than they were before. Raises PermanentError with the remedy."""
        ...


class KeyFile:
    """A provisional key: one line `device.secret` in a file of mode 0600."""

    def __init__(self, path: Path) -> None:
        """Raises PermanentError with the remedy."""
        self._path = path
        self._read()

    def headers(self, method: str, path: str, body_digest: str) -> Mapping[str, str]:
        return self._headers

    def renewed(self) -> bool:
        """Take a key that was put into the file's place. Costs one stat while the file is as it was.

        Raises PermanentError while what stands there is no key; the last one stays in use.
        """
        before = self._headers
        if _version(self._path) != self._version:
            self._read()
        return self._headers != before

    def _read(self) -> None:
        path = self._path
        version = _version(path)
        try:
            mode = path.stat().st_mode
            line = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise PermanentError("key.unreadable", f"{path}: {exc}: put the device's key there") from exc
        if stat.S_IMODE(mode) & 0o077:
            raise PermanentError("key.exposed", f"{path} can be read by others: chmod 600 it, and renew the key")
        device, _, secret = line.partition(".")
        is_one_word = line.isprintable() and " " not in line
        if not device or len(secret) < 32 or not is_one_word:
            raise PermanentError("key.malformed", f"{path} holds no `device.secret` line: have the key made again")
        self.device = device
        self._headers = {"Authorization": f"Bearer {line}"}
        self._version = version


def _version(path: Path) -> tuple[int, int, int] | None:
    """What differs once a file was written, replaced or given other rights; None without a file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_ctime_ns, found.st_size


class Cloud:
    """Requests to one cloud over one or two kept connections. `close` when done."""

    def __init__(self, url: str, ca_file: Path, credentials: Credentials, timeout_s: float, clock: Clock) -> None:
        """Raises PermanentError if the anchors cannot be read.

        While `clock` has plainly never been set (1970, 2099) certificates are not held against it: only our own anchors
        are trusted, and a router that waits for the right time to ask may wait for ever.
        """
        self._clock = clock
        self.bytes_sent = 0
        self.requests = 0
        self._url = url.rstrip("/")
        self._credentials = credentials
        self._tls = _tls_context(ca_file)
        self._verify = self._tls.verify_flags
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=4, keepalive_timeout=_KEEPALIVE_S)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=timeout_s),
            headers={PROTOCOL_HEADER: PROTOCOL, "User-Agent": f"routerd/{__version__}", "Content-Type": MEDIA_TYPE},
            skip_auto_headers=("Accept", "Accept-Encoding"),  # 50 bytes a request that say nothing
            auto_decompress=False,
        )

    async def post(self, path: str, body: bytes) -> Reply:
        """Send one document. Never raises for what network or server do; never follows a redirect."""
        digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
        headers = {"Content-Digest": digest, **self._credentials.headers("POST", path, digest)}
        dated = self._clock.stamp().synced
        self._tls.verify_flags = self._verify if dated else self._verify | _NO_CHECK_TIME
        self.requests += 1
        self.bytes_sent += len(body)
        try:
            request = self._session.post(self._url + path, data=body, headers=headers, allow_redirects=False)
            async with request as response:
                content = await _read(response.content)
                code = _error_code(content) if response.status >= 400 else ""
                what = meaning(response.status, code, response.headers.get(PROTOCOL_HEADER))
                detail = f"HTTP {response.status} {code}".strip()
                return Reply(what, content, _retry_after_s(response.headers.get("Retry-After")), detail)
        except aiohttp.ClientConnectorCertificateError as exc:
            return _untrusted(exc.certificate_error)
        except aiohttp.ClientConnectorDNSError as exc:
            return Reply(_NO_NAME, detail=str(exc))
        except TimeoutError:
            return Reply(_TIMED_OUT)
        except (aiohttp.ClientError, OSError, ssl.SSLError) as exc:
            return Reply(_UNREACHABLE, detail=str(exc) or type(exc).__name__)

    def renewed(self) -> bool:
        """Whether requests carry other credentials from now on. Raises PermanentError with the remedy."""
        return self._credentials.renewed()

    async def close(self) -> None:
        await self._session.close()
        await asyncio.sleep(0)  # aiohttp closes its transports in the loop's next turn


def _tls_context(ca_file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise PermanentError("ca.unreadable", f"{ca_file}: {exc}: put the cloud's CA certificate there") from exc
    return context


def _untrusted(exc: Exception) -> Reply:
    match getattr(exc, "verify_code", 0):  # OpenSSL's x509_vfy.h
        case 62 | 64:  # HOSTNAME_MISMATCH, IP_ADDRESS_MISMATCH
            return Reply(_MISNAMED, detail=str(exc))
        case 9 | 10:  # CERT_NOT_YET_VALID, CERT_HAS_EXPIRED
            return Reply(_OUT_OF_TIME, detail=str(exc))
    return Reply(_INTERCEPTED, detail=str(exc))


async def _read(content: aiohttp.StreamReader) -> bytes:
    """A reply's body, cut at the limit: what is longer is not from our cloud and will not decode."""
    chunks = []
    size = 0
    while chunk := await content.readany():
        chunks.append(chunk)
        size += len(chunk)
        if size > _MAX_REPLY_BYTES:
            break
    return b"".join(chunks)


def _error_code(content: bytes) -> str:
    try:
        code = json.loads(content)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return ""
    return code if isinstance(code, str) else ""


def _retry_after_s(header: str | None) -> float | None:
    """Seconds only: the date form would need a clock that a router may not have."""
    return float(header) if header and header.isdecimal() and len(header) < 7 else None
