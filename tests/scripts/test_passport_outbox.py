"""A Passport-like folder: what it drops is what the truth says, and what befalls it is what was ordered."""

import asyncio
import json
import re
import stat
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

import pytest

from routerd.tlog import dialect
from scripts.passport import levers
from scripts.passport.drops import Drop, copies, events
from scripts.passport.outbox import Outbox, Pace
from scripts.pos.clock import HandClock
from scripts.pos.formats import Settings

MORNING = datetime(2026, 11, 22, 6, 0, 0)
PROLOGUE = b'<?xml version ="1.0" encoding="ISO-8859-1" standalone="no"?>\n<NAXML-POSJournal version="3.4">\n'


def settings(**changes: object) -> Settings:
    return Settings("naxml", **({"start": MORNING} | changes))  # type: ignore[arg-type]


def day(*, roll_up: bool = False) -> list[Drop]:
    """Everything up to the end of the first business day, the day's end included."""
    out: list[Drop] = []
    for drop in events(settings(per_hour=20.0), roll_up=roll_up):
        out.append(drop)
        if drop.name.startswith("PJRSHIFT" if roll_up else "StoreClose"):
            return out
    raise AssertionError("a day without an end")


class Box:
    """An outbox with its clock; `whole` are the files it said are complete."""

    def __init__(self, folder: Path, drops: Iterator[Drop] | None = None, *, write_s: float = 4.0) -> None:
        self.clock, self.whole = HandClock(MORNING), list[Drop]()
        self.box = Outbox(
            folder, events(settings()) if drops is None else drops, self.clock, pace=Pace(write_s),
            whole=self.whole.append,
        )  # fmt: skip

    def after(self, seconds: float) -> Outbox:
        self.clock.advance(seconds)
        self.box.catch_up()
        return self.box


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    made = Box(tmp_path / "BOOutBox")
    yield made
    made.box.close()


def test_every_event_is_a_file_of_its_own_and_the_dialect_reads_the_identity_the_truth_says() -> None:
    reader, seen = dialect("naxml"), set()
    for drop in islice(events(settings()), 400):
        assert drop.data.startswith(PROLOGUE)
        assert re.fullmatch(r"PJR\d+\.xml", drop.name)
        root = ET.fromstring(drop.data)
        assert root.tag == "NAXML-POSJournal"
        assert [child.tag for child in root[1]][1:] == [drop.tickets[0].data[1:].split(b" ")[0].decode()]
        [ticket] = drop.tickets
        assert ticket.data in drop.data
        facts = reader.describe(ticket.data)
        assert (facts.identity, facts.pos_time, facts.fallback) == (ticket.identity, ticket.pos_time, False)
        seen.add(facts.identity)
    assert len(seen) == 400


def test_events_look_as_users_of_genuine_sites_describe_them() -> None:
    drops = islice(events(settings()), 1500)
    data = b"".join(drop.data for drop in drops if drop.name.startswith("PJR"))
    assert b"StoreHierarchyID" not in data
    assert b"EventEndDate" not in data
    root = ET.fromstring(b"<r>" + re.sub(rb"<\?xml.*?\?>", b"", data) + b"</r>")
    refunds = list(root.iter("RefundEvent"))
    voids = list(root.iter("VoidEvent"))
    pumps = [one for one in root.iter("SaleEvent") if _flag(one, "OutsideSalesFlag")]
    changes = [one for one in root.iter("TenderInfo") if _flag(one, "ChangeFlag")]
    assert refunds
    assert voids
    assert pumps
    assert changes
    assert all(float(one.findtext(".//TransactionTotalGrandAmount") or 0) < 0 for one in refunds)
    assert {line.get("status") for one in voids for line in one.iter("TransactionLine")} == {"cancel"}
    assert {int(one.findtext("RegisterID") or 0) > 10_000 for one in pumps} == {True}
    assert all(float(one.findtext("TenderAmount") or 0) < 0 for one in changes)


def _flag(element: ET.Element, name: str) -> bool:
    found = element.find(name)
    return found is not None and found.get("value") == "yes"


