"""The running process: what is opened, in which order, and how it ends."""

import asyncio
import contextlib
import functools
import logging
import os
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import web

from fleetd import __version__
from fleetd.auth import BearerAuthenticator
from fleetd.decode import decode
from fleetd.files import Folder, lock
from fleetd.http import Connection, UnderWay, answers, expect
from fleetd.ingest import Ingest
from fleetd.ledger.desk import Desk
from fleetd.refusal import Refusal
from fleetd.sqlite_store import SqliteStore
from fleetd.writer import Writer
from routerd.errors import PermanentError
from routerd.wire import dictionaries
from routerd.wire.codec import Codebook, dictionary_id

_DRAIN_S = 10.0  # for requests under way: time for a body on a slow line; a commit takes far less
_SHUTDOWN_S = 2.0  # for answers still being written after that
_LINGER_S = 5.0  # how long the rest of a refused upload is read, so that the client sees the answer
_log = logging.getLogger(__name__)


async def serve(folder: Folder, host: str, port: int, listening: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. `listening` is called once, with the address, when requests are taken.

    Raises PermanentError when the folder is not prepared, in use, or the address cannot be had.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tls = server_tls(folder)
    under_way = UnderWay()
    async with _application(folder, under_way) as app, _listener(app, under_way, (host, port), tls) as address:
        listening(address)
        await stop.wait()
        _log.info("stopping: answering what is under way")


def server_tls(folder: Folder) -> ssl.SSLContext:
    """Raises PermanentError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(folder.server_certificate, folder.server_key)
    except (OSError, ssl.SSLError) as exc:
        told = f"the certificate in {folder.root} cannot be used ({exc})"
        raise PermanentError("fleetd.certificate", f"{told}: run `fleetd init --data {folder.root}`") from exc
    return context


def codebook() -> Codebook:
    """Every shipped dictionary that is there."""
    known = {}
    for name in dictionaries.NAMES:
        with contextlib.suppress(FileNotFoundError):
            content = dictionaries.load(name)
            known[dictionary_id(content)] = content
    return Codebook(known)


@contextlib.asynccontextmanager
async def _application(folder: Folder, under_way: UnderWay) -> AsyncIterator[web.Application]:
    """The store, its threads and the routes. Ends by committing what is queued."""
    with contextlib.ExitStack() as held:
        held.callback(os.close, lock(folder.lock))
        store = held.enter_context(SqliteStore(folder.database))  # closes last: it folds the log into the database
        registry = held.enter_context(SqliteStore(folder.database, read_only=True))
        desk = Desk(folder, decode)
        desk.start()
        held.callback(desk.close)
        writer = Writer(store)
        writer.start()
        held.callback(writer.close)
        judging = held.enter_context(ThreadPoolExecutor(1, thread_name_prefix="judging"))
        app = web.Application(middlewares=[answers, under_way.count])
        _add_routes(app, Ingest(BearerAuthenticator(registry), (writer, desk), codebook(), judging), writer, desk)
        yield app


def _add_routes(app: web.Application, ingest: Ingest, writer: Writer, desk: Desk) -> None:
    async def health(_: web.Request) -> web.Response:
        if not writer.alive:
            raise Refusal(503, "busy", "the store does not answer", retry_after_s=5)
        ledger = "follows" if desk.alive else "stands still"  # which stops no upload
        return web.json_response({"status": "ok", "ledger": ledger, "version": __version__})

    app.router.add_post("/v1/ingest", ingest.handle, expect_handler=expect)
    app.router.add_get("/healthz", health, expect_handler=expect)


@contextlib.asynccontextmanager
async def _listener(
    app: web.Application, under_way: UnderWay, at: tuple[str, int], tls: ssl.SSLContext
) -> AsyncIterator[str]:
    """Listen while the block runs, then answer what is under way."""
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    manager = runner.server
    assert manager is not None  # noqa: S101  set by setup()
    # auto_decompress is off: the digest is of the bytes as sent, and what deflates them here has no limit
    settings: dict[str, Any] = {"access_log": None, "auto_decompress": False, "lingering_time": _LINGER_S}
    connection = functools.partial(Connection, manager, loop=loop, **settings)
    try:
        listener = await loop.create_server(connection, *at, ssl=tls)
    except OSError as exc:
        await runner.cleanup()
        number = exc.errno or 0
        reason = os.strerror(number) if number > 0 else exc.strerror  # a name that does not resolve is below 0
        told = f"cannot listen on {at[0]}:{at[1]} ({reason})"
        raise PermanentError("fleetd.listen", f"{told}: choose another --listen") from exc
    try:
        bound = listener.sockets[0].getsockname()
        name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        yield f"https://{name}:{bound[1]}"
    finally:
        listener.close()
        await under_way.drain(_DRAIN_S)
        await runner.cleanup()
