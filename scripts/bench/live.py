"""T5: what 1,000 live tickets cost routerd at 10 tickets a second."""

from scripts.bench import recordings
from scripts.bench.cases import Run
from scripts.bench.process import cpu_s, wakeups
from scripts.bench.selling import sell
from scripts.bench.stack import Router, Source, push, running, source
from scripts.bench.table import AT_MOST, Beside, Row, Target

_T5 = Target("T5", AT_MOST, 600)
_TICKETS_PER_S = 10


def measure(run: Run) -> list[Row]:
    till = source("till", recordings.COMMANDER)
    with running(run.scratch, [till]) as (router, _):
        folder = router.data.parent
        warm = sell(till, folder / "warm.jsonl", rate=_TICKETS_PER_S, seconds=1)
        router.drained(len(warm), 30.0)
        cpu, woken = cpu_s(router.pid), wakeups(router.pid)
        handed = sell(till, folder / "truth.jsonl", rate=_TICKETS_PER_S, seconds=run.scaled(30, 5))
        spent_s, woken = cpu_s(router.pid) - cpu, wakeups(router.pid) - woken
        router.drained(len(warm) + len(handed), 30.0)
        bulk_ms = _in_bulk(router, till, len(warm) + len(handed), int(run.scaled(10e6, 1e6)))
    beside = (Beside("the same in bulk", bulk_ms),)
    size = sum(each.size for each in handed) // len(handed)
    note = f"{len(handed)} tickets of {size} B; {woken / len(handed):.1f} wake-ups a ticket"
    spent_ms = spent_s * 1e6 / len(handed)
    return [Row("CPU per 1,000 live tickets at 10 a second", spent_ms, "ms", beside, _T5, note)]


def _in_bulk(router: Router, till: Source, before: int, size: int) -> float:
    """Milliseconds per 1,000 tickets of the same kind when nothing waits for anything."""
    data = recordings.stream("transset-stream", size, noise=0.0)
    tickets = len(recordings.frames(data, recordings.COMMANDER))
    cpu = cpu_s(router.pid)
    push(till.port, data)
    router.drained(before + tickets, 60.0)
    return (cpu_s(router.pid) - cpu) * 1e6 / tickets
