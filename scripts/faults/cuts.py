"""Cuts: a seed names one run of the work, one moment in it, and what the cut leaves."""

import asyncio
import contextlib
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.faults.disk import FAILED_SYNC, TREATMENTS, Disk
from scripts.faults.tap import Op, Refusal, tapped
from scripts.faults.verdict import Verdict, judge
from scripts.faults.witness import Known, Witness
from scripts.faults.work import HandClock, Machine, Work

RAM = Path("/dev/shm")
CUTS_PER_RUN = 20  # of one recorded day; the recording costs more than a cut
KILLED = "killed"  # no power cut: the page cache and the RAM disk stay
STEPS = 14
_WORK_SALT = 1_000_003
_BOOTS = ("00000001", "00000002", "00000003")
_SPOILED = 100  # bytes: SQLite's own header of the ring, so that opening has to salvage


@dataclass(frozen=True, slots=True)
class Recording:
    """What one run of the work did to its folders: every change in order, and who saw what. It began with `files`."""

    files: dict[str, bytes]
    changes: list[Op]
    witness: Witness
    boot: int


@dataclass(frozen=True, slots=True)
class Cut:
    """One fault: `change` is the first that did not happen."""

    seed: int
    change: int
    stage: str
    treatment: str
    ordered: bool

    def __str__(self) -> str:
        names = "ordered names" if self.ordered else "strict names"
        return f"seed {self.seed}: {self.stage}, before change {self.change}, {self.treatment}, {names}"


@contextlib.contextmanager
def folders(files: dict[str, bytes], hot: dict[str, bytes]) -> Iterator[tuple[Path, Path]]:
    """A data_dir and a hot_dir that hold these; both in RAM: what flash keeps is decided by the model."""
    root = Path(tempfile.mkdtemp(prefix="routerd-faults-", dir=RAM))
    try:
        made = []
        for name, contents in (("data", files), ("hot", hot)):
            folder = root / name
            folder.mkdir(mode=0o700)
            for file, content in contents.items():
                (folder / file).write_bytes(content)
            made.append(folder)
        yield made[0], made[1]
    finally:
        shutil.rmtree(root, ignore_errors=True)


def record(run: int) -> Recording:
    """The changes of one day's work; the same ones for the same `run`. Every second day begins on what a power cut of
    the day before left, so that recovery itself is cut; on some of those the ring has to be salvaged first."""
    if run % 2 == 0:
        return _recorded(run, {}, Known(), 0)
    first = record(run - 1)
    at = drawn(run * _WORK_SALT, first)
    disk, _ = _disks(first, at.change)
    chance = random.Random(run)
    left = disk.cut(chance, chance.choice(TREATMENTS), ordered=True)
    if "ring.db" in left and chance.random() < 0.4:
        left["ring.db"] = bytes(_SPOILED) + left["ring.db"][_SPOILED:]
    return _recorded(run, left, first.witness.at(at.change), 1)


def chance_of(run: int) -> random.Random:
    return random.Random(run * _WORK_SALT)


def _recorded(run: int, files: dict[str, bytes], before: Known, boot: int) -> Recording:
    witness = Witness(before)
    changes: list[Op] = []
    with folders(files, {}) as (data_dir, hot_dir):

        def observe(op: Op) -> Refusal | None:
            if op.path.endswith("/lock"):
                return None
            root = f"{data_dir.parent}/"
            seen = op._replace(path=op.path.removeprefix(root), to=op.to.removeprefix(root))
            refusal = work.refuse(op) if seen.path.startswith("data") else None
            changes.append(_refused(seen, refusal) if refusal else seen)
            witness.changes += 1
            return refusal

        machine = Machine.at(data_dir, hot_dir, HandClock(_BOOTS[boot]))
        work = Work(machine, witness, chance_of(run), first=boot * 100_000)
        with tapped([data_dir, hot_dir], observe):
            asyncio.run(work.run(STEPS))
    return Recording(files, changes, witness, boot)


def _refused(op: Op, refusal: Refusal) -> Op:
    """What a change comes to that the disk refuses."""
    if op.kind == "sync":
        return op._replace(kind=FAILED_SYNC)
    return op._replace(kind="write", data=op.data[: refusal.written])


def _disks(recording: Recording, change: int) -> tuple[Disk, Disk]:
    """(flash, RAM disk) when that change was about to happen."""
    disks = {"data": Disk(recording.files), "hot": Disk({})}
    for op in recording.changes[:change]:
        where, _, name = op.path.partition("/")
        disks[where].follow(op._replace(path=name, to=op.to.partition("/")[2]))
    return disks["data"], disks["hot"]


def drawn(seed: int, recording: Recording) -> Cut:
    """Every stage of the work is hit as often as any other, however many changes it makes; changes of flash more often
    than those of the RAM disk."""
    chance = random.Random(seed)
    stages = {name: at for name, at in recording.witness.stages().items() if at}
    stage = chance.choice(sorted(stages))
    on_flash = [at for at in stages[stage] if recording.changes[at].path.startswith("data")]
    change = chance.choice(on_flash if on_flash and chance.random() < 0.8 else stages[stage])
    return Cut(seed, change, stage, chance.choice((*TREATMENTS, KILLED)), chance.random() < 0.7)


def cut(at: Cut, recording: Recording) -> Verdict:
    """Let it happen at that moment, and judge the router that starts on what is left."""
    flash, ram = _disks(recording, at.change)
    known = recording.witness.at(at.change)
    killed = at.treatment == KILLED
    left = flash.now() if killed else flash.cut(random.Random(at.seed), at.treatment, ordered=at.ordered)
    clock = HandClock(_BOOTS[recording.boot if killed else recording.boot + 1])
    clock.now_ns = max(clock.now_ns, known.now_ns) if killed else clock.now_ns
    with folders(left, ram.now() if killed else {}) as (data_dir, hot_dir):
        verdict = asyncio.run(judge(Machine.at(data_dir, hot_dir, clock), known, kept_hot=killed))
    verdict.complaints += recording.witness.complaints
    return verdict


def many(first_seed: int, count: int) -> Iterator[tuple[Cut, Verdict]]:
    """Each seed's fault and verdict."""
    run, recording = -1, None
    for seed in range(first_seed, first_seed + count):
        if recording is None or seed // CUTS_PER_RUN != run:
            run = seed // CUTS_PER_RUN
            recording = record(run)
        at = drawn(seed, recording)
        yield at, cut(at, recording)
