"""What the machine says of itself: serial, permanent addresses, board."""

import array
import fcntl
import json
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from routerd.enroll.hardware import Hardware, hardware

_SIOCETHTOOL = 0x8946  # linux/sockios.h
_ETHTOOL_GPERMADDR = 0x20  # linux/ethtool.h
_COMMAND_S = 5.0
_UBOOT = ("fw_printenv", "-n", "serial#")  # where U-Boot keeps the factory's serial


def probe(
    root: Path = Path("/"),
    serial_command: Sequence[str] = (),
    permanent: Callable[[str], str] | None = None,
    run: Callable[[Sequence[str]], str] | None = None,
) -> Hardware:
    """Read the box's serial, permanent addresses and board name. Takes up to ten seconds; never raises.

    The serial is the first that is no placeholder of: `serial_command`, the device tree, DMI, U-Boot's environment.
    Addresses are those burnt into on-board ports, and those the factory wrote into `/etc/board.json`; an address set by
    configuration never counts, because a restored backup brings the other box's. USB adapters come and go: left out.
    """
    permanent, run = permanent or permanent_address, run or output_of
    board_json = _board_json(root / "etc/board.json")
    model = board_json.get("model")
    board = str(model.get("id", "")) if isinstance(model, dict) else ""
    macs = [*(permanent(name) for name in _ports(root)), *_factory_macs(board_json)]
    return hardware(_serials(root, serial_command, run), macs, (board or _text(root / "tmp/sysinfo/board_name"))[:64])


def permanent_address(interface: str) -> str:
    """The address burnt into a network port, whatever was configured over it; empty if the driver does not tell."""
    answer = array.array("B", struct.pack("II32s", _ETHTOOL_GPERMADDR, 32, b""))
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            request = struct.pack("16sP", interface.encode("ascii")[:15], answer.buffer_info()[0])
            fcntl.ioctl(control, _SIOCETHTOOL, request)
    except (OSError, UnicodeEncodeError):
        return ""
    _, size, raw = struct.unpack("II32s", answer.tobytes())
    return ":".join(f"{byte:02x}" for byte in raw[:size]) if size == 6 else ""


def output_of(command: Sequence[str]) -> str:
    """What a command prints; empty if it fails or takes longer than five seconds."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=_COMMAND_S, check=True, stdin=subprocess.DEVNULL)  # noqa: S603  # from our own configuration
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")


def _serials(root: Path, command: Sequence[str], run: Callable[[Sequence[str]], str]) -> Iterator[str]:
    if command:
        yield run(command)
    yield _text(root / "proc/device-tree/serial-number")
    yield _text(root / "sys/class/dmi/id/product_serial")
    yield run(_UBOOT)


def _ports(root: Path) -> Iterator[str]:
    """Network ports that are soldered on: they have a device, and it is not on USB."""
    try:
        found = sorted((root / "sys/class/net").iterdir())
    except OSError:
        return
    for interface in found:
        device = interface / "device"
        if device.exists() and "/usb" not in str(device.resolve()):
            yield interface.name


def _factory_macs(board_json: dict[str, object]) -> Iterator[str]:
    """`label_macaddr` of the system and the networks' `macaddr`: OpenWrt's board scripts read them from the factory."""
    system, network = board_json.get("system"), board_json.get("network")
    if isinstance(system, dict):
        yield str(system.get("label_macaddr", ""))
    if isinstance(network, dict):
        yield from (str(part.get("macaddr", "")) for part in network.values() if isinstance(part, dict))


def _board_json(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").rstrip("\0\n")
    except OSError:
        return ""
