"""What the screen shows now, from the plan, the POS's truth and what routerd says. Pure, given its parts."""

from collections.abc import Sequence
from dataclasses import dataclass

from scripts.demo.acts import Act
from scripts.demo.plan import Plan
from scripts.demo.view import Picture, Row
from scripts.demo.wan import Wan
from scripts.demo.watch import Counts, Watch

_SUM = ("processed", "uploaded", "queued", "quarantined", "gaps")


@dataclass(frozen=True, slots=True)
class Now:
    """Where the run stands."""

    phase: str
    elapsed_s: float
    events: Sequence[str]
    dead: bool
    cut: bool


def picture(plan: Plan, act: Act, watch: Watch, wan: Wan, now: Now) -> Picture:
    trouble = [word for word, true in (("WAN cut", now.cut), ("routerd killed", now.dead)) if true]
    return Picture(
        title=f"routerd demo, seed {plan.seed}{f', {plan.tlog.name}' if plan.tlog else ''}",
        phase=" + ".join(trouble) or now.phase,
        elapsed_s=now.elapsed_s,
        expected_s=plan.expected_s,
        rows=_rows(act, watch, dead=now.dead),
        facts=_facts(watch, wan),
        conditions=_conditions(watch),
        events=now.events,
        alarming=bool(trouble),
    )


def _rows(act: Act, watch: Watch, *, dead: bool) -> list[Row]:
    sold, counts, nothing = act.sold(), watch.counts(), Counts()
    rows = []
    for name, how in act.sources.items():
        now = counts.get(name, nothing)
        state = "-" if dead else now.state
        rows.append(Row(name, how, sold.get(name, 0), now.captured, now.queued, now.uploaded, now.processed, state))
    return rows


def _facts(watch: Watch, wan: Wan) -> list[tuple[str, str]]:
    captured = watch.captured_bytes
    flash, up = watch.flash_bytes, wan.up_bytes
    facts = [
        ("flash", f"{flash} bytes written, {_ratio(flash, captured)} a captured byte"),
        ("wire", f"{up} bytes up with TLS, {_ratio(up, captured)} a captured byte; {wan.connections} connections"),
    ]
    if watch.status is None:
        return [("sum", "routerd does not answer"), *facts, ("latency", "-")]
    counts, forward, spool = watch.status["sum"], watch.status["forward"], watch.status["spool"]
    right = " + ".join(f"{name} {counts[name]}" for name in _SUM)
    verdict = "" if counts["balances"] else "  DOES NOT BALANCE"
    waits = [forward.get("latency_p50_ms"), forward.get("latency_p99_ms")]
    p50, p99 = ("-" if ms is None else f"{ms} ms" for ms in waits)
    return [
        ("sum", f"captured {counts['captured']} = {right}{verdict}"),
        *facts,
        ("latency", f"capture to ack p50 {p50}, p99 {p99}, in flight {spool['in_flight']}, cloud {forward['state']}"),
    ]


def _conditions(watch: Watch) -> list[str]:
    raised = watch.status["conditions"] if watch.status else []
    return [f"{one['code']} ({one['subject']}) for {one['age_s']:.0f} s: {one['message']}" for one in raised]


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "-"
