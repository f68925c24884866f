"""What is plugged into USB: serial adapters by pyserial's list, everything else by the kernel's tree. Opens no port."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from routerd.discover import kernel
from routerd.discover.evidence import ALIVE, GONE, MODEL, USB, Sighting, hints

_HUB_CLASS = "09"  # USB 2.0, 11.23.1: bDeviceClass of hubs, root hubs too
_SERIAL_NODES = ("ttyUSB", "ttyACM")


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """`location` as pyserial names it (`1-1.2`, `1-1.2:1.0` where a device has several ports); ids in lower hex."""

    location: str
    vendor_id: str
    product_id: str
    serial: str = ""
    product: str = ""


class UsbTree:
    """Reports what is there at the start, and what comes and goes by the kernel's events."""

    def __init__(
        self,
        root: Path = Path("/"),
        *,
        settle: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._root = root
        self._settle = settle
        self._last: list[UsbDevice] = []

    async def run(self, report: kernel.Report) -> None:
        """Report until cancelled. OSError when the kernel's events are refused: what is there was reported then."""

        async def look() -> None:
            found = await asyncio.to_thread(self.devices)
            before, self._last = self._last, found
            if news := sightings(found, before):
                report(news)

        await look()
        await kernel.plugged(look, self._settle)

    def devices(self) -> list[UsbDevice]:
        """Everything but hubs, each serial port once. Blocks."""
        ports = self._ports()
        with_ports = {port.location.partition(":")[0] for port in ports}
        others = (device for device in self._tree() if device.location not in with_ports)
        return sorted([*ports, *others], key=lambda device: device.location)

    def _ports(self) -> list[UsbDevice]:
        try:
            names = os.listdir(self._root / "sys/class/tty")
        except OSError:
            return []
        if not any(name.startswith(_SERIAL_NODES) for name in names):
            return []
        from serial.tools import list_ports  # a megabyte that most routers never need

        try:
            found = list_ports.comports()
        except TypeError:  # pyserial 3.5 trips over a device that leaves while sysfs is read
            return []
        return [
            UsbDevice(
                port.location,
                f"{port.vid:04x}",
                f"{port.pid:04x}",
                port.serial_number or "",
                port.product or "",
            )
            for port in found
            if port.location and port.vid is not None and port.pid is not None
        ]

    def _tree(self) -> list[UsbDevice]:
        found = []
        for path in sorted((self._root / "sys/bus/usb/devices").glob("[0-9]*-[0-9]*")):
            if ":" in path.name or _line(path / "bDeviceClass") == _HUB_CLASS:
                continue
            vendor, product = _line(path / "idVendor").lower(), _line(path / "idProduct").lower()
            if vendor and product:
                found.append(UsbDevice(path.name, vendor, product, _line(path / "serial"), _line(path / "product")))
        return found


def sightings(now: Iterable[UsbDevice], before: Iterable[UsbDevice] = ()) -> list[Sighting]:
    """What `now` shows, and what is gone since `before`; nothing if nothing changed."""
    present, former = keyed(now), keyed(before)
    if present == former:
        return []
    gone = [
        Sighting(key, f"usb:{device.location}", GONE)
        for key, device in former.items()
        if key not in present or present[key].location != device.location
    ]
    here = [
        Sighting(
            key,
            f"usb:{device.location}",
            ALIVE,
            hints=hints([(USB, f"{device.vendor_id}:{device.product_id}"), (MODEL, device.product)]),
        )
        for key, device in present.items()
    ]
    return gone + here


def keyed(devices: Iterable[UsbDevice]) -> dict[str, UsbDevice]:
    """Devices by identity: ids and serial number; where two share it or it has none, by port as well."""
    rows = list(devices)
    found: dict[str, UsbDevice] = {}
    for device in rows:
        key = f"usb:{device.vendor_id}:{device.product_id}:{device.serial}"
        twins = [d for d in rows if (d.vendor_id, d.product_id, d.serial) == _identity(device)]
        port = device.location.partition(":")[2]
        if not device.serial or len({d.location.partition(":")[0] for d in twins}) > 1:
            key += f"@{device.location}"
        elif port:
            key += f"@{port}"
        found[key] = device
    return found


def _identity(device: UsbDevice) -> tuple[str, str, str]:
    return device.vendor_id, device.product_id, device.serial


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # a device that left meanwhile, or tells less
        return ""
