"""T5: what 1,000 live tickets cost routerd at 10 tickets a second."""

from scripts.bench import recordings
from scripts.bench.cases import Run
from scripts.bench.process import cpu_s, wakeups
from scripts.bench.selling import sell
from scripts.bench.stack import running, source
from scripts.bench.table import AT_MOST, Row, Target

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
    size = sum(each.size for each in handed) // len(handed)
    note = f"{len(handed)} tickets of {size} B; {woken / len(handed):.1f} wake-ups a ticket"
    return [Row("CPU per 1,000 live tickets at 10 a second", spent_s * 1e6 / len(handed), "ms", target=_T5, note=note)]
