"""Listening to a serial port at one setting after another. Opened once, never written to, its lines never moved.

Opening is the caller's: product research 1.6 says what a first open does to DTR and RTS, and the opener that deals with
it lives where ports are read every day. Changing speed and framing on the open port moves no line, as long as the
speed is never B0 (termios(3)).
"""

import asyncio
import errno
import os
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from routerd.discover.serialguess import Guess, Heard, Hopeless, Settings, next_step, unmark
from routerd.errors import PermanentError, TransientError

_READ_BYTES = 4096
_COALESCE_S = 0.05  # a line's bytes come one by one; they are read by the handful
_SPEEDS = {int(name[1:]): getattr(termios, name) for name in dir(termios) if name[:1] == "B" and name[1:].isdigit()}
_SIZES = {7: termios.CS7, 8: termios.CS8}
_IN, _CONTROL, _IN_SPEED, _OUT_SPEED = 0, 2, 4, 5  # places in what tcgetattr returns


class Port(Protocol):
    """An open port: read-only, non-blocking, raw, HUPCL off."""

    def fileno(self) -> int: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Consent:
    """Who allowed the port to be opened, and when: no tty is opened just to look."""

    by: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing came in time: no evidence for or against anything."""

    heard_bytes: int


async def listen(
    open_port: Callable[[Settings], Port], consent: Consent, deadline_s: float
) -> Guess | Hopeless | Silent:
    """Listen until the settings are clear, at most `deadline_s` seconds. `open_port` blocks and is called once, in a
    thread; what it raises passes through. PermanentError `serial.no_consent` when nobody approved it, TransientError
    `serial.absent` when the port goes away."""
    if not consent.by.strip():
        raise PermanentError("serial.no_consent", "say who allowed this port to be opened")
    first = next_step(())
    assert isinstance(first, Settings)  # noqa: S101 (nothing heard, nothing to guess from)
    port = await asyncio.to_thread(open_port, first)
    ear = _Ear(port.fileno())
    try:
        async with asyncio.timeout(deadline_s):
            return await ear.run()
    except TimeoutError:
        return Silent(ear.heard_bytes)
    except (OSError, termios.error) as exc:
        raise TransientError("serial.absent", "the port is gone: plug it in again") from exc
    finally:
        port.close()


class _Ear:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._heard: dict[Settings, Heard] = {}
        self.heard_bytes = 0

    async def run(self) -> Guess | Hopeless:
        while True:
            step = next_step(list(self._heard.values()))
            if not isinstance(step, Settings):
                return step
            tune(self._fd, step)
            await self._hear(step)

    async def _hear(self, settings: Settings) -> None:
        """Read at these settings until the next step is another."""
        rest = b""
        said = Heard(settings, b"", 0)
        while next_step([*self._heard.values(), said]) == settings:
            raw = await self._read()
            data, errors, rest = unmark(rest + raw)
            self.heard_bytes += len(raw)
            said = Heard(settings, said.data + data, said.errors + errors)
        self._heard[settings] = said

    async def _read(self) -> bytes:
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._fd, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._fd)
        await asyncio.sleep(_COALESCE_S)
        if data := os.read(self._fd, _READ_BYTES):
            return data
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))  # a hang-up


def tune(fd: int, settings: Settings) -> None:
    """Set speed and framing of an open port, mark damaged bytes in what is read, drop what came at the old setting."""
    mode = termios.tcgetattr(fd)
    mode[_IN] &= ~(termios.IGNPAR | termios.ISTRIP | termios.IGNBRK | termios.BRKINT)
    mode[_IN] |= termios.PARMRK | termios.INPCK
    mode[_CONTROL] &= ~(termios.CSIZE | termios.PARENB | termios.PARODD | termios.CSTOPB | termios.HUPCL)
    mode[_CONTROL] |= _SIZES[settings.data_bits] | termios.CREAD | termios.CLOCAL
    if settings.parity != "N":
        mode[_CONTROL] |= termios.PARENB | (termios.PARODD if settings.parity == "O" else 0)
    if settings.stop_bits == 2:
        mode[_CONTROL] |= termios.CSTOPB
    mode[_IN_SPEED] = mode[_OUT_SPEED] = _SPEEDS[settings.baud]
    termios.tcsetattr(fd, termios.TCSANOW, mode)
    termios.tcflush(fd, termios.TCIFLUSH)
