"""The kernel's own news over netlink: neighbours, interfaces, and what is plugged in. Reads, never asks the LAN."""

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence

from routerd.discover import netlink, uevent
from routerd.discover.evidence import Sighting
from routerd.discover.netlink import NetLink

# The kernel tells each ageing of each entry: ten busy devices are twenty messages a minute. What comes during the hold
# waits in the socket (a quarter of a megabyte, hundreds of messages), so a busy LAN costs four wake-ups a minute.
HOLD_S = 15.0
SETTLE_S = 0.5  # hotplug sets the new node's group meanwhile
_BUFFER_BYTES = 1 << 18
_READ_BYTES = 1 << 16  # dumps come in pieces of at most 32 KiB
_ROUTE, _KOBJECT_UEVENT = 0, 15  # NETLINK_*, linux/netlink.h
_KERNEL_EVENTS = 1  # the group of the kernel's own uevents

News = Sequence[Sighting | NetLink]
Report = Callable[[News], None]


class Neighbours:
    """The neighbour and interface tables, once whole, then by events.

    interfaces: names to hear of; empty means every Ethernet interface but those in `without` (the way out).
    """

    def __init__(
        self,
        interfaces: Iterable[str] = (),
        without: Iterable[str] = (),
        *,
        hold: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interfaces = frozenset(interfaces)
        self._without = frozenset(without)
        self._hold = hold
        self._links: dict[int, NetLink] = {}

    async def run(self, report: Report) -> None:
        """Report until cancelled. Raises OSError when the kernel gives no such socket."""
        with _open(_ROUTE, netlink.GROUP_LINK | netlink.GROUP_NEIGH) as sock:
            is_whole = False
            while True:
                try:
                    if not is_whole:
                        report(await self._tables(sock))
                        is_whole = True
                    report(self._news([await _receive(sock), *_waiting(sock)]))
                except OSError as exc:
                    if exc.errno != errno.ENOBUFS:
                        raise
                    is_whole = False  # messages were lost: only the whole tables are right again
                await self._hold(HOLD_S)

    async def _tables(self, sock: socket.socket) -> list[Sighting | NetLink]:
        news: list[Sighting | NetLink] = []
        for sequence, kind, family in ((1, netlink.GET_LINK, socket.AF_UNSPEC), (2, netlink.GET_NEIGH, socket.AF_INET)):
            sock.send(netlink.request(kind, sequence, family))
            is_done = False
            while not is_done:
                data = await _receive(sock)
                news += self._news([data])
                is_done = any(kind in (netlink.DONE, netlink.ERROR) for kind, _ in netlink.messages(data))
        return news

    def _news(self, datagrams: Iterable[bytes]) -> list[Sighting | NetLink]:
        found: list[Sighting | NetLink] = []
        for kind, body in (message for data in datagrams for message in netlink.messages(data)):
            if kind in (netlink.NEW_LINK, netlink.DEL_LINK) and (link := netlink.link(kind, body)):
                self._links[link.index] = link
                if self._is_wanted(link):
                    found.append(link)
                if not link.is_present:
                    del self._links[link.index]
            elif kind == netlink.NEW_NEIGH and (entry := netlink.neighbour(kind, body)):
                over = self._links.get(entry.index)
                if over and self._is_wanted(over) and (seen := netlink.sighting(entry, over.name)):
                    found.append(seen)
        return found

    def _is_wanted(self, link: NetLink) -> bool:
        if self._interfaces:
            return link.name in self._interfaces
        return link.is_ethernet and link.name not in self._without


async def plugged(changed: Callable[[], Awaitable[None]], settle: Callable[[float], Awaitable[None]]) -> None:
    """Call `changed` when serial ports or USB devices may have come or gone, until cancelled. Raises OSError."""
    with _open(_KOBJECT_UEVENT, _KERNEL_EVENTS) as sock:
        while True:
            try:
                datagrams = [await _receive(sock), *_waiting(sock)]
                events = [event for event in map(uevent.parse, datagrams) if event]
                is_news = any(map(uevent.concerns_ports, events))
            except OSError as exc:
                if exc.errno != errno.ENOBUFS:
                    raise
                is_news = True
            if is_news:
                await settle(SETTLE_S)
                list(_waiting(sock))  # one plug is a dozen events
                await changed()


def _open(protocol: int, groups: int) -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        sock.bind((0, groups))
    except OSError:
        sock.close()
        raise
    return sock


async def _receive(sock: socket.socket) -> bytes:
    """One datagram of the kernel's; what other processes may send to a netlink socket is passed over."""
    loop = asyncio.get_running_loop()
    while True:
        data, sender = await loop.sock_recvfrom(sock, _READ_BYTES)
        if sender[0] == 0:
            return data


def _waiting(sock: socket.socket) -> Iterable[bytes]:
    while True:
        try:
            data, sender = sock.recvfrom(_READ_BYTES)
        except BlockingIOError:
            return
        if sender[0] == 0:
            yield data
