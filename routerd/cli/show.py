"""The daemon's answers as tables for people. Pure text in, text out; colour only on a terminal."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

_WAITING_SHOWN = 4  # documents named; a backfill of a quarter has 91
_MARKS = {"ok": ("32", "all well"), "degraded": ("33", "degraded"), "down": ("31", "down")}


def status(document: dict[str, Any]) -> str:
    """The picture of now: verdict, sum, cloud, flash, sources, conditions."""
    colour, verdict = _MARKS[document["state"]]
    device = f" {document['device']}" if document["device"] else ""
    lines = [f"routerd {document['version']}{device}: {_paint(verdict, colour)}, up {age(document['uptime_s'])}", ""]
    lines += [f"  {line}" for line in _summary(document)]
    lines += ["", sources(document["sources"]).rstrip("\n")]
    if document["spool"]["incidents"]:
        lines += ["", "lost or damaged since this spool was made:"]
        lines += [f"  {incident(each)}" for each in document["spool"]["incidents"]]
    if document["conditions"]:
        lines.append("")
        rows = [[c["code"], c["subject"], age(c["age_s"]), c["message"]] for c in document["conditions"]]
        lines.append(table(["condition", "about", "for", "what to do"], rows))
    return "\n".join(lines) + "\n"


def _summary(document: dict[str, Any]) -> list[str]:
    spool, forward = document["spool"], document["forward"]
    lines = [total(document["sum"])]
    cloud = forward["state"]
    if forward.get("last_ack_s") is not None:
        cloud += f", last ack {age(forward['last_ack_s'])} ago"
    if forward.get("latency_p50_ms") is not None:
        cloud += f", capture to ack p50 {forward['latency_p50_ms']} ms, p99 {forward['latency_p99_ms']} ms"
    if forward.get("next_try_s"):
        cloud += f", next try in {forward['next_try_s']:.0f} s (attempt {forward['failures'] + 1})"
    lines.append(f"cloud: {cloud}")
    used = spool["ring_rows"] - spool["ring_free_rows"]
    lines.append(
        f"spool: {spool['hot_segments']} segments in RAM, {spool['cold_segments']} on flash "
        f"({used} of {spool['ring_rows']} pages), {size(spool['flash_bytes'])} written to flash since start"
    )
    if spool["oldest_waiting_s"]:
        lines.append(f"oldest waiting: {age(spool['oldest_waiting_s'])}, in flight: {spool['in_flight']}")
    return lines


def total(counts: dict[str, Any]) -> str:
    """The sum in one line."""
    text = (
        f"captured {counts['captured']} = processed {counts['processed']} + uploaded {counts['uploaded']}"
        f" + queued {counts['queued']} + quarantined {counts['quarantined']} + gaps {counts['gaps']}"
    )
    return text if counts["balances"] else f"{text}  {_paint('DOES NOT BALANCE', '31')}"


def incident(row: dict[str, Any]) -> str:
    """One kind of loss in one line."""
    when = datetime.fromtimestamp(row["last_wall_ms"] / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    lost = f", {row['records']} records ({size(row['bytes'])})" if row["records"] else ""
    return f"{row['cause']} {row['subject']}: {row['times']} times{lost}, last {when} by this router's clock"


def sources(rows: Sequence[dict[str, Any]]) -> str:
    """One line a source."""
    if not rows:
        return "no sources are configured: add [[source]] sections\n"
    cells = []
    for row in rows:
        counts = row["sum"]
        last = "never" if row.get("last_record_s") is None else f"{age(row['last_record_s'])} ago"
        state = row["trouble"] or row["state"]
        numbers = [str(counts[key]) for key in ("captured", "queued", "uploaded", "processed", "quarantined", "gaps")]
        cells.append([row["name"], row["link"], state, last, *numbers])
    heads = [
        "source",
        "link",
        "state",
        "last record",
        "captured",
        "queued",
        "uploaded",
        "processed",
        "quarant.",
        "gaps",
    ]
    waiting = [f"{row['name']} still has to read: {', '.join(names)}" for row in rows if (names := _waiting(row))]
    return "\n".join([table(heads, cells), *waiting]) + "\n"


def _waiting(row: dict[str, Any]) -> list[str]:
    """The first few documents a source means to read."""
    names = list(row.get("waiting_documents", ()))
    return names if len(names) <= _WAITING_SHOWN else [*names[:_WAITING_SHOWN], f"{len(names) - _WAITING_SHOWN} more"]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; numbers to the right."""
    columns = list(zip(heads, *rows, strict=True))
    widths = [max(len(cell) for cell in column) for column in columns]
    right = [all(cell.isdecimal() for cell in column[1:]) and bool(rows) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)]
        return "  ".join(padded).rstrip()

    return "\n".join([_paint(line(heads), "1"), *(line(row) for row in rows)])


def age(seconds: float) -> str:
    """A duration in the two largest units that matter."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} d"


def size(number: float) -> str:
    for unit in ("B", "KB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def _paint(text: str, colour: str) -> str:
    if sys.stdout.isatty() and "NO_COLOR" not in os.environ:
        return f"\x1b[{colour}m{text}\x1b[0m"
    return text
