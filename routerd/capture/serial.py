"""The serial link: a tty, read and never written, opened once and kept."""

import asyncio
import random
from collections.abc import Callable

from routerd.backoff import Backoff
from routerd.capture.flow import Flow, Retry, give_up
from routerd.capture.link import Inlet
from routerd.capture.port import ListenPort, check, open_port
from routerd.errors import PermanentError, RouterdError
from routerd.model import SerialLink

COALESCE_S = 0.05  # 48 bytes at 9600 baud, 576 at 115200: far from the 4 KiB a tty holds (footprint 1.9)
REPLUG_CEILING_S = 5.0  # someone stands there with the cable in hand


class SerialTransport:
    """Captures one tty until cancelled; comes back by path or USB location after an unplug.

    Conditions: serial.bad_settings, absent, denied, in_use, not_a_tty, failed, and `serial.unplugged` when a port that
    worked went away. Linux throws away what a tty holds unread when it hangs up (reads return 0 from then on:
    drivers/tty/tty_io.c, hung_up_tty_read), so an unplug costs at most the last `coalesce_s` of the line.
    """

    def __init__(
        self,
        link: SerialLink,
        *,
        backoff: Backoff | None = None,
        chance: Callable[[], float] = random.random,
        coalesce_s: float = COALESCE_S,
    ) -> None:
        given = backoff or Backoff()
        self._link = link
        self._retry = Retry(Backoff(given.base_s, min(given.ceiling_s, REPLUG_CEILING_S)), chance)
        self._coalesce_s = coalesce_s

    async def run(self, inlet: Inlet) -> None:
        try:
            check(self._link)
        except PermanentError as fault:
            await give_up(inlet, fault)
        unplugged = False
        while True:
            try:
                port = await self._open()
            except RouterdError as fault:
                if not (unplugged and fault.code == "serial.absent"):  # one cable, one condition
                    inlet.failed(fault.code, str(fault))
                await self._retry.wait(fault)
                continue
            path = await self._capture(port, inlet)
            unplugged = True
            inlet.failed("serial.unplugged", f"{path} went away: plug the cable back in, capture resumes by itself")
            await self._retry.wait()

    async def _capture(self, port: ListenPort, inlet: Inlet) -> str:
        try:
            flow = Flow(port.fileno(), inlet.open(port.path), coalesce_s=self._coalesce_s)
            await flow.run(inlet)
        finally:
            port.close()
        self._retry.ended(flow)
        return port.path

    async def _open(self) -> ListenPort:
        """Open in a thread. A cancel waits for the thread, or the port would stay open behind our back."""
        opening = asyncio.ensure_future(asyncio.to_thread(open_port, self._link))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait({opening})
            if not opening.exception():
                opening.result().close()
            raise
