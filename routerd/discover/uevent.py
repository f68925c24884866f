"""The kernel's uevents as data. Pure."""

from dataclasses import dataclass

_SUBSYSTEMS = ("tty", "usb", "usb-serial")


@dataclass(frozen=True, slots=True)
class Uevent:
    """`action` is add, remove, bind, change …; `device` the node's name (`ttyUSB0`) or ""."""

    action: str
    subsystem: str
    path: str
    device: str


def parse(data: bytes) -> Uevent | None:
    """One message of NETLINK_KOBJECT_UEVENT: `add@/devices/…`, then `KEY=value` (lib/kobject_uevent.c), ended by NULs.

    None for anything else, also for udevd's own messages, which begin with `libudev`.
    """
    head, *rest = data.split(b"\0")
    if b"@" not in head or head.startswith(b"libudev"):
        return None
    fields = dict(part.split(b"=", 1) for part in rest if b"=" in part)
    found = {key.decode("ascii", "replace"): value.decode("utf-8", "replace") for key, value in fields.items()}
    action, path = head.decode("utf-8", "replace").split("@", 1)
    return Uevent(found.get("ACTION", action), found.get("SUBSYSTEM", ""), path, found.get("DEVNAME", ""))


def concerns_ports(event: Uevent) -> bool:
    """Whether the list of serial ports or USB devices may have changed."""
    return event.subsystem in _SUBSYSTEMS and event.action in ("add", "remove", "bind", "unbind")
