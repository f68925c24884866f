"""The spool against a list: whatever is done to it in whatever order, every record is somewhere, once, in order."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from routerd.spool.index import Held
from tests.spool.house import House, sold, total

SOURCES = ("serial", "till")  # the first cannot wait


class SpoolModel(RuleBasedStateMachine):
    """`sold` is every number in the order captured, by source; `cloud` is what the cloud was given and keeps once."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.root = Path(tempfile.mkdtemp(prefix="routerd-model-", dir="/dev/shm"))
        (self.root / "hot").mkdir(mode=0o700)
        self.house = House(self.root / "data", self.root / "hot")
        self.sold: dict[str, list[int]] = {source: [] for source in SOURCES}
        self.cloud: set[int] = set()
        self.taken: list[tuple[Held, bytes]] = []
        self.number = 0
        self.given_up = 0  # in earlier runs of the daemon
        self.do(self.house.start())

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @property
    def everything(self) -> set[int]:
        return {number for numbers in self.sold.values() for number in numbers}

    @property
    def lost(self) -> int:
        """Records that were given up and declared, gap records among them."""
        return self.given_up + total(self.house.spool)["gaps"]

    def call(self, step: Callable[[], Any]) -> Any:
        """In the loop, as a callback would be."""

        async def stepping() -> Any:
            return step()

        return self.do(stepping())

    def teardown(self) -> None:
        try:
            self.answer(acked=len(self.taken), heard=True)
            self.do(self.drain())
            assert self.cloud <= self.everything
            assert len(self.everything - self.cloud) <= self.lost
        finally:
            self.do(self.house.end())
            self.loop.close()
            shutil.rmtree(self.root)

    async def drain(self) -> None:
        await self.house.pass_time(5)
        while taken := await self.house.spool.take_backlog(1 << 16) or self.house.spool.take_live(1 << 16):
            self.deliver(taken)
            for held, _ in taken:
                self.house.spool.settle(held)

    def deliver(self, taken: list[tuple[Held, bytes]]) -> None:
        last: dict[object, int] = {}
        for held, _ in taken:
            assert held.info.first_seq > last.get(held.info.stream, 0), "a stream's segments come in order"
            last[held.info.stream] = held.info.last_seq
        self.cloud |= set(sold(taken))

    @rule(source=st.sampled_from(SOURCES), count=st.integers(1, 8), size=st.sampled_from([20, 500, 5000, 70_000]))
    def sell(self, source: str, count: int, size: int) -> None:
        if self.house.spool.has_room(source):
            numbers = range(self.number + 1, self.number + count + 1)
            self.number += count
            self.sold[source] += numbers
            self.call(lambda: self.house.sell(*numbers, source=source, size=size))

    @rule(seconds=st.sampled_from([0.1, 0.3, 2.0, 3600.0]))
    def wait(self, seconds: float) -> None:
        self.do(self.house.pass_time(seconds))

    @precondition(lambda self: not self.taken)
    @rule(limit=st.sampled_from([1, 5000, 1 << 20]), live=st.booleans())
    def take(self, limit: int, live: bool) -> None:
        spool = self.house.spool
        self.taken = self.call(lambda: spool.take_live(limit)) if live else self.do(spool.take_backlog(limit))

    @rule(acked=st.integers(0, 40), heard=st.booleans())
    def answer(self, acked: int, heard: bool) -> None:
        """The cloud keeps what it is sent if it `heard`; of that the acks for the first `acked` come back."""
        if heard:
            self.deliver(self.taken)
        self.call(lambda: self._acknowledge(acked if heard else 0))

    def _acknowledge(self, count: int) -> None:
        for held, _ in self.taken[:count]:
            self.house.spool.settle(held)
        self.house.spool.release([held for held, _ in self.taken[count:]])
        self.taken = []

    @rule(reachable=st.booleans())
    def line(self, reachable: bool) -> None:
        self.call(lambda: self.house.spool.cloud_is(reachable=reachable))

    @rule()
    def crash(self) -> None:
        """SIGKILL: nothing was due that is not there."""
        self.taken = []
        self.given_up = self.lost
        self.do(self.house.crash())
        self.do(self.house.start())

    @precondition(lambda self: not self.taken)
    @rule()
    def stop_and_lose_power(self) -> None:
        """A stop in order brings everything to flash; then the RAM disk is gone."""
        self.do(self.house.spool.close())
        self.given_up = self.lost
        self.house._open.remove(self.house.spool)
        shutil.rmtree(self.house.config.hot_dir)
        self.do(self.house.start())

    @rule(count=st.integers(1, 12))
    def fill(self, count: int) -> None:
        """An outage with large records: the ring of a megabyte overflows."""
        for _ in range(count):
            self.sell("serial", 1, 70_000)
            self.do(self.house.pass_time(2.0))

    @invariant()
    def every_record_is_counted_once(self) -> None:
        counts = total(self.house.spool)
        assert counts["quarantined"] == 0
        assert counts["queued"] >= len(self.everything - self.cloud) - self.lost


SpoolModel.TestCase.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSpoolModel = SpoolModel.TestCase
