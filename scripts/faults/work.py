"""A day of the spool in a second: sales, acks, lost replies, outages, merges, refusals, restarts. Shell.

The clock stands until it is moved and chance comes from a seed, so a run can be repeated to the change.
"""

import contextlib
import errno
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from routerd.conditions import Conditions
from routerd.config import SpoolConfig
from routerd.errors import CorruptError, TransientError
from routerd.model import GAP, RECORD, Draft, Record, Segment, Stamp
from routerd.spool.index import Held
from routerd.spool.spool import Spool
from routerd.wire import batch, body
from routerd.wire.codec import Codebook
from scripts.faults.tap import Op, Refusal
from scripts.faults.witness import Key, Witness

BOOK = Codebook({})
SERIAL, TCP, PULL = "serial", "tcp", "pull"
SOURCES = (SERIAL, TCP, PULL)
CANNOT_WAIT = frozenset({SERIAL})
SAFE_S = 2.0
_TICK_S = 0.25  # the longest the clock moves without the spool being tended: `run` would be awake at its times
_ALL = 1 << 30
_MENDED_S = 4.5  # a refused disk is tried again every two seconds
_FOR_EVER_NS = 1 << 62
_MEMORY_S = 6 * 3600.0


class HandClock:
    """A clock that stands until it is moved; each boot has its own."""

    def __init__(self, boot_id: str) -> None:
        self.boot_id = boot_id
        self.now_ns = 1_000_000_000_000

    def mono_ns(self) -> int:
        return self.now_ns

    def wall_ms(self) -> int:
        return self.now_ns // 1_000_000 + 1_790_000_000_000

    def stamp(self) -> Stamp:
        return Stamp(self.boot_id, self.now_ns, self.wall_ms(), synced=True)


class WatchedSpool(Spool):
    """Says what it gives up, before it does."""

    watch: Callable[[set[Key]], None] = staticmethod(lambda _keys: None)

    def _lose(self, held: Held, cause: str) -> None:
        info = held.info
        self.watch({(info.stream, seq) for seq in range(info.first_seq, info.last_seq + 1)})
        super()._lose(held, cause)


@dataclass(slots=True)
class Machine:
    """One router: its folders, its clock, its spool."""

    data_dir: Path
    hot_dir: Path
    clock: HandClock
    conditions: Conditions
    spool: WatchedSpool

    @classmethod
    def at(cls, data_dir: Path, hot_dir: Path, clock: HandClock) -> "Machine":
        config = SpoolConfig(data_dir, hot_dir, ring_mb=1, ephemeral=True)
        conditions = Conditions(clock)
        return cls(data_dir, hot_dir, clock, conditions, WatchedSpool(config, clock, conditions, BOOK, CANNOT_WAIT))

    def raised(self) -> set[str]:
        return {condition.code for condition in self.conditions.snapshot()}

    async def crash(self) -> None:
        """What SIGKILL leaves: files as they are, locks and threads gone."""
        await self.spool._let_go()


