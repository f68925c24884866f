"""What serial and TCP links share: bytes from a file descriptor to a session, and the wait between two attempts.

Invariants: between the kernel and `Session.feed` there is no queue, no task and no thread; a session is closed or left
exactly once, after all that the kernel still gave was fed; what the room raises is a bug and reaches the link's `run`.
"""

import asyncio
import os
import select
from collections.abc import Callable

from routerd.backoff import Backoff
from routerd.capture.link import Failing, Inlet, Session
from routerd.errors import PermanentError, RouterdError

READ_BYTES = 16 << 10  # 4x what one tty read gives (n_tty holds 4 KiB), 8x a usual ticket; lives for one call only
BUSY_BYTES = 2 << 10  # half a tty's buffer: past it, waiting would let the line overflow or be throttled
DRAIN_READS = 64  # 1 MiB, above all a socket or a tty may hold: a peer that never pauses must not hold up the stop


class Flow:
    """One open connection: feeds what arrives at `fd` (non-blocking, stays the caller's) to `session`.

    With `coalesce_s`, the reader sleeps that long after the first sign of bytes and takes them in one read: a
    ninth of the wake-ups on a slow line (measured: footprint 1.9). After a read of BUSY_BYTES it stays awake for as
    long, so that a fast port is not throttled.
    """

    def __init__(self, fd: int, session: Session, *, coalesce_s: float = 0.0) -> None:
        self._fd = fd
        self._session = session
        self._coalesce_s = coalesce_s
        self._loop = asyncio.get_running_loop()
        self._since_s = self._loop.time()
        self._halt: asyncio.Future[bool] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._busy_until_s = 0.0
        self._fault: OSError | None = None
        self.fed = 0  # bytes

    @property
    def age_s(self) -> float:
        return self._loop.time() - self._since_s

    async def run(self, inlet: Inlet) -> OSError | None:
        """Feed until the other side is gone, then close the session. None says it ended in order (EOF, hang-up).

        Cancelling drains first: what the kernel holds is fed, whether or not there is room, because it is bounded and
        nobody would send it again.
        """
        try:
            while await self._reading():
                await self._room(inlet)
        except asyncio.CancelledError:
            self._drain()
            self._session.leave()
            raise
        except BaseException:
            self._session.close()
            raise
        self._session.close()
        return self._fault

    async def _reading(self) -> bool:
        """Read until the session is full (True) or the connection over (False)."""
        self._halt = self._loop.create_future()
        self._rest()
        try:
            return await self._halt
        finally:
            self._still()

    async def _room(self, inlet: Inlet) -> None:
        """Wait for room, or for a hang-up: then the little that a dead connection left is read in spite of all."""
        room = asyncio.ensure_future(inlet.room())
        gone = asyncio.Event()
        hung_up = asyncio.ensure_future(gone.wait())
        with select.epoll() as hangup:  # asyncio cannot wait for a hang-up alone; an epoll that asks for nothing can
            hangup.register(self._fd, 0)
            self._loop.add_reader(hangup.fileno(), gone.set)
            try:
                await asyncio.wait({room, hung_up}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._loop.remove_reader(hangup.fileno())
                room.cancel()
                hung_up.cancel()
        if room.done():
            room.result()

    def _rest(self) -> None:
        """Nothing to do until bytes arrive."""
        self._loop.add_reader(self._fd, self._arrived if self._coalesce_s else self._read)

    def _arrived(self) -> None:
        self._loop.remove_reader(self._fd)
        self._timer = self._loop.call_later(self._coalesce_s, self._read)

    def _read(self) -> None:
        try:
            chunk = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            self._rest()
            return
        except OSError as exc:
            self._fault = exc
            chunk = b""
        if not chunk:
            self._stop(full=False)
        elif self._take(chunk) and self._coalesce_s:  # else the reader stands as it did: most reads are a socket's
            self._again(len(chunk))

    def _again(self, taken: int) -> None:
        now_s = self._loop.time()
        if taken >= BUSY_BYTES:
            self._busy_until_s = now_s + self._coalesce_s  # a fast sender also causes small reads: do not nap between
        if now_s < self._busy_until_s:
            self._loop.add_reader(self._fd, self._read)
        else:
            self._rest()

    def _take(self, chunk: bytes) -> bool:
        """False when reading has stopped."""
        self.fed += len(chunk)
        try:
            room = self._session.feed(chunk)
        except Exception as bug:  # the loop would only log it: carry it to whoever awaits `run`
            self._still()
            if not self._halt.done():
                self._halt.set_exception(bug)
            return False
        if not room:
            self._stop(full=True)
        return room

    def _stop(self, *, full: bool) -> None:
        self._still()
        if not self._halt.done():  # a cancel may have come between readiness and this callback: it drains
            self._halt.set_result(full)

    def _still(self) -> None:
        self._loop.remove_reader(self._fd)
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _drain(self) -> None:
        for _ in range(DRAIN_READS):
            try:
                chunk = os.read(self._fd, READ_BYTES)
            except OSError:  # empty, or gone
                return
            if not chunk:
                return
            self.fed += len(chunk)
            self._session.feed(chunk)


class Retry:
    """The waits of one link. Only a connection that proved itself makes the next failure a first one, so that a
    side that accepts and hangs up at once is not stormed."""

    def __init__(self, backoff: Backoff, chance: Callable[[], float]) -> None:
        self._backoff = backoff
        self._chance = chance
        self._attempt = 0

    def ended(self, flow: Flow) -> None:
        """A connection is over: did it work (bring bytes, or outlive the longest wait)?"""
        if flow.fed or flow.age_s >= self._backoff.ceiling_s:
            self._attempt = 0

    async def wait(self, fault: RouterdError | None = None) -> None:
        """The jittered wait; the ceiling where a person must act first."""
        if isinstance(fault, PermanentError):
            await asyncio.sleep(self._backoff.ceiling_s)
            return
        wait_s = self._backoff.wait_s(self._attempt, self._chance())
        self._attempt += 1
        await asyncio.sleep(wait_s)


async def give_up(inlet: Failing, fault: PermanentError) -> None:
    """The settings are impossible and will not change while this link lives: say so and stay out of the way."""
    inlet.failed(fault.code, str(fault))
    await asyncio.get_running_loop().create_future()
