"""A folder of recorded NAXML or POSLog files through the real folder link: is each event in the cloud, once? Shell."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.demo.place import DEVICE, Place
from scripts.demo.processes import DemoError
from scripts.proof.stage import Stage

SOURCE = "files"
WITHIN_S = 240.0
_EVENT = re.compile(
    rb"<(?P<p>[\w.-]+:)?(?P<e>SaleEvent|RefundEvent|VoidEvent|FinancialEvent|OtherEvent|Transaction)[\s>].*?</(?P=p)?(?P=e)>".replace(
        b"(?P=p)?", b"(?:[\\w.-]+:)?"
    ),
    re.DOTALL,
)


async def prove(place: Place, directory: Path) -> dict[str, Any]:
    """The JSON object of the result. Raises DemoError when it cannot be had."""
    drop = place.root / "boxout"
    files, events = _drop(directory, drop)
    stage = Stage(place, year=None)
    try:
        await stage.begin(_section(drop))
        await stage.until("file taken", lambda: _taken(stage, files), WITHIN_S)
        held = await stage.fleetctl("transactions", "--device", DEVICE)
        tickets = await stage.fleetctl("tickets", "--device", DEVICE)
        days = (await stage.fleetctl("ledger", "--store", DEVICE))["days"]
    finally:
        await stage.end()
    return _result(files, events, held, tickets, days)


def _drop(directory: Path, drop: Path) -> tuple[int, list[bytes]]:
    """Copy the files to where routerd looks: how many, and every event in them."""
    files = sorted(path for path in directory.iterdir() if path.suffix.lower() == ".xml" and path.is_file())
    events = [found[0].strip() for path in files for found in _EVENT.finditer(path.read_bytes())]
    if not events:
        raise DemoError(f"{directory} holds no NAXML or POSLog file")
    drop.mkdir()
    for path in files:
        shutil.copy(path, drop)
    return len(files), events


async def _taken(stage: Stage, files: int) -> bool:
    sources = await stage.progress()
    if not sources or sources[0]["documents"] < files or sources[0]["sum"]["queued"]:
        return False
    totals: dict[str, int] = sources[0]["sum"]
    return totals["processed"] == totals["captured"] or totals["uploaded"] == totals["captured"]


def _section(drop: Path) -> str:
    rows = ["[[source]]", f'name = "{SOURCE}"', 'link = "folder"', f"path = {json.dumps(str(drop))}"]
    return "\n".join([*rows, "poll_s = 1", "settle_s = 1", ""])


def _result(
    files: int, events: Sequence[bytes], held: Sequence[Any], tickets: Sequence[Any], days: Sequence[Any]
) -> dict[str, Any]:
    unique = len(set(events))
    totals = [day["pos_cents"] for day in days if day["pos_cents"] is not None]
    sold = sum(ticket["counted_cents"] for ticket in tickets)
    return {
        "files": files,
        "pos_total": f"{sum(totals) / 100:.2f}" if totals else None,
        "ledger_total": f"{sold / 100:.2f}",
        "difference": f"{(sold - sum(totals)) / 100:.2f}" if totals else None,  # these files state no total
        "records": len(events),
        "unique": unique,
        "in_cloud": len(held),
        "status": "complete" if len(held) == unique else "short",
    }