class Work:
    """`first` keeps the numbers of two runs on one disk apart."""

    def __init__(self, machine: Machine, witness: Witness, chance: random.Random, first: int = 0) -> None:
        self.machine = machine
        self.witness = witness
        self._chance = chance
        self._number = self._notes = first
        self._refusal: Refusal | None = None
        self._refusals_left = 0

    def refuse(self, op: Op) -> Refusal | None:
        """What the disk says to a change now."""
        if self._refusals_left == 0:
            return None
        self._refusals_left -= 1
        return self._refusal

    async def run(self, steps: int) -> None:
        await self.open()
        plan: list[Callable[[], object]] = [self._trade, self._trade, self._online, self._outage, self._outage]
        plan += [self._drain, self._note, self._refuse, self._remember, self._restart, self._flood, self._bad_disk]
        for _ in range(steps):
            step = self._chance.choice(plan)
            self.witness.say("stage", step.__name__.strip("_"))
            await step()  # type: ignore[misc]
        self.witness.say("stage", "close")
        await self.machine.spool.close()

    async def open(self) -> None:
        self.witness.say("now", self.machine.clock.now_ns)
        self.witness.say("stage", "open")
        self.machine.spool.watch = lambda keys: self.witness.say("given_up", keys)
        await self.machine.spool.open({})

    def sell(self, source: str, size: int) -> None:
        """One record, of `size` bytes that hardly compress."""
        self._number += 1
        spool, clock = self.machine.spool, self.machine.clock
        data = f"{source}:{self._number:06}:".encode() + self._chance.randbytes(size // 2).hex().encode()
        before = spool._writer.next_seq(source)
        stream = spool._writer.stream(source)
        spool.append(source, [Draft(RECORD, data, f"{source}-{self._number}")], clock.stamp())
        self.witness.say("captured", {(stream, before): (data, clock.now_ns + int(SAFE_S * 1e9))})
        if source == PULL:
            spool.memory(source).add(self._number, before)
            self.witness.say("remembered", {self._number: (stream, before)})

    async def pass_time(self, seconds: float) -> None:
        while seconds > 0:
            self.machine.clock.now_ns += int(min(seconds, _TICK_S) * 1e9)
            seconds -= _TICK_S
            self.witness.say("now", self.machine.clock.now_ns)
            await self.machine.spool.tend()

    # -- steps --------------------------------------------------------------------------------------------------

    async def _trade(self) -> None:
        for _ in range(self._chance.randint(1, 6)):
            self.sell(self._chance.choice(SOURCES), self._chance.choice((60, 200, 800, 3000, 9000)))
        await self.pass_time(self._chance.choice((0.1, 0.3, 0.8)))

    async def _online(self) -> None:
        """Live traffic; some replies are lost on the way."""
        for _ in range(self._chance.randint(1, 4)):
            await self._trade()
            self._answer(self.machine.spool.take_live(64 << 10))

    async def _outage(self) -> None:
        """Nobody answers: single pages, and at last a merge."""
        self.machine.spool.cloud_is(reachable=False)
        for _ in range(self._chance.randint(2, 14)):
            self.sell(self._chance.choice(SOURCES), self._chance.choice((60, 200, 800)))
            await self.pass_time(1.9)
        self.machine.spool.cloud_is(reachable=True)

    async def _drain(self) -> None:
        for _ in range(self._chance.randint(1, 6)):
            with contextlib.suppress(TransientError):
                self._answer(await self.machine.spool.take_backlog(self._chance.choice((4 << 10, 64 << 10))))
            if self._chance.random() < 0.5:
                await self._trade()
        await self.pass_time(0.3)

    async def _flood(self) -> None:
        """More than the ring holds, now and then."""
        if self._chance.random() < 0.7:
            return
        for _ in range(self._chance.randint(5, 25)):
            self.sell(self._chance.choice(SOURCES), 60_000)
            await self.pass_time(0.5)

    async def _note(self) -> None:
        self._notes += 1
        text = f"cursor {self._notes}"
        self.witness.say("noting", text)
        with contextlib.suppress(TransientError):
            await self.machine.spool.note(PULL, "cursor", text)
            self.witness.say("noted", text)

    async def _refuse(self) -> None:
        """The cloud refuses one segment by itself: kept aside."""
        taken = self.machine.spool.take_live(1)
        for held, packed in taken:
            [segment] = batch.unpack_segments(packed)
            try:
                await self.machine.spool.quarantine(held, segment, "cloud.segment_invalid")
            except TransientError:
                self.machine.spool.release([held])

    async def _remember(self) -> None:
        """Six quiet hours: the memory of what can be read again goes to flash."""
        for _ in range(3):
            self.sell(PULL, 60)
        await self.pass_time(2.0)
        self.machine.clock.now_ns += int(_MEMORY_S * 1e9)
        self.sell(PULL, 60)  # one that only RAM holds when the memory is written
        await self.pass_time(0.25)

    async def _bad_disk(self) -> None:
        """The flash refuses a few changes or all of them for a while; then it mends."""
        code = self._chance.choice((errno.ENOSPC, errno.EIO, errno.EROFS))
        self._refusal = Refusal(code, self._chance.choice((0, 0, 700)) if code == errno.ENOSPC else 0)
        self._refusals_left = self._chance.choice((1, 2, 3, _ALL))
        began_ns = self.machine.clock.now_ns
        self.witness.say("excused", (began_ns, _FOR_EVER_NS))
        for step in self._chance.choices((self._outage, self._trade, self._note, self._refuse, self._drain), k=3):
            await step()
        refuses = self._refusals_left > 0
        if refuses and self.machine.spool._index.hot and "spool.disk" not in self.machine.raised():
            await self.pass_time(SAFE_S)
            if self.machine.spool._index.hot and "spool.disk" not in self.machine.raised():
                self.witness.complaints.append("the flash refuses and nothing says so")
        self._refusals_left = 0
        self.witness.say("excused", (began_ns, self.machine.clock.now_ns + int(_MENDED_S * 1e9)))
        await self.pass_time(_MENDED_S)
        if "spool.disk" in self.machine.raised():
            self.witness.complaints.append("the flash has mended and spool.disk stands")

    async def _restart(self) -> None:
        """SIGKILL and a new daemon in the same boot."""
        old = self.machine
        await old.crash()
        self.machine = Machine.at(old.data_dir, old.hot_dir, old.clock)
        await self.open()

    def _answer(self, taken: list[tuple[Held, bytes]]) -> None:
        """An ack, a lost reply, or nobody there. As with one lane: either all of it counts or none."""
        luck = self._chance.random()
        if luck < 0.8:
            self.witness.say("cloud", contents(packed for _, packed in taken))
        if luck < 0.6:
            for held, _ in taken:
                self.machine.spool.settle(held)
        else:
            self.machine.spool.release([held for held, _ in taken])


def contents(packed: Iterable[bytes]) -> dict[Key, bytes]:
    """The records in packed segments, gaps too."""
    segments = [segment for each in packed for segment in batch.unpack_segments(each)]
    return {(r.stream, r.seq): _text(r) for segment in segments for r in _records(segment)}


def _text(record: Record) -> bytes:
    return b"gap:" + record.draft.data if record.draft.kind == GAP else record.draft.data


def _records(segment: Segment) -> list[Record]:
    info = segment.info
    content = BOOK.decompress(segment.payload, info.codec, info.dict_id, info.raw_bytes)
    return list(body.records(content, info.stream, info.first_seq))


def declared(text: bytes) -> set[Key]:
    """The records that a gap in the cloud stands for."""
    try:
        gap = body.unpack_gap(text.removeprefix(b"gap:"))
    except CorruptError:
        return set()
    return {(gap.stream, seq) for seq in range(gap.first, gap.last + 1)}
