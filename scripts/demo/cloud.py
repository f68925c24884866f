"""What fleetctl says: the only witness the comparison hears. Shell."""

import asyncio
import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.demo.compare import Kept
from scripts.demo.processes import DemoError, outcome

_INCOMPLETE = 1  # fleetctl's status for holes: an answer, not a failure


@dataclass(frozen=True, slots=True)
class Cloud:
    """Everything the cloud holds of the demo's one device."""

    kept: list[Kept]
    streams: list[dict[str, Any]]
    conflicts: int
    invalid: int
    gaps: int
    captured: dict[str, bytes]  # by source: the records' bytes in order of capture, over all runs of routerd
    days: list[dict[str, Any]] = field(default_factory=list)  # of the ledger

    @property
    def records(self) -> int:
        """Everything routerd ever captured and delivered: also copies, envelopes and noise."""
        return sum(stream["records"] for stream in self.streams)

    @property
    def holes(self) -> int:
        return sum(stream["missing"] for stream in self.streams)

    @property
    def captured_bytes(self) -> int:
        return sum(map(len, self.captured.values()))


async def ask(data: Path, device: str) -> Cloud:
    """Raises DemoError when fleetctl does."""
    listings = ("streams", "conflicts", "invalid", "gaps")
    streams, conflicts, invalid, gaps = await asyncio.gather(*(_rows(data, name) for name in listings))
    sources = sorted({stream["source"] for stream in streams})
    words = ("reconstruct", "--device", device, "--source")
    captured = await asyncio.gather(*(fleetctl(data, *words, source) for source in sources))
    return Cloud(
        await transactions(data),
        streams,
        conflicts=len(conflicts),
        invalid=len(invalid),
        gaps=len(gaps),
        captured=dict(zip(sources, captured, strict=True)),
        days=await days(data, device),
    )


async def transactions(data: Path) -> list[Kept]:
    return [kept(row) for row in await _rows(data, "transactions", "--raw")]


async def days(data: Path, device: str) -> list[dict[str, Any]]:
    """The ledger's business days, as `fleetctl --json ledger` has them."""
    found: list[dict[str, Any]] = json.loads(await fleetctl(data, "--json", "ledger", "--device", device))["days"]
    return found


async def _rows(data: Path, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(await fleetctl(data, "--json", *words))
    return found


def kept(row: dict[str, Any]) -> Kept:
    """A row of `fleetctl --json transactions --raw`."""
    data = base64.b64decode(row["raw"])
    return Kept(row["source"], row["identity"], data, row["copies"], row["captured_ms"], row["received_ms"])


async def fleetctl(data: Path, *words: str) -> bytes:
    code, out, err = await outcome("fleetd.cli", "--data", str(data), *words)
    if code not in (0, _INCOMPLETE):
        raise DemoError(f"fleetctl {' '.join(words)} failed: {err.strip()}")
    return out
