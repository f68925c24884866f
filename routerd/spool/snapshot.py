"""What the spool shows of itself at one instant."""

from collections.abc import Iterable
from dataclasses import dataclass

from routerd.spool.index import Index
from routerd.spool.ring import Ring
from routerd.spool.state import Incident
from routerd.spool.tally import Counts, Tally
from routerd.spool.writer import Writer


@dataclass(frozen=True, slots=True)
class SpoolSnapshot:
    """What the spool holds. `latencies_ms`: capture to ack of the last segments, sorted. `incidents`: what was lost or
    damaged since the spool was made. `oldest_waiting_s` is at least that long where clocks of an earlier boot are not
    to be trusted."""

    counts: dict[str, Counts]
    captured_bytes: dict[str, int]
    in_flight: int
    hot_segments: int
    cold_segments: int
    oldest_waiting_s: float
    latencies_ms: tuple[int, ...]
    ring_rows: int
    ring_free_rows: int
    flash_bytes: int
    flash_writes: int
    incidents: tuple[Incident, ...]


def take(
    index: Index,
    writer: Writer,
    tally: Tally,
    ring: Ring | None,
    *,
    now_ns: int,
    latencies_ns: Iterable[int],
    incidents: tuple[Incident, ...],
) -> SpoolSnapshot:
    queued = index.queued()
    for source, count in writer.queued().items():
        queued[source] = queued.get(source, 0) + count
    counts = tally.counts(queued)
    since = [*(held.since_ns for held in index), *writer.oldest_open().values()]
    return SpoolSnapshot(
        counts=counts,
        captured_bytes={source: tally.captured_bytes(source) for source in counts},
        in_flight=sum(held.info.count for held in index if held.in_flight),
        hot_segments=len(index.hot),
        cold_segments=len(index.cold),
        oldest_waiting_s=(now_ns - min(since)) / 1e9 if since else 0.0,
        latencies_ms=tuple(sorted(latency // 1_000_000 for latency in latencies_ns)),
        ring_rows=ring.rows if ring else 0,
        ring_free_rows=ring.free_rows if ring else 0,
        flash_bytes=ring.bytes_written if ring else 0,
        flash_writes=ring.writes if ring else 0,
        incidents=incidents,
    )
