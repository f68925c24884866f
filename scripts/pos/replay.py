"""Plays a recording back over a line: as it was, faster, at so many bytes a second, or as fast as the link takes."""

import asyncio
import csv
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from scripts.pos.lines import Line
from scripts.pos.sell import GRACE_S, either, until

CHUNK_BYTES = 4096  # without a recorded timing


@dataclass(frozen=True, slots=True)
class Read:
    """What the recorder got in one read: bytes `offset` to `offset + length`, `at_s` after the first."""

    at_s: float
    offset: int
    length: int


def timing(rows: Iterable[str]) -> list[Read]:
    """A CSV with host_utc (ISO 8601), offset, length. Raises ValueError naming the row that does not follow on."""
    out: list[Read] = []
    first: datetime | None = None
    expected = 0
    for i, row in enumerate(csv.DictReader(rows), 2):
        at = datetime.fromisoformat(row["host_utc"])
        first = first or at
        offset, length = int(row["offset"]), int(row["length"])
        if offset != expected or length < 0:
            raise ValueError(f"line {i}: offset {offset}, expected {expected}")
        expected += length
        out.append(Read((at - first).total_seconds(), offset, length))
    return out


def schedule(size: int, reads: Sequence[Read], *, speed: float = 1.0, bytes_per_s: float = 0.0) -> Iterator[Read]:
    """When to send which bytes of a recording of `size` bytes. Recorded reads rule; then a byte rate; then at once.

    A clock that jumped back while recording holds nothing up: the order of the bytes is kept.
    """
    if reads:
        sent = 0
        for read in reads:
            length = min(read.length, size - read.offset)
            if length > 0:
                yield Read(max(0.0, read.at_s) / speed, read.offset, length)
                sent = read.offset + length
        if sent < size:
            yield Read(max(0.0, reads[-1].at_s) / speed, sent, size - sent)
        return
    chunk = max(1, min(CHUNK_BYTES, int(bytes_per_s / 20))) if bytes_per_s else CHUNK_BYTES
    for offset in range(0, size, chunk):
        at_s = offset / bytes_per_s if bytes_per_s else 0.0
        yield Read(at_s, offset, min(chunk, size - offset))


async def replay(data: bytes, plan: Iterable[Read], line: Line, stop: asyncio.Event) -> int:
    """Send `data` by `plan` and return how many bytes were handed over. A recording has no tickets, so after a
    reconnect it goes on with the chunk that broke."""
    await line.open()
    sent = 0
    try:
        if await either(stop, line.ready()):
            return 0
        began = time.monotonic()
        for read in plan:
            if await until(stop, began + read.at_s):
                break
            await line.send(data[read.offset : read.offset + read.length])
            sent += read.length
    finally:
        await line.close(GRACE_S)
    return sent
