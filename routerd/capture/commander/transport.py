"""The Commander link: the period files of a Verifone site controller, pulled over HTTPS.

`current` of the first configured kind is polled; the list of periods is asked for at the start, when `current` shows
that its period has changed, and rarely otherwise; closed periods are read whole, oldest first and spaced, because each
is a few megabytes that a small CPU must make up. A POS that is slow is asked less often.

A new certificate is accepted by forgetting the note `certificate` (`link.CERTIFICATE`): the next poll notes the one
shown then. A refused login is tried again when the login file or the address changes, one whose outcome is not known
when the file is written anew (`login.Gate`).
"""

import random
from collections.abc import Callable

from routerd.backoff import Backoff
from routerd.capture.commander.controller import LoopPace, Pace, place
from routerd.capture.commander.periods import CODES, days
from routerd.capture.commander.rounds import Rounds, Timing
from routerd.capture.flow import give_up
from routerd.capture.link import Backfill, BackfillPlan, PullInlet
from routerd.errors import PermanentError, TransientError
from routerd.model import CommanderLink


class CommanderTransport:
    """Polls until cancelled.

    Conditions through `failed`: pos.bad_settings, pos.unreachable, pos.tls_failed, pos.certificate_changed,
    pos.not_a_commander, pos.login_file, pos.auth_failed, pos.session_lost, pos.not_permitted, pos.busy, pos.cut,
    pos.fault, pos.document_absent (`current`), source.contended, source.no_room. Beside the link's state:
    pos.sequence_reset, pos.list_truncated, and those of `Pulls`.
    """

    def __init__(
        self,
        link: CommanderLink,
        *,
        backoff: Backoff | None = None,
        chance: Callable[[], float] = random.random,
        pace: Pace | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._link = link
        self._backoff = backoff or Backoff()
        self._chance = chance
        self._pace = pace or LoopPace()
        self._timing = timing or Timing()
        self._rounds: Rounds | None = None
        self._is_running = False

    @property
    def requests(self) -> int:
        """Requests made so far: what the POS was bothered with."""
        return self._rounds.controller.requests if self._rounds else 0

    @property
    def waiting(self) -> tuple[str, ...]:
        return self._rounds.agenda.waiting if self._rounds else ()

    async def run(self, inlet: PullInlet) -> None:
        try:
            _check(self._link)
        except PermanentError as fault:
            await give_up(inlet, fault)
        self._rounds = rounds = Rounds(self._link, inlet, pace=self._pace, timing=self._timing, wait_s=self._wait_s)
        self._is_running = True
        try:
            await self._pace.sleep(self._chance() * self._timing.start_jitter_s)
            while True:
                await rounds.turn()
                await rounds.rest()
        finally:
            self._is_running = False
            await rounds.leave()
            await rounds.controller.close()

    async def backfill(self, wish: Backfill) -> BackfillPlan:
        days(wish.first, wish.last)
        if not self._rounds or not self._is_running:
            raise TransientError("source.stopped", "the link does not run: start it, then ask again")
        return await self._rounds.backfill(wish)

    def _wait_s(self, attempt: int) -> float:
        return self._backoff.wait_s(attempt, self._chance())


def _check(link: CommanderLink) -> None:
    """Raises PermanentError pos.bad_settings."""
    where = place(link.host, link.port)
    if not link.host or not 0 < link.port < 65536:
        raise PermanentError("pos.bad_settings", f"{where}: name the POS's address and its HTTPS port")
    if not link.periods or set(link.periods) - set(CODES):
        raise PermanentError("pos.bad_settings", f"{where}: periods are {' or '.join(CODES)}, at least one of them")
