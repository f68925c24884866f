"""The controller on the LAN: its HTTPS port, and the levers by which a test or a person makes it suffer."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType

from aiohttp import web

from scripts.commander.book import Book
from scripts.commander.certificate import Certificate, make_certificate
from scripts.commander.cgi import Answer, Books, Cgi, Counters
from scripts.commander.recorded import Recorded
from scripts.commander.sessions import Site
from scripts.commander.store import Store
from scripts.commander.troubles import Trouble, Troubles
from scripts.pos.clock import Clock

PATH = "/cgi-bin/CGILink"
_PIECE_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Place:
    """Where it listens; port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 0


class Commander:
    """An HTTPS server while the context is open. `books` is a `Store` or a `Recorded`; `clock` is the POS's."""

    def __init__(self, site: Site, books: Books, clock: Clock, *, place: Place | None = None, seed: int = 1) -> None:
        self._books, self._clock, self._place = books, clock, place or Place()
        self._cgi = Cgi(site, books, seed)
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self.site = site
        self.troubles = Troubles(seed)
        self.certificate: Certificate = make_certificate()
        self.port = self._place.port

    async def __aenter__(self) -> "Commander":
        self._books.catch_up(self._clock.now())
        app = web.Application()
        app.router.add_get(PATH, self._handle)
        app.router.add_get("/", _front_page)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
        await self._runner.setup()
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.troubles.resume()
        if self._runner:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"https://{self._place.host}:{self.port}{PATH}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate now in use, in lower-case hex."""
        return self.certificate.fingerprint

    @property
    def counters(self) -> Counters:
        return self._cgi.counters

    @property
    def cookies_in_use(self) -> int:
        return self._cgi.sessions.in_use(self._clock.now())

    @property
    def cookies_max(self) -> int:
        """The most cookies that were ever in use at once."""
        return self._cgi.sessions.highest

    @property
    def locked(self) -> bool:
        return self._cgi.sessions.locked

    def unlock(self) -> None:
        """Somebody unlocks the account at the controller."""
        self._cgi.sessions.unlock()

    def occupy(self, count: int = 1) -> list[str]:
        """Other pollers take `count` cookies, as far as there are any, and never release them; which."""
        free = self.site.max_cookies - self.cookies_in_use
        return [self._cgi.sessions.issue(self._clock.now()) for _ in range(min(count, free))]

    def forget_cookies(self) -> None:
        """Every cookie becomes invalid."""
        self._cgi.sessions.forget_all()

    def book(self, kind: int, name: str) -> Book:
        """A period as it stands now, nothing hidden. Raises KeyError when there is none."""
        self._books.catch_up(self._clock.now())
        found = self._books.book(kind, name)
        if not found:
            raise KeyError(f"{kind} {name}")
        return found

    def hide(self, identity: str) -> None:
        """Leave the record of this identity (`Piece.identity`) out of all documents; totals stay as they are."""
        self._cgi.hidden.add(identity)

    def show(self, identity: str) -> None:
        """Put a hidden record back in its place."""
        self._cgi.hidden.discard(identity)

    async def change_certificate(self) -> None:
        """Another certificate on the same port; connections that knew the old one break."""
        await self._leave()
        self.certificate = make_certificate()
        await self._listen()

    async def go_down(self) -> None:
        """The controller is away: nobody answers, and a `Store`'s registers sell offline."""
        self._books.catch_up(self._clock.now())
        await self._leave()
        if isinstance(self._books, Store):
            self._books.go_down()

    async def come_up(self) -> None:
        """It has booted: no cookie is known any more, serials restart, the registers' backlog is in the log."""
        now = self._clock.now()
        self._books.catch_up(now)
        if isinstance(self._books, Store):
            self._books.come_up(now)
        self._books.catch_up(now)
        self.forget_cookies()
        await self._listen()

    async def reboot(self) -> None:
        """Down and up at once."""
        await self.go_down()
        await self.come_up()

    async def reinstall(self) -> None:
        """Reloaded from an image: `uniqueID` counts from 1 behind a new prefix."""
        await self.go_down()
        if isinstance(self._books, Store):
            self._books.reinstall(self._clock.now())
        await self.come_up()

    def close(self, *, shift_only: bool = False) -> None:
        """Somebody ends the shift, and the day with it unless told otherwise. A recording ends by itself."""
        if isinstance(self._books, Recorded):
            raise ValueError("a recorded period closes when its last record has been played")
        self._books.catch_up(self._clock.now())
        if isinstance(self._books, Store):
            self._books.close(self._clock.now(), shift_only=shift_only)

    async def _listen(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate.load_into(context)
        assert self._runner
        self._site = web.TCPSite(self._runner, self._place.host, self.port, ssl_context=context, reuse_address=True)
        await self._site.start()
        self.port = self._runner.addresses[0][1]

    async def _leave(self) -> None:
        if self._site:
            await self._site.stop()
            self._site = None
        if self._runner and self._runner.server:
            for connection in self._runner.server.connections:
                if connection.transport:
                    connection.transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        command = request.query.get("cmd", "")
        trouble = self.troubles.next(command)
        self._cgi.counters.broken += trouble is not None
        if trouble and trouble.kind == "unavailable":
            self._cgi.counters.requests[command] += 1
            return web.Response(status=503, text="Service Unavailable")
        busy = bool(trouble) and trouble.kind == "busy"
        now: datetime = self._clock.now()
        answer = self._cgi.answer(command, dict(request.query), now, request.remote or "", busy=busy)
        return await self._send(request, answer, trouble)

    async def _send(self, request: web.Request, answer: Answer, trouble: Trouble | None) -> web.StreamResponse:
        size = len(answer.body)
        spoiled = trouble and trouble.kind in ("reset", "short", "stall")
        stop = trouble.cut(size, self.troubles.rng) if trouble and spoiled else size
        response = web.StreamResponse()
        response.content_type = answer.content_type
        response.content_length = stop if trouble and trouble.kind == "short" else size
        await response.prepare(request)
        await self._write(response, answer.body[:stop])
        if trouble and trouble.kind == "reset":
            if request.transport:
                request.transport.abort()
            return response
        if trouble and trouble.kind == "stall":
            await self.troubles.resumed()
            await self._write(response, answer.body[stop:])
        return response

    async def _write(self, response: web.StreamResponse, data: bytes) -> None:
        for start in range(0, len(data), _PIECE_BYTES):
            if self.troubles.pause_s:
                await asyncio.sleep(self.troubles.pause_s)
            part = data[start : start + _PIECE_BYTES]
            await response.write(part)
            self._cgi.counters.bytes_served += len(part)


async def _front_page(request: web.Request) -> web.Response:
    page = b'<html><head><title>System</title><script src="/JournalBrowser"></script></head><body/></html>\n'
    return web.Response(body=page, content_type="text/html")
