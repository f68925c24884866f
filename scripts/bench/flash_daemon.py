"""F2, F3 with the real daemon and the kernel's genuine timers: a process on each of two file systems at once."""

import contextlib
import socket
import time
from dataclasses import dataclass

from scripts.bench import blockdev, recordings
from scripts.bench.blockdev import DEFAULTS, LONG_COMMIT, Device, Written
from scripts.bench.cases import Run
from scripts.bench.recordings import COMMANDER
from scripts.bench.stack import Cloud, Router, Source, Wiring, free_port, source
from scripts.bench.table import AT_MOST, Row, Target, missing

_F3 = Target("F3", AT_MOST, 0)
_EVERY_S = 3.0  # longer than the hold: each ticket is a group of its own
_SETTLE_S = 12.0  # two of the journal's commits at the default of 5 s
_PAGE = 4096


@dataclass(slots=True)
class Store:
    """One routerd, its till and its device."""

    options: str
    device: Device
    till: Source
    router: Router


def measure(run: Run) -> list[Row]:
    if why := blockdev.unusable():
        return [missing("flash, real daemon, offline single tickets", why), missing("flash, idle", why, _F3)]
    tickets = recordings.frames(recordings.stream("transset-stream", 40_000), COMMANDER)
    tickets = tickets[: int(run.scaled(7, 3))]
    with contextlib.ExitStack() as stack:
        cloud = Cloud(run.scratch / "cloud")  # never started: the WAN is down
        stores = [_open(stack, run, cloud, options) for options in (LONG_COMMIT, DEFAULTS)]
        rows = _tickets(stores, tickets)
        time.sleep(run.scaled(_SETTLE_S, 3.0))
        for store in stores:
            store.device.sync()
        return [*rows, *_idle(stores, run.scaled(20.0, 4.0))]


def _open(stack: contextlib.ExitStack, run: Run, cloud: Cloud, options: str) -> Store:
    device = stack.enter_context(blockdev.mounted(options))
    till = source("till", COMMANDER)
    wiring = Wiring(data=device.mount / "spool", url=f"https://127.0.0.1:{free_port()}")
    router = Router(run.scratch, cloud, [till], wiring)
    stack.callback(router.stop)
    router.start()
    return Store(options, device, till, router)


def _tickets(stores: list[Store], tickets: list[bytes]) -> list[Row]:
    """Each ticket is its own group; the time after the last one is a ticket's too, so every timer's work is counted."""
    with contextlib.ExitStack() as stack:
        lines = [
            stack.enter_context(socket.create_connection(("127.0.0.1", store.till.port), timeout=10))
            for store in stores
        ]
        _ticket(lines, tickets[0])  # the first write after a start counts the change in SQLite's header as well
        time.sleep(_EVERY_S + 6.0)
        before = [store.device.written() for store in stores]
        for ticket in tickets:
            _ticket(lines, ticket)
            time.sleep(_EVERY_S)
        spent = [store.device.written() - was for store, was in zip(stores, before, strict=True)]
    return [_group(store, each, tickets) for store, each in zip(stores, spent, strict=True)]


def _ticket(lines: list[socket.socket], ticket: bytes) -> None:
    for line in lines:
        line.sendall(ticket)


def _group(store: Store, spent: Written, tickets: list[bytes]) -> Row:
    note = (
        f"{len(tickets)} Commander tickets {_EVERY_S:.0f} s apart, {len(tickets)} pages would be the least; "
        f"{spent.writes} writes, {spent.flushes} flushes; genuine timers"
        + ("; the 300 s commit did not fall due" if store.options == LONG_COMMIT else "")
    )
    pages = spent.bytes / _PAGE / len(tickets)
    return Row(f"flash, real daemon offline, pages a group, ext4 {store.options}", pages, "x 4 KiB", note=note)


def _idle(stores: list[Store], seconds: float) -> list[Row]:
    before = [store.device.written() for store in stores]
    time.sleep(seconds)
    spent = [store.device.written() - was for store, was in zip(stores, before, strict=True)]
    note = f"in {seconds:.0f} s, WAN down, records waiting on flash, after a sync of the file system"
    return [
        Row(f"flash, idle, ext4 {store.options}", each.bytes, "B", target=_F3, note=note)
        for store, each in zip(stores, spent, strict=True)
    ]
