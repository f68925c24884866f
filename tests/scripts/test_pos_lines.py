"""Carriers deliver byte for byte; a broken link costs repetition, never a torn ticket."""

import asyncio
import fcntl
import os
import socket
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from scripts.pos.lines import Line, TcpLine, tcp
from scripts.pos.serial import PtyLine

EVERY_BYTE = bytes(range(256)) * 1200  # 300 KB: far more than a pty or a socket holds
TIOCGEXCL = 0x80045440  # asm-generic/ioctls.h; the standard library lacks it
TICKETS = [b"<%05d>" % n + b"." * 400 + b"</>" for n in range(400)]


class Tap:
    """A reader of a serial port: collects what a file descriptor has, as it comes."""

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        self.got = bytearray()
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.fd, self._read)

    def _read(self) -> None:
        self.got += os.read(self.fd, 65536)
        self._more.set()

    async def until(self, size: int) -> bytes:
        async with asyncio.timeout(10):
            while len(self.got) < size:
                self._more.clear()
                await self._more.wait()
        return bytes(self.got)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.fd)
        os.close(self.fd)


def pty_slaves_open_here() -> set[str]:
    """By number, as a router would see them; the directory that is read is itself open and gone."""
    links = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
    return {os.path.basename(link) for link in links if link.startswith("/dev/pts/")}


class Router:
    """A peer on TCP that keeps each connection's bytes apart and can break it at will."""

    def __init__(self) -> None:
        self.heard: list[bytearray] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.changed = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine = bytearray()
        self.heard.append(mine)
        self.writers.append(writer)
        async with self.changed:
            self.changed.notify_all()
        try:
            while chunk := await reader.read(65536):
                mine += chunk
                async with self.changed:
                    self.changed.notify_all()
        except OSError:
            pass
        finally:
            writer.close()
            async with self.changed:
                self.changed.notify_all()

    async def until(self, connection: int, size: int) -> bytes:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: len(self.heard) > connection and len(self.heard[connection]) >= size)
        return bytes(self.heard[connection])

    def kill(self, connection: int) -> None:
        raw = self.writers[connection].get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writers[connection].transport.abort()


