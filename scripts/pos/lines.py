"""Carriers: what they share, and TCP; `serial` is the other one. Shell.

One contract for all: `send` returns once every byte was handed to the kernel, and waits as long as that takes: for room
in a full buffer, for a connection. Only cancelling ends the wait. A ticket is one `send` over TCP, and one `send` per
printed line on a serial port.
"""

import asyncio
import contextlib
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

REDIAL_MIN_S, REDIAL_MAX_S = 0.05, 1.0  # the same LAN, so short; a demo restarts its router often
RESEND_MAX = 10_000  # tickets remembered for a re-send, whatever the rate
SEND_BUFFER_BYTES = 64 << 10  # small, so that what dies with a connection was sent lately


class Line(Protocol):
    """A carrier."""

    @property
    def where(self) -> str:
        """For people: which path or address the other side uses."""
        ...

    async def open(self) -> None: ...

    async def ready(self) -> None:
        """Wait until somebody took the other end for the first time."""
        ...

    async def send(self, data: bytes, *, last: bool = True) -> None:
        """Hand over a ticket, or a line of one whose `last` is still to come."""
        ...

    async def cut(self, for_s: float) -> None:
        """A fault: take the link away and give it back after `for_s`."""
        ...

    async def close(self, within_s: float) -> None:
        """End, giving the other side `within_s` to take what the kernel still holds."""
        ...


class TcpLine:
    """One connection at a time, listened for or dialled. Of two peers the newest is served; the older is a ghost.

    After a reconnect it sends again, whole, what it had sent within `resend_s` before the link broke, as middlewares
    do, and goes on with the ticket the break interrupted from its first byte. `on_resend` is told of each.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        listen: bool,
        resend_s: float = 3.0,
        on_resend: Callable[[bytes], None] = lambda data: None,
    ) -> None:
        self._host, self.port, self._listen = host, port, listen
        self._resend_s, self.on_resend = resend_s, on_resend
        self._server: asyncio.Server | None = None
        self._dialler: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._up, self._plugged, self._turn = asyncio.Event(), asyncio.Event(), asyncio.Lock()
        self._sent: deque[tuple[float, bytes]] = deque(maxlen=RESEND_MAX)
        self._begun = b""  # of a ticket that leaves line by line: what is out already
        self._broke_at = 0.0

    @property
    def where(self) -> str:
        return f"tcp {'listen' if self._listen else 'dial'} {self._host}:{self.port}"

    @property
    def waiting_bytes(self) -> int:
        """What was given to `send` and no kernel took yet."""
        return self._writer.transport.get_write_buffer_size() if self._writer else 0

    async def open(self) -> None:
        self._plugged.set()
        if not self._listen:
            self._dialler = self._dialler or asyncio.create_task(self._dial(), name=f"dial {self._host}:{self.port}")
            return
        self._server = await asyncio.start_server(self._serve, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def ready(self) -> None:
        await self._up.wait()

    async def send(self, data: bytes, *, last: bool = True) -> None:
        handed = False
        while not handed:
            await self._up.wait()
            async with self._turn:
                handed = self._writer is not None and await self._hand(self._writer, data)
                if handed:
                    self._begun += data
        if last:
            self._remember(self._begun)
            self._begun = b""

    def _remember(self, ticket: bytes) -> None:
        now = time.monotonic()
        while self._sent and self._sent[0][0] < now - self._resend_s:
            self._sent.popleft()
        if self._resend_s > 0:
            self._sent.append((now, ticket))

    async def _hand(self, writer: asyncio.StreamWriter, data: bytes) -> bool:
        """Whether the kernel took all of it from a connection that still stands."""
        try:
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(0)  # `drain` does not yield while there is room: others, and bad news, need a turn
        except OSError:
            pass
        if writer.transport.is_closing():  # also after an abort, of which `drain` says nothing
            self._drop(writer)
            return False
        return True

    async def _dial(self) -> None:
        wait_s = REDIAL_MIN_S
        while True:
            await self._plugged.wait()
            try:
                reader, writer = await asyncio.open_connection(self._host, self.port)
            except OSError:
                await asyncio.sleep(wait_s)
                wait_s = min(REDIAL_MAX_S, wait_s * 2)
                continue
            wait_s = REDIAL_MIN_S
            await self._serve(reader, writer)
            await asyncio.sleep(REDIAL_MIN_S)  # a peer that accepts and closes must not spin us

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from its first byte to its end."""
        if self._writer:
            self._drop(self._writer)
        writer.transport.set_write_buffer_limits(high=0)  # so that `drain` means: the kernel has it
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        try:
            async with self._turn:
                if await self._again(writer):
                    self._writer = writer
                    self._up.set()
            while await reader.read(4096):  # a POS listens to nobody; only the end is news
                pass
        except OSError:
            pass
        finally:
            self._drop(writer)

    async def _again(self, writer: asyncio.StreamWriter) -> bool:
        """Send again what may be lost, then the ticket in hand from its first byte."""
        due = [ticket for at, ticket in self._sent if at >= self._broke_at - self._resend_s]
        self._sent.clear()
        self._sent.extend((time.monotonic(), ticket) for ticket in due)  # as good as sent: the next break may come now
        for ticket in due:
            if not await self._hand(writer, ticket):
                return False
            self.on_resend(ticket)
        return not self._begun or await self._hand(writer, self._begun)

    def _drop(self, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()
        if self._writer is writer:
            self._writer, self._broke_at = None, time.monotonic()
            self._up.clear()

    async def cut(self, for_s: float) -> None:
        self._plugged.clear()
        if self._server:
            self._server.close()
        if self._writer:
            _reset(self._writer)
            self._drop(self._writer)
        await asyncio.sleep(for_s)
        await self.open()

    async def close(self, within_s: float) -> None:
        if self._dialler:
            self._dialler.cancel()
            await asyncio.gather(self._dialler, return_exceptions=True)
        if self._server:
            self._server.close()
        writer, self._writer = self._writer, None
        if writer:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), max(within_s, 0.1))


def _reset(writer: asyncio.StreamWriter) -> None:
    """Make the close a reset: what a POS that loses power and comes back looks like."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def tcp(target: str, *, resend_s: float, on_resend: Callable[[bytes], None] = lambda data: None) -> TcpLine:
    """`HOST:PORT` dials; `listen:PORT` and `listen:HOST:PORT` listen, on loopback unless told otherwise."""
    listen = target.startswith("listen:")
    host, _, port = target.removeprefix("listen:").rpartition(":")
    if not port.isdigit() or not (host or listen):
        raise ValueError(f"{target!r} is neither HOST:PORT nor listen:PORT")
    return TcpLine(host or "127.0.0.1", int(port), listen=listen, resend_s=resend_s, on_resend=on_resend)
