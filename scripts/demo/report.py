"""What came of it: a summary for people, one JSON object for machines. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.demo.cloud import Cloud
from scripts.demo.compare import Verdict, Wait, percentile, undisturbed, waits
from scripts.demo.ledger import Verdict as Days
from scripts.demo.ledger import money
from scripts.demo.plan import Plan
from scripts.demo.truth import Sold

NAMES_SHOWN = 5  # of the tickets of each kind of fault


@dataclass(frozen=True, slots=True)
class Result:
    """Everything measured. `windows` are the times of cut and kill, in wall ms; bytes are over all runs of routerd.
    `lines` are the sources that speak by themselves; `ledger` is None where no POS closes a day."""

    plan: Plan
    sources: Mapping[str, str]
    truth: Sequence[Sold]
    cloud: Cloud
    verdict: Verdict
    doubts: Sequence[str]
    windows: Sequence[tuple[int, int]]
    events: Sequence[str]
    resent: int
    flash_bytes: int
    device_bytes: int
    up_bytes: int
    down_bytes: int
    seconds: float
    lines: frozenset[str]
    ledger: Days | None

    @property
    def faults(self) -> list[str]:
        """Everything that must not be, a line each; none means success."""
        verdict, cloud = self.verdict, self.cloud
        counted = {
            "tickets are missing": len(verdict.missing),
            "tickets are there more than once": len(verdict.doubled),
            "tickets were never sold": len(verdict.foreign),
            "tickets are not as they were sold": len(verdict.altered),
            "records are missing in a stream and not declared lost": cloud.holes,
            "losses were declared": cloud.gaps,
            "segments were refused": cloud.invalid,
        }
        faults = [f"{count} {what}" for what, count in counted.items() if count]
        if self.ledger and not self.ledger.is_complete:
            faults.append(f"the ledger does not come out: {self.ledger.says}")
        if not self.truth:
            faults.append("nothing was sold, so nothing is proven")
        return [*faults, *self.doubts]

    @property
    def sold(self) -> Counter[str]:
        """Tickets by source: each identity once, a record without one each time."""
        unnamed = [one.source for one in self.truth if one.sold and one.identity is None]
        named = {(one.source, one.identity) for one in self.truth if one.sold and one.identity is not None}
        return Counter(unnamed) + Counter(source for source, _ in named)

    @property
    def arrived(self) -> Counter[str]:
        """Transactions in the cloud by source, without the POS's own housekeeping."""
        housekeeping = {(one.source, one.identity or one.sha256) for one in self.truth if not one.sold}
        names = ({(one.source, one.identity), (one.source, one.sha256)} for one in self.cloud.kept)
        sources = (one.source for one in self.cloud.kept)
        return Counter(source for source, both in zip(sources, names, strict=True) if not both & housekeeping)

    @property
    def waits(self) -> list[Wait]:
        """Of the lines' tickets: a document waits until it is asked for, which says nothing of routerd."""
        return [wait for wait in waits(self.truth, self.cloud.kept) if wait.source in self.lines]


def document(result: Result) -> dict[str, Any]:
    """The JSON line. A latency is None only where no ticket has one."""
    found = result.waits
    calm = [wait.ms for wait in undisturbed(found, result.windows)]
    everything = [wait.ms for wait in found]
    captured_bytes = max(1, result.cloud.captured_bytes)
    return {
        "ok": not result.faults,
        "sold": result.sold.total(),
        "captured": result.cloud.records,
        "in_cloud": result.arrived.total(),
        "missing": len(result.verdict.missing),
        "doubled": len(result.verdict.doubled),
        "foreign": len(result.verdict.foreign),
        "altered": len(result.verdict.altered),
        "copies": sum(stream["copies"] for stream in result.cloud.streams),
        "latency_p50_ms": percentile(calm, 0.50),
        "latency_p99_ms": percentile(calm, 0.99),
        "latency_calm_tickets": len(calm),
        "latency_all_p50_ms": percentile(everything, 0.50),
        "latency_all_p99_ms": percentile(everything, 0.99),
        "latency_worst_ms": max(everything, default=None),
        "flash_ratio": round(result.flash_bytes / captured_bytes, 4),
        "wire_ratio": round(result.up_bytes / captured_bytes, 4),
        "captured_bytes": result.cloud.captured_bytes,
        "flash_bytes": result.flash_bytes,
        "flash_device_bytes": result.device_bytes,
        "wire_up_bytes": result.up_bytes,
        "wire_down_bytes": result.down_bytes,
        "seconds": round(result.seconds, 1),
        "seed": result.plan.seed,
        "ledger": _ledger(result.ledger),
        "faults": result.faults,
    }


