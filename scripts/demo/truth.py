"""What the POS handed over, read from the simulator's truth file while it grows. Reading apart, pure."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Sold:
    """One record a POS handed over. `sold` is False for its own housekeeping. `masked`: it held `pans`, whole test
    card numbers, so the cloud's bytes must differ from `sha256`. `due` is False for what stands in a period that is
    still open: it may be read, and need not yet. `in_file`: white space of the file around it comes with it. Times are
    wall milliseconds; 0 if nobody knows."""

    source: str
    identity: str | None
    sha256: str
    size: int
    sold: bool = True
    masked: bool = False
    pans: tuple[str, ...] = ()
    wall_ms: int = 0
    due: bool = True
    in_file: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """A period that a POS has closed, and what it sold in it."""

    source: str
    file_name: str
    sales_cents: int

    @property
    def day(self) -> str:
        return self.file_name.partition(".")[0]

    @property
    def key(self) -> tuple[str, str]:
        """As the ledger names it: business day and period."""
        return self.day, f"daily:{self.file_name.partition('.')[2]}"


class Truth:
    """Everything handed over so far; `read` takes what came since the last time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._records: list[Sold] = []
        self._closed_at: dict[str, int] = {}  # source -> how many records there were at its last close
        self.closed: list[Closed] = []
        self.suspended: list[Sold] = []  # on a journal: their lines come again with the sale, so they are no tickets
        self.tickets: Counter[str] = Counter()
        self.resent: Counter[str] = Counter()
        self.ended = False

    @property
    def records(self) -> list[Sold]:
        """What was handed over. Of a source that closes periods, only what stands in a closed one is due."""
        return [
            record if at < self._closed_at.get(record.source, len(self._records)) else replace(record, due=False)
            for at, record in enumerate(self._records)
        ]

    def read(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._take(json.loads(line))

    def _take(self, line: dict[str, Any]) -> None:
        if line["type"] == "ticket":
            suspended = line["kind"] == "suspended" and line["identity"].startswith("verifone-journal:")
            (self.suspended if suspended else self._records).append(record(line))
            self.tickets[line["source"]] += line["sold"] and not suspended
        elif line["type"] == "resend":
            self.resent[line["source"]] += 1
        elif line["type"] == "period":
            self.closed.append(Closed(line["source"], line["filename"], line["sales_cents"]))
            self._closed_at[line["source"]] = len(self._records)
        elif line["type"] == "end":
            self.ended = True


def record(line: dict[str, Any]) -> Sold:
    """A `ticket` line of the truth file."""
    return Sold(
        line["source"],
        line["identity"],
        line["sha256"],
        line["bytes"],
        line["sold"],
        line["masked_expected"],
        tuple(line.get("pans", ())),
        line["wall_ms"],
        in_file="file" in line,
    )