def test_prepays_and_their_completions_add_up_to_what_was_pumped() -> None:
    total, linked = 0.0, 0
    for drop in islice(events(settings()), 1500):
        event = ET.fromstring(drop.data)[1][1]
        counts = event.tag in ("SaleEvent", "RefundEvent")
        amount = round(float(event.findtext(".//TransactionTotalGrandAmount") or 0) * 100) if counts else 0
        linked += event.find(".//LinkedTransactionInfo/OriginalTransactionID") is not None
        total += amount
        assert amount == (drop.tickets[0].total_cents if drop.tickets[0].counts else 0)
    assert linked > 20
    assert total > 0


def test_the_day_ends_with_each_registers_customers() -> None:
    drops = day()
    end = drops[-1]
    assert [drop.at for drop in drops] == sorted(drop.at for drop in drops)
    assert end.name == "StoreClose20261122.xml"
    customers: dict[str, int] = {}
    for drop in drops[:-1]:
        event = ET.fromstring(drop.data)[1][1]
        register = event.findtext("RegisterID") or ""
        if event.tag == "SaleEvent" and event.find(".//LinkedTransactionInfo") is None:
            customers[register] = customers.get(register, 0) + 1
    for close in ET.fromstring(end.data).iter("OtherEvent"):
        register = close.findtext("RegisterID") or ""
        assert int(close.findtext("Extension/Statistics/CustomerCount") or 0) == customers[register] > 0
        assert close.findtext("BusinessDate") == "2026-11-22"
    assert all(dialect("naxml").describe(one.data).identity == one.identity for one in end.tickets)


def test_a_roll_up_holds_the_same_bytes_and_brings_nothing_new() -> None:
    *singles, _, roll_up = day(roll_up=True)
    assert roll_up.name == "PJRSHIFT20261122.xml"
    assert not roll_up.tickets
    for single in singles:
        assert single.tickets[0].data in roll_up.data


def test_the_same_seed_drops_the_same_files() -> None:
    assert list(islice(events(settings()), 50)) == list(islice(events(settings()), 50))
    assert list(islice(events(settings(seed=2)), 50)) != list(islice(events(settings()), 50))


def test_files_of_two_registers_grow_side_by_side_and_are_whole_in_the_end(box: Box) -> None:
    first, second = box.box.drop(2)
    sizes = []
    for _ in range(4):
        folder = box.after(1.0).folder
        sizes.append([(folder / name).stat().st_size for name in (first, second)])
        assert sorted(box.box.growing) == ([] if len(sizes) == 4 else [first, second])
    assert sizes == sorted(sizes)
    assert 0 < sizes[0][0] < sizes[1][0] < sizes[2][0] < sizes[3][0]
    assert [drop.name for drop in box.whole] == [first, second]
    assert all((box.box.folder / drop.name).read_bytes() == drop.data for drop in box.whole)


def test_files_come_when_the_clock_passes_them(box: Box) -> None:
    box.after(3600)
    hour = {path.name for path in box.box.folder.iterdir()}
    box.after(3600)
    assert hour < {path.name for path in box.box.folder.iterdir()}
    assert len(box.whole) == len(box.box.names) > 10


def test_files_older_than_a_week_are_purged(tmp_path: Path) -> None:
    box = Box(tmp_path / "out", events(settings(per_hour=1.0)))
    first, *_ = box.box.drop(3)
    box.after(6.9 * 86_400)
    assert first in box.box.names
    box.after(0.2 * 86_400)
    assert first not in box.box.names
    assert not (box.box.folder / first).exists()
    assert all((box.box.folder / name).exists() for name in box.box.names)


def test_another_product_steals_files_the_same_ones_by_the_same_seed(tmp_path: Path) -> None:
    taken = []
    for name in ("a", "b"):
        box = Box(tmp_path / name)
        box.after(3600)
        taken.append(box.box.steal(3))
        assert not any((box.box.folder / one).exists() for one in taken[-1])
        box.box.close()
    assert taken[0] == taken[1]
    assert len(set(taken[0])) == 3


