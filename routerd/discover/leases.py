"""What the DHCP server knows, as data. Pure: text in, sightings out; lines that fit no form are skipped.

Forms: dnsmasq's lease file (dnsmasq(8), `--dhcp-leasefile`: expiry, MAC, address, name, client id); odhcpd's state
file (odhcpd statefiles.c: `# iface hwaddr ipv4 name valid-until hexaddr 32 address/32`); `ubus call dhcp ipv4leases`;
and the notes of our hotplug script, one JSON object per device with what dnsmasq's script hands over (options 60 and
55 come with `add` only: after dnsmasq restarts they are missing, so the inventory keeps them).
"""

import json
from collections.abc import Iterator
from typing import Any

from routerd.discover.evidence import ASSIGNED, GONE, OPT55, OPT60, Sighting, hints, lan_sighting

MAX_LEASES = 512  # twice what a /24 can hold
_GONE_ACTIONS = ("remove", "del")


def dnsmasq(text: str) -> list[Sighting]:
    """`1790000000 00:0b:4f:01:02:03 192.168.31.11 till-1 01:00:0b:…`; IPv6 leases (after a `duid` line) are skipped."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if fields[:1] == ["duid"]:
            break
        if len(fields) >= 4 and (seen := lan_sighting(fields[1], fields[2], ASSIGNED, name=fields[3])):
            found.append(seen)
    return found[:MAX_LEASES]


def odhcpd(text: str) -> list[Sighting]:
    """`# br-lan 000b4f010203 ipv4 till-1 1790000000 c0a81f0b 32 192.168.31.11/32`; other lines are for the resolver."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 9 or fields[0] != "#" or fields[3] != "ipv4":
            continue
        name = fields[4].removeprefix("broken\\x20")
        if seen := lan_sighting(fields[2], fields[8].split("/")[0], ASSIGNED, fields[1], name):
            found.append(seen)
    return found[:MAX_LEASES]


def ubus(text: str) -> list[Sighting]:
    """`{"device": {"br-lan": {"leases": [{"mac": …, "address": …, "hostname": …, "reqopts": "1,3,6"}]}}}`."""
    found = []
    for interface, lease in _ubus_rows(_json(text)):
        address = lease.get("address") or lease.get("ip") or ""
        seen = lan_sighting(_text(lease, "mac"), str(address), ASSIGNED, interface, _text(lease, "hostname"))
        if seen:
            more = hints([(OPT55, _text(lease, "reqopts"))])
            found.append(Sighting(seen.key, seen.place, seen.strength, seen.interface, seen.hints | more))
    return found[:MAX_LEASES]


def _ubus_rows(document: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    devices = document.get("device") if isinstance(document, dict) else None
    for interface, table in devices.items() if isinstance(devices, dict) else ():
        rows = table.get("leases") if isinstance(table, dict) else None
        for lease in rows if isinstance(rows, list) else ():
            if isinstance(lease, dict):
                yield interface, lease


def hotplug(text: str) -> Sighting | None:
    """One note of the hotplug script: `{"action", "mac", "address", "name", "vendor_class", "options", "interface"}`.

    `remove` says that the lease is over; a note whose address is not one still carries its options to nobody: None.
    """
    note = _json(text)
    if not isinstance(note, dict):
        return None
    strength = GONE if _text(note, "action") in _GONE_ACTIONS else ASSIGNED
    where, name = _text(note, "interface"), _text(note, "name")
    seen = lan_sighting(_text(note, "mac"), _text(note, "address"), strength, where, name)
    if seen is None:
        return None
    more = hints([(OPT60, _text(note, "vendor_class")), (OPT55, _text(note, "options").replace(" ", ""))])
    return Sighting(seen.key, seen.place, seen.strength, seen.interface, seen.hints | more)


def _text(table: dict[str, Any], key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
