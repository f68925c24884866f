"""`POST /v1/ingest`: the checks in their order, then the commit, then the answer."""

import asyncio
import base64
import binascii
import hashlib
import time
from concurrent.futures import Executor, Future

from aiohttp import hdrs, web

from fleetd.auth import Authenticator, Inbound
from fleetd.http import BUSY_RETRY_S, check_protocol
from fleetd.judge import affordable, judge
from fleetd.ledger.desk import Desk
from fleetd.refusal import Refusal
from fleetd.store import Delivery, Receipt
from fleetd.writer import Writer
from routerd.errors import CorruptError, TransientError
from routerd.wire import batch
from routerd.wire.answers import MEDIA_TYPE
from routerd.wire.codec import Codebook

MAX_BODIES_BYTES = 256 << 20  # request bodies in memory at once, as declared: past this, come back later
_BODY_DEADLINE_S = 30.0  # plus the time the slowest line we serve needs
_SLOWEST_BYTES_PER_S = 8000
_DIGEST_PREFIX, _DIGEST_SUFFIX = "sha-256=:", ":"


class Ingest:
    """The handler. Hashing, decoding and reading keys happen on `judging`, a pool of one thread."""

    def __init__(
        self, authenticator: Authenticator, intake: tuple[Writer, Desk], codebook: Codebook, judging: Executor
    ) -> None:
        self._authenticator = authenticator
        self._writer, self._desk = intake
        self._codebook = codebook
        self._judging = judging
        self._bodies_bytes = 0

    async def handle(self, request: web.Request) -> web.Response:
        """Raises Refusal and TransientError; answers only after the commit."""
        size = _check_shape(request)
        check_protocol(request.headers)
        loop = asyncio.get_running_loop()
        device, digest = await loop.run_in_executor(self._judging, self._sender, request)
        if self._bodies_bytes + size > MAX_BODIES_BYTES:
            raise TransientError("cloud.busy", "too many uploads at once", retry_after_s=BUSY_RETRY_S)
        receipt = await asyncio.wrap_future(await self._queued(request, size, (device, digest)))
        touched = [stream for stream, _ in receipt.processed]
        word = await loop.run_in_executor(self._judging, self._desk.word, device, touched)
        spoken = (self._codebook.codecs, self._codebook.dictionary_ids)
        answer = batch.Answer(receipt.acks, word.processed, *spoken, word.orders)
        return web.Response(body=batch.pack_answer(answer), content_type=MEDIA_TYPE)

    def _sender(self, request: web.Request) -> tuple[str, bytes]:
        """On the judging thread: the device, and what its body must hash to."""
        digest = _declared_digest(request.headers.get("Content-Digest", ""))
        if digest is None:
            raise Refusal(400, "digest_mismatch", "Content-Digest holds no SHA-256 of the body")
        inbound = Inbound(request.method, request.host, request.path, request.headers, digest)
        return self._authenticator.authenticate(inbound), digest

    async def _queued(self, request: web.Request, size: int, sender: tuple[str, bytes]) -> "Future[Receipt]":
        self._bodies_bytes += size
        try:
            data = await _read(request, size)
            return await asyncio.get_running_loop().run_in_executor(self._judging, self._admit, sender, data)
        finally:
            self._bodies_bytes -= size

    def _admit(self, sender: tuple[str, bytes], data: bytes) -> "Future[Receipt]":
        """On the judging thread: what is in it, and into the queue. Blocks while the queue is full."""
        device, digest = sender
        if hashlib.sha256(data).digest() != digest:
            raise Refusal(400, "digest_mismatch", "the body is not what Content-Digest says")
        try:
            segments = batch.unpack_batch(data)
        except CorruptError as exc:
            raise Refusal(400, "batch_invalid", str(exc)) from exc
        judged = tuple(judge(segment, self._codebook) for segment in affordable(segments))
        receipt = self._writer.submit(Delivery(device, time.time_ns() // 1_000_000, judged))
        receipt.add_done_callback(lambda _: self._desk.wake())
        return receipt


def _check_shape(request: web.Request) -> int:
    """The bytes to expect. Raises Refusal 413 or 415."""
    size = batch.MAX_BATCH_BYTES if request.content_length is None else request.content_length
    if size > batch.MAX_BATCH_BYTES:
        raise _too_large()
    if request.content_type != MEDIA_TYPE:
        raise Refusal(415, "media_type", f"a batch is {MEDIA_TYPE}")
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
        raise Refusal(415, "content_encoding", "a batch is sent as it is: its segments are compressed already")
    return size


async def _read(request: web.Request, size: int) -> bytes:
    """The body. Raises Refusal when it is too large, too slow or broken off."""
    data = bytearray()
    try:
        async with asyncio.timeout(_BODY_DEADLINE_S + size / _SLOWEST_BYTES_PER_S):
            async for chunk in request.content.iter_any():
                data += chunk
                if len(data) > batch.MAX_BATCH_BYTES:
                    raise _too_large()
    except TimeoutError as exc:
        raise Refusal(408, "timeout", "the body did not arrive in time") from exc
    except (web.RequestPayloadError, ConnectionError) as exc:
        raise Refusal(400, "http", "the body broke off or is broken HTTP") from exc
    return bytes(data)


def _too_large() -> Refusal:
    return Refusal(413, "too_large", f"a batch has at most {batch.MAX_BATCH_BYTES} bytes")


def _declared_digest(header: str) -> bytes | None:
    """The SHA-256 in a `Content-Digest` header (RFC 9530, the one form our profile knows), or None."""
    if not (header.startswith(_DIGEST_PREFIX) and header.endswith(_DIGEST_SUFFIX)):
        return None
    try:
        return base64.b64decode(header[len(_DIGEST_PREFIX) : -len(_DIGEST_SUFFIX)], validate=True)
    except (binascii.Error, ValueError):
        return None
