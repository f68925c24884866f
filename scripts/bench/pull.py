"""M2 for a POS that is polled: a Commander's running day of 4 MB, read whole every minute for an hour. Memory, CPU, and
what that costs the POS and the WAN beside a naive client."""

import asyncio
import contextlib
import time
import zlib
from dataclasses import dataclass
from datetime import datetime

from scripts.bench.cases import Run
from scripts.bench.naive import Cost, Naive
from scripts.bench.process import cpu_s, memory_mib
from scripts.bench.proxy import CountingProxy
from scripts.bench.stack import Cloud, Router, Wiring, free_port, running, until
from scripts.bench.table import AT_MOST, BELOW, Beside, Row, Target
from scripts.commander.book import Book
from scripts.commander.commander import Commander
from scripts.commander.sessions import Site
from scripts.commander.store import Store
from scripts.demo.place import write_login
from scripts.pos.clock import HandClock
from scripts.pos.formats import Settings
from scripts.pos.period import DAILY

_FLAT, _M2 = Target("pull", BELOW, 2), Target("M2", AT_MOST, 4)
_DOCUMENT_BYTES = 4_000_000
_WARM = 5  # polls until the allocator and the connections are what they will be
_BEGIN = datetime(2026, 11, 21, 2, 5, 6)
_LOOK_S, _BEGIN_S, _POLL_S, _DRAIN_S = 0.05, 60.0, 15.0, 60.0
_SOURCE = """
[[source]]
name = "site"
link = "commander"
host = "127.0.0.1"
port = {port}
login_file = "{login}"
poll_s = 60
"""
_WHAT = (
    "the real daemon and fleetd over TLS, a generated day that grows to {size:.2f} MB in {polls} polls; only the "
    "link's minutes are shortened to half a second, so TLS, inflating, cutting, masking and storing are all in it"
)


class Shop:
    """A generated store behind a controller whose clock is moved by hand: few records until `fill`, then a busy day."""

    def __init__(self) -> None:
        self.clock = HandClock(_BEGIN)
        # The busiest genuine hour sells 55 tickets; other pollers leave six records to each.
        settings = Settings("transset", start=_BEGIN, per_hour=55.0, noise=6.0)
        self._store = Store(settings, closes_at=None)
        self.pos = Commander(Site(), self._store, self.clock)

    def fill(self) -> None:
        while sum(len(one.data) for one in self._book.pieces) < _DOCUMENT_BYTES:
            self.clock.advance(3600)
            self._store.catch_up(self.clock.now())

    @property
    def _book(self) -> Book:
        return self.pos.book(DAILY, "current")

    @property
    def document(self) -> bytes:
        return self._book.data()

    @property
    def sold(self) -> set[str | None]:
        return {ticket.identity for ticket in self._book.tickets if ticket.sold}

    @property
    def polls(self) -> int:
        return self.pos.counters.requests["vtranssetz"]


@dataclass(slots=True)
class Poll:
    """From one request for `current` to the next: (resident, private) MiB at the peak, and as it was left; and
    routerd's CPU seconds at the beginning."""

    began_cpu_s: float
    peak: tuple[float, float] = (0.0, 0.0)
    rest: tuple[float, float] = (0.0, 0.0)

    def saw(self, now: tuple[float, float]) -> None:
        self.peak = max(self.peak[0], now[0]), max(self.peak[1], now[1])
        self.rest = now


def measure(run: Run) -> list[Row]:
    return asyncio.run(_measure(run))


async def _measure(run: Run) -> list[Row]:
    polls = int(run.scaled(60, 8))
    shop, port = Shop(), free_port()
    login = run.scratch / "site.login"
    write_login(login, shop.pos.site)
    async with shop.pos:
        with contextlib.ExitStack() as stack:
            proxy = stack.enter_context(CountingProxy(port))
            wiring = Wiring(
                url=f"https://127.0.0.1:{proxy.port}",
                cloud_port=port,
                extra=_SOURCE.format(port=shop.pos.port, login=login),
                program="scripts.bench.minutes",
            )
            router, cloud = await asyncio.to_thread(stack.enter_context, running(run.scratch, [], wiring))
            await asyncio.to_thread(router.halt)  # the first start makes the ring; measured is one that finds it
            await asyncio.to_thread(router.start)
            hour = await _hour(shop, router, polls)
            await asyncio.to_thread(_settle, cloud, shop.sold)
            ours = Cost(shop.pos.counters.requests.total(), proxy.up)
            await asyncio.to_thread(stack.close)
    what = _WHAT.format(size=len(shop.document) / 1e6, polls=polls)
    return [*_memory(hour, what), *_cost(ours, await _naive(polls), polls), _cpu(hour, shop.document)]


