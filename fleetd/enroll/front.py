"""What both planes share: the thread that owns the registry, the door before it, bodies, a nonce on each answer."""

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

from aiohttp import web

from fleetd.auth import Inbound
from fleetd.enroll import nonce
from fleetd.enroll.herd import Load, pause_s
from fleetd.enroll.presence import Roster
from fleetd.enroll.registry import Registry
from fleetd.enroll.signed import SignedAuthenticator, wall_ms
from fleetd.enroll.signer import Signer
from fleetd.http import refuse
from fleetd.refusal import Refusal
from routerd.errors import TransientError
from routerd.wire.ed25519 import SigningKey
from routerd.wire.signing import NONCE_HEADER

_BODY_DEADLINE_S = 15.0
_P = ParamSpec("_P")
_R = TypeVar("_R")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _admit_nobody(_device: str, _store: str) -> None:
    """Where nothing else keeps a list of devices."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the handlers are made of.

    time_key: kid and key of the signed time. admitted: called on the registry's thread with (device, store) before a
    device is told that it is in, and again whenever its store is told; repeating it must do no harm. proxies: addresses
    whose X-Forwarded-For is believed. started_ms: since when this process listens.
    """

    registry: Registry
    thread: Executor
    authenticator: SignedAuthenticator
    nonce_keys: Sequence[bytes]
    signer: Signer
    time_key: tuple[str, SigningKey]
    admitted: Callable[[str, str], None] = _admit_nobody
    proxies: frozenset[str] = frozenset()
    now_ms: Callable[[], int] = wall_ms
    started_ms: int = 0
    roster: Roster = field(default_factory=Roster)
    load: Load = field(default_factory=Load)


class Front:
    """Turns on the registry's thread, and who is sent away before one."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._devices = 0

    async def turn(self, function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
        """Run on the registry's thread. Raises Refusal 503 `busy` when that would take too long."""
        load = self.parts.load
        if not load.enter():
            missing = self._devices - self.parts.roster.polling()
            wait_s = pause_s(max(missing, 0), load.per_s, secrets.randbelow(1 << 30) / (1 << 30))
            raise Refusal(503, "busy", "too many at once: come back later", retry_after_s=wait_s)
        took_s = 0.0

        def timed() -> _R:
            nonlocal took_s
            began = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                took_s = time.perf_counter() - began

        try:
            return await asyncio.get_running_loop().run_in_executor(self.parts.thread, timed)
        finally:
            load.leave(took_s)

    async def count_devices(self) -> None:
        """Refresh how many devices are expected to poll; at the start, and now and then."""
        self._devices = await self.turn(self.parts.registry.active_count)

    def nonce(self) -> str:
        return nonce.mint(self.parts.now_ms(), secrets.token_bytes(8), self.parts.nonce_keys[0])

    def ip(self, request: web.Request) -> str:
        """The address the request comes from; behind our own proxy, what that says."""
        peer = request.remote or ""
        if peer in self.parts.proxies:
            return request.headers.get("X-Forwarded-For", peer).rpartition(",")[2].strip()
        return peer

    @web.middleware
    async def fresh(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """A nonce on every answer, and none of them kept by anybody on the way: an old nonce would look like an old
        run of the daemon. Outermost but for `answers`, whose refusals it therefore makes itself."""
        try:
            response = await handler(request)
        except Refusal as refusal:
            response = refuse(refusal)
        except TransientError as exc:
            response = refuse(Refusal(503, "busy", str(exc), retry_after_s=5))
        response.headers[NONCE_HEADER] = self.nonce()
        response.headers["Cache-Control"] = "no-store"
        return response


async def body_of(request: web.Request, limit_bytes: int) -> bytes:
    """Raises Refusal 400, 408, 413."""
    if request.content_length is not None and request.content_length > limit_bytes:
        raise Refusal(413, "too_large", f"at most {limit_bytes} bytes")
    data = bytearray()
    try:
        async with asyncio.timeout(_BODY_DEADLINE_S):
            async for chunk in request.content.iter_any():
                data += chunk
                if len(data) > limit_bytes:
                    raise Refusal(413, "too_large", f"at most {limit_bytes} bytes")
    except TimeoutError as exc:
        raise Refusal(408, "timeout", "the body did not arrive in time") from exc
    except (web.RequestPayloadError, ConnectionError) as exc:
        raise Refusal(400, "http", "the body broke off") from exc
    return bytes(data)


def inbound_of(request: web.Request, body: bytes) -> Inbound:
    """Raises Refusal 400 `digest_mismatch` when the body is not what the request says."""
    digest = hashlib.sha256(body).digest()
    told = request.headers.get("Content-Digest", "")
    if told != f"sha-256=:{base64.b64encode(digest).decode()}:":
        raise Refusal(400, "digest_mismatch", "the body is not what Content-Digest says")
    path = request.raw_path  # with the query, which no signed path has
    return Inbound(request.method, request.host, path, request.headers, digest)
