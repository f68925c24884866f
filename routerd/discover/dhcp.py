"""The DHCP server's files, read when something new was seen and, as a rest against everything, a few times an hour."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from routerd.discover import leases
from routerd.discover.evidence import Sighting
from routerd.discover.kernel import Report

SWEEP_S = 600.0  # a lease renewed without any neighbour event is still seen
MAX_FILE_BYTES = 256 * 1024  # 512 leases are 60 KB
MAX_NOTES = 512

_FORMS: dict[str, Callable[[str], list[Sighting]]] = {
    "dnsmasq": leases.dnsmasq,
    "odhcpd": leases.odhcpd,
    "ubus": leases.ubus,
}


@dataclass(frozen=True, slots=True)
class LeaseFile:
    """A file and its form: `dnsmasq`, `odhcpd` or `ubus` (the saved answer of `ubus call dhcp ipv4leases`)."""

    path: Path
    form: str


OPENWRT = (
    LeaseFile(Path("/tmp/dhcp.leases"), "dnsmasq"),  # noqa: S108 (OpenWrt's dnsmasq keeps it there)
    LeaseFile(Path("/tmp/hosts/odhcpd"), "odhcpd"),  # noqa: S108 (up to 24.10)
    LeaseFile(Path("/tmp/odhcpd.leases"), "odhcpd"),  # noqa: S108 (from 25.12)
)


class Leases:
    """Reports what the files say whenever one of them has changed.

    notes: the directory in which the hotplug script leaves one JSON file per device.
    """

    def __init__(self, files: Iterable[LeaseFile], notes: Path | None) -> None:
        self._files = tuple(files)
        self._notes = notes
        self._seen: dict[Path, tuple[int, int]] = {}
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Look again: somebody new has appeared, or hotplug said so."""
        self._nudged.set()

    async def run(self, report: Report) -> None:
        """Report until cancelled."""
        while True:
            self._nudged.clear()
            if found := await asyncio.to_thread(self.read):
                report(found)
            try:
                async with asyncio.timeout(SWEEP_S):
                    await self._nudged.wait()
            except TimeoutError:
                pass  # the sweep

    def read(self) -> list[Sighting]:
        """What the files that have changed since the last call say. Blocks; a file that cannot be read says nothing."""
        found: list[Sighting] = []
        for file in self._files:
            found += _FORMS[file.form](self._text(file.path))
        notes = sorted(self._notes.glob("*.json"))[:MAX_NOTES] if self._notes else []
        found += [seen for note in notes if (seen := leases.hotplug(self._text(note)))]
        self._seen = {path: stamp for path, stamp in self._seen.items() if path.exists()}
        return found

    def _text(self, path: Path) -> str:
        try:
            state = path.stat()
            stamp = (state.st_mtime_ns, state.st_size)
            if self._seen.get(path) == stamp or state.st_size > MAX_FILE_BYTES:
                return ""
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        self._seen[path] = stamp
        return text
