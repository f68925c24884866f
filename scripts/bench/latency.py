"""T3: from the POS's last byte to the cloud's ack, at 5 tickets a second; and what a live ticket costs on the wire."""

from scripts.bench import recordings
from scripts.bench.cases import Run
from scripts.bench.proxy import CountingProxy
from scripts.bench.selling import Handed, sell
from scripts.bench.stack import Cloud, Router, Wiring, free_port, running, source
from scripts.bench.table import BELOW, Beside, Row, Target

_P50, _P99 = Target("T3", BELOW, 350), Target("T3", BELOW, 1000)
_TICKETS_PER_S = 5


def measure(run: Run) -> list[Row]:
    till = source("till", recordings.COMMANDER)
    seconds = run.scaled(40, 5)
    port = free_port()
    with CountingProxy(port) as proxy:
        wiring = Wiring(url=f"https://127.0.0.1:{proxy.port}", cloud_port=port)
        with running(run.scratch, [till], wiring) as (router, cloud):
            handed = sell(till, router.data.with_name("truth.jsonl"), rate=_TICKETS_PER_S, seconds=seconds)
            router.drained(len(handed), 30.0)
            return [*_latency(handed, cloud), *_wire(handed, router, proxy)]


def _latency(handed: list[Handed], cloud: Cloud) -> list[Row]:
    received = {each["identity"]: each["received_ms"] for each in cloud.transactions()}
    lost = [each for each in handed if each.identity not in received]
    if lost:
        raise RuntimeError(f"{len(lost)} of {len(handed)} tickets did not arrive")
    waits = sorted(received[each.identity] - each.wall_ms for each in handed)
    note = f"{len(waits)} tickets at random moments; least {waits[0]} ms, most {waits[-1]} ms; a relay in between"
    return [
        Row("last byte to ack, p50", _share(waits, 0.50), "ms", target=_P50, note=note),
        Row("last byte to ack, p99", _share(waits, 0.99), "ms", target=_P99),
    ]


def _share(ordered: list[int], share: float) -> int:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _wire(handed: list[Handed], router: Router, proxy: CountingProxy) -> list[Row]:
    captured = sum(each.size for each in handed)
    sent = router.status()["forward"]["sent_bytes"]
    note = f"{proxy.connections} connections; {proxy.up} B up, {proxy.down} B down with handshakes, without TCP and IP"
    beside = (Beside("batches alone", sent / captured),)
    return [Row("TLS bytes up ÷ t-log, live at 5 a second", proxy.up / captured, "", beside, note=note)]
