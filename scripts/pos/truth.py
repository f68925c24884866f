"""What was really handed to the line: one JSON object a line, appended as it happens.

`ticket` lines come once for each record, after its last byte was handed over; `resend` lines name what a POS sent again
after its link broke; the last line is `end` with the totals. A file without `end` belongs to a process that was killed.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from scripts.pos.ticket import Ticket, digest


@dataclass(slots=True)
class Sum:
    """Running totals of one source."""

    tickets: int = 0
    records: int = 0
    bytes: int = 0
    sales_cents: int = 0
    resent: int = 0
    suspended: int = 0


class Truth:
    """Appends to a file, or only counts when there is none. Each line is flushed: a killed simulator lies to nobody."""

    def __init__(self, path: str = "") -> None:
        self._file: TextIO | None = Path(path).open("a", encoding="utf-8") if path else None  # noqa: SIM115 - see `end`
        self.sums: dict[str, Sum] = {}

    def handed(self, source: str, ticket: Ticket, file: str = "") -> None:
        """The last byte of the ticket was just handed to the line, or is in `file`."""
        data = ticket.data
        total = self.sums.setdefault(source, Sum())
        total.records += 1
        total.tickets += ticket.sold
        total.bytes += len(data)
        total.suspended += ticket.kind == "suspended"
        total.sales_cents += ticket.total_cents if ticket.counts else 0
        if self._file:
            self._write({**line_for(source, ticket, data), **({"file": file} if file else {})})

    def resent(self, source: str, data: bytes) -> None:
        """A record was sent once more, whole, after a reconnect; its `sha256` leads to its `ticket` line."""
        self.sums.setdefault(source, Sum()).resent += 1
        self._write({"type": "resend", "source": source, "sha256": digest(data), **_now()})

    def note(self, kind: str, **facts: Any) -> None:
        """A line of another type: what a POS did that is no ticket, such as closing a period."""
        self._write({"type": kind, **facts, **_now()})

    def end(self) -> None:
        """Write the totals and close."""
        sums = {source: {name: getattr(s, name) for name in Sum.__slots__} for source, s in self.sums.items()}
        self._write({"type": "end", "sources": sums, **_now()})
        if self._file:
            self._file.close()
            self._file = None

    def _write(self, line: dict[str, Any]) -> None:
        if self._file:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def line_for(source: str, ticket: Ticket, data: bytes) -> dict[str, Any]:
    """The `ticket` line. `masked_expected` says the bytes hold a whole test card number that must not be stored."""
    line: dict[str, Any] = {
        "type": "ticket",
        "source": source,
        "identity": ticket.identity,
        "kind": ticket.kind,
        "sold": ticket.sold,
        "total_cents": ticket.total_cents,
        "counts": ticket.counts,
        "pos_time": ticket.pos_time,
        "bytes": len(data),
        "sha256": digest(data),
        "masked_expected": bool(ticket.pans),
        **_now(),
    }
    if ticket.pans:
        line["pans"] = list(ticket.pans)
    if ticket.loyalty:
        line["loyalty"] = ticket.loyalty
    return line


def _now() -> dict[str, int]:
    return {"mono_ns": time.monotonic_ns(), "wall_ms": time.time_ns() // 1_000_000}
