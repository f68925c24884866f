"""The inventory's small file: devices, proposals and what was probed when. One atomic write per change."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routerd import fsio
from routerd.discover.evidence import KINDS, Evidence
from routerd.discover.inventory import MAX_DEVICES, Device
from routerd.discover.proposal import STATES, Proposal
from routerd.errors import CorruptError

VERSION = 1
_MAX_PROBED = 64


@dataclass(frozen=True, slots=True)
class Kept:
    """All that outlives a restart. `probed` maps `host:port` to the wall milliseconds of its last connection."""

    devices: tuple[Device, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    probed: Mapping[str, int] = field(default_factory=dict)


def encode(kept: Kept) -> bytes:
    """The file's bytes: the same for the same content, so that a write can be spared."""
    document = {
        "version": VERSION,
        "devices": [_device_row(each) for each in sorted(kept.devices, key=lambda d: d.key)],
        "proposals": [_proposal_row(each) for each in sorted(kept.proposals, key=lambda p: (p.key, p.profile))],
        "probed": dict(sorted(kept.probed.items(), key=lambda item: (-item[1], item[0]))[:_MAX_PROBED]),
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode("utf-8")


def decode(data: bytes) -> Kept:
    """CorruptError `inventory.damaged` for bytes that are no inventory of this version."""
    try:
        document = json.loads(data)
        if document["version"] != VERSION:
            raise CorruptError("inventory.damaged", f"version {document['version']} is not {VERSION}")
        return Kept(
            devices=tuple(_device(row) for row in document["devices"][:MAX_DEVICES]),
            proposals=tuple(_proposal(row) for row in document["proposals"][: 2 * MAX_DEVICES]),
            probed={str(key): int(at) for key, at in document["probed"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise CorruptError("inventory.damaged", f"no inventory: {exc!r}") from exc


class InventoryFile:
    """The file at `path`. Blocks: call it in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written = b""

    def load(self) -> Kept | None:
        """What was kept; None at the first start. A damaged file is set aside and CorruptError says where it lies."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            kept = decode(data)
        except CorruptError as exc:
            aside = fsio.set_aside(self._path)
            raise CorruptError(exc.code, f"{exc}: set aside as {aside}; devices and approvals start anew") from exc
        self._written = data
        return kept

    def save(self, kept: Kept) -> bool:
        """Write if the content differs from what is there; whether it wrote. Raises OSError."""
        data = encode(kept)
        if data == self._written:
            return False
        fsio.write_atomically(self._path, data)
        self._written = data
        return True


def _device_row(device: Device) -> dict[str, Any]:
    return {
        "key": device.key,
        "place": device.place,
        "interface": device.interface,
        "aliases": list(device.aliases),
        "hints": sorted([each.kind, each.value] for each in device.hints),
        "first_ms": device.first_ms,
        "changed_ms": device.changed_ms,
    }


def _device(row: dict[str, Any]) -> Device:
    hints = frozenset(Evidence(kind, str(value)) for kind, value in row["hints"] if kind in KINDS)
    return Device(
        key=str(row["key"]),
        place=str(row["place"]),
        interface=str(row["interface"]),
        aliases=tuple(map(str, row["aliases"])),
        hints=hints,
        first_ms=int(row["first_ms"]),
        changed_ms=int(row["changed_ms"]),
    )


def _proposal_row(proposal: Proposal) -> dict[str, Any]:
    return {
        "key": proposal.key,
        "profile": proposal.profile,
        "name": proposal.name,
        "state": proposal.state,
        "by": proposal.by,
        "at_ms": proposal.at_ms,
        "score": proposal.score,
    }


def _proposal(row: dict[str, Any]) -> Proposal:
    if row["state"] not in STATES:
        raise ValueError(f"state {row['state']!r}")
    return Proposal(
        key=str(row["key"]),
        profile=str(row["profile"]),
        name=str(row["name"]),
        state=row["state"],
        by=str(row["by"]),
        at_ms=int(row["at_ms"]),
        score=float(row["score"]),
    )
