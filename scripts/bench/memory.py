"""M1, M2, M3: what the real routerd holds when idle, what runs leave behind, and how often it wakes for nothing."""

import time

from scripts.bench import recordings
from scripts.bench.cases import Run
from scripts.bench.process import Peak, is_traced, memory_mib, wakeups
from scripts.bench.recordings import COMMANDER, TEXT
from scripts.bench.stack import Cloud, Router, Source, push, running, source
from scripts.bench.table import AT_MOST, Beside, Row, Target, missing

_RESIDENT, _PRIVATE = Target("M1", AT_MOST, 36), Target("M1", AT_MOST, 22)
_M2, _M3 = Target("M2", AT_MOST, 4), Target("M3", AT_MOST, 0.1)
_SETTLE_S, _DRAIN_S = 2.0, 120.0
_LARGE = 8 << 10
_WINDOWS = 3
_TEXT_BYTES = 471  # the simulator's receipts, on average


class Account:
    """One daemon through several runs: how many records it must have processed, and what it held when idle."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._expected = 0
        self.idle = (0.0, 0.0)

    def settle(self) -> tuple[float, float]:
        time.sleep(_SETTLE_S)
        return memory_mib(self._router.pid)

    def through(self, till: Source, data: bytes) -> None:
        """Hand `data` over and wait until the cloud has processed all of it."""
        self._expected += len(recordings.frames(data, till.reading))
        push(till.port, data)
        self._router.drained(self._expected, _DRAIN_S)

    def capture(self, till: Source, data: bytes) -> int:
        """Hand `data` over and wait until it is captured; returns how many records it held."""
        records = len(recordings.frames(data, till.reading))
        self._expected += records
        push(till.port, data)
        self._router.captured(self._expected, _DRAIN_S)
        return records

    def drain(self) -> None:
        self._router.drained(self._expected, _DRAIN_S)


def measure(run: Run) -> list[Row]:
    commander, receipts = source("till", COMMANDER), source("printer", TEXT)
    backlog = recordings.stream("text", int(run.scaled(20_500, 1_000)) * _TEXT_BYTES)
    times = int(run.scaled(2, 1))
    small, large = backlog * times, recordings.receipts(backlog, _LARGE) * times
    with running(run.scratch, [commander, receipts]) as (router, cloud):
        router.halt()  # the first start of a router's life makes the ring; measured is one of the many that find it
        router.start()
        account = Account(router)
        cold = account.settle()
        account.through(commander, recordings.stream("transset-stream", 20_000, seed=3))
        account.idle = account.settle()
        rows = _idle(cold, account.idle)
        rows.append(_wakeups(router, run.scaled(30.0, 3.0)))
        rows += _run(account, router, f"{len(small) >> 20} MiB in records of 0.5 KB", receipts, small)
        rows += _run(account, router, f"{len(large) >> 20} MiB in records of 8 KB", receipts, large)
        rows += _backlog(account, (router, cloud), receipts, backlog)
    return rows


def _idle(cold: tuple[float, float], warm: tuple[float, float]) -> list[Row]:
    note = "two TCP sources, after a few tickets went to the cloud: TLS and dictionaries are warm"
    return [
        Row("resident memory, idle", warm[0], "MiB", (Beside("before the first ticket", cold[0]),), _RESIDENT, note),
        Row("private memory, idle", warm[1], "MiB", (Beside("before the first ticket", cold[1]),), _PRIVATE),
    ]


def _wakeups(router: Router, seconds: float) -> Row:
    what, counts = "wake-ups a second, idle", []
    for _ in range(_WINDOWS):
        before = wakeups(router.pid)
        time.sleep(seconds / _WINDOWS)
        counts.append((wakeups(router.pid) - before) * _WINDOWS / seconds)
        if is_traced(router.pid):  # a sampling profiler stops every thread at every sample
            return missing(what, "a debugger or profiler is attached to routerd: what it wakes is not ours", _M3)
    windows = ", ".join(f"{count:g}" for count in counts)
    note = (
        f"voluntary context switches of all threads, connection to the cloud open; {seconds:.0f} s in thirds: {windows}"
    )
    return Row(what, max(counts), "", target=_M3, note=note)


def _run(account: Account, router: Router, name: str, till: Source, data: bytes) -> list[Row]:
    with Peak(router.pid) as peak:
        account.through(till, data)
    return _growth(account, name, peak, "")


def _backlog(account: Account, ends: tuple[Router, Cloud], till: Source, data: bytes) -> list[Row]:
    router, cloud = ends
    cloud.stop()
    with Peak(router.pid) as filling:
        records = account.capture(till, data)
        time.sleep(3.0)  # past the deadline: all of it is on flash
    waiting = router.status()["spool"]
    cloud.start()
    began = time.monotonic()
    with Peak(router.pid) as draining:
        account.drain()
    note = (
        f"{waiting['cold_segments']} segments on {waiting['ring_rows'] - waiting['ring_free_rows']} pages; gone "
        f"{time.monotonic() - began:.1f} s after the cloud was back, waits between attempts included"
    )
    name = f"a backlog of {records:,} records"
    grown = filling.private_mib - account.idle[1]
    capturing = Row(f"memory growth capturing {name}", grown, "MiB", target=_M2, note="cumulative, over idle")
    return [capturing, *_growth(account, f"draining {name}", draining, note)]


def _growth(account: Account, name: str, peak: Peak, note: str) -> list[Row]:
    after = account.settle()
    note = note or f"cumulative, over idle; resident {account.idle[0]:.1f} idle, {after[0]:.1f} now"
    return [
        Row(f"memory growth at the peak: {name}", peak.private_mib - account.idle[1], "MiB", target=_M2),
        Row(f"memory growth after: {name}", after[1] - account.idle[1], "MiB", target=_M2, note=note),
    ]
