"""T1: megabytes of t-log per CPU-second of routerd, TCP in to acked over TLS; M2: what the run leaves in memory."""

import time

from routerd.spool.writer import SEAL_BYTES
from routerd.wire import body, codec, dictionaries
from scripts.bench import recordings
from scripts.bench.cases import Run
from scripts.bench.process import Peak, cpu_s, memory_mib
from scripts.bench.stack import Router, push, running, source
from scripts.bench.table import AT_LEAST, AT_MOST, Beside, Row, Target

_T1 = Target("T1", AT_LEAST, 15)
_M2 = Target("M2", AT_MOST, 4)
_DEADLINE_S = 180.0
_SHARE_BYTES = 8 << 20  # enough for the bound
_MB = 1e6


def measure(run: Run) -> list[Row]:
    data = recordings.stream("transset-stream", int(run.scaled(48e6, 3e6)))
    records = len(recordings.frames(data, recordings.COMMANDER))
    till = source("till", recordings.COMMANDER)
    warm = recordings.stream("transset-stream", 20_000, seed=2)
    warm_records = len(recordings.frames(warm, recordings.COMMANDER))
    with running(run.scratch, [till]) as (router, _):
        push(till.port, warm)
        router.drained(warm_records, 30.0)
        before = memory_mib(router.pid)
        cpu, began = cpu_s(router.pid), time.monotonic()
        with Peak(router.pid) as peak:
            push(till.port, data)
            router.drained(warm_records + records, _DEADLINE_S)
        wall_s, spent_s = time.monotonic() - began, cpu_s(router.pid) - cpu
        rows = _speed(router, data, records, (spent_s, wall_s))
        time.sleep(1.0)
        after = memory_mib(router.pid)
    return [*rows, *growth("throughput run", before, peak, after)]


def growth(name: str, before: tuple[float, float], peak: Peak, after: tuple[float, float]) -> list[Row]:
    """M2 for one run: what private memory grew by, at its peak and when all was done."""
    note = f"private {before[1]:.1f} MiB before; resident {before[0]:.1f} before, {after[0]:.1f} after"
    return [
        Row(f"memory growth at the peak of: {name}", peak.private_mib - before[1], "MiB", target=_M2, note=note),
        Row(f"memory growth after: {name}", after[1] - before[1], "MiB", target=_M2),
    ]


def _speed(router: Router, data: bytes, records: int, seconds: tuple[float, float]) -> list[Row]:
    spent_s, wall_s = seconds
    status = router.status()
    note = (
        f"{records} records of {len(data) // records} B; {wall_s:.1f} s of wall beside fleetd on the same CPUs; "
        f"{status['spool']['flash_bytes'] / _MB:.1f} MB went to flash meanwhile, {status['sum']['gaps']} gaps"
    )
    beside = (Beside("frame, mask, describe, pack, compress alone", _alone(data[:_SHARE_BYTES])),)
    return [
        Row("t-log per CPU-second of routerd", len(data) / _MB / spent_s, "MB", beside, _T1, note),
        Row("records per CPU-second of routerd", records / spent_s, ""),
    ]


def _alone(data: bytes) -> float:
    """MB per CPU-second of the same work on the bytes alone, in this process: no socket, no file, no TLS, no acks."""
    content = dictionaries.load("transset")
    dict_id = codec.dictionary_id(content)
    book = codec.Codebook({dict_id: content})
    book.compress(b"", book.codecs[0], dict_id)  # primes what a daemon has primed
    before = time.thread_time()
    segment = bytearray()
    for frame in recordings.frames(data, recordings.COMMANDER):
        segment += body.pack_record(recordings.draft(frame, recordings.COMMANDER), 0)
        if len(segment) >= SEAL_BYTES:
            book.compress(bytes(segment), book.codecs[0], dict_id)
            segment.clear()
    return len(data) / _MB / (time.thread_time() - before)
