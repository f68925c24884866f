"""Both ends of the TCP links under test."""

import os
import socket
import struct

from routerd.backoff import Backoff
from routerd.capture.tcp import (
    Keepalive,
    TcpConnectTransport,
    TcpListenTransport,
)
from routerd.model import TcpConnectLink, TcpListenLink

QUICK = Backoff(0.02, 0.05)
TCP_REPAIR = 19  # linux/tcp.h; a socket closed in this mode sends neither FIN nor RST


def dialler(port: int, keepalive: Keepalive | None = None) -> TcpConnectTransport:
    return TcpConnectTransport(TcpConnectLink("127.0.0.1", port), backoff=QUICK, keepalive=keepalive)


def listener(port: int, *allow: str, **settings: object) -> TcpListenTransport:
    link = TcpListenLink("127.0.0.1", port, allow or ("127.0.0.1",))
    return TcpListenTransport(link, backoff=QUICK, **settings)  # type: ignore[arg-type]


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def router_ends(port: int) -> list[socket.socket]:
    """The router's own sockets with `port` at either end, found among this process's descriptors, as duplicates."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            sock = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        try:
            ends = sock.getpeername()[1], sock.getsockname()[1]
        except (OSError, IndexError):
            sock.close()
            continue
        if port in ends and sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
            found.append(sock)
        else:
            sock.close()
    return found
