"""Writes recordings of tickets that were never on a line: for benchmarks, dictionaries and tests."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import islice, takewhile
from pathlib import Path
from typing import BinaryIO

from scripts.pos.formats import Settings, renderer, sales, tickets, transset
from scripts.pos.naxml import Naxml
from scripts.pos.period import Period, period
from scripts.pos.poslog import Poslog
from scripts.pos.sale import Sale
from scripts.pos.ticket import Ticket
from scripts.pos.truth import Truth

KINDS = ("journal", "transset-stream", "transset-period", "text", "stx", "naxml", "poslog")


def settings_for(kind: str, settings: Settings) -> Settings:
    """The settings of what a recording kind holds: `transset-period` is made of `transset` records."""
    return replace(settings, format=kind.partition("-")[0])


def closed_period(settings: Settings, *, count: int = 0, current: bool = False) -> Period:
    """One period: `count` sales, or one calendar day's when 0; `current` has not been closed yet."""
    stream = sales(settings, outdoor=True)
    opened = settings.start
    chosen: Iterator[Sale] = islice(stream, count)
    if not count:
        chosen = takewhile(lambda sale: sale.closed < opened + timedelta(days=1), stream)
    sold = list(chosen)
    last = max((sale.closed for sale in sold), default=opened)
    closed = None if current else last + timedelta(seconds=5)
    return period(settings.shop, transset(settings), sold, opened=opened, closed=closed)


def stream(settings: Settings, count: int, out: BinaryIO, truth: Truth) -> int:
    """Write `count` tickets as they would follow each other on a line; return the bytes written."""
    size = 0
    for ticket in tickets(settings, count):
        size += out.write(ticket.data)
        truth.handed(settings.format, ticket)
    return size


def document(kind: str, settings: Settings, count: int, out: BinaryIO, truth: Truth) -> int:
    """Write one document that holds `count` tickets: a closed period, a shift roll-up or a POSLog."""
    if kind == "transset-period":
        made = closed_period(settings, count=count)
        inside, data = made.tickets, made.data
    else:
        inside = tuple(tickets(settings, count))
        render = renderer(settings)
        assert isinstance(render, Naxml | Poslog)
        data = render.document(inside)
    for ticket in inside:
        truth.handed(settings.format, ticket)
    return out.write(data)


def files(kind: str, settings: Settings, count: int, folder: Path, truth: Truth) -> int:
    """Write each ticket into a file of its own, as a POS that drops files does; naxml adds the shift's roll-up."""
    folder.mkdir(parents=True, exist_ok=True)
    size, done, shift = 0, [], 10_000 + settings.seed % 10_000
    render = renderer(settings)
    for i, ticket in enumerate(tickets(settings, count), 1):
        name, data = _named(i, ticket, render, settings, shift)
        size += (folder / name).write_bytes(data)
        truth.handed(settings.format, ticket)
        done.append(ticket)
    if isinstance(render, Naxml):
        register = settings.registers[0]
        size += (folder / f"naxml-posjournal {shift} {register}.xml").write_bytes(render.document(done, shift))
    return size


def _named(i: int, ticket: Ticket, render: object, settings: Settings, shift: int) -> tuple[str, bytes]:
    if isinstance(render, Naxml):
        number = str(ticket.identity).split("/")[3]
        return f"naxml-posjournal {shift} {number} {settings.registers[0]}.xml", render.document([ticket], int(number))
    if isinstance(render, Poslog):
        return f"poslog-{i:06d}.xml", render.document([ticket])
    return f"{settings.format}-{i:06d}.{'xml' if settings.format == 'transset' else 'bin'}", ticket.data


def record(kind: str, settings: Settings, count: int, out: str, truth: Truth) -> int:
    """Write a recording to `out`: a file, `-` for standard output, or a folder (an existing one, or ending in `/`)."""
    settings = settings_for(kind, settings)
    if out.endswith("/") or (out != "-" and Path(out).is_dir()):
        return files(kind, settings, count, Path(out), truth)
    with Path("/dev/stdout" if out == "-" else out).open("wb") as sink:
        if kind in ("transset-period", "naxml", "poslog"):
            return document(kind, settings, count, sink, truth)
        return stream(settings, count, sink, truth)