async def _hour(shop: Shop, router: Router, count: int) -> list[Poll]:
    """The poll of a small document, then `count` of a large one that grows by a minute's trade each time."""
    polls: list[Poll] = []
    seen = shop.polls
    async with asyncio.timeout(_BEGIN_S + _POLL_S * count):
        while len(polls) < 1 + count + 1:  # the one behind the last says when the last was over
            await asyncio.sleep(_LOOK_S)
            if shop.polls > seen:
                seen = shop.polls
                polls.append(Poll(cpu_s(router.pid)))
                shop.fill() if len(polls) == 1 else shop.clock.advance(60.0)
            if polls:
                polls[-1].saw(memory_mib(router.pid))
    return polls


def _settle(cloud: Cloud, sold: set[str | None]) -> None:
    """Nothing counts if it did not arrive."""
    until(lambda: sold <= {each["identity"] for each in cloud.transactions()}, _DRAIN_S, "not all tickets arrived", 1.0)


async def _naive(polls: int) -> Cost:
    """The same polls of a site of its own: its footprints in the log are no burden of ours."""
    shop = Shop()
    async with shop.pos:
        shop.fill()
        naive = Naive(shop.pos)
        for _ in range(polls):
            await naive.poll()
            shop.clock.advance(60.0)
    return naive.cost


def _memory(polls: list[Poll], what: str) -> list[Row]:
    small, warm, later = polls[0], polls[1 : 1 + _WARM], polls[1 + _WARM : -1]
    start, left = warm[-1].rest, later[-1].rest
    peak = max(poll.peak[0] for poll in later), max(poll.peak[1] for poll in later)
    flat = f"{start[0]:.1f} MiB resident after {_WARM} polls, {peak[0]:.1f} at the peak of {len(later)} more; {what}"
    after = max(poll.rest[1] for poll in warm) - small.rest[1]
    most = max(poll.rest[0] for poll in warm)
    note = (
        f"private, highest at rest after one to {_WARM} of them; resident {small.rest[0]:.1f} before, {most:.1f} then"
    )
    first = "private, over a daemon that has polled a document of a few records"
    private = Beside("private", peak[1] - start[1]), Beside("private", left[1] - start[1])
    return [
        Row("memory growth at the peak, after warm-up", peak[0] - start[0], "MiB", (private[0],), _FLAT, flat),
        Row("memory growth at rest, after warm-up", left[0] - start[0], "MiB", (private[1],)),
        Row("memory growth at the peak: a 4 MB pull", warm[0].peak[1] - small.rest[1], "MiB", target=_M2, note=first),
        Row("memory growth after: a 4 MB pull", after, "MiB", target=_M2, note=note),
    ]


def _cost(ours: Cost, naive: Cost, polls: int) -> list[Row]:
    peers = [(Beside("naive client", value),) for value in (naive.requests, naive.up_bytes / 1e6)]
    note = f"{polls} polls; ours with two starts of the daemon, the list of periods and the polls they brought"
    up = "ours over TLS with handshakes, the first reading of the whole day in it; the client's are bodies alone"
    return [
        Row("requests to the POS", ours.requests, "", peers[0], note=note),
        Row("bytes sent up", ours.up_bytes / 1e6, "MB", peers[1], note=up),
    ]


def _cpu(polls: list[Poll], document: bytes) -> Row:
    packed = zlib.compress(document)
    began = time.process_time()
    zlib.decompress(packed)
    bound = time.process_time() - began
    later = polls[1 + _WARM :]
    each = (later[-1].began_cpu_s - later[0].began_cpu_s) / (len(later) - 1)
    return Row("CPU a poll of 4 MB, nearly nothing new in it", each, "s", (Beside("inflating it alone", bound),))
