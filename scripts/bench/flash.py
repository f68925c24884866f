"""F1, F2: bytes the block device was asked to write ÷ bytes of t-log captured, the real spool on its own clock.

Emulated and left out: see `ownclock`. The same with genuine timers: `flash_daemon`.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import cycle, islice, takewhile
from pathlib import Path
from random import Random

from routerd.model import Draft
from scripts.bench import blockdev, ownclock, recordings
from scripts.bench.blockdev import DEFAULTS, LONG_COMMIT, Device, Written
from scripts.bench.cases import Run
from scripts.bench.ownclock import OFFLINE, RING_MB, Day, Plan, Timers, Witness
from scripts.bench.table import AT_MOST, Beside, Row, Target
from scripts.pos.trade import arrivals

_F1 = Target("F1", AT_MOST, 0.03)
_F1_NO_OUTAGE = Target("F1", AT_MOST, 0.02)
_F2 = Target("F2", AT_MOST, 1.15, on_ratio=True)
_F2_BULK = Target("F2", AT_MOST, 0.06)
_EVENT_BYTES = 5300
_PAGE = 4096
_TICKETS_A_DAY = 5000
_OUTAGE = (12 * 3600.0, 12 * 3600.0 + 20 * 60)  # in the middle of the day
_NOON = 1.5 / 24  # of a day
_BULK_PER_S = 400
_COMMIT_S = {DEFAULTS: 5.0, LONG_COMMIT: 300.0}  # ext4(5): commit=


def measure(run: Run) -> list[Row]:
    days = list(_plans(run))
    if why := blockdev.unusable():
        return [asyncio.run(_counted(run.scratch, name, plan, target, why)) for name, plan, target in days]
    rows = []
    for name, plan, target in days:
        for options in (DEFAULTS,) if target is _F1_NO_OUTAGE else (LONG_COMMIT, DEFAULTS):
            with blockdev.mounted(LONG_COMMIT) as device:  # the real timers stay out of it, ours come instead
                rows.append(asyncio.run(_on_device(device, (name, plan, target), options)))
    return rows


def _plans(run: Run) -> Iterator[tuple[str, Plan, Target]]:
    drafts = _events(int(run.scaled(1500, 100)))
    day_s = run.scaled(86400.0, 7200.0)
    day = list(zip(_store_day(day_s), cycle(drafts), strict=False))
    outage = tuple(edge * day_s / 86400.0 for edge in _OUTAGE)
    name = f"online, {day_s / 3600:.0f} h of a store, one outage of {(outage[1] - outage[0]) / 60:.0f} min"
    yield name, Plan(day, "naxml", (outage[0], outage[1])), _F1
    yield f"online, {day_s / 3600:.0f} h of a store, no outage", Plan(day, "naxml"), _F1_NO_OUTAGE
    noon = [(at_s - day_s / 2, draft) for at_s, draft in day if 0 <= at_s / day_s - 0.5 < _NOON]
    yield "offline, from noon on, single tickets", Plan(noon, "naxml", OFFLINE), _F2
    bulk = [(at / _BULK_PER_S, draft) for at, draft in enumerate(islice(cycle(drafts), int(run.scaled(6000, 800))))]
    yield f"offline, bulk at {_BULK_PER_S} tickets a second", Plan(bulk, "naxml", OFFLINE), _F2_BULK


def _events(count: int) -> list[Draft]:
    """NAXML events of 5.3 KB on average: the simulator's, without the smallest of them."""
    frames = recordings.frames(recordings.stream("naxml", count * 2 * _EVENT_BYTES), recordings.NAXML)
    by_size = sorted(frames, key=len)
    while sum(map(len, by_size)) / len(by_size) < _EVENT_BYTES:
        del by_size[: max(1, len(by_size) // 50)]
    least = len(by_size[0])
    return [recordings.draft(frame, recordings.NAXML) for frame in frames if len(frame) >= least][:count]


def _store_day(day_s: float) -> Iterator[float]:
    """When tickets come, in seconds of the day: the shop's own calendar, about 5,000 in a whole day."""
    start = datetime(2026, 11, 22)
    end = start + timedelta(seconds=day_s)
    came = arrivals(Random(1), start, _TICKETS_A_DAY / 24)
    return ((at - start).total_seconds() for at in takewhile(lambda at: at < end, came))


async def _on_device(device: Device, what: tuple[str, Plan, Target], options: str) -> Row:
    name, plan, target = what
    begun: list[Written] = []

    def started() -> None:
        device.sync()
        begun.append(device.written())

    folder = device.mount / "spool"
    timers = Timers(folder / "ring.db", _COMMIT_S[options], device.sync_blocks)
    day = await ownclock.live(folder, plan, timers, Witness(started, lambda: device.written().writes))
    device.sync()
    spent = device.written() - begun[0]
    beside: tuple[Beside, ...] = ()
    if target.on_ratio:
        beside = (Beside("aligned file", _aligned(device, day, _COMMIT_S[options]) / day.captured),)
    return _row(f"flash {name}, ext4 {options}", spent.bytes / day.captured, beside, target, _note(plan, day, spent))


def _aligned(device: Device, day: Day, commit_s: float) -> int:
    """The bound: bytes asked of the same device when each commit is one pwrite of a page into a prewritten file and one
    fdatasync, at the same moments under the same timers."""
    path = device.mount / "aligned"
    with path.open("wb") as file:
        file.write(bytes(RING_MB << 20))
    device.sync()
    before = device.written()
    timers = Timers(path, commit_s, device.sync_blocks)
    page, pages = os.urandom(_PAGE), (RING_MB << 20) // _PAGE
    fd = os.open(path, os.O_RDWR)
    for number, at_s in enumerate(day.commits_s):
        timers.pass_to(at_s)
        os.pwrite(fd, page, number % pages * _PAGE)
        os.fdatasync(fd)
        timers.wrote(at_s)
    os.close(fd)
    device.sync()
    return (device.written() - before).bytes


def _note(plan: Plan, day: Day, spent: Written) -> str:
    return (
        f"{len(plan.arrivals)} tickets of {day.captured // len(plan.arrivals)} B, {len(day.commits_s)} commits; "
        f"{spent.bytes // 1024:,} KiB in {spent.writes} writes and {spent.flushes} flushes, {day.lost} lost; "
        "journal and write-back timers emulated, last sync included"
    )


def _row(what: str, ratio: float, beside: tuple[Beside, ...], target: Target, note: str) -> Row:
    return Row(what, ratio, "B/B", beside, target, note)


async def _counted(scratch: Path, name: str, plan: Plan, target: Target, why: str) -> Row:
    """Without a device: what the ring says it wrote. Metadata of the file system is not in it, so nothing is judged."""
    folder = Path(tempfile.mkdtemp(prefix="spool-", dir=scratch))
    ring = folder / "ring.db"
    witness = Witness(lambda: None, lambda: ring.stat().st_mtime_ns)
    day = await ownclock.live(folder, plan, Timers(ring, 0.0, None), witness)
    note = f"by the spool's own counter, pages only, not judged: {why}; {len(day.commits_s)} commits"
    return Row(f"flash {name}", day.ring_bytes / day.captured, "B/B", note=note)
