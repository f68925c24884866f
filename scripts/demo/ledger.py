"""What the cloud's ledger says of the days that a POS closed, beside what the POS sold by the truth file. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.demo.truth import Closed

COMPLETE, ABSENT = "complete", "absent"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`status` in the ledger's word, the worst of several days; `absent` for a day it does not know. Cents over all."""

    status: str
    truth_cents: int
    ledger_cents: int
    days: int

    @property
    def difference_cents(self) -> int:
        return self.ledger_cents - self.truth_cents

    @property
    def is_complete(self) -> bool:
        return self.status == COMPLETE and not self.difference_cents

    @property
    def says(self) -> str:
        return f"{self.status}, {money(self.ledger_cents)} arrived, {money(self.difference_cents)} off"


def judge(closed: Sequence[Closed], days: Sequence[Mapping[str, Any]]) -> Verdict:
    """`days` as `fleetctl --json ledger` has them. Complete only if each closed day is."""
    rows = {(row["source"], row["business_day"], row["period"]): row for row in days}
    found = [rows.get((one.source, *one.key)) for one in closed]
    statuses = [row["status"] if row else ABSENT for row in found]
    status = next((each for each in statuses if each != COMPLETE), COMPLETE if statuses else ABSENT)
    arrived = sum(row["ledger_cents"] for row in found if row)
    return Verdict(status, sum(one.sales_cents for one in closed), arrived, len(closed))


def money(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
