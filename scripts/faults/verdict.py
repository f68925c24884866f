"""What is asked of a router after a fault: nothing lost, nothing doubled, in order, and alive."""

import contextlib
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path

from routerd.model import RECORD, Draft
from routerd.spool.index import Held
from scripts.faults.witness import Key, Known
from scripts.faults.work import PULL, SOURCES, Machine, contents, declared

LIVELY_S = 5.0  # D3: capturing again in less


@dataclass(slots=True)
class Verdict:
    """`lost`, `doubled`, `order_breaks` are records; `why` says what is wrong, "" if nothing is."""

    lost: int = 0
    doubled: int = 0
    order_breaks: int = 0
    wedged: bool = False
    alive: bool = False
    set_aside: bool = False
    open_ms: int = 0
    complaints: list[str] = field(default_factory=list)

    @property
    def why(self) -> str:
        return "; ".join(self.complaints)


async def judge(machine: Machine, known: Known, *, kept_hot: bool = False) -> Verdict:
    """Open what a fault left behind, deliver all of it, then sell one more record through each source. `known` is
    the world at the fault; with `kept_hot` the RAM disk survived, and everything had to."""
    verdict = Verdict()
    started = time.monotonic()
    try:
        await machine.spool.open({})
    except Exception as exc:  # whatever it is, it is a wedge
        verdict.wedged = True
        verdict.complaints.append(f"did not open: {exc!r}")
        return verdict
    verdict.open_ms = int((time.monotonic() - started) * 1000)
    try:
        await _settle_all(machine, known, verdict, kept_hot=kept_hot)
        await _prove_life(machine, verdict)
    except Exception as exc:  # the daemon would end here, and again after each start
        verdict.wedged = True
        verdict.complaints.append(f"ended: {exc!r}")
    finally:
        await machine.spool.close()
    return verdict


async def _settle_all(machine: Machine, known: Known, verdict: Verdict, *, kept_hot: bool) -> None:
    cursor = await machine.spool.noted(PULL, "cursor")
    if cursor not in known.noted:
        verdict.complaints.append(f"the cursor is {cursor!r}, not one of {known.noted}")
    await _deliver(machine, known, verdict)
    safe = known.cloud.keys() | _quarantined(machine.data_dir).keys()
    excused = set(known.given_up)
    for text in list(known.cloud.values()):
        if text.startswith(b"gap:"):
            excused |= declared(text)
    due = {key for key in known.captured if kept_hot or known.is_due(key)}
    lost = due - safe - excused
    _complain(verdict, "lost", lost)
    wrong = {key for key, (data, _) in known.captured.items() if known.cloud.get(key, data) != data}
    _complain(verdict, "doubled", wrong | set(known.conflicts) | _twice(known))
    _complain(verdict, "order_breaks", _holes(safe | excused) - excused)
    for number, key in known.remembered.items():
        if machine.spool.memory(PULL).find(number) and key not in safe | excused:
            verdict.lost += 1
            verdict.complaints.append(f"{number} is remembered, but {key} is nowhere: it will never be read again")


async def _deliver(machine: Machine, known: Known, verdict: Verdict) -> None:
    """Everything that waits, to the cloud, as the lanes do: in order within each stream of each lane."""
    spool = machine.spool
    last: dict[object, int] = {}
    while taken := await spool.take_backlog(64 << 10):
        _hand_over(machine, taken, last, known, verdict)
    while taken := spool.take_live(64 << 10):
        _hand_over(machine, taken, last, known, verdict)
    machine.clock.now_ns += 1_000_000_000
    await spool.tend()
    if any(not counts.balances for counts in spool.snapshot().counts.values()):
        verdict.complaints.append("the counters do not balance")
    verdict.set_aside = "spool.damaged" in machine.raised()


def _hand_over(
    machine: Machine, taken: list[tuple[Held, bytes]], last: dict[object, int], known: Known, verdict: Verdict
) -> None:
    for held, packed in taken:
        if held.info.first_seq <= last.get(held.info.stream, 0):
            _complain(verdict, "order_breaks", {held.key})
        last[held.info.stream] = held.info.last_seq
        known.deliver(contents([packed]))
        machine.spool.settle(held)


def _twice(known: Known) -> set[Key]:
    """Records that the cloud has under two numbers."""
    seen: dict[bytes, Key] = {}
    return {key for key, data in known.cloud.items() if seen.setdefault(data, key) != key}


def _holes(keys: set[Key]) -> set[Key]:
    """Numbers that are missing below the highest of their stream."""
    highest: dict[object, int] = {}
    for stream, seq in keys:
        highest[stream] = max(seq, highest.get(stream, 0))
    return {(stream, seq) for stream, top in highest.items() for seq in range(1, top)} - keys  # type: ignore[misc]


def _quarantined(data_dir: Path) -> dict[Key, bytes]:
    with contextlib.closing(sqlite3.connect(data_dir / "state.db")) as database:
        try:
            rows = database.execute("SELECT segment FROM quarantine").fetchall()
        except sqlite3.OperationalError:  # no state yet
            return {}
    return contents(row[0] for row in rows)


async def _prove_life(machine: Machine, verdict: Verdict) -> None:
    """A fresh record of each source is handed to the cloud, and to flash when nobody answers."""
    spool, clock = machine.spool, machine.clock
    for source in SOURCES:
        spool.append(source, [Draft(RECORD, b"fresh " + source.encode())], clock.stamp())
    clock.now_ns += 400_000_000
    await spool.tend()
    taken = spool.take_live(1 << 20)
    handed = {data for data in contents(packed for _, packed in taken).values() if data.startswith(b"fresh")}
    spool.release([held for held, _ in taken])
    clock.now_ns += 2_000_000_000
    await spool.tend()
    on_flash = {held.info.stream.source for held in spool._index.cold.values()}
    codes = machine.raised() - {"spool.damaged", "spool.lost", "row.quarantined"}
    verdict.alive = len(handed) == len(SOURCES) == len(on_flash) and not codes and verdict.open_ms < LIVELY_S * 1000
    verdict.wedged = not verdict.alive
    if verdict.wedged:
        verdict.complaints.append(f"handed {sorted(handed)}, on flash {sorted(on_flash)}, conditions {sorted(codes)}")


def _complain(verdict: Verdict, what: str, keys: set[Key]) -> None:
    if keys:
        setattr(verdict, what, getattr(verdict, what) + len(keys))
        some = ", ".join(f"{stream.source}/{stream.epoch >> 32}/{seq}" for stream, seq in sorted(keys)[:4])
        verdict.complaints.append(f"{what} {len(keys)}: {some}")
