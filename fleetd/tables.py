"""What fleetctl shows: one shape for machines (a dict), one for people (columns)."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from fleetd.store import Conflict, DeclaredGap, Device, InvalidSegment, StreamState, Transaction

_MAX_HOLES_SHOWN = 3  # in a table; JSON has them all
_MAX_TEXT = 60  # of one cell
Fields = Mapping[str, Any]


class Detail(dict[str, Any]):
    """A part of a row that is for machines: tables leave it out."""


def transaction(found: Transaction, captured_ms: int, *, raw: bool = False) -> Fields:
    """`captured_ms` is re-dated; what the router's own clock said is for machines."""
    fields = {
        **_place(found.device, found.source, found.epoch),
        "seq": found.seq,
        "identity": found.identity,
        "kind": found.kind,
        "pos_time": found.pos_time,
        "captured_ms": captured_ms,
        "received_ms": found.received_ms,
        "bytes": found.size,
        "copies": found.copies,
    }
    fields["router"] = Detail(boot=found.boot.hex(), mono_ms=found.mono_ms, wall_ms=found.router_ms)
    return {**fields, "raw": base64.b64encode(found.raw).decode()} if raw else fields


def conflict(found: Conflict, captured_ms: int) -> Fields:
    source, epoch, seq = found.transaction
    return {**transaction(found.record, captured_ms), "transaction": {"source": source, "epoch": epoch, "seq": seq}}


def stream(found: StreamState) -> Fields:
    return {
        **_place(found.device, found.source, found.epoch),
        "records": found.records,
        "watermark": found.watermark,
        "highest": found.highest,
        "missing": found.missing,
        "holes": [list(hole) for hole in found.holes],
        "copies": found.copies,
        "received_ms": found.received_ms,
    }


def gap(found: DeclaredGap) -> Fields:
    lost = found.gap
    return {
        **_place(found.device, lost.stream.source, lost.stream.epoch),
        "first": lost.first,
        "last": lost.last,
        "count": lost.count,
        "arrived": found.arrived,
        "cause": lost.cause,
        "lost_bytes": lost.lost_bytes,
        "from_ms": lost.from_wall_ms,
        "to_ms": lost.to_wall_ms,
        "received_ms": found.received_ms,
    }


def invalid(found: InvalidSegment) -> Fields:
    return {
        **_place(found.device, found.source, found.epoch),
        "first": found.first_seq,
        "count": found.count,
        "code": found.code,
        "reason": found.reason,
        "times": found.times,
        "first_ms": found.first_ms,
        "last_ms": found.last_ms,
        "bytes": found.size,
        "superseded": "yes" if found.is_superseded else "no",
    }


def device(found: Device) -> Fields:
    return {
        "id": found.id,
        "status": found.status,
        "store": found.store,
        "timezone": found.timezone,
        "created_ms": found.created_ms,
    }


def object_json(fields: Fields) -> str:
    return json.dumps(fields, ensure_ascii=False)


def as_json(rows: Iterable[Fields]) -> Iterator[str]:
    """One array, a row per line, written as the rows come."""
    lead = "["
    for row in rows:
        yield f"{lead}\n{object_json(row)}"
        lead = ","
    yield "[]\n" if lead == "[" else "\n]\n"


def as_table(rows: Iterable[Fields], nothing: str) -> Iterator[str]:
    """Aligned columns under a header; `nothing` when there is no row. Control characters of a POS are escaped."""
    cells = [{name: _cell(name, value) for name, value in row.items() if not isinstance(value, Detail)} for row in rows]
    if not cells:
        yield f"{nothing}\n"
        return
    heads = {name: name.removesuffix("_ms") for name in cells[0]}
    widths = {name: max(len(heads[name]), *(len(row[name]) for row in cells)) for name in heads}
    for line in [heads, *cells]:
        yield "  ".join(line[name].ljust(widths[name]) for name in heads).rstrip() + "\n"


def printable(text: str) -> str:
    """What a terminal may be sent: control characters are escaped."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _place(device_id: str, source: str, epoch: int) -> dict[str, Any]:
    return {"device": device_id, "source": source, "epoch": epoch}


def _cell(name: str, value: Any) -> str:
    if value is None or value == "":
        return "-"
    if name.endswith("_ms"):
        return _moment(value)
    if name == "holes":
        return _holes(value)
    if isinstance(value, Mapping):
        value = "/".join(str(part) for part in value.values())
    text = printable(str(value))
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"


def _holes(spans: list[list[int]]) -> str:
    shown = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans[:_MAX_HOLES_SHOWN])
    more = len(spans) - _MAX_HOLES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown or "-"


def _moment(wall_ms: int) -> str:
    try:
        return datetime.fromtimestamp(wall_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if wall_ms else "-"
    except (ValueError, OverflowError, OSError):
        return f"{wall_ms} ms"  # a clock that says a year no calendar has
