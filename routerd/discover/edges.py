"""Which edges a router watches, from plain settings."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from routerd.discover.dhcp import OPENWRT, LeaseFile, Leases
from routerd.discover.discover import Edge
from routerd.discover.kernel import Neighbours
from routerd.discover.mdns import Announcements
from routerd.discover.usb import UsbTree

# Questions that a POS LAN may be asked where its provider allows them: printers, shares, models (product research 1.4)
ASKED = ("_printer._tcp", "_pdl-datastream._tcp", "_ipp._tcp", "_ipps._tcp", "_smb._tcp", "_device-info._tcp")


@dataclass(frozen=True, slots=True)
class Watch:
    """What to watch. `interfaces` empty means every Ethernet interface but `without` (the way out).

    notes: the directory the DHCP hotplug script writes to, None for none.
    mdns_addresses: the router's own addresses on approved interfaces; none turns listening off.
    """

    interfaces: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    lease_files: tuple[LeaseFile, ...] = OPENWRT
    notes: Path | None = None
    mdns_addresses: tuple[str, ...] = ()
    mdns_queries: bool = False


def edges(watch: Watch) -> tuple[dict[str, Edge], tuple[Callable[[], None], ...]]:
    """The edges by name, and what to call when somebody new has appeared."""
    leases = Leases(watch.lease_files, watch.notes)
    announcements = Announcements(watch.mdns_addresses, ASKED if watch.mdns_queries else ())
    found: dict[str, Edge] = {
        "neighbours": Neighbours(watch.interfaces, watch.without),
        "leases": leases,
        "usb": UsbTree(),
        "mdns": announcements,
    }
    return found, (leases.nudge, announcements.nudge)
