"""The two TCP links: the router dials the POS, or the POS dials the router. Neither ever sends a byte.

Plain non-blocking sockets under the loop's reader rather than asyncio transports: a transport catches what the session
raises and passes it off as a lost connection, and cannot be drained before it is closed.
"""

import asyncio
import errno
import ipaddress
import logging
import random
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from routerd.backoff import Backoff
from routerd.capture.flow import Flow, Retry, give_up
from routerd.capture.link import Inlet
from routerd.errors import PermanentError, RouterdError, TransientError
from routerd.model import TcpConnectLink, TcpListenLink

log = logging.getLogger("routerd.capture.tcp")

CONNECT_TIMEOUT_S = 10.0  # a LAN answers in milliseconds; ten seconds hold three SYNs (1 + 2 + 4 s)
RECEIVE_BUFFER_BYTES = 64 << 10  # caps what a paused peer costs the kernel (Linux doubles it), not tcp_rmem's 6 MiB
MAX_CONNECTIONS = 16  # above any store's lanes (12 registers on a Passport), below what 1024 descriptors notice
MAX_STRANGERS = 64  # addresses told apart in the log and the count; a /24 behind a broken NAT must not fill memory
ACCEPT_PAUSE_S = 1.0  # out of descriptors: the listener stays readable, so without a pause the loop would spin
OTHERS = "others"
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Keepalive:
    """How a silent peer is told from a dead one: idle + probes x interval, one minute (tcp(7)).

    TCP_USER_TIMEOUT stays unset: we send nothing that could stay unacknowledged, and it would overrule `probes`.
    """

    idle_s: int = 30  # a till may be silent all night: two small packets a minute are nothing on a LAN
    interval_s: int = 10
    probes: int = 3  # two may be lost while a switch reboots


