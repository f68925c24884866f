"""The minute itself: set up, sell, cut, kill, drain, compare. Shell."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable

from routerd.errors import PermanentError
from scripts.demo import acts, cloud, ledger
from scripts.demo import place as places
from scripts.demo.compare import compare
from scripts.demo.place import DEVICE, Place, configuration, free_port
from scripts.demo.plan import Plan
from scripts.demo.processes import Child, DemoError, outcome
from scripts.demo.report import Result
from scripts.demo.scene import Now, picture
from scripts.demo.view import Screen
from scripts.demo.wan import Wan
from scripts.demo.watch import Watch, all_up, drained

READY_S = 30.0  # Python, TLS keys and a ring on a machine busy with other things
ARRIVE_S = 25.0  # a link waits at most ten before its first poll; a file settles in one
DRAIN_S = 40.0  # what an outage left is through in one; a routerd that never gets there is the finding
RESPAWN_S = 1.0  # procd's patience before it starts a dead daemon again
DRAW_S = 0.5


class Demo:
    """One run. `go` returns what came of it or raises DemoError; `end` must be awaited whatever happens."""

    def __init__(self, plan: Plan, place: Place, screen: Screen) -> None:
        self._plan, self._place, self._screen = plan, place, screen
        self._act = acts.act(plan, place)
        self._wan = Wan(free_port())
        self._watch = Watch(place.control)
        serve = ("fleetd.server", "run", "--data", str(place.cloud), "--listen", "127.0.0.1:0")
        self._fleetd = Child("fleetd", place.log("fleetd"), *serve)
        self._routerd = Child("routerd", place.log("routerd"), "routerd.daemon", "--config", str(place.config))
        self._pos = Child("the POS", place.log("pos"), *self._act.words, ends=plan.tlog is not None)
        self._site = Child("the site", place.log("site"), *self._act.site) if self._act.site else None
        self._phase = "setting up"
        self._events: list[str] = []
        self._began_s = self._sold_from_s = time.monotonic()
        self._listening = self._dead = self._cut = False
        self._device_bytes = self._device_from = 0

    async def go(self) -> Result:
        try:
            async with asyncio.timeout(self._plan.deadline_s):
                return await self._go()
        except TimeoutError:
            raise DemoError(f"not through after {self._plan.deadline_s:.0f} s, while {self._phase}") from None

    async def _go(self) -> Result:
        try:
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(self._draw(), name="draw"), group.create_task(self._guard(), name="guard")]
                await self._set_up()
                await self._sell()
                await self._drain()
                await self._stop()
                self._phase = "comparing"
                result = await self._compare()
                for task in beside:
                    task.cancel()
                self._phase = "done"
                return result
        except BaseExceptionGroup as group_of_faults:
            raise _first(group_of_faults) from None
        finally:
            self._show()
            self._screen.end()

    async def end(self) -> None:
        """Nothing of the demo goes on after this."""
        for child in self._children:
            await child.kill()
        self._wan.cut()

    @property
    def _children(self) -> list[Child]:
        return [self._pos, *([self._site] if self._site else []), self._routerd, self._fleetd]

    async def _set_up(self) -> None:
        place = self._place
        await _must("fleetd.server", "init", "--data", str(place.cloud))
        await _must("fleetd.cli", "--data", str(place.cloud), "device", "add", DEVICE, "--key-file", str(place.key))
        await self._fleetd.start()
        found = await self._fleetd.said(r"listens on https://127\.0\.0\.1:(\d+)", READY_S)
        self._wan.target_port = int(found[1])
        await self._wan.restore()
        place.config.write_text(configuration(place, self._wan.port, self._act.sections, self._act.ring_mb))
        await self._pos.start()
        if self._site:
            places.write_login(place.login, places.SITE)
            await self._site.start()
        await self._routerd.start()
        if self._site:
            await self._site.said("serves https", READY_S)
        await self._up()
        self._listening = True

    async def _up(self) -> None:
        """routerd answers and has every line."""
        lines = self._act.lines
        await self._watch.until("routerd with all its lines up", lambda status: all_up(status, lines), READY_S)
        self._device_from = self._routerd.device_bytes()  # making the ring, once in a router's life, is not part of it

    async def _sell(self) -> None:
        self._phase = "playing" if self._plan.tlog else "selling"
        self._sold_from_s = time.monotonic()
        plan = self._plan
        self._happened(f"all sources are up; the POS {'plays' if plan.tlog else 'sells'} for {plan.seconds:.0f} s")
        due: list[tuple[float, Callable[[], Awaitable[None]]]] = []
        if plan.cut_s:
            due += [(plan.cut_s[0], self._cut_wan), (plan.cut_s[1], self._restore_wan)]
        if plan.kill_s is not None:
            due.append((plan.kill_s, self._kill))
        async with asyncio.TaskGroup() as group:
            for at_s, act in due:
                group.create_task(self._at(at_s, act), name=act.__name__)
            group.create_task(self._at(plan.seconds, self._nothing), name="selling")
        self._phase = "last tickets"
        await self._act.finish(self._pos)
        self._happened("the POS has closed its lines")
        if self._site:
            await self._close_day(self._site)

    async def _close_day(self, site: Child) -> None:
        """The Commander is asked once a minute, so its last minute is fetched as support would."""
        site.tell(signal.SIGUSR1)
        await site.said("the day is closed", READY_S)
        closed = self._act.closed()[-1]
        self._happened(f"the Commander has closed its day, {closed.file_name}: {closed.sales_cents / 100:.2f} sold")
        try:
            await self._watch.act("backfill", source=closed.source, first=closed.day, last=closed.day)
        except PermanentError as exc:
            raise DemoError(f"routerd does not take the backfill of {closed.day}: {exc}") from exc
        self._happened(f"routerctl backfill asks {closed.source} for {closed.day}")

    async def _at(self, at_s: float, act: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(max(0.0, self._sold_from_s + at_s - time.monotonic()))
        await act()

    async def _nothing(self) -> None: ...

    async def _cut_wan(self) -> None:
        self._watch.trouble()
        self._cut = True
        self._wan.cut()
        self._happened(f"the WAN is cut: {self._wan.resets} connection ends reset, new ones refused")

    async def _restore_wan(self) -> None:
        await self._wan.restore()
        self._cut = False
        self._happened("the WAN is back")

    async def _kill(self) -> None:
        """SIGKILL, then what procd does. Its counters die with it, so they are read just before."""
        self._watch.trouble()
        pid, self._dead = self._routerd.pid, True
        await self._watch.sample()
        self._device_bytes += self._routerd.device_bytes() - self._device_from
        await self._routerd.kill()
        killed_s = time.monotonic()
        self._watch.fold()
        self._happened(f"routerd (pid {pid}) is killed with SIGKILL")
        await asyncio.sleep(RESPAWN_S)
        await self._routerd.start()
        await self._up()
        self._dead = False
        away_s = time.monotonic() - killed_s
        self._happened(f"routerd (pid {self._routerd.pid}) reads every line again, {away_s:.1f} s later")

    async def _guard(self) -> None:
        """A child that ends uncalled ends the demo."""
        while True:
            for child in self._children:
                child.check()
            if not (self._cut or self._dead):
                self._watch.calm()
            await asyncio.sleep(0.1)

    async def _drain(self) -> None:
        self._phase = "draining"
        began_s = time.monotonic()
        if self._site:
            await self._arrive(began_s)
        lines = self._act.lines
        await self._watch.until("an empty spool", lambda status: drained(status, lines), DRAIN_S)
        self._listening = False
        self._happened(f"nothing waits any more, {time.monotonic() - began_s:.1f} s later")

    async def _arrive(self, began_s: float) -> None:
        """A file must stand still before it is read, and a day is judged when it is whole: look until all is there, or
        no longer to be expected; the comparison says what is missing."""
        data, closed = self._place.cloud, self._act.closed()
        while time.monotonic() < began_s + ARRIVE_S:
            kept, days = await asyncio.gather(cloud.transactions(data), cloud.days(data, DEVICE))
            verdict = ledger.judge(closed, days)
            if verdict.is_complete and not compare(self._act.truth(), kept).missing:
                self._happened(f"fleetctl ledger: {verdict.says}; every file is there, too")
                return
            await asyncio.sleep(DRAW_S)

    async def _stop(self) -> None:
        self._watch.end()
        self._device_bytes += self._routerd.device_bytes() - self._device_from
        await self._routerd.stop()
        if self._site:
            await self._site.stop()
        await self._fleetd.stop()

    async def _compare(self) -> Result:
        found = await cloud.ask(self._place.cloud, DEVICE)
        truth, closed = self._act.truth(), self._act.closed()
        return Result(
            plan=self._plan,
            sources=self._act.sources,
            truth=truth,
            cloud=found,
            verdict=compare(truth, found.kept),
            doubts=self._act.doubts(found),
            lines=self._act.lines,
            ledger=ledger.judge(closed, found.days) if self._site else None,
            windows=self._watch.windows,
            events=self._events,
            resent=self._act.resent(),
            flash_bytes=self._watch.flash_bytes,
            device_bytes=self._device_bytes,
            up_bytes=self._wan.up_bytes,
            down_bytes=self._wan.down_bytes,
            seconds=time.monotonic() - self._began_s,
        )

    def _happened(self, what: str) -> None:
        self._events.append(f"{time.monotonic() - self._sold_from_s:5.1f} s  {what}")

    async def _draw(self) -> None:
        while True:
            if self._listening and not self._dead:
                await self._watch.sample()
            self._show()
            await asyncio.sleep(DRAW_S)

    def _show(self) -> None:
        now = Now(self._phase, time.monotonic() - self._began_s, self._events, dead=self._dead, cut=self._cut)
        self._screen.show(picture(self._plan, self._act, self._watch, self._wan, now))


async def _must(*words: str) -> None:
    code, _, err = await outcome(*words)
    if code:
        raise DemoError(f"{' '.join(words)} failed with status {code}: {err.strip()}")


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of several that failed together, the first tells why."""
    fault: BaseException = group
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    return fault