@asynccontextmanager
async def dialled(resend_s: float = 3.0) -> AsyncIterator[tuple[TcpLine, Router, list[bytes]]]:
    """A POS that dials a router."""
    router, again = Router(), list[bytes]()
    server = await asyncio.start_server(router.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = tcp(f"127.0.0.1:{port}", resend_s=resend_s, on_resend=again.append)
    await line.open()
    try:
        yield line, router, again
    finally:
        await line.close(1.0)
        server.close()


async def send_all(line: Line, tickets: list[bytes]) -> None:
    for ticket in tickets:
        await line.send(ticket)


async def test_a_serial_line_delivers_every_byte_as_it_is(tmp_path: Path) -> None:
    line = PtyLine(str(tmp_path / "pos"))
    await line.open()
    tap = Tap(tmp_path / "pos")
    async with asyncio.timeout(10):
        await line.ready()
        sent = asyncio.create_task(line.send(EVERY_BYTE))
        assert await tap.until(len(EVERY_BYTE)) == EVERY_BYTE
        await sent
        await line.close(1.0)
    tap.close()
    assert not (tmp_path / "pos").is_symlink()


async def test_a_serial_line_waits_for_its_first_reader(tmp_path: Path) -> None:
    line = PtyLine(str(tmp_path / "pos"))
    await line.open()
    ready = asyncio.create_task(line.ready())
    assert not (await asyncio.wait({ready}, timeout=0.2))[0], "nobody is there yet"
    tap = Tap(tmp_path / "pos")
    async with asyncio.timeout(5):
        await ready
    await line.close(0.0)
    tap.close()


async def test_a_serial_line_keeps_what_was_written_while_the_reader_was_away(tmp_path: Path) -> None:
    line = PtyLine(str(tmp_path / "pos"))
    await line.open()
    first = Tap(tmp_path / "pos")
    await line.ready()
    await line.send(b"before ")
    assert await first.until(7) == b"before "
    first.close()
    pushed = asyncio.create_task(line.send(b"while away " * 30_000))
    assert not (await asyncio.wait({pushed}, timeout=0.2))[0], "the buffer is full, so the writer waits"
    second = Tap(tmp_path / "pos")
    assert await second.until(11 * 30_000) == b"while away " * 30_000
    async with asyncio.timeout(5):
        await pushed
    await line.close(0.0)
    second.close()


async def test_a_reader_that_died_with_the_port_to_itself_leaves_it_free(tmp_path: Path) -> None:
    line = PtyLine(str(tmp_path / "pos"))
    await line.open()
    first = Tap(tmp_path / "pos")
    fcntl.ioctl(first.fd, termios.TIOCEXCL)
    await line.ready()
    first.close()
    second = Tap(tmp_path / "pos")
    async with asyncio.timeout(5):
        while struct.unpack("i", fcntl.ioctl(second.fd, TIOCGEXCL, b"\0\0\0\0"))[0]:
            await line.send(b".")
            await second.until(1)
    await line.close(0.0)
    second.close()


async def test_a_serial_line_is_open_in_no_program_but_its_reader(tmp_path: Path) -> None:
    line = PtyLine(str(tmp_path / "pos"))
    await line.open()
    first = Tap(tmp_path / "pos")
    await line.ready()
    first.close()
    assert os.path.basename(os.readlink(tmp_path / "pos")) not in pty_slaves_open_here()
    await line.close(0.0)


async def test_an_unplugged_serial_line_comes_back_at_its_path(tmp_path: Path) -> None:
    line = PtyLine(str(tmp_path / "pos"))
    await line.open()
    before = (tmp_path / "pos").readlink()
    await line.cut(0.0)
    assert (tmp_path / "pos").is_symlink()
    assert Path(before).name.isdigit()
    tap = Tap(tmp_path / "pos")
    await line.send(b"again")
    assert await tap.until(5) == b"again"
    await line.close(0.0)
    tap.close()


async def test_a_dialled_line_delivers_every_byte_as_it_is() -> None:
    async with dialled() as (line, router, _):
        await line.send(EVERY_BYTE)
        assert await router.until(0, len(EVERY_BYTE)) == EVERY_BYTE


async def test_a_listening_line_delivers_every_byte_as_it_is() -> None:
    line = tcp("listen:0", resend_s=3.0)
    await line.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
    sent = asyncio.create_task(line.send(EVERY_BYTE))
    async with asyncio.timeout(10):
        assert await reader.readexactly(len(EVERY_BYTE)) == EVERY_BYTE
        await sent
    await line.close(1.0)
    writer.close()


async def test_after_a_reset_what_was_sent_lately_comes_again_whole() -> None:
    async with dialled() as (line, router, again):
        await send_all(line, TICKETS[:100])
        await router.until(0, len(b"".join(TICKETS[:100])))
        router.kill(0)
        await send_all(line, TICKETS[100:])
        whole = b"".join(TICKETS)
        got = await router.until(1, len(whole))
    assert got.startswith(b"".join(TICKETS[:100])), "from the first byte of a ticket on"
    assert again[:100] == TICKETS[:100]
    assert got == b"".join(again + TICKETS[len(again) :])


async def test_what_was_sent_long_before_the_break_does_not_come_again() -> None:
    async with dialled(resend_s=0.0) as (line, router, again):
        await send_all(line, TICKETS[:100])
        await router.until(0, len(b"".join(TICKETS[:100])))
        router.kill(0)
        await router.until(1, 0)
        await send_all(line, TICKETS[100:])
        rest = b"".join(TICKETS[100:])
        assert await router.until(1, len(rest)) == rest
    assert not again


async def test_a_ticket_the_break_interrupted_starts_anew() -> None:
    big = [b"<%d" % n + EVERY_BYTE * 20 for n in range(3)]  # 6 MB each: more than loopback buffers
    async with dialled(resend_s=0.0) as (line, router, _):
        sent = asyncio.create_task(send_all(line, big))
        await router.until(0, 100_000)
        router.kill(0)
        got = await router.until(1, sum(map(len, big)))
        await sent
    assert got == b"".join(big)


async def test_a_ticket_stuck_in_a_ghost_goes_whole_to_the_peer_that_replaces_it() -> None:
    line = tcp("listen:0", resend_s=0.0)
    await line.open()
    _, ghost = await asyncio.open_connection("127.0.0.1", line.port)
    ghost.transport.pause_reading()  # type: ignore[attr-defined]
    async with asyncio.timeout(10):
        await line.ready()
        sent = asyncio.create_task(line.send(EVERY_BYTE * 20))
        assert not (await asyncio.wait({sent}, timeout=0.2))[0]
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        assert await reader.readexactly(len(EVERY_BYTE) * 20) == EVERY_BYTE * 20
        await sent
    await line.close(1.0)
    ghost.close()
    writer.close()


async def test_a_ticket_counts_as_sent_only_when_the_kernel_has_it() -> None:
    line = tcp("listen:0", resend_s=0.0)
    await line.open()
    _, peer = await asyncio.open_connection("127.0.0.1", line.port)
    peer.transport.pause_reading()  # type: ignore[attr-defined]
    await line.ready()
    stuck = False
    while not stuck:
        sent = asyncio.create_task(line.send(b"." * 20_000))
        stuck = not (await asyncio.wait({sent}, timeout=0.2))[0]
    assert line.waiting_bytes <= 20_000, "no ticket but the one in hand waits in the process"
    sent.cancel()
    await line.close(0.1)
    peer.close()


async def test_a_ticket_that_leaves_line_by_line_starts_anew_with_its_first_line() -> None:
    async with dialled() as (line, router, again):
        await line.send(TICKETS[0])
        await line.send(b"<line 1>", last=False)
        await router.until(0, len(TICKETS[0]) + 8)
        router.kill(0)
        await router.until(1, 1)
        await line.send(b"<line 2>")
        whole = TICKETS[0] + b"<line 1><line 2>"
        assert await router.until(1, len(whole)) == whole
    assert again == TICKETS[:1], "the ticket in hand is no repeat"


async def test_the_newest_of_two_peers_is_served() -> None:
    line = tcp("listen:0", resend_s=3.0)
    await line.open()
    ghost_reader, ghost = await asyncio.open_connection("127.0.0.1", line.port)
    async with asyncio.timeout(10):
        await line.ready()
        await line.send(b"one ticket")
        assert await ghost_reader.readexactly(10) == b"one ticket"
        reader, writer = await asyncio.open_connection("127.0.0.1", line.port)
        assert await reader.readexactly(10) == b"one ticket"
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await ghost_reader.readexactly(1)
        await line.send(b"another")
        assert await reader.readexactly(7) == b"another"
    await line.close(1.0)
    ghost.close()
    writer.close()


async def test_a_dialling_line_waits_for_a_router_that_is_not_up_yet() -> None:
    router = Router()
    server = await asyncio.start_server(router.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    line = tcp(f"127.0.0.1:{port}", resend_s=3.0)
    await line.open()
    sent = asyncio.create_task(line.send(b"patience"))
    server = await asyncio.start_server(router.serve, "127.0.0.1", port)
    assert await router.until(0, 8) == b"patience"
    async with asyncio.timeout(5):
        await sent
        await line.close(1.0)
    server.close()


@pytest.mark.parametrize("target", ["nowhere", "listen:", "host:port", ":9000", "listen:host:"])
def test_a_target_that_is_none_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="neither HOST:PORT"):
        tcp(target, resend_s=3.0)
