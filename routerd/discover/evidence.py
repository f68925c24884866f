"""What the edges report: sightings of hardware at a place, and hints about what it is. Pure."""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

# Kinds of evidence. Each has one weight in the fingerprints; `MODEL` is what a device says of itself.
OUI, ADDRESS, HOSTNAME, MDNS, OPT60, OPT55, USB, MODEL, BANNER = (
    "oui",
    "address",
    "hostname",
    "mdns",
    "opt60",
    "opt55",
    "usb",
    "model",
    "banner",
)
KINDS = (OUI, ADDRESS, HOSTNAME, MDNS, OPT60, OPT55, USB, MODEL, BANNER)

# How much a sighting says about where a device is now.
GONE, HINTED, ALIVE, ASSIGNED = 0, 1, 2, 3

MAX_VALUE_CHARS = 128  # what a stranger on the LAN may make us keep per hint
_HEX = re.compile(r"[0-9a-f]{12}")
_LOCALLY_ADMINISTERED, _GROUP = 0x02, 0x01  # IEEE 802-2014, 8.4: the two low bits of the first octet


@dataclass(frozen=True, slots=True, order=True)
class Evidence:
    """One fact about a device: `kind` from KINDS, `value` as seen (MAC lower case with colons, `vid:pid` in hex)."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """Hardware `key` seen at `place`: an IPv4 address on `interface`, or a USB location.

    key: `mac:00:0b:4f:01:02:03`, `usb:0403:6001:SERIAL`; "" when only the place is known (announcements).
    strength: GONE (the kernel or the DHCP server says it is away), HINTED (an ageing entry), ALIVE (it answered),
    ASSIGNED (the DHCP server gave it this address).
    """

    key: str
    place: str
    strength: int = ALIVE
    interface: str = ""
    hints: frozenset[Evidence] = frozenset()


def mac_of(text: str) -> str | None:
    """A unicast MAC in its one form, `00:0b:4f:01:02:03`; None for anything else.

    Takes colons, dashes, bare hex, and libc's `ether_ntoa` form without leading zeros (`0:b:4f:1:2:3`, odhcpd).
    """
    parts = text.strip().lower().replace("-", ":").split(":")
    bare = "".join(part.zfill(2) for part in parts) if len(parts) == 6 else "".join(parts)
    if not _HEX.fullmatch(bare) or int(bare[:2], 16) & _GROUP or not int(bare, 16):
        return None
    return ":".join(bare[at : at + 2] for at in range(0, 12, 2))


def is_randomised(mac: str) -> bool:
    """Whether a MAC was made up by its device (a phone, a container) and so names neither maker nor device for long."""
    return bool(int(mac[:2], 16) & _LOCALLY_ADMINISTERED)


def ipv4_of(text: str) -> str | None:
    """An IPv4 address that one device on a LAN can have, in its one form; None for anything else."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return None
    if address.is_multicast or address.is_loopback or address.is_unspecified or int(address) == 0xFFFFFFFF:
        return None
    return str(address)


def hints(pairs: Iterable[tuple[str, str]]) -> frozenset[Evidence]:
    """Hints from (kind, value) pairs: empty values dropped, the rest made printable and cut to MAX_VALUE_CHARS."""
    cleaned = ((kind, "".join(c for c in value if c.isprintable())[:MAX_VALUE_CHARS]) for kind, value in pairs)
    return frozenset(Evidence(kind, value) for kind, value in cleaned if value)


def lan_sighting(mac: str, address: str, strength: int, interface: str = "", name: str = "") -> Sighting | None:
    """A sighting from a table's MAC and IPv4 text; None when either is none. `name` is a host name, `*` and `-` mean
    none (dnsmasq, odhcpd)."""
    hardware, place = mac_of(mac), ipv4_of(address)
    if hardware is None or place is None:
        return None
    named = hints([(HOSTNAME, name if name not in ("*", "-") else "")])
    return Sighting(f"mac:{hardware}", place, strength, interface, named)