def _ledger(found: Days | None) -> dict[str, str] | None:
    return found and {"status": found.status, "difference": money(found.difference_cents)}


def summary(result: Result) -> list[str]:
    """What was done to the system, and what came of it."""
    told = document(result)
    source = f"--tlog {result.plan.tlog.name}" if result.plan.tlog else f"{len(result.sources)} sources"
    out = [f"What was done ({source}, seed {result.plan.seed}):", *(f"  {event}" for event in result.events)]
    out += ["", "What came of it:", *(f"  {line}" for line in _table(result)), ""]
    out += [f"  {line}" for line in _measures(result, told)]
    out.append("")
    if result.faults:
        out += ["FAILED:", *(f"  {fault}" for fault in result.faults), *_names(result.verdict)]
    else:
        out.append(f"Every one of {told['sold']} tickets is in the cloud once, with its content; nothing else is.")
    return out


def _table(result: Result) -> list[str]:
    heads = ("source", "sold", "in cloud", "copies", "missing", "doubled", "p50 ms", "p99 ms")
    sold, arrived = result.sold, result.arrived
    calm = undisturbed(waits(result.truth, result.cloud.kept), result.windows)
    rows: list[tuple[str, ...]] = [heads]
    for name in result.sources:
        own = [wait.ms for wait in calm if wait.source == name]
        copies = sum(stream["copies"] for stream in result.cloud.streams if stream["source"] == name)
        faults = [sum(1 for each in them if each.startswith(f"{name} ")) for them in _faulty(result.verdict)]
        shares = ["-" if (ms := percentile(own, share)) is None else str(ms) for share in (0.50, 0.99)]
        rows.append((name, str(sold[name]), str(arrived[name]), str(copies), *map(str, faults), *shares))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]


def _faulty(verdict: Verdict) -> tuple[list[str], list[str]]:
    return verdict.missing, verdict.doubled


def _measures(result: Result, told: Mapping[str, Any]) -> list[str]:
    captured = result.cloud.captured_bytes
    again = f" (the POS sent {result.resent} again after a break)" if result.resent else ""
    others = told["captured"] - len(result.cloud.kept) - told["copies"]
    kernel = f" (the kernel counts {result.device_bytes} for all of routerd)" if result.device_bytes else ""
    begin = "the capture of a ticket's last byte" if result.plan.tlog else "a ticket's last byte leaving the POS"
    return [
        f"captured  {told['captured']} records, {captured} bytes: {len(result.cloud.kept)} transactions, "
        f"{told['copies']} copies{again}, {others} others (what stands around tickets)",
        f"flash     {result.flash_bytes} bytes written by the spool{kernel}, {told['flash_ratio']} a captured byte",
        f"wire      {result.up_bytes} bytes up, TLS included, {told['wire_ratio']} a captured byte; "
        f"{result.down_bytes} bytes down",
        f"latency   p50 {told['latency_p50_ms']} ms, p99 {told['latency_p99_ms']} ms, "
        f"from {begin} to its arrival in the cloud, "
        f"of the {told['latency_calm_tickets']} tickets on lines outside cut, kill and recovery; "
        f"worst of all {told['latency_worst_ms']} ms",
        *([f"ledger    the Commander's closed day by fleetctl ledger: {result.ledger.says}"] if result.ledger else []),
    ]


def _names(verdict: Verdict) -> list[str]:
    out = []
    for what, names in (
        ("missing", verdict.missing),
        ("doubled", verdict.doubled),
        ("never sold", verdict.foreign),
        ("altered", verdict.altered),
    ):
        out += [f"  {what}: {name}" for name in names[:NAMES_SHOWN]]
        if len(names) > NAMES_SHOWN:
            out.append(f"  {what}: and {len(names) - NAMES_SHOWN} more")
    return out
