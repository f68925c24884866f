"""The status document, made from the rooms' snapshots. Pure; `routerctl --json` prints exactly this."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

OK, DEGRADED, DOWN = "ok", "degraded", "down"


class CountsLike(Protocol):
    """What the sum is made of (see spool.tally.Counts)."""

    @property
    def balances(self) -> bool: ...
    def __add__(self, other: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a status is made of. Mappings are plain data; `counts` is per source."""

    version: str
    device: str
    uptime_s: float
    counts: Mapping[str, Any]
    no_counts: Any
    sources: Sequence[Any]
    spool: Mapping[str, Any]
    forward: Mapping[str, Any]
    conditions: Sequence[Any]
    now_ns: int


def status(parts: Parts) -> dict[str, Any]:
    """The whole picture: state, the sum, sources, spool, forward, conditions."""
    total = sum(parts.counts.values(), start=parts.no_counts)
    return {
        "version": parts.version,
        "device": parts.device,
        "state": state(parts),
        "uptime_s": round(parts.uptime_s, 1),
        "sum": {**asdict(total), "balances": total.balances},
        "sources": sources(parts),
        "spool": dict(parts.spool),
        "forward": dict(parts.forward),
        "conditions": [condition(item, parts.now_ns) for item in parts.conditions],
    }


def sources(parts: Parts) -> list[dict[str, Any]]:
    """Each source with its own sum; also one that is no longer configured but still has records waiting."""
    known = {item.name: asdict(item) for item in parts.sources}
    rows = []
    for name in [*known, *(name for name in parts.counts if name not in known)]:
        counts = parts.counts.get(name, parts.no_counts)
        row = known.get(name) or {"name": name, "state": "removed", "link": "", "trouble": ""}
        rows.append({**row, "sum": {**asdict(counts), "balances": counts.balances}})
    return rows


def state(parts: Parts) -> str:
    """down: no source works. degraded: something is raised. ok: nothing is."""
    states = [item.state for item in parts.sources]
    if states and all(item == "down" for item in states):
        return DOWN
    return DEGRADED if parts.conditions else OK


def condition(item: Any, now_ns: int) -> dict[str, Any]:
    return {
        "code": item.code,
        "subject": item.subject,
        "severity": item.severity,
        "message": item.message,
        "age_s": round((now_ns - item.since_mono_ns) / 1e9, 1),
    }
