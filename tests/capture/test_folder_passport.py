"""A day of a Passport-like site: every event once, whatever its files and its share go through."""

import errno
from datetime import datetime
from itertools import takewhile
from pathlib import Path

import pytest

from scripts.passport.drops import Drop, events
from scripts.passport.outbox import Outbox, Pace
from scripts.pos.clock import HandClock
from scripts.pos.formats import Settings
from tests.capture.folders import Shop
from tests.fakes.inlet import FakePullInlet, running

MORNING = datetime(2026, 11, 22, 6, 0, 0)
NIGHT = datetime(2026, 11, 22, 23, 0, 0)
POLL_S = 600.0


class Site:
    """A shop whose POS keeps the link's time."""

    def __init__(self, tmp_path: Path) -> None:
        self.shop = Shop(tmp_path / "BOOutBox")
        self.clock = HandClock(MORNING)
        settings = Settings("naxml", start=MORNING, per_hour=20.0)
        self.drops: list[Drop] = list(takewhile(lambda drop: drop.at < NIGHT, events(settings, roll_up=True)))
        self.box = Outbox(self.shop.path, iter(self.drops), self.clock, pace=Pace(write_s=4.0))

    async def polls(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance(POLL_S)
            self.box.catch_up()
            await self.shop.polls.rounds(1)

    @property
    def tickets(self) -> int:
        return sum(len(drop.tickets) for drop in self.drops)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("trouble", ["none", "gone", "empty", "locked", "renamed"])
async def test_every_event_of_a_day_is_a_record_once(site: Site, tmp_path: Path, trouble: str) -> None:
    inlet = FakePullInlet(tmp_path / "scratch", "naxml")
    async with running(site.shop.link(poll_s=POLL_S), inlet):
        await site.polls(20)
        locked = ""
        if trouble in ("gone", "empty"):
            site.box.lose_share(empty=trouble == "empty")
            await site.polls(6)
            assert "share.lost" in inlet.raised
            site.box.return_share()
        elif trouble == "locked":
            locked = site.box.drop()[0]
            site.clock.advance(5.0)
            site.box.catch_up()
            site.box.lock(locked, "fifo")
        elif trouble == "renamed":
            name = site.box.names[-1]
            site.box.rename(name, f"X{name}")
        await site.polls(30)
        if locked:
            site.box.unlock(locked)
        await site.polls(60)
        assert site.box.is_done
        assert not inlet.raised
        assert not inlet.warned
    assert len(inlet.records) == len(set(inlet.records)) == site.tickets
    assert any("PJRSHIFT" in each.name for each in inlet.documents)
    assert len({each.name for each in inlet.documents}) >= len(site.drops)


async def test_files_another_product_took_first_are_counted(site: Site, tmp_path: Path) -> None:
    inlet = FakePullInlet(tmp_path / "scratch", "naxml")
    async with running(site.shop.link(poll_s=POLL_S), inlet):
        await site.polls(5)
        fresh = site.box.drop(2)
        site.clock.advance(5.0)
        site.box.catch_up()
        site.shop.disk.held = dict.fromkeys(fresh, errno.EBUSY)
        await site.shop.polls.rounds(1)
        for name in fresh:
            (site.shop.path / name).unlink()
        await site.shop.polls.rounds(2)
        assert "2 files" in inlet.warned["source.contended"]
