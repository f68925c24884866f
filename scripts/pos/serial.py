"""A serial port: a pty with a link to its slave at a path. Shell; Linux."""

import asyncio
import ctypes
import fcntl
import os
import pty
import socket
import struct
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SETTLE_S = 0.3  # a reader sets a serial port up, and may flush it, just after opening it
LOOK_S = 0.05  # between two looks at how much is unread: the kernel has no event for that
EMPTY_LOOKS = 2  # bytes move from the master to where the slave's count sees them a moment later
_OPENED, _CLOSED = 0x20, 0x08 | 0x10  # IN_OPEN; IN_CLOSE_WRITE, IN_CLOSE_NOWRITE: inotify(7)
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class PtyLine:
    """A serial port that a router may open at `path`.

    The slave is in raw mode. A reader that goes away neither hangs the line up nor empties it: what nobody reads stays
    in the kernel (some KiB); when that is full, writing waits, as a port with flow control does. A reader that dies
    having taken the port for itself (TIOCEXCL) would lock itself out, which no real port does, so every close gives the
    port back. The descriptor this needs is parked: no program has a real port open but its reader, and readers look.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._master = self._watch = -1
        self._slave: Parked | None = None
        self._taken = asyncio.Event()

    @property
    def where(self) -> str:
        return f"serial {self._path}"

    async def open(self) -> None:
        self._master, slave = pty.openpty()
        tty.setraw(slave)
        os.set_blocking(self._master, False)
        name = os.ttyname(slave)
        self._slave = Parked(slave)
        self._watch = _watch(name)
        asyncio.get_running_loop().add_reader(self._watch, self._noticed)
        self._path.unlink(missing_ok=True)
        self._path.symlink_to(name)

    def _noticed(self) -> None:
        """Somebody opened or closed the slave."""
        data = os.read(self._watch, 4096)
        for _, mask, _, length in _EVENT.iter_unpack(data[: len(data) // _EVENT.size * _EVENT.size]):
            assert length == 0, "a file's own events carry no name"
            if mask & _OPENED:
                self._taken.set()
            if mask & _CLOSED and self._slave:
                with self._slave.taken() as slave:
                    fcntl.ioctl(slave, termios.TIOCNXCL)

    async def ready(self) -> None:
        await self._taken.wait()
        await asyncio.sleep(SETTLE_S)

    async def send(self, data: bytes, *, last: bool = True) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._master, view) :]
            except BlockingIOError:
                await self._writable()
        await asyncio.sleep(0)  # a write that never waits would starve the other sources

    async def _writable(self) -> None:
        loop, room = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(self._master, room.set)
        try:
            await room.wait()
        finally:
            loop.remove_writer(self._master)

    async def cut(self, for_s: float) -> None:
        await self.close(0.0)
        await asyncio.sleep(for_s)
        await self.open()

    async def close(self, within_s: float) -> None:
        empty = 0
        for _ in range(int(within_s / LOOK_S)):
            if empty == EMPTY_LOOKS or not self._taken.is_set():
                break
            await asyncio.sleep(LOOK_S)
            empty = 0 if self._slave and _unread(self._slave) else empty + 1
        self._path.unlink(missing_ok=True)
        if self._watch >= 0:
            asyncio.get_running_loop().remove_reader(self._watch)
        for fd in (self._watch, self._master):
            if fd >= 0:
                os.close(fd)
        if self._slave:
            self._slave.close()
        self._master = self._watch = -1
        self._slave = None


class Parked:
    """A file kept open in no process's descriptor table: it waits in a socket's queue, as SCM_RIGHTS (unix(7))."""

    def __init__(self, fd: int) -> None:
        self._in, self._out = socket.socketpair()
        self._park(fd)

    @contextmanager
    def taken(self) -> Iterator[int]:
        """The descriptor, for a moment; only then does /proc show who holds it."""
        _, (fd,), _, _ = socket.recv_fds(self._out, 1, 1)
        try:
            yield fd
        finally:
            self._park(fd)

    def _park(self, fd: int) -> None:
        socket.send_fds(self._in, [b"."], [fd])
        os.close(fd)

    def close(self) -> None:
        self._in.close()
        self._out.close()


def _unread(parked: Parked) -> int:
    with parked.taken() as fd:
        (count,) = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"))
    return int(count)


def _watch(path: str) -> int:
    """A descriptor that becomes readable when `path` is opened or closed; the standard library has no inotify."""
    fd = int(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if fd < 0 or _libc.inotify_add_watch(fd, path.encode(), _OPENED | _CLOSED) < 0:
        raise OSError(ctypes.get_errno(), "inotify", path)
    return fd
