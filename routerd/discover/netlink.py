"""The kernel's netlink messages as data. Pure: bytes in, neighbours and links out; damaged messages are skipped.

Formats: Linux uapi linux/netlink.h (nlmsghdr, nlattr), linux/neighbour.h (ndmsg), linux/rtnetlink.h and linux/if_link.h
(ifinfomsg); RFC 3549 describes them. All numbers are in the machine's byte order.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from routerd.discover.evidence import ALIVE, GONE, HINTED, Sighting, lan_sighting

NEW_LINK, DEL_LINK, GET_LINK = 16, 17, 18
NEW_NEIGH, DEL_NEIGH, GET_NEIGH = 28, 29, 30
ERROR, DONE = 2, 3
GROUP_LINK, GROUP_NEIGH = 0x1, 0x4  # RTMGRP_LINK, RTMGRP_NEIGH: the bits that bind() takes

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_NEIGHBOUR = struct.Struct("=BxxxiHBB")  # family, interface, state, flags, type
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
_REQUEST_DUMP = 0x001 | 0x300  # NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH
_NDA_DST, _NDA_LLADDR = 1, 2
_IFLA_IFNAME, _IFLA_CARRIER = 3, 33
_IFF_UP, _IFF_LOOPBACK, _IFF_LOWER_UP = 0x1, 0x8, 0x10000
_AF_INET = 2
_ETHERNET = 1  # ARPHRD_ETHER
_REACHABLE, _FAILED, _NOARP, _PERMANENT = 0x02, 0x20, 0x40, 0x80  # NUD_*
_TYPE_MASK = 0x3FFF  # the two high bits of an attribute's type are flags


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One entry of the neighbour table. `mac` is "" while the kernel has none. `strength` as in `evidence`."""

    index: int
    address: str
    mac: str
    strength: int


@dataclass(frozen=True, slots=True)
class NetLink:
    """One network interface. `has_carrier`: a cable with somebody at its other end; one that is down has none."""

    index: int
    name: str
    is_up: bool
    has_carrier: bool
    is_ethernet: bool
    is_present: bool = True


def request(kind: int, sequence: int, family: int) -> bytes:
    """The message that asks for a whole table: GET_NEIGH with AF_INET, GET_LINK with AF_UNSPEC."""
    body = _NEIGHBOUR.pack(family, 0, 0, 0, 0) if kind == GET_NEIGH else _LINK.pack(family, 0, 0, 0, 0)
    return _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_DUMP, sequence, 0) + body


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, body) of each whole message in one datagram; what follows a damaged length is dropped."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size or at + length > len(data):
            return
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes behind a message's fixed part, by type; the first of a type counts."""
    found: dict[int, bytes] = {}
    at = 0
    while at + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or at + length > len(data):
            break
        found.setdefault(kind & _TYPE_MASK, data[at + _ATTRIBUTE.size : at + length])
        at += (length + 3) & ~3
    return found


def neighbour(kind: int, body: bytes) -> Neighbour | None:
    """The IPv4 neighbour of a NEW_NEIGH message; None for other families and damaged messages.

    DEL_NEIGH says nothing: the kernel forgets quiet entries to save room, and marks failed first who is away.
    """
    if kind != NEW_NEIGH or len(body) < _NEIGHBOUR.size:
        return None
    family, index, state, _, _ = _NEIGHBOUR.unpack_from(body)
    found = attributes(body[_NEIGHBOUR.size :])
    address, hardware = found.get(_NDA_DST, b""), found.get(_NDA_LLADDR, b"")
    if family != _AF_INET or len(address) != 4:
        return None
    return Neighbour(
        index=index,
        address=".".join(map(str, address)),
        mac=hardware.hex(":") if len(hardware) == 6 else "",
        strength=_strength(state),
    )


def _strength(state: int) -> int:
    if state & (_REACHABLE | _PERMANENT | _NOARP):
        return ALIVE
    return GONE if state & _FAILED else HINTED


def link(kind: int, body: bytes) -> NetLink | None:
    """The interface of a NEW_LINK or DEL_LINK message; None for damaged messages."""
    if len(body) < _LINK.size:
        return None
    _, hardware, index, flags, _ = _LINK.unpack_from(body)
    found = attributes(body[_LINK.size :])
    name = found.get(_IFLA_IFNAME, b"").split(b"\0")[0].decode("utf-8", "replace")
    if not name:
        return None
    carrier = found.get(_IFLA_CARRIER)
    is_up = bool(flags & _IFF_UP)
    return NetLink(
        index=index,
        name=name,
        is_up=is_up,
        has_carrier=is_up and (carrier == b"\1" if carrier is not None else bool(flags & _IFF_LOWER_UP)),
        is_ethernet=hardware == _ETHERNET and not flags & _IFF_LOOPBACK,
        is_present=kind != DEL_LINK,
    )


def sighting(entry: Neighbour, interface: str) -> Sighting | None:
    """What a neighbour entry says. A failed entry has lost its MAC: it says that nobody answers at its address."""
    if entry.mac:
        return lan_sighting(entry.mac, entry.address, entry.strength, interface)
    return Sighting("", entry.address, GONE, interface) if entry.strength == GONE else None
