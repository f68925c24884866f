"""A site controller and the link that polls it, with time moved by hand; and a server that answers as a test says."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from aiohttp import web

from routerd.backoff import Backoff
from routerd.capture.commander.rounds import Timing
from routerd.capture.commander.transport import CommanderTransport
from routerd.errors import TransientError
from routerd.model import CommanderLink
from scripts.commander.certificate import make_certificate
from scripts.commander.commander import Commander
from scripts.commander.sessions import Site
from scripts.commander.store import Store
from scripts.pos.clock import HandClock
from scripts.pos.formats import Settings
from tests.fakes.inlet import FakeMemory, FakePullInlet, running

BEGIN = datetime(2026, 11, 17, 2, 5, 6)
MORNING = datetime(2026, 11, 22, 9, 0, 0)
DEADLINE_S = 60.0  # hundreds of polls on a machine that is busy with other things
PASSWORD = Site().password

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HandPace:
    """The link's time. It sleeps until `elapse` has let enough time go by; a POS's clock may go with it."""

    def __init__(self, clock: HandClock | None = None) -> None:
        self.naps: list[float] = []
        self._clock = clock
        self._now_s = 0.0
        self._limit_s = 0.0
        self._parked = asyncio.Event()
        self._moved = asyncio.Event()

    def now_s(self) -> float:
        return self._now_s

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        until_s = self._now_s + seconds
        while until_s > self._limit_s:
            self._parked.set()
            self._moved.clear()
            await self._moved.wait()
        self.move_to(until_s)
        await asyncio.sleep(0)

    def move_to(self, now_s: float) -> None:
        if now_s > self._now_s:
            if self._clock:
                self._clock.advance(now_s - self._now_s)
            self._now_s = now_s

    def allow(self, seconds: float) -> None:
        """Let it go on, as far as the next `seconds` reach."""
        self._limit_s = self._now_s + seconds
        self._parked.clear()
        self._moved.set()

    async def elapse(self, seconds: float) -> None:
        """Return when the link has done all that falls into the next `seconds` and sleeps beyond them."""
        self.allow(seconds)
        async with asyncio.timeout(DEADLINE_S):
            await self._parked.wait()
        self.move_to(self._limit_s)


class PlainInlet(FakePullInlet):
    """The room with a disk that may refuse: `unwritable` holds the keys of notes it does not take."""

    def __init__(self, scratch: Path, memory: FakeMemory | None = None) -> None:
        super().__init__(scratch, "transset", memory)
        self.unwritable: set[str] = set()
        self._rooms_left = -1

    def hold_room_after(self, count: int) -> None:
        """`room` returns `count` times more, then only after `empty`."""
        self._rooms_left = count

    async def room(self) -> None:
        if self._rooms_left == 0:
            self.fill()
        self._rooms_left -= self._rooms_left >= 0
        await super().room()

    async def note(self, key: str, text: str) -> None:
        if key in self.unwritable:
            raise TransientError("spool.disk", "the disk is full")
        await super().note(key, text)


class Shop:
    """A controller on loopback, its clock, and links to it that a test starts and ends."""

    def __init__(self, folder: Path, pos: Commander, clock: HandClock) -> None:
        self.folder = folder
        self.pos = pos
        self.pace = HandPace(clock)
        self.inlet = PlainInlet(folder / "scratch")
        self.transport = CommanderTransport(self.link())
        log_in_with(folder, PASSWORD)

    def link(self, **changes: object) -> CommanderLink:
        given = {"host": "127.0.0.1", "port": self.pos.port, "login_file": self.folder / "login"} | changes
        return CommanderLink(**given)  # type: ignore[arg-type]

    @asynccontextmanager
    async def polled(self, *, timing: Timing | None = None, **changes: object) -> AsyncIterator[PlainInlet]:
        """The link runs inside the block; entered when its first turn is over."""
        async with self.started(timing=timing, **changes):
            await self.pace.elapse(0)
            yield self.inlet

    @asynccontextmanager
    async def started(self, *, timing: Timing | None = None, **changes: object) -> AsyncIterator[PlainInlet]:
        """The link runs inside the block."""
        self.transport = transport(self.link(**changes), self.pace, timing)
        async with running(self.transport, self.inlet):
            yield self.inlet

    def restart(self, *, power_cut: bool = False) -> None:
        """A new run of the daemon: what was noted stays, the RAM disk only without a power cut."""
        before, self.inlet = self.inlet, PlainInlet(self.folder / "scratch", self.inlet.memory)
        self.inlet.memory.epoch += 1
        self.inlet.notes = before.notes
        if power_cut:
            self.inlet.scratch.unlink(missing_ok=True)


def transport(link: CommanderLink, pace: HandPace, timing: Timing | None = None) -> CommanderTransport:
    quick = Backoff(0.5, 5.0)
    return CommanderTransport(link, backoff=quick, chance=lambda: 0.5, pace=pace, timing=timing or unjittered())


def unjittered(**changes: object) -> Timing:
    return Timing(**({"start_jitter_s": 0.0} | changes))  # type: ignore[arg-type]


def log_in_with(folder: Path, password: str, otp: str = "", user: str = "router") -> Path:
    path = folder / "login"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("\n".join([user, password, otp]))
    return path


def store(**changes: object) -> Store:
    """A quiet shop: some fifty customers a day since Tuesday."""
    return Store(Settings("transset", start=BEGIN, per_hour=2.0), **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def open_shop(
    folder: Path, site: Site | None = None, books: object | None = None, *, now: datetime = MORNING
) -> AsyncIterator[Shop]:
    clock = HandClock(now)
    async with Commander(site or Site(), books or store(), clock) as pos:  # type: ignore[arg-type]
        yield Shop(folder, pos, clock)


@asynccontextmanager
async def open_stranger(handler: Handler) -> AsyncIterator[int]:
    """An HTTPS server that answers as `handler` says; its port."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0, handler_cancellation=True)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    make_certificate().load_into(context)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def polling_stranger(
    folder: Path, handler: Handler, *, timing: Timing | None = None
) -> AsyncIterator[tuple[PlainInlet, HandPace]]:
    """A link to such a server runs inside the block; entered when its first turn is over."""
    log_in_with(folder, PASSWORD)
    inlet, pace = PlainInlet(folder / "scratch"), HandPace()
    async with open_stranger(handler) as port:
        link = CommanderLink("127.0.0.1", folder / "login", port)
        async with running(transport(link, pace, timing), inlet):
            await pace.elapse(0)
            yield inlet, pace
