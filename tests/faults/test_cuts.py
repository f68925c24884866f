"""Power cuts and kills of the spool, and that whoever makes them sees what he claims to see."""

import random
import sqlite3
from pathlib import Path

import pytest

from scripts.faults import cuts, ext4, tap
from scripts.faults.disk import Disk
from scripts.faults.tap import Op, Refusal, tapped
from scripts.faults.verdict import judge
from scripts.faults.witness import Known
from scripts.faults.work import HandClock, Machine
from tests.spool.house import House, everything, sold

CUTS = 50
ON_EXT4 = 6

needs_tap = pytest.mark.skipif(bool(tap.missing()), reason=tap.missing())


@needs_tap
def test_fifty_cuts_lose_nothing_that_was_due_double_nothing_and_wedge_nothing() -> None:
    broken = [f"{at}: {verdict.why}" for at, verdict in cuts.many(random.randrange(1_000_000), CUTS) if verdict.why]
    assert not broken


@needs_tap
def test_cuts_that_once_broke_something_stay_mended() -> None:
    """Seeds that met a torn row which SQLite could not find again, and frames in another order than captured."""
    broken = [
        f"{at}: {verdict.why}"
        for seed in (35, 1821, 1833, 1835)
        for at, verdict in cuts.many(seed, 1)
        if verdict.why or not verdict.alive
    ]
    assert not broken


@needs_tap
@pytest.mark.skipif(bool(ext4.unusable()), reason=ext4.unusable())
def test_cuts_of_a_real_file_system_lose_nothing() -> None:
    broken = [f"{at}: {verdict.why}" for at, verdict in ext4.many(random.randrange(100_000), ON_EXT4) if verdict.why]
    assert not broken


@needs_tap
def test_a_spool_that_does_not_sync_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    lax = tuple(
        setting.replace("FULL", "OFF") for setting in ("PRAGMA locking_mode=EXCLUSIVE", "PRAGMA synchronous=FULL")
    )
    monkeypatch.setattr("routerd.spool.ring._SETTINGS", (*lax, "PRAGMA journal_mode=MEMORY"))
    assert any(verdict.lost for _, verdict in cuts.many(0, 10))


@needs_tap
def test_sqlite_and_python_are_seen_before_they_write_and_can_be_refused(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    def observe(op: Op) -> Refusal | None:
        seen.append((op.kind, Path(op.path).name))
        return Refusal(28) if op.kind == "sync" and op.path.endswith("-journal") else None

    with tapped([tmp_path], observe):
        with pytest.raises(sqlite3.OperationalError, match="I/O"):
            sqlite3.connect(tmp_path / "a.db").execute("CREATE TABLE t (x)")
        (tmp_path / "b").touch()
    assert seen[:4] == [
        ("create", "a.db"),
        ("create", "a.db-journal"),
        ("write", "a.db-journal"),
        ("sync", "a.db-journal"),
    ]
    assert ("create", "b") in seen
    sqlite3.connect(tmp_path / "a.db").execute("CREATE TABLE t (x)").close()


def test_only_what_was_synced_is_safe_from_a_cut() -> None:
    kept = set()
    for seed in range(200):
        disk = Disk({"a": b"old"})
        disk.follow(Op("write", "a", 0, b"new"))
        disk.follow(Op("sync", "a"))
        disk.follow(Op("write", "a", 3, b"er"))
        kept.add(disk.cut(random.Random(seed), "subset", ordered=True)["a"])
    assert kept == {b"new", b"newer"}


@pytest.mark.parametrize(("ordered", "possible"), [(True, 2), (False, 3)])
def test_a_name_is_safe_when_its_directory_was_synced(ordered: bool, possible: int) -> None:
    found = set()
    for seed in range(200):
        disk = Disk({"old": b"1"})
        for op in (Op("create", "new"), Op("write", "new", 0, b"2"), Op("sync", "new"), Op("rename", "new", to="old")):
            disk.follow(op)
        left = disk.cut(random.Random(seed), "dropped", ordered=ordered)
        found.add((left["old"], "new" in left))
    assert found <= {(b"1", True), (b"2", False), (b"1", False)}
    assert len(found) == possible
    disk = Disk({"old": b"1"})
    for op in (Op("rename", "old", to="new"), Op("syncdir", "")):
        disk.follow(op)
    assert disk.cut(random.Random(1), "dropped", ordered=ordered) == {"new": b"1"}


async def test_a_row_that_sqlite_cannot_find_is_salvaged_past_and_written_again(house: House) -> None:
    await house.start()
    house.sell(1, 2)
    await house.pass_time(3)
    [place] = {held.place for held in house.spool._index.cold.values()}
    assert place
    await house.crash()
    ring = house.config.data_dir / "ring.db"
    content = bytearray(ring.read_bytes())
    behind = content.index(b"RDp1") // 4096 * 4096 + 4096  # where the next write would have gone
    content[behind : behind + 512] = random.Random(7).randbytes(512)
    ring.write_bytes(content)
    await house.start()
    house.sell(3)
    await house.pass_time(3)
    assert house.raised() == {"spool.damaged"}
    assert sold(await everything(house.spool)) == [1, 2, 3]


async def test_the_backlog_keeps_its_order_across_a_merge_and_a_restart(house: House) -> None:
    await house.start()
    house.spool.cloud_is(reachable=False)
    for number in range(1, 70):
        house.sell(number, size=40_000 if number == 20 else 100)  # one frame too large to be merged
        await house.pass_time(1.9)
    order = [held.info.first_seq for held in house.spool._index.cold.values()]
    assert len(order) < 60
    assert order == sorted(order)
    await house.crash()
    await house.start()
    order = [held.info.first_seq for held in house.spool._index.cold.values()]
    assert order == sorted(order)
    assert sold(await everything(house.spool)) == list(range(1, 70))


async def test_a_spool_that_does_not_open_counts_as_wedged(tmp_path: Path, ram_dir: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)  # others could read it: refused
    verdict = await judge(Machine.at(tmp_path / "data", ram_dir, HandClock("00000002")), Known())
    assert verdict.wedged
    assert not verdict.alive
