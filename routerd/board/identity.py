"""Which board this is: what the machine says of itself."""

import os
from dataclasses import dataclass
from pathlib import Path

_DMI = ("sys_vendor", "product_name", "board_name")


@dataclass(frozen=True, slots=True)
class Machine:
    """`board_name`: OpenWrt's (`glinet,gl-mt300n-v2`) or ""; `dmi`: `vendor/product/board` or ""; `machine`: uname's;
    `ram_mb`: what the kernel has, 0 if unknown."""

    board_name: str
    dmi: str
    machine: str
    ram_mb: int


def identify(root: Path = Path("/")) -> Machine:
    """Read `/tmp/sysinfo/board_name` (OpenWrt makes it at boot), `/sys/class/dmi/id` and `/proc/meminfo`."""
    dmi = [_line(root / "sys/class/dmi/id" / name) for name in _DMI]
    return Machine(
        board_name=_line(root / "tmp/sysinfo/board_name"),
        dmi="/".join(dmi) if any(dmi) else "",
        machine=os.uname().machine,
        ram_mb=_ram_mb(_text(root / "proc/meminfo")),
    )


def _ram_mb(meminfo: str) -> int:
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        if name == "MemTotal" and rest.split()[:1] and rest.split()[0].isdigit():
            return int(rest.split()[0]) // 1024
    return 0


def _line(path: Path) -> str:
    return _text(path).strip().replace("\n", " ")[:128]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # another operating system, or a jail without it
        return ""
