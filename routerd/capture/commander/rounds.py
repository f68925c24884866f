"""The rounds of one controller: poll, list, closed documents, and what each failure leads to."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from routerd.capture.commander.agenda import Agenda, Rhythm
from routerd.capture.commander.cgi import Head
from routerd.capture.commander.controller import Controller, Pace, Patience
from routerd.capture.commander.login import Gate
from routerd.capture.commander.periods import CURRENT, Period, choose, due, named, newest
from routerd.capture.commander.pulls import Outcome, Pulled, Pulls
from routerd.capture.commander.visit import Visit
from routerd.capture.link import Backfill, BackfillPlan, PullInlet
from routerd.errors import PermanentError, RouterdError, TransientError
from routerd.model import CommanderLink

log = logging.getLogger("routerd.capture.commander")

POLL_FLOOR_S = 60.0  # a poll makes up the whole running day and leaves a record in it: 1,440 of them at most
QUICK_TRIES = 3  # of what was cut: a switch reboots; past it the POS would only make up megabytes for nothing
NEWEST = "newest"  # the note that holds the newest closed period seen: a reloaded POS begins to count anew
_WAITS_FOR_SOMEBODY = ("pos.auth_failed", "pos.login_file", "pos.certificate_changed")  # and the POS is not asked


@dataclass(frozen=True, slots=True)
class Timing:
    list_every_s: float = 3600.0  # finds what `current` of one kind does not show: the other kind's closings
    cookie_idle_s: float = 1200.0  # it forgets a cookie after 30 minutes: one not used before is given back
    slow_answer_s: float = 10.0  # a day of 4 MB is made up in less, unless the tills keep the controller busy
    start_jitter_s: float = 10.0  # after a power cut the POS is starting, too
    release_s: float = 2.0  # for giving the cookie back when the daemon stops
    ask_s: float = 60.0  # how long a backfill waits for a document that is being read
    patience: Patience = field(default_factory=Patience)


class Rounds:
    """`turn` when `rest` returned, `leave` in the end. In a running loop."""

    def __init__(
        self,
        link: CommanderLink,
        inlet: PullInlet,
        *,
        pace: Pace,
        timing: Timing,
        wait_s: Callable[[int], float],
    ) -> None:
        """`wait_s`: the jittered wait before try n, counted from 0."""
        self.controller = Controller(link.host, link.port, pace=pace, patience=timing.patience)
        rhythm = Rhythm(max(POLL_FLOOR_S, link.poll_s), timing.list_every_s, link.pull_gap_s)
        self.agenda = Agenda(link.periods[0], rhythm)
        self._link = link
        self._inlet = inlet
        self._pace = pace
        self._timing = timing
        self._wait_s = wait_s
        self._gate = Gate(link.login_file, self.controller.place, inlet)
        self._visit = Visit(self.controller, self._gate, inlet)
        self._pulls = Pulls(inlet)
        self._talk = asyncio.Lock()  # one request at a time, whoever asks
        self._wake = asyncio.Event()
        self._failures = 0  # turns running
        self._current: tuple[Head, int] | None = None  # the running period as last seen, with its frames
        self._counts_anew = False

    async def rest(self) -> None:
        """Until something is due. A cookie that would run out meanwhile is given back first."""
        while (rest_s := self.agenda.rest_s(self._pace.now_s())) > 0:
            if rest_s > self._timing.cookie_idle_s:
                async with self._talk:
                    await self.leave()
            self._wake.clear()
            nap = asyncio.ensure_future(self._pace.sleep(rest_s))
            woken = asyncio.ensure_future(self._wake.wait())
            try:
                await asyncio.wait({nap, woken}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                nap.cancel()
                woken.cancel()

    async def turn(self) -> None:
        """Do what is due. Never raises for what the POS does."""
        await self._room()
        try:
            async with self._talk:
                await self._visit.trust()
                is_well = await self._poll()
                is_well &= await self._list()
                is_well &= await self._read_closed()
        except RouterdError as fault:
            self._broke(fault)
        else:
            self._failures = 0
            if is_well:
                self._inlet.fine()

    async def leave(self) -> None:
        """Give the cookie back, within a deadline; if that fails, it stays kept for the next start."""
        try:
            async with asyncio.timeout(self._timing.release_s):
                await self._visit.leave()
        except (RouterdError, TimeoutError) as fault:
            log.info("%s: the cookie was not given back: %s", self.controller.place, fault)

    async def backfill(self, wish: Backfill) -> BackfillPlan:
        """As `link.PullTransport.backfill`."""
        try:
            async with asyncio.timeout(self._timing.ask_s):
                await self._talk.acquire()
        except TimeoutError as exc:
            raise TransientError("pos.busy", "a document is being read: ask again in a few minutes") from exc
        try:
            await self._visit.trust()
            periods = await self._visit.listed()
        except PermanentError as fault:
            raise TransientError(fault.code, str(fault)) from fault  # it is the POS that cannot be asked, not the wish
        finally:
            self._talk.release()
        choice = choose(periods, self._link.periods, wish.first, wish.last)
        held = [each for each in choice.present if not wish.anew and self._inlet.taken(each.name)]
        wanted = [each for each in choice.present if each not in held]
        self.agenda.ask(wanted, anew=wish.anew)
        self._wake.set()
        return BackfillPlan(_names(wanted), _names(held), choice.absent)

    async def _room(self) -> None:
        """Until what is read can be stored, which may be hours: the cookie is not kept in use for that."""
        room = asyncio.ensure_future(self._inlet.room())
        try:
            await asyncio.sleep(0)
            if not room.done():
                async with self._talk:
                    await self.leave()
            await room
        finally:
            room.cancel()

    async def _poll(self) -> bool:
        """The running period. False if it was cut, and is left for the next poll."""
        if not self.agenda.wants_poll(self._pace.now_s()):
            return True
        kind = self._link.periods[0]
        pulled = await self._pulls.read(self._visit, kind, CURRENT, final=False)
        is_slow = self.controller.took_s > self._timing.slow_answer_s
        is_cut = self._is_cut(pulled)
        self.agenda.polled(self._pace.now_s(), was_slow=is_slow)
        if is_slow:
            took_s = self.controller.took_s
            message = f"{self.controller.place} took {took_s:.0f} s to answer: it is asked less often"
            self._inlet.failed("pos.busy", message)
        if pulled.outcome is Outcome.WHOLE:
            self._compare(pulled)
        return not is_cut and not is_slow

    async def _list(self) -> bool:
        """The closed periods, where there may be new ones."""
        if not self.agenda.wants_list(self._pace.now_s()):
            return True
        periods = await self._visit.listed()
        kinds = self._link.periods
        await self._compare_newest(newest(periods, kinds[0]))
        catch_up_days = self._link.catch_up_days
        owed = due(periods, kinds, self._inlet.taken, catch_up_days=catch_up_days, all_days=self._counts_anew)
        self._counts_anew &= bool(owed)
        self.agenda.listed(self._pace.now_s(), owed)
        return True

    async def _read_closed(self) -> bool:
        """One closed period of the queue."""
        period = self.agenda.closed(self._pace.now_s())
        if not period:
            return True
        anew = self.agenda.is_anew(period)
        pulled = await self._pulls.read(self._visit, period.kind, period.file_name, final=True, anew=anew)
        if self._is_cut(pulled):
            self.agenda.postpone(self._pace.now_s())
            return False
        self.agenda.finished(self._pace.now_s(), period)
        self._counts_anew &= bool(self.agenda.waiting)
        return True

    def _is_cut(self, pulled: Pulled) -> bool:
        """Whether it was cut often enough to wait for its next time. Raises TransientError pos.cut to try at once."""
        if pulled.outcome is not Outcome.CUT:
            return False
        if pulled.tries < QUICK_TRIES:
            raise TransientError("pos.cut", pulled.why)
        self._inlet.failed("pos.cut", pulled.why)
        return True

    def _compare(self, pulled: Pulled) -> None:
        """Whether the running period is still the one seen last."""
        before, self._current = self._current, (pulled.head, pulled.frames)
        if not before:
            return
        head, frames = before
        if pulled.head != head or pulled.frames < frames:
            self.agenda.period_changed()
        if pulled.head.number is not None and head.number is not None and pulled.head.number < head.number:
            self._restarted(f"its running period is {pulled.head.number}, and was {head.number}")

    async def _compare_newest(self, last: Period | None) -> None:
        """Whether the numbers of closed periods still rise, also across our own restarts."""
        before = named(await self._inlet.noted(NEWEST))
        if not last or last == before:
            return
        if before and before.kind == last.kind and last.number < before.number:
            self._restarted(f"its newest closed period is {last.name}, and was {before.name}")
        elif not self._counts_anew:
            self._inlet.unwarn("pos.sequence_reset")
        await self._inlet.note(NEWEST, last.name)

    def _restarted(self, what: str) -> None:
        message = f"{self.controller.place} counts its periods anew ({what}): was it reloaded or replaced?"
        self._inlet.warn("pos.sequence_reset", message)
        self._counts_anew = True
        self.agenda.period_changed()

    def _broke(self, fault: RouterdError) -> None:
        self._inlet.failed(fault.code, str(fault))
        now_s = self._pace.now_s()
        if fault.code in _WAITS_FOR_SOMEBODY:
            self.agenda.stand_by(now_s)
        elif fault.code == "pos.unreachable" or (fault.code == "pos.cut" and self._failures < QUICK_TRIES):
            self.agenda.hold(now_s, self._wait_s(self._failures))
        else:
            self.agenda.slow_down(now_s)
        self._failures += 1


def _names(periods: list[Period]) -> tuple[str, ...]:
    return tuple(each.name for each in periods)