@pytest.mark.parametrize("empty", [False, True])
def test_a_lost_share_comes_back_with_what_was_written_meanwhile(box: Box, empty: bool) -> None:
    box.box.drop(2)
    box.after(2.0)
    box.box.lose_share(empty=empty)
    assert list(box.box.folder.iterdir()) == [] if empty else not box.box.folder.exists()
    box.after(3600)
    box.box.return_share()
    assert {path.name for path in box.box.folder.iterdir()} == {*box.box.names, *box.box.growing}
    assert all((box.box.folder / drop.name).read_bytes() == drop.data for drop in box.whole)
    assert len(box.whole) > 10


@pytest.mark.parametrize("how", ["mode", "directory", "fifo"])
def test_a_locked_file_cannot_be_read_and_is_itself_again(box: Box, how: str) -> None:
    [name] = box.box.drop()
    path = box.after(5.0).folder / name
    whole = path.read_bytes()
    box.box.lock(name, how)
    mode = path.stat().st_mode
    assert {"mode": not mode & 0o777, "directory": path.is_dir(), "fifo": stat.S_ISFIFO(mode)}[how]
    with pytest.raises(KeyError):
        box.box.rename(name, "other.xml")
    box.box.unlock(name)
    assert path.read_bytes() == whole


def test_a_renamed_file_is_the_same_file(box: Box) -> None:
    [name] = box.box.drop()
    box.after(5.0)
    data = (box.box.folder / name).read_bytes()
    box.box.rename(name, "PJR1.xml")
    assert (box.box.folder / "PJR1.xml").read_bytes() == data
    assert "PJR1.xml" in box.box.names
    assert name not in box.box.names


def test_what_is_not_whole_cannot_be_locked_or_renamed(box: Box) -> None:
    [name] = box.box.drop()
    for act in (lambda: box.box.lock(name), lambda: box.box.rename(name, "x"), lambda: box.box.unlock(name)):
        with pytest.raises(KeyError):
            act()


def test_recorded_files_are_copied_in_byte_for_byte(tmp_path: Path) -> None:
    files = [(f"PJR{i}.xml", bytes([65 + i]) * 1000) for i in range(3)]
    box = Box(tmp_path / "out", copies(files, MORNING, 60.0))
    box.after(61.0)
    assert box.box.names == ["PJR0.xml"]
    assert box.box.growing == ["PJR1.xml"]
    box.after(120.0)
    assert box.box.is_done
    assert [((box.box.folder / name).read_bytes()) for name, _ in files] == [data for _, data in files]


def test_levers_are_pulled_by_name_and_a_wrong_one_is_told(box: Box) -> None:
    [name] = levers.pull(box.box, "drop")["done"]  # type: ignore[misc]
    box.after(5.0)
    assert "no lever" in str(levers.pull(box.box, "push")["error"])
    assert "lock" in str(levers.pull(box.box, "lock", "nothing")["error"])
    assert "no lock 'spell'" in str(levers.pull(box.box, "lock", name, "spell")["error"])
    for order in (f"lock {name} fifo", f"unlock {name}", f"rename {name} a.xml", "lose", "return", "lose empty",
                  "return", "steal 1", "status"):  # fmt: skip
        assert "error" not in levers.pull(box.box, *order.split()), order


async def test_the_command_writes_files_until_told_to_stop_and_its_truth_names_them(tmp_path: Path) -> None:
    folder, truth = tmp_path / "out", tmp_path / "truth.jsonl"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "scripts.passport", str(folder), "--now", "2026-11-22T12:00:00", "--levers",
        "--write-s", "0", "--truth", str(truth),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin
    assert process.stdout
    async with asyncio.timeout(60):
        assert json.loads(await process.stdout.readline())["whole"] == 0
        process.stdin.write(b"drop 5\n")
        named = json.loads(await process.stdout.readline())["done"]
        while json.loads(await _said(process, b"status\n"))["whole"] < 5:
            pass
        process.terminate()
        assert await process.wait() == 0
    process.stdin.close()
    lines = [json.loads(line) for line in truth.read_text().splitlines()]
    assert [line["file"] for line in lines if line["type"] == "ticket"][:5] == named
    assert all((folder / name).exists() for name in named)
    assert lines[-1]["type"] == "end"


async def _said(process: asyncio.subprocess.Process, order: bytes) -> bytes:
    assert process.stdin
    assert process.stdout
    process.stdin.write(order)
    return await process.stdout.readline()
