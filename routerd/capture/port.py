"""Open a tty only to listen. Everything here blocks and belongs in a thread.

What opening does to the POS (product research 1.6; Linux drivers/tty/tty_port.c, tty_port_block_til_ready and
tty_port_shutdown): the driver raises DTR and RTS at the first open whatever we ask, and lowers them at the last close
only under HUPCL. So the one definite state is *both up*, HUPCL is cleared at once, and after the first open since boot
neither a restart of the daemon nor another open moves a line again.
"""

import errno
import fcntl
import grp
import os
import termios

import serial

from routerd.capture.baud import impossible_baud
from routerd.errors import PermanentError, RouterdError, TransientError
from routerd.model import SerialLink

DATA_BITS, PARITIES, STOP_BITS = (7, 8), ("N", "O", "E"), (1, 2)
USB = "usb:"

_ABSENT = (errno.ENOENT, errno.ENXIO, errno.ENODEV)
_DENIED = (errno.EACCES, errno.EPERM)
_IN_USE = (errno.EBUSY, errno.EAGAIN)  # EXCL by another user; flock


class ListenPort(serial.Serial):
    """pyserial's settings without its `open`, which discards waiting bytes and opens for writing (serialposix.py 3.5,
    `Serial.open`: `_reset_input_buffer()`, O_RDWR). O_RDONLY makes "never written to" the kernel's promise; the four
    pipe ends that pyserial keeps for its blocking calls are not made. Read its `fileno()`, never call its `read`.
    """

    def __init__(self, link: SerialLink, path: str) -> None:
        super().__init__(
            baudrate=link.baud,
            bytesize=link.data_bits,
            parity=link.parity,
            stopbits=link.stop_bits,
            exclusive=True,  # flock, taken before any setting is touched
            inter_byte_timeout=0,  # VMIN 1: an empty read is EAGAIN, and b"" can only mean a hang-up
        )
        self.path = path

    def open(self) -> None:
        """OSError or termios.error when it cannot be had; then nothing stays open."""
        fd = self.fd = os.open(self.path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            if not os.isatty(fd):
                raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
            self._reconfigure_port(force_update=True)  # type: ignore[attr-defined]  # not in the stubs
            _finish_raw(fd)
            fcntl.ioctl(fd, termios.TIOCEXCL)  # flock is advisory: this keeps out who never asks
            self._raise_lines()
        except BaseException:
            os.close(fd)
            self.fd = None
            raise
        self.is_open = True

    def close(self) -> None:
        if self.is_open and self.fd is not None:
            self.is_open = False
            try:
                fcntl.ioctl(self.fd, termios.TIOCNXCL)  # the mark would outlive us while anyone else has it open
            except OSError:
                pass  # unplugged
            finally:
                os.close(self.fd)
                self.fd = None

    def _raise_lines(self) -> None:
        """Both up, where the open put them: on the wire nothing moves."""
        try:
            self._update_dtr_state()  # type: ignore[attr-defined]
            self._update_rts_state()  # type: ignore[attr-defined]
        except OSError as exc:
            if exc.errno not in (errno.EINVAL, errno.ENOTTY):  # a pty or a two-wire port has no lines
                raise


def _finish_raw(fd: int) -> None:
    """Settle what pyserial's raw mode leaves as it finds it."""
    mode = termios.tcgetattr(fd)
    mode[0] &= ~(termios.BRKINT | termios.IGNPAR | termios.IMAXBEL)  # under BRKINT a break flushes what waits
    mode[2] &= ~termios.HUPCL
    termios.tcsetattr(fd, termios.TCSANOW, mode)


def check(link: SerialLink) -> None:
    """PermanentError `serial.bad_settings` for what no port can do, before any port is touched."""
    if reason := impossible_baud(link.baud):
        raise PermanentError("serial.bad_settings", f"{link.port}: {reason}")
    for name, value, allowed in (
        ("data_bits", link.data_bits, DATA_BITS),
        ("parity", link.parity, PARITIES),
        ("stop_bits", link.stop_bits, STOP_BITS),
    ):
        if value not in allowed:
            choice = ", ".join(str(each) for each in allowed)
            raise PermanentError("serial.bad_settings", f"{link.port}: {name} {value!r}: set one of {choice}")
    if not link.port.removeprefix(USB) or "\0" in link.port:
        raise PermanentError("serial.bad_settings", f"port {link.port!r}: set a path (/dev/ttyUSB0) or usb:1-1.2")


def open_port(link: SerialLink) -> ListenPort:
    """The open port. RouterdError with code serial.absent | denied | in_use | not_a_tty | failed and the remedy."""
    path = locate(link.port)
    holder = holder_of(path)
    if holder:  # not even opened: an open moves lines that someone else relies on
        raise TransientError("serial.in_use", f"{path} is open in {holder}, two readers lose bytes: stop it")
    port = ListenPort(link, path)
    try:
        port.open()
    except termios.error as exc:
        raise _fault(path, OSError(*exc.args)) from exc
    except OSError as exc:
        raise _fault(path, exc) from exc
    return port


def locate(port: str) -> str:
    """The device path of `port`, a path or `usb:` and the location pyserial lists. TransientError `serial.absent`."""
    if not port.startswith(USB):
        return port
    from serial.tools import list_ports  # heavy, and only USB ports by location need it

    try:
        found = [str(each.device) for each in list_ports.comports() if each.location == port.removeprefix(USB)]
    except TypeError:  # pyserial 3.5 trips over a device that leaves while sysfs is read
        found = []
    if not found:
        raise TransientError("serial.absent", f"{port}: no serial adapter in that USB port: plug it in")
    return found[0]


def holder_of(path: str) -> str | None:
    """Another process that has `path` open, as `name (pid 123)`. Sees only what this user may see."""
    target = os.path.realpath(path)
    try:
        pids = [each for each in os.listdir("/proc") if each.isdigit() and int(each) != os.getpid()]
    except OSError:  # a jail without /proc
        return None
    for pid in pids:
        try:
            if any(_points(f"/proc/{pid}/fd/{fd}", target) for fd in os.listdir(f"/proc/{pid}/fd")):
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
                    return f"{comm.read().strip()} (pid {pid})"
        except OSError:  # not ours to see, or gone meanwhile
            continue
    return None


def _points(link: str, target: str) -> bool:
    try:
        return os.readlink(link) == target
    except FileNotFoundError:  # closed meanwhile; its neighbours still count
        return False


def _fault(path: str, exc: OSError) -> RouterdError:
    if exc.errno in _ABSENT:
        return TransientError("serial.absent", f"{path} does not exist: plug the adapter in or correct the port")
    if exc.errno in _IN_USE:
        return TransientError(
            "serial.in_use", f"{path} is in use by another program or source: stop it (fuser {path} names it)"
        )
    if exc.errno in _DENIED:  # also for a moment after plugging in, until hotplug has set the group: keep trying
        return TransientError("serial.denied", f"{path} may not be read: add the daemon's user to group {_group(path)}")
    if exc.errno == errno.ENOTTY:
        return PermanentError("serial.not_a_tty", f"{path} is not a serial port: correct the port")
    return TransientError("serial.failed", f"{path} cannot be set up ({exc.strerror or exc}): try another adapter")


def _group(path: str) -> str:
    try:
        name = grp.getgrgid(os.stat(path).st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"
    return name if name != "root" else "dialout (and the port to that group)"
