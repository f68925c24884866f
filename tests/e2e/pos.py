"""Two tills for kill tests: numbered lines, and when each was handed to the kernel."""

import asyncio
import os
import tty
from contextlib import suppress
from pathlib import Path
from time import monotonic


class Till:
    """Sells `<name>:<number>:…` lines until told to stop. `sold` maps each whole line to its time."""

    def __init__(self, name: str, every_s: float) -> None:
        self.name = name
        self.sold: dict[bytes, float] = {}
        self.stopping = False
        self._every_s = every_s
        self._number = 0

    def next_line(self) -> bytes:
        self._number += 1
        return f"{self.name}:{self._number:08}:{'tobacco ' * 6}\n".encode()

    async def pause(self) -> None:
        await asyncio.sleep(self._every_s)


class TcpTill(Till):
    """Dials the router; a line that was under way when the connection broke is sold again under the next number."""

    def __init__(self, name: str, every_s: float, port: int) -> None:
        super().__init__(name, every_s)
        self._port = port

    async def run(self) -> None:
        while not self.stopping:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    await self._sell(writer)
                finally:
                    writer.close()
            await self.pause()

    async def _sell(self, writer: asyncio.StreamWriter) -> None:
        while not self.stopping:
            line = self.next_line()
            writer.write(line)
            await writer.drain()
            if writer.is_closing():
                return
            self.sold[line] = monotonic()
            await self.pause()


class SerialTill(Till):
    """A pty whose master is ours alone, as the far end of a cable is; lines trickle in two halves."""

    def __init__(self, name: str, every_s: float, path: Path) -> None:
        super().__init__(name, every_s)
        self._master, slave = os.openpty()
        tty.setraw(slave)
        path.symlink_to(os.ttyname(slave))
        os.close(slave)
        os.set_blocking(self._master, False)

    async def run(self) -> None:
        while not self.stopping:
            line = self.next_line()
            half = len(line) // 2
            await self._write(line[:half])
            await self.pause()
            await self._write(line[half:])
            self.sold[line] = monotonic()

    async def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:  # the router is away and the kernel's buffer full
                await self.pause()

    def close(self) -> None:
        os.close(self._master)
