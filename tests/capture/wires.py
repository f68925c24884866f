"""Real wires for tests: a pty with a POS at its master end, a POS that listens, a POS that dials."""

import asyncio
import os
import select
import socket
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ALL_BYTES = bytes(range(256))


def payload(size: int, seed: int = 0) -> bytes:
    """All 256 values in an order that does not repeat within a read."""
    block = b"".join(bytes((value * step + seed) & 255 for value in range(256)) for step in range(1, 256, 2))
    return (block * (size // len(block) + 1))[:size]


class Cable:
    """A pty. `plug` points a stable path at a new one, as udev or a re-plug by location would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.master = -1
        self.slave = -1
        self.plug()

    def plug(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.symlink_to(os.ttyname(self.slave))
        fresh.replace(self.path)

    def unplug(self) -> None:
        for end in (self.slave, self.master):
            if end >= 0:
                os.close(end)
        self.master = self.slave = -1
        self.path.unlink(missing_ok=True)

    def send_now(self, data: bytes) -> int:
        try:
            return os.write(self.master, data)
        except BlockingIOError:
            return 0

    async def send(self, data: bytes) -> None:
        """As fast as the line takes it."""
        loop = asyncio.get_running_loop()
        left = memoryview(data)
        while left:
            left = left[self.send_now(bytes(left[:4096])) :]
            if left:
                writable = asyncio.Event()
                loop.add_writer(self.master, writable.set)
                try:
                    await asyncio.wait_for(writable.wait(), 10)
                finally:
                    loop.remove_writer(self.master)

    def stuffed(self) -> int:
        """Write until the line takes no more; how many bytes it took."""
        total = 0
        while taken := self.send_now(payload(1000, total)):
            total += taken
        return total

    def said(self) -> bytes:
        """What came out of the router's end."""
        try:
            return os.read(self.master, 4096) if select.select([self.master], [], [], 0)[0] else b""
        except BlockingIOError:
            return b""


class Till:
    """A POS that listens on loopback; `accept` gives the next caller."""

    def __init__(self, port: int = 0) -> None:
        self.listener = socket.create_server(("127.0.0.1", port))
        self.listener.setblocking(False)
        self.port: int = self.listener.getsockname()[1]

    async def accept(self) -> socket.socket:
        caller, _ = await asyncio.wait_for(asyncio.get_running_loop().sock_accept(self.listener), 10)
        return caller

    def close(self) -> None:
        self.listener.close()


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's privileges, where the tests have them."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


async def dial(port: int, source: str = "127.0.0.1") -> socket.socket:
    """A POS that calls the router from `source`, until the router listens."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        while True:
            sock = socket.socket()
            sock.setblocking(False)
            sock.bind((source, 0))
            try:
                await loop.sock_connect(sock, ("127.0.0.1", port))
            except ConnectionRefusedError:  # not yet: nothing tells a caller when a listener comes up
                sock.close()
                await asyncio.sleep(0.01)
            else:
                return sock


async def turns(count: int) -> None:
    """Let the loop go round; whatever is ready runs."""
    for _ in range(count):
        await asyncio.sleep(0)
