"""The HTTP side of a talk with a Verifone site controller.

Invariants: nothing is sent before the certificate was compared; a request is made once, never repeated by the library;
an answer is read in pieces of bounded size; what is raised holds neither URL nor secret, nor an exception that does:
aiohttp's name the URL, and the URL holds password and cookie.
"""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol, cast

import routerd.cloud  # noqa: F401  first: it imports aiohttp without the system's CA file

# isort: split
import aiohttp

from routerd.capture.commander import cgi
from routerd.capture.commander.inflate import PIECE_BYTES, Inflater
from routerd.errors import PermanentError, RouterdError, TransientError

_HEAD_BYTES = 4096  # a root's start tag stands in the first 200
_SMALL_BYTES = 1 << 20  # a credential with all its rights is 20 KB
_UNCONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_TLS_FAILED = "speaks no TLS that may be used (1.2 or newer): check the port, or have the POS updated"


class Pace(Protocol):
    """Time as the link lives it."""

    def now_s(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class LoopPace:
    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the controller may take."""

    connect_s: float = 10.0  # a LAN answers in milliseconds; ten seconds hold three SYNs
    silence_s: float = 60.0  # it makes up a day of 4 MB on a small CPU before the first byte
    document_s: float = 900.0  # one that trickles, or waits for our spool: begun anew later, it costs no record


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for a login: the body as far as it arrived. `status` is 0 where no answer came."""

    status: int
    body: bytes
    is_whole: bool


class Controller:
    """Requests to one controller. Nothing is asked of a machine whose certificate is not `pin` (SHA-256 in hex)."""

    def __init__(self, host: str, port: int, *, pace: Pace, patience: Patience) -> None:
        """In a running loop; `close` when done."""
        self.place = place(host, port)
        self.requests = 0
        self.took_s = 0.0  # from the last request to the first of its answer
        self._host = host
        self._port = port
        self._pace = pace
        self._patience = patience
        self._tls = PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
        timeout = aiohttp.ClientTimeout(
            total=patience.document_s, sock_connect=patience.connect_s, sock_read=patience.silence_s
        )
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, force_close=True),  # polls are minutes apart
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=timeout,
            auto_decompress=False,
            headers={"Accept-Encoding": "identity"},
            trace_configs=[_once()],
        )

    async def close(self) -> None:
        await self._http.close()
        await asyncio.sleep(0)  # aiohttp closes its transports in the loop's next turn

    @property
    def pin(self) -> str:
        return self._tls.pin

    @pin.setter
    def pin(self, digest: str) -> None:
        self._tls.pin = digest

    async def certificate(self) -> str:
        """What `pin` would be for the machine that answers now; nothing is asked of it."""
        tls = _unverified(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        try:
            async with asyncio.timeout(self._patience.connect_s):
                _, writer = await asyncio.open_connection(self._host, self._port, ssl=tls)
        except (OSError, TimeoutError) as exc:
            fault = self._unconnected(exc)
        else:
            digest = _digest(writer.get_extra_info("ssl_object"))
            writer.transport.abort()
            return digest
        raise fault

    async def log_in(self, **params: str) -> Reply:
        """Send a login. Whatever comes back, or does not, is a Reply: the controller may have counted the try.

        Raises only where nothing was sent: TransientError pos.unreachable | pos.tls_failed, PermanentError
        pos.certificate_changed.
        """
        self.requests += 1
        try:
            response = await self._get({"cmd": "validate", **params})
        except _UNCONNECTED as exc:
            fault = self._unconnected(exc)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return Reply(0, b"", is_whole=False)
        else:
            try:
                return await self._replied(response)
            finally:
                response.close()
        raise fault

    async def _replied(self, response: aiohttp.ClientResponse) -> Reply:
        answer, body = Answer(response, self.place), b""
        try:
            while len(body) < _SMALL_BYTES and (piece := await answer.piece()):
                body += piece
        except RouterdError:
            return Reply(response.status, body, is_whole=False)
        return Reply(response.status, body, is_whole=True)

    async def reach(self) -> None:
        """Whether a request would arrive now; nothing is asked. Raises as `log_in` does."""
        if (seen := await self.certificate()) != self.pin:
            raise self._changed(seen)

    @asynccontextmanager
    async def ask(self, cmd: str, **params: str) -> "AsyncIterator[Answer]":
        """One request and its answer, begun: its head is there.

        Raises TransientError pos.unreachable | pos.busy | pos.cut | pos.tls_failed, PermanentError
        pos.certificate_changed | pos.not_a_commander.
        """
        began_s = self._pace.now_s()
        self.requests += 1
        response = await self._send({"cmd": cmd, **params})
        try:
            answer = Answer(response, self.place)
            await answer.begin()
            self.took_s = self._pace.now_s() - began_s
            yield answer
        finally:
            response.close()

    async def _send(self, params: dict[str, str]) -> aiohttp.ClientResponse:
        try:
            response = await self._get(params)
        except (aiohttp.ClientError, OSError, TimeoutError) as exc:
            fault = self._unanswered(exc)
        else:
            if response.status in (200, 401, 403) or 300 <= response.status < 400:
                return response
            response.close()
            fault = self._wrong_status(response.status)
        raise fault  # out of the handler: an exception with a URL must not be its context

    async def _get(self, params: dict[str, str]) -> aiohttp.ClientResponse:
        return await self._http.get(f"https://{self.place}/cgi-bin/CGILink", params=params, allow_redirects=False)

    def _unanswered(self, exc: Exception) -> RouterdError:
        if isinstance(exc, _UNCONNECTED):
            return self._unconnected(exc)
        if isinstance(exc, TimeoutError):
            return TransientError("pos.busy", f"{self.place} does not answer in time: it is asked less often")
        if isinstance(exc, aiohttp.ClientResponseError | aiohttp.InvalidURL):
            return self._stranger("answers in no HTTP")
        return TransientError("pos.cut", f"{self.place} dropped the connection before it answered")

    def _unconnected(self, exc: Exception) -> RouterdError:
        if isinstance(exc, aiohttp.ClientConnectorCertificateError):
            return self._changed(self._tls.seen)
        if isinstance(exc, aiohttp.ClientConnectorSSLError | ssl.SSLError):
            return TransientError("pos.tls_failed", f"{self.place} {_TLS_FAILED}")
        if isinstance(exc, aiohttp.ClientConnectorDNSError):
            return TransientError("pos.unreachable", f"{self.place}: its name does not resolve: use its address")
        reason = getattr(exc, "strerror", None) or "it does not answer"
        message = f"{self.place} cannot be reached ({reason}): check that it is on, its cable and its address"
        return TransientError("pos.unreachable", message)

    def _changed(self, seen: str) -> PermanentError:
        return PermanentError(
            "pos.certificate_changed",
            f"{self.place} shows another certificate: SHA-256 was {_grouped(self.pin)}, is {_grouped(seen)}; no login "
            "is sent: accept it if the POS was renewed or replaced",
        )

    def _wrong_status(self, status: int) -> RouterdError:
        if status >= 500 or status == 429:
            return TransientError("pos.busy", f"{self.place} is busy (HTTP {status}): it is asked less often")
        return self._stranger(f"answers HTTP {status}")

    def _stranger(self, what: str) -> PermanentError:
        message = f"{self.place} {what}, so it is no Commander: check host and port"
        return PermanentError("pos.not_a_commander", message)


class Answer:
    """A body being read. `root` is its first element's local name, "" if it is no XML; `head` its first bytes."""

    def __init__(self, response: aiohttp.ClientResponse, whose: str) -> None:
        self.root = ""
        self.head = b""
        self._response = response
        self._place = whose
        self._inflater = Inflater()
        self._held = b""

    @property
    def is_page(self) -> bool:
        """It is meant for a person: the login page, most often."""
        return self._response.status != 200 or cgi.is_page(self.root)

    async def begin(self) -> None:
        while not self.root and len(self.head) < _HEAD_BYTES and (piece := await self.piece()):
            self.head += piece
            self.root = cgi.root(self.head)
        self._held = self.head

    async def piece(self) -> bytes:
        """The next piece, b"" at the end. TransientError pos.cut | pos.busy, CorruptError pos.document_oversized."""
        if self._held:
            held, self._held = self._held, b""
            return held
        while not (piece := self._inflater.take()):
            if not (data := await self._read()):
                return self._inflater.end()
            self._inflater.give(data)
        return piece

    async def small(self) -> bytes:
        """The whole body of an answer that is not a document, cut at 1 MiB."""
        body = b""
        while len(body) < _SMALL_BYTES and (piece := await self.piece()):
            body += piece
        return body

    async def _read(self) -> bytes:
        try:
            return await self._response.content.read(PIECE_BYTES)
        except TimeoutError:
            fault = TransientError("pos.busy", f"{self._place} stopped in the middle of an answer")
        except (aiohttp.ClientError, OSError):
            fault = TransientError("pos.cut", f"{self._place} dropped the connection in the middle of an answer")
        raise fault


class PinnedObject(ssl.SSLObject):
    """A TLS connection that comes about only with the certificate its context expects."""

    def do_handshake(self) -> None:
        super().do_handshake()
        context = cast(PinnedContext, self.context)
        context.seen = _digest(self)
        if context.seen != context.pin:
            raise ssl.SSLCertVerificationError("it is not the certificate noted")


class PinnedContext(ssl.SSLContext):
    """A controller signs its own certificate, for no name and often for years gone by: what is known is the certificate
    itself. aiohttp's own `Fingerprint` does the same, but leaves the lowest TLS version to how Python was built."""

    sslobject_class = PinnedObject

    def __init__(self, *_: object) -> None:
        self.pin = ""
        self.seen = ""
        _unverified(self)


def _once() -> aiohttp.TraceConfig:
    """aiohttp sends a GET again when the connection breaks before the answer. A login must not be: two wrong ones may
    lock the account. Each try opens a connection, so the second is stopped there."""

    async def connecting(_: object, tries: Any, __: object) -> None:
        tries.count += 1
        if tries.count > 1:
            raise aiohttp.ClientConnectionError("asked once")

    config = aiohttp.TraceConfig(lambda **_: SimpleNamespace(count=0))  # type: ignore[arg-type]
    config.on_connection_create_start.append(connecting)
    return config


def place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _unverified(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _digest(connection: ssl.SSLObject) -> str:
    return hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()


def _grouped(digest: str) -> str:
    return ":".join(digest[each : each + 2] for each in range(0, len(digest), 2)).upper()
