"""The inventory as rows: for a table, as JSON, as CSV (PCI DSS 12.5.1 and 9.5.1 ask for such a list). Pure."""

import csv
import io
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from routerd.discover.evidence import HOSTNAME
from routerd.discover.fingerprint import Rules, Verdict, maker
from routerd.discover.inventory import Device, Presence
from routerd.discover.proposal import Proposal

COLUMNS = (
    "what",
    "class",
    "kind",
    "score",
    "place",
    "interface",
    "hardware",
    "maker",
    "host_name",
    "state",
    "first_seen",
    "last_seen",
    "source",
    "evidence",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run (OWASP, CSV injection)


def rows(
    devices: Iterable[Device],
    presence: Mapping[str, Presence],
    verdicts: Mapping[str, Verdict],
    proposals: Iterable[Proposal],
    rules: Rules,
) -> list[dict[str, str]]:
    """One row of texts per device with COLUMNS, by place. Times are UTC, empty while the clock was not set."""
    offers: dict[str, list[str]] = {}
    for each in proposals:
        offers.setdefault(each.key, []).append(f"{each.name} ({each.state}{f' by {each.by}' if each.by else ''})")
    found = []
    for device in sorted(devices, key=lambda d: (d.place, d.key)):
        verdict, here = verdicts[device.key], presence.get(device.key)
        scheme, _, hardware = device.key.partition(":")
        values = (
            verdict.name,
            verdict.class_id,
            verdict.kind,
            f"{verdict.score:.2f}",
            device.place,
            device.interface,
            hardware,
            maker(hardware, rules)[0] if scheme == "mac" else "",
            ", ".join(sorted(hint.value for hint in device.hints if hint.kind == HOSTNAME)),
            _state(here),
            _time(device.first_ms),
            _time(here.wall_ms if here else 0),
            ", ".join(sorted(offers.get(device.key, ()))),
            "; ".join(verdict.evidence),
        )
        found.append(dict(zip(COLUMNS, values, strict=True)))
    return found


def as_csv(table: Iterable[Mapping[str, str]]) -> str:
    """RFC 4180, with a heading; a value that a spreadsheet would take for a formula is led by an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in table:
        writer.writerow([f"'{row[c]}" if row[c].startswith(_FORMULA) else row[c] for c in COLUMNS])
    return out.getvalue()


def _state(presence: Presence | None) -> str:
    if presence is None:
        return "not seen since start"
    if presence.is_missing:
        return "missing"
    return "present" if presence.alive_s else "seen"


def _time(wall_ms: int) -> str:
    return datetime.fromtimestamp(wall_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if wall_ms else ""
