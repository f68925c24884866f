"""One shape for every answer: the protocol header on all of them, the error table's JSON on those that refuse."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import hdrs, web

from fleetd.refusal import Refusal
from routerd.errors import TransientError
from routerd.wire.answers import PROTOCOL, PROTOCOL_HEADER

BUSY_RETRY_S = 5  # one commit and a checkpoint; many routers asking together are spread by their own jitter
_MAJOR = PROTOCOL.split(".", 1)[0]
_SERVER = {"min_major": int(_MAJOR), "max_major": int(_MAJOR)}
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}

_log = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refuse(refusal: Refusal, headers: Mapping[str, str] | None = None) -> web.Response:
    """The answer of the error table to a refusal."""
    error: dict[str, object] = {"code": refusal.code, "message": str(refusal), "request_id": secrets.token_hex(8)}
    out = {PROTOCOL_HEADER: PROTOCOL, **(headers or {})}
    if refusal.retry_after_s is not None:
        error["retry_after_s"] = refusal.retry_after_s
        out[hdrs.RETRY_AFTER] = str(refusal.retry_after_s)
    return web.json_response({"error": error, **refusal.more}, status=refusal.status, headers=out)


def check_protocol(headers: Mapping[str, str]) -> None:
    """Raises Refusal 426 unless the other side speaks our major."""
    major = headers.get(PROTOCOL_HEADER, "").split(".", 1)[0]
    if major != _MAJOR:
        told = f"this server speaks {PROTOCOL_HEADER} {PROTOCOL}, not {major[:16] or 'none'}"
        raise Refusal(426, "protocol_major", told, more={"server": _SERVER})


@web.middleware
async def answers(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Turns what handlers raise into the error table, and marks every response as ours."""
    try:
        response = await handler(request)
    except Refusal as refusal:
        return refuse(refusal)
    except TransientError as exc:
        wait_s = BUSY_RETRY_S if exc.retry_after_s is None else int(exc.retry_after_s)
        return refuse(Refusal(503, "busy", str(exc), retry_after_s=wait_s))
    except web.HTTPException as exc:
        allow = {"Allow": exc.headers[hdrs.ALLOW]} if hdrs.ALLOW in exc.headers else None
        return refuse(Refusal(exc.status, _CODES.get(exc.status, "refused"), exc.reason), allow)
    response.headers[PROTOCOL_HEADER] = PROTOCOL
    return response


class UnderWay:
    """Counts the requests being answered, so that stopping can wait for them: aiohttp would stop reading their bodies
    at once and then wait for what never comes."""

    def __init__(self) -> None:
        self._requests = 0
        self._stopping = False
        self._idle = asyncio.Event()

    @web.middleware
    async def count(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        if self._stopping:
            raise TransientError("cloud.stopping", "fleetd is stopping", retry_after_s=BUSY_RETRY_S)
        self._requests += 1
        try:
            return await handler(request)
        finally:
            self._requests -= 1
            if self._stopping and not self._requests:
                self._idle.set()

    async def drain(self, deadline_s: float) -> None:
        """Take nothing new; return when all is answered, or at the deadline."""
        self._stopping = True
        if self._requests:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), deadline_s)


async def expect(request: web.Request) -> web.StreamResponse | None:
    """The answer to `Expect`: go on. Anything else a client expects is its own affair."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # an interim answer: the real one has not begun
    return None


class Connection(web.RequestHandler):
    """One client. What never becomes a request (broken HTTP) or trips a bug is answered in the same shape."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status >= 500:
            _log.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun, there is no place for an error")
        refusal = Refusal(500, "internal", "fleetd failed") if status >= 500 else Refusal(400, "http", "broken HTTP")
        response = refuse(refusal)
        response.force_close()
        return response
