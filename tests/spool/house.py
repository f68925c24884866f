"""One machine for the spool: its clock, its directories, and the daemon's spool of the moment."""

import os
from dataclasses import replace
from pathlib import Path

from routerd.conditions import Conditions
from routerd.config import SpoolConfig
from routerd.model import RECORD, Draft
from routerd.spool.index import Held
from routerd.spool.spool import Spool
from routerd.wire import batch, body
from routerd.wire.codec import Codebook
from tests.fakes.clock import FakeClock

Taken = list[tuple[Held, bytes]]
BOOK = Codebook({})


class House:
    """One machine: its clock, its directories, and the daemon's spool of the moment."""

    def __init__(self, data_dir: Path, hot_dir: Path) -> None:
        self.clock = FakeClock()
        self.conditions = Conditions(self.clock)
        self.config = SpoolConfig(data_dir, hot_dir, ring_mb=1, ephemeral=True)
        self.spool: Spool
        self._open: list[Spool] = []

    async def start(self, **changes: object) -> Spool:
        self.config = replace(self.config, **changes)  # type: ignore[arg-type]
        self.conditions = Conditions(self.clock)  # a process of its own
        self.spool = Spool(self.config, self.clock, self.conditions, BOOK, frozenset({"serial"}))
        self._open.append(self.spool)
        await self.spool.open({})
        return self.spool

    def hot_segments(self) -> list[Path]:
        """The files that stand for segments on the RAM disk."""
        return sorted(path for path in self.config.hot_dir.iterdir() if path.suffix in (".open", ".seg"))

    def raised(self) -> set[str]:
        """The codes of the conditions of now."""
        return {condition.code for condition in self.conditions.snapshot()}

    async def crash(self) -> None:
        """What SIGKILL leaves: files as they are, locks gone."""
        for fd in self.spool._locks:
            os.close(fd)
        if self.spool._keeper.ring:
            await self.spool._keeper.ring.close()
        self._open.remove(self.spool)

    async def end(self) -> None:
        for spool in self._open:
            await spool.close()

    def sell(self, *numbers: int, source: str = "till", size: int = 100) -> None:
        for number in numbers:
            data = f"{number:06}".encode() + os.urandom(size // 2).hex().encode()
            self.spool.append(source, [Draft(RECORD, data, f"id-{number}")], self.clock.stamp())

    async def pass_time(self, seconds: float) -> None:
        self.clock.move(seconds)
        await self.spool.tend()


def sold(taken: Taken) -> list[int]:
    """The numbers sold, in the order they were handed out."""
    numbers = []
    for _, packed in taken:
        for segment in batch.unpack_segments(packed):
            info = segment.info
            content = BOOK.decompress(segment.payload, info.codec, info.dict_id, info.raw_bytes)
            found = body.records(content, info.stream, info.first_seq)
            numbers += [int(record.draft.data[:6]) for record in found if record.draft.kind == RECORD]
    return numbers


async def everything(spool: Spool) -> Taken:
    taken = spool.take_live(1 << 30)
    while more := await spool.take_backlog(1 << 16):
        taken = [*more, *taken]
    return taken


def total(spool: Spool) -> dict[str, int]:
    counts = spool.snapshot().counts
    assert all(count.balances for count in counts.values()), counts
    names = ("captured", "processed", "uploaded", "queued", "quarantined", "gaps")
    return {name: sum(getattr(count, name) for count in counts.values()) for name in names}