class TcpConnectTransport:
    """Dials the POS and captures what it sends, until cancelled.

    Conditions: tcp.bad_settings, tcp.unreachable, tcp.refused, and `tcp.lost` when a connection ended for any reason.
    """

    def __init__(
        self,
        link: TcpConnectLink,
        *,
        backoff: Backoff | None = None,
        chance: Callable[[], float] = random.random,
        keepalive: Keepalive | None = None,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        self._link = link
        self._peer = _name(link.host, link.port)
        self._retry = Retry(backoff or Backoff(), chance)
        self._keepalive = keepalive or Keepalive()
        self._connect_timeout_s = connect_timeout_s

    async def run(self, inlet: Inlet) -> None:
        try:
            _check(self._link.host, self._link.port)
        except PermanentError as fault:
            await give_up(inlet, fault)
        while True:
            try:
                sock = await self._dial()
            except RouterdError as fault:
                inlet.failed(fault.code, str(fault))
            else:
                with sock:
                    flow = Flow(sock.fileno(), inlet.open(self._peer))
                    inlet.failed("tcp.lost", f"{self._peer} {_why(await flow.run(inlet))}: dialling again")
                    self._retry.ended(flow)
            await self._retry.wait()

    async def _dial(self) -> socket.socket:
        """A connected socket. TransientError tcp.refused | tcp.unreachable."""
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                return await self._connect()
        except ConnectionRefusedError as exc:
            message = f"nothing listens on {self._peer}: switch on the POS's journal output or correct the port"
            raise TransientError("tcp.refused", message) from exc
        except TimeoutError as exc:
            message = f"{self._peer} does not answer: check that it is on, its cable and its address"
            raise TransientError("tcp.unreachable", message) from exc
        except OSError as exc:  # with name resolution's gaierror
            message = f"{self._peer} cannot be reached ({exc.strerror or exc}): check its address and the LAN's routes"
            raise TransientError("tcp.unreachable", message) from exc

    async def _connect(self) -> socket.socket:
        """The first address that answers; OSError of the last one that did not."""
        loop = asyncio.get_running_loop()
        host = self._link.host.encode("ascii")  # as str it would load the IDNA codec, 0.4 MB
        found = await loop.getaddrinfo(host, self._link.port, type=socket.SOCK_STREAM)
        fault = OSError(errno.EADDRNOTAVAIL, "the name has no address")
        for family, kind, proto, _, address in found:
            sock = socket.socket(family, kind | socket.SOCK_NONBLOCK, proto)
            try:
                _tune(sock, self._keepalive)
                await loop.sock_connect(sock, address)
            except OSError as exc:
                sock.close()
                fault = exc
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise fault


class TcpListenTransport:
    """Waits for the POS to dial, one session per connection, until cancelled.

    Conditions: tcp.bad_settings, tcp.port_in_use, tcp.port_denied, tcp.address_absent, tcp.listen_failed,
    tcp.accept_failed, tcp.too_many, and `tcp.lost` when the only peer died. A peer that hangs up in order is no fault:
    some dial once per ticket. A stranger (not on the allow-list) is closed at once, logged once and counted in
    `refused`, and never touches the link's own state: anyone on the LAN could otherwise raise a fault that only the
    POS's next call clears.
    """

    def __init__(
        self,
        link: TcpListenLink,
        *,
        backoff: Backoff | None = None,
        chance: Callable[[], float] = random.random,
        keepalive: Keepalive | None = None,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._link = link
        self._here = _name(link.bind, link.port)
        self._retry = Retry(backoff or Backoff(), chance)
        self._keepalive = keepalive or Keepalive()
        self._max_connections = max_connections
        self._allow: list[Network] = []
        self._connections = 0
        self.refused: Counter[str] = Counter()  # connections turned away, by address

    async def run(self, inlet: Inlet) -> None:
        try:
            _check(self._link.bind, self._link.port)
            self._allow = _networks(self._here, self._link.allow)
        except PermanentError as fault:
            await give_up(inlet, fault)
        while True:
            try:
                listener = self._listen()
            except RouterdError as fault:
                inlet.failed(fault.code, str(fault))
                await self._retry.wait(fault)
                continue
            with listener:
                log.info("listening on %s", self._here)
                inlet.ready()
                async with asyncio.TaskGroup() as group:
                    await self._accept(listener, inlet, group)

    def _listen(self) -> socket.socket:
        """A listening socket. Errors tcp.port_in_use | port_denied | address_absent | bad_settings."""
        try:
            host = self._link.bind.encode("ascii")
            found = socket.getaddrinfo(host, self._link.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror as exc:  # a number only, so nothing is asked and nothing blocks
            raise PermanentError("tcp.bad_settings", f"{self._here}: bind must be an address such as 0.0.0.0") from exc
        family, kind, proto, _, address = found[0]
        sock = socket.socket(family, kind | socket.SOCK_NONBLOCK, proto)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            sock.listen(self._max_connections)
        except OSError as exc:
            sock.close()
            raise self._bind_fault(exc) from exc
        return sock

    def _bind_fault(self, exc: OSError) -> RouterdError:
        here = self._here
        match exc.errno:
            case errno.EADDRINUSE:
                return TransientError("tcp.port_in_use", f"{here} is taken: stop its owner (netstat -tlnp) or move")
            case errno.EADDRNOTAVAIL:
                return TransientError("tcp.address_absent", f"{here}: the router has no such address (yet): check bind")
            case errno.EACCES | errno.EPERM:
                return PermanentError("tcp.port_denied", f"{here}: ports below 1024 need root: choose a higher one")
        return TransientError("tcp.listen_failed", f"{here} cannot listen ({exc.strerror}): correct bind and port")

    async def _accept(self, listener: socket.socket, inlet: Inlet, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, address = await loop.sock_accept(listener)
            except OSError as exc:
                if exc.errno in _EXHAUSTED:  # else the caller gave up while it waited (accept(2), Error handling)
                    inlet.failed("tcp.accept_failed", f"{self._here}: {exc.strerror}: raise the daemon's limits")
                await asyncio.sleep(ACCEPT_PAUSE_S)
                continue
            if not self._admits(str(address[0])):
                sock.close()
            elif self._connections >= self._max_connections:
                sock.close()
                message = (
                    f"{address[0]} turned away, {self._here} has {self._connections} connections: too many POS dial it"
                )
                inlet.failed("tcp.too_many", message)
            else:
                self._connections += 1
                group.create_task(self._serve(sock, address, inlet), name=f"tcp-listen {address[0]}")

    async def _serve(self, sock: socket.socket, address: Any, inlet: Inlet) -> None:
        peer = _name(address[0], address[1])
        try:
            with sock:
                _tune(sock, self._keepalive)
                fault = await Flow(sock.fileno(), inlet.open(peer)).run(inlet)
        finally:
            self._connections -= 1
        if fault and not self._connections:
            inlet.failed("tcp.lost", f"{peer} {_why(fault)}: waiting for it to dial again")

    def _admits(self, host: str) -> bool:
        address = ipaddress.ip_address(host)
        mapped = getattr(address, "ipv4_mapped", None)  # a POS on IPv4 that reaches a socket bound to ::
        if any((mapped or address) in network for network in self._allow):
            return True
        known = host in self.refused or len(self.refused) < MAX_STRANGERS
        name = host if known else OTHERS
        if name not in self.refused:
            log.warning("tcp.peer_refused: %s may not dial %s: if it is the POS, add it to allow", name, self._here)
        self.refused[name] += 1
        return False


def _check(host: str, port: int) -> None:
    """PermanentError `tcp.bad_settings` for what cannot be dialled or bound at all."""
    name = _name(host, port)
    if not 0 < port < 1 << 16:
        raise PermanentError("tcp.bad_settings", f"{name}: the port must be 1 to 65535")
    if not host or not host.isascii() or not host.isprintable() or " " in host:
        raise PermanentError("tcp.bad_settings", f"{name}: the host must be an address or a name")


def _networks(here: str, allow: tuple[str, ...]) -> list[Network]:
    try:
        return [ipaddress.ip_network(each, strict=False) for each in allow]
    except ValueError as exc:
        raise PermanentError("tcp.bad_settings", f"{here}: allow: {exc}: write 192.168.31.11 or 10.5.60.0/24") from exc


def _tune(sock: socket.socket, keepalive: Keepalive) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive.idle_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, keepalive.interval_s)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, keepalive.probes)


def _name(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _why(fault: OSError | None) -> str:
    if fault is None:
        return "closed the connection"
    return "stopped answering" if fault.errno == errno.ETIMEDOUT else f"dropped the connection ({fault.strerror})"
