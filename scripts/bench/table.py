"""Rows, their verdicts, and how they look to people and to programs. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

AT_LEAST, AT_MOST, BELOW = ">=", "<=", "<"
MET, MISSED, OPEN, MISSING = "yes", "NO", "", "n/a"
_HEADS = ("what", "measured", "bound or peer in the same run", "ratio", "target", "met?")
_NOTE_INDENT = "    "
JSON_VERSION = 1


@dataclass(frozen=True, slots=True)
class Target:
    """A line of targets.md. `on_ratio` judges measured ÷ the first `beside`, otherwise the measured value itself."""

    id: str
    sense: str
    limit: float
    on_ratio: bool = False


@dataclass(frozen=True, slots=True)
class Beside:
    """A bound or a peer, measured in the same run and in the row's unit."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line. `missing` says why nothing could be measured, `note` what the number holds or leaves out."""

    what: str
    measured: float | None
    unit: str = ""
    beside: tuple[Beside, ...] = ()
    target: Target | None = None
    note: str = ""
    missing: str = ""

    @property
    def ratio(self) -> float | None:
        """Measured ÷ the first bound or peer."""
        if self.measured is None or not self.beside or not self.beside[0].value:
            return None
        return self.measured / self.beside[0].value


@dataclass(frozen=True, slots=True)
class Result:
    """What one measurement gave: rows, or what it broke with."""

    case: str
    seconds: float
    rows: tuple[Row, ...] = ()
    error: str = ""


def missing(what: str, why: str, target: Target | None = None) -> Row:
    return Row(what, None, target=target, missing=why)


def verdict(row: Row) -> str:
    """MET or MISSED for a row with a target, MISSING when it could not be measured, OPEN when nothing was asked."""
    if row.missing:
        return MISSING
    if row.target is None:
        return OPEN
    value = row.ratio if row.target.on_ratio else row.measured
    if value is None:
        return MISSING
    return MET if _holds(value, row.target) else MISSED


def _holds(value: float, target: Target) -> bool:
    if target.sense == AT_LEAST:
        return value >= target.limit
    if target.sense == AT_MOST:
        return value <= target.limit
    return value < target.limit


def render(results: Sequence[Result]) -> str:
    """The table: a heading line, then each measurement's rows; further peers and notes stand below their row."""
    lines: list[tuple[tuple[str, ...], list[str]]] = []
    for result in results:
        for row in result.rows:
            lines.append((_cells(row), _below(row)))
        if result.error:
            lines.append(((result.case, "BROKEN", "", "", "", ""), [result.error]))
    widths = [max(len(cells[i]) for cells, _ in [(_HEADS, []), *lines]) for i in range(len(_HEADS))]
    out = [_line(_HEADS, widths), _line(tuple("-" * width for width in widths), widths)]
    for cells, below in lines:
        out.append(_line(cells, widths))
        out += [_NOTE_INDENT + text for text in below]
    return "\n".join(out) + "\n"


def document(results: Sequence[Result], about: dict[str, Any]) -> dict[str, Any]:
    """The same as plain data; `about` describes the run and the machine."""
    return {
        "version": JSON_VERSION,
        **about,
        "rows": [{"case": result.case, **_plain(row)} for result in results for row in result.rows],
        "seconds": {result.case: round(result.seconds, 1) for result in results},
        "broken": {result.case: result.error for result in results if result.error},
    }


def number(value: float) -> str:
    """Three digits that matter, and never an exponent."""
    size = abs(value)
    if size >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.{1 if size >= 10 else 2 if size >= 1 else 3 if size >= 0.01 else 5}f}"


def _cells(row: Row) -> tuple[str, ...]:
    measured = "not measured" if row.measured is None else f"{number(row.measured)} {row.unit}".strip()
    first = f"{row.beside[0].name} {number(row.beside[0].value)}" if row.beside else ""
    ratio = "" if row.ratio is None else number(row.ratio)
    return row.what, measured, first, ratio, _target(row.target), verdict(row)


def _target(target: Target | None) -> str:
    if target is None:
        return ""
    return f"{target.id} {target.sense} {number(target.limit)}{' x' if target.on_ratio else ''}"


def _below(row: Row) -> list[str]:
    further = "; ".join(f"{beside.name} {number(beside.value)}" for beside in row.beside[1:])
    return [text for text in (further, row.note, row.missing) if text]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _plain(row: Row) -> dict[str, Any]:
    judged = verdict(row)
    target = row.target
    return {
        "what": row.what,
        "measured": row.measured,
        "unit": row.unit,
        "beside": [{"name": beside.name, "value": beside.value} for beside in row.beside],
        "ratio": row.ratio,
        "target": target
        and {"id": target.id, "sense": target.sense, "limit": target.limit, "on_ratio": target.on_ratio},
        "met": {MET: True, MISSED: False}.get(judged),
        "note": row.note,
        "missing": row.missing,
    }
