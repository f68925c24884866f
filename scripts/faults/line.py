"""A bad line: a TCP relay between routerd and the cloud that is slow, loses answers, breaks off or swallows. Shell.

It sees TLS records only, so what it does is what a line can do; what needs HTTP is said by `impostor`.
"""

import asyncio
import contextlib
import random
import socket
import struct
from dataclasses import dataclass

_CHUNK_BYTES = 4 << 10
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset, as a dead line does
_REQUEST_BYTES = 1500  # sent up by then: the handshake is through and a request under way


@dataclass(frozen=True, slots=True)
class Mood:
    """What the line does to everybody. `lose_answers` and `break_requests` are shares of the chunks that it happens
    to; `says` is what it answers itself, in place of the cloud."""

    latency_s: float = 0.0
    bytes_per_s: int = 0
    lose_answers: float = 0.0
    break_requests: float = 0.0
    swallows: bool = False
    says: bytes = b""


GOOD = Mood()


class Line:
    """Listens on `port` of loopback; relays to `target`, which may change."""

    def __init__(self, target: int, chance: random.Random) -> None:
        self.target = target
        self.mood = GOOD
        self.port = 0
        self.answers_lost = self.requests_broken = self.connections = 0
        self._chance = chance
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.turn(GOOD)

    def turn(self, mood: Mood, *, cut: bool = True) -> None:
        """From now on the line is like this; with `cut` what stands is broken off first."""
        self.mood = mood
        for writer in list(self._writers) if cut else []:
            _reset(writer)

    async def _serve(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections += 1
        self._writers.add(near_out)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._relay(near, near_out)
        finally:
            self._tasks.discard(task)
            self._writers.discard(near_out)
            _reset(near_out)

    async def _relay(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        if self.mood.says:
            await near.read(_CHUNK_BYTES)
            near_out.write(self.mood.says)
            await near_out.drain()
            near_out.close()
            return
        far, far_out = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers.add(far_out)
        sent = [0]
        ways = [self._carry(near, far_out, sent, up=True), self._carry(far, near_out, sent, up=False)]
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._writers.discard(far_out)
            _reset(far_out)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: list[int], *, up: bool
    ) -> None:
        """One way of a connection, until either end or the line ends it."""
        while chunk := await reader.read(_CHUNK_BYTES):
            mood = self.mood
            sent[0] += len(chunk) if up else 0
            is_request = sent[0] > _REQUEST_BYTES
            if up and is_request and self._chance.random() < mood.break_requests:
                self.requests_broken += 1
                writer.write(chunk[: len(chunk) // 2])
                return
            if not up and is_request and self._chance.random() < mood.lose_answers:
                self.answers_lost += 1
                return
            if mood.latency_s or mood.bytes_per_s:
                await asyncio.sleep(mood.latency_s + (len(chunk) / mood.bytes_per_s if mood.bytes_per_s else 0.0))
            if not self.mood.swallows:
                writer.write(chunk)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.is_closing():
        with contextlib.suppress(OSError):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
