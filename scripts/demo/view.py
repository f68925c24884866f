"""The live table: a picture becomes lines, as many and as long as the terminal takes. Pure, but for `Screen`."""

import os
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import dataclass

BOLD, DIM, RED, GREEN, YELLOW = "1", "2", "31", "32", "33"
LINE_EVERY_S = 5.0  # without a terminal: a CI log is read, not watched
_HEADS = ("source", "how", "sold", "captured", "queued", "uploaded", "processed", "state")
_OPTIONAL = ("how", "state")  # columns a narrow terminal goes without, in this order


@dataclass(frozen=True, slots=True)
class Row:
    """One source: `sold` by the POS's truth, the rest by routerd's word."""

    source: str
    how: str
    sold: int
    captured: int
    queued: int
    uploaded: int
    processed: int
    state: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The demo now. `facts` are (label, value) lines, `events` what has happened, oldest first."""

    title: str
    phase: str
    elapsed_s: float
    expected_s: float
    rows: Sequence[Row]
    facts: Sequence[tuple[str, str]]
    conditions: Sequence[str]
    events: Sequence[str]
    alarming: bool = False


def lines(picture: Picture, width: int, height: int, *, colour: bool) -> list[str]:
    """At most `height` lines of at most `width` columns (colours not counted). The newest events win the last lines."""

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text[:width]}\x1b[0m" if colour else text[:width]

    head = [paint(picture.title, BOLD), paint(_phase(picture, width), RED if picture.alarming else GREEN), ""]
    heads, *rows = table(picture.rows, width)
    body = [paint(heads, BOLD), *(row[:width] for row in rows), ""]
    for label, value in picture.facts:
        body += textwrap.wrap(f"{label:<9} {value}", width, subsequent_indent=" " * 10)
    body += [paint(f"raised    {text}", YELLOW) for text in picture.conditions or ["nothing"]]
    out = [*head, *body]
    room = height - len(out) - 1
    if room > 0:
        out += ["", *(paint(event, DIM) for event in picture.events[-room:])]
    return out[:height]


def table(rows: Sequence[Row], width: int) -> list[str]:
    """The sources and their total under a header, with the columns that fit."""
    names = list(_HEADS)
    cells = [[str(getattr(row, name)) for row in rows] for name in names]
    total = ["all", "", *(str(sum(map(int, column))) for column in cells[2:7]), ""]
    columns = {name: [name, *column, last] for name, column, last in zip(names, cells, total, strict=True)}
    for spare in (None, *_OPTIONAL):
        columns.pop(spare or "", None)
        widths = [max(map(len, column)) for column in columns.values()]
        if sum(widths) + 2 * len(widths) - 2 <= width:
            break
    right = {"sold", "captured", "queued", "uploaded", "processed"}
    return [
        "  ".join(
            cell.rjust(size) if name in right else cell.ljust(size)
            for name, cell, size in zip(columns, line, widths, strict=True)
        ).rstrip()
        for line in zip(*columns.values(), strict=True)
    ]


def _phase(picture: Picture, width: int) -> str:
    share = min(1.0, picture.elapsed_s / picture.expected_s)
    clock = f"{picture.elapsed_s:3.0f} s of about {picture.expected_s:.0f}"
    room = max(4, min(40, width - len(clock) - 22))
    return f"{picture.phase:<16} [{'#' * int(share * room):<{room}}] {clock}"


def brief(picture: Picture) -> str:
    """The same in one line."""
    totals = {name: sum(getattr(row, name) for row in picture.rows) for name in ("sold", "captured", "queued")}
    done = sum(row.uploaded + row.processed for row in picture.rows)
    numbers = ", ".join(f"{name} {count}" for name, count in totals.items())
    return f"{picture.elapsed_s:3.0f} s  {picture.phase}: {numbers}, in the cloud {done}"


class Screen:
    """Redraws in place on a terminal; elsewhere says a line now and then."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._colour = self._live and "NO_COLOR" not in os.environ
        self._drawn = 0
        self._said_s = -LINE_EVERY_S
        self._told = 0

    def show(self, picture: Picture) -> None:
        if not self._live:
            self._tell(picture)
            return
        width, height = shutil.get_terminal_size()
        drawn = lines(picture, width - 1, height - 1, colour=self._colour)
        up = f"\x1b[{self._drawn}F" if self._drawn else "\x1b[?25l"
        sys.stdout.write(up + "".join(f"{line}\x1b[K\n" for line in drawn) + "\x1b[J")
        sys.stdout.flush()
        self._drawn = len(drawn)

    def _tell(self, picture: Picture) -> None:
        for event in picture.events[self._told :]:
            print(event, flush=True)
        self._told = len(picture.events)
        if time.monotonic() - self._said_s >= LINE_EVERY_S:
            self._said_s = time.monotonic()
            print(brief(picture), flush=True)

    def end(self) -> None:
        """Leave the last picture standing and give the cursor back."""
        if self._drawn:
            sys.stdout.write("\x1b[?25h\n")
            sys.stdout.flush()
            self._drawn = 0
