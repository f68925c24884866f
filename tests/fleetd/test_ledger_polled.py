"""What the clocks of registers are known by where a router reads documents alone."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from fleetd import cli
from routerd.model import RECORD, Draft, Stamp, Stream
from scripts.pos.formats import Settings, sales, transset
from scripts.pos.period import period
from tests.fleetd.kit import segment
from tests.fleetd.ledger_kit import COMMANDER, House, document, drafts, frames_of, segments, stamped

SKEW_S = -1020
SHOP = Settings("transset", seed=5, skew_s=SKEW_S, pan_rate=0, per_hour=600)
SOLD = tuple(islice(sales(SHOP, outdoor=False), 300))
POLL_MS = 60_000
Out = pytest.CaptureFixture[str]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def recorded() -> list[Draft]:
    closed = max(one.closed for one in SOLD) + timedelta(seconds=5)
    whole = period(SHOP.shop, transset(SHOP), SOLD, opened=SHOP.start, closed=closed)
    return [one for one in drafts(whole.data) if one.kind == RECORD and one.pos_time]


def stamp(at_ms: int) -> Stamp:
    return Stamp("00112233", (at_ms - 1_700_000_000_000) * 1_000_000, at_ms, synced=True)


def polled(house: House, made: list[Draft]) -> None:
    """Each record in the first poll after it was written."""
    polls: dict[int, list[Draft]] = {}
    for draft in made:
        written = datetime.fromisoformat(draft.pos_time or "") - timedelta(seconds=SKEW_S)
        polls.setdefault((int(written.timestamp() * 1000) // POLL_MS + 1) * POLL_MS, []).append(draft)
    first = 1
    for at_ms, found in sorted(polls.items()):
        house.take(stamped(segment(first, found, COMMANDER), stamp(at_ms)), at_ms=at_ms + 300)
        first += len(found)
    house.take(segment(first, [document("daily/2026-11-22.311", [])], COMMANDER))


def registers(house: House, capsys: Out) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert cli.main(["--data", str(house.root), "--json", "clocks"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["registers"]
    return found


def test_a_document_read_once_says_why_its_registers_tell_nothing(house: House, capsys: Out) -> None:
    made = recorded()
    closed = segment(len(made) + 1, [document("daily/2026-11-22.311", frames_of(made))], COMMANDER)
    house.take(*segments(made), closed)
    [row] = registers(house, capsys)
    assert (row["source"], row["register"], row["samples"]) == ("commander", "", len(SOLD))
    assert (row["ahead_s"], row["at_least_s"]) == (None, None)
    assert cli.main(["--data", str(house.root), "clocks"]) == 0
    assert "read from documents: dated by the poll, not by the sale" in capsys.readouterr().out


def test_a_growing_document_bounds_the_clock_of_each_register_from_below(house: House, capsys: Out) -> None:
    polled(house, recorded())
    rows = registers(house, capsys)
    assert [row["register"] for row in rows] == ["101", "102"]
    for row in rows:
        assert SKEW_S - 30 <= row["at_least_s"] <= SKEW_S + 1, row
        assert (row["ahead_s"], row["zone_minutes"], row["zone_guessed"]) == (None, -300, "")


def test_a_register_that_is_heard_live_needs_no_bound(house: House, capsys: Out) -> None:
    made = recorded()
    polled(house, made)
    printed = [replace(one, identity=None) for one in made if b'posNum="101"' in one.data][:40]
    for number, one in enumerate(printed, 1):
        at_ms = int((datetime.fromisoformat(one.pos_time or "") - timedelta(seconds=SKEW_S)).timestamp() * 1000)
        house.take(stamped(segment(number, [one], Stream("lane", 7)), stamp(at_ms)), at_ms=at_ms + 300)
    live, other = registers(house, capsys)
    assert (live["source"], live["register"], abs(live["ahead_s"] - SKEW_S) <= 1) == ("lane", "101", True)
    assert (other["source"], other["register"], other["ahead_s"]) == ("commander", "102", None)
