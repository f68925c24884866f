"""What the POS leaves out is missed, ordered, read again and proven, with nobody's help: emulator, routerd, fleetd."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scripts.commander.book import Book
from scripts.commander.commander import Commander
from scripts.commander.sessions import Site
from scripts.commander.store import CLOSES_AT, Store
from scripts.demo import place as places
from scripts.demo.place import DEVICE, Place
from scripts.pos.clock import WallClock
from scripts.pos.formats import Settings
from scripts.pos.period import DAILY
from scripts.proof.stage import Stage

WITHIN_S = 180.0  # an idle router asks ten seconds after its uploads what became of them, and hears of the order then
SOURCE = """\
[[source]]
name = "site"
link = "commander"
host = "127.0.0.1"
port = {port}
login_file = "{login}"
periods = ["daily"]
poll_s = 60
pull_gap_s = 0
"""


class Forgetful(Store):
    """A controller that leaves a sale out of the closed day the first time it is read, and not the second time."""

    pos: Commander
    reads = 0

    def book(self, kind: int, name: str) -> Book | None:
        if name != "current":
            self.reads += 1
            if self.reads > 1:
                self.pos.show(self.left_out.identity)
        return super().book(kind, name)

    @property
    def left_out(self) -> Any:
        """A sale in the middle of the day."""
        [day] = self.closed(DAILY)
        sales = [one for one in day.pieces if one.ticket and one.ticket.counts and one.ticket.total_cents > 0]
        return sales[len(sales) // 2]


def login_file(place: Place, site: Site) -> Path:
    path = place.root / "site.login"
    path.touch(0o600)
    path.write_text(f"{site.user}\n{site.password}\n")
    return path


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    made = places.make()
    yield made
    made.remove()


async def test_a_sale_the_pos_left_out_is_ordered_and_the_day_is_proven(place: Place) -> None:
    now = datetime.now().replace(microsecond=0)
    begin = datetime.combine((now - timedelta(days=2)).date(), CLOSES_AT)
    closes = begin + timedelta(days=1)
    store = Forgetful(Settings("transset", seed=3, start=begin, per_hour=10), closes_at=None)
    store.catch_up(closes)
    store.close(closes)
    async with Commander(Site(), store, WallClock(closes + timedelta(hours=1))) as pos:
        store.pos = pos
        pos.hide(store.left_out.identity)
        stage = Stage(place, year=None)
        try:
            await stage.begin(SOURCE.format(port=pos.port, login=login_file(place, pos.site)))
            orders: list[dict[str, Any]] = []

            async def is_met() -> bool:
                orders[:] = await stage.fleetctl("orders", "--all")
                return any(one["state"] == "done" for one in orders)

            await stage.until("order met", is_met, WITHIN_S)
            told = await stage.fleetctl("ledger", "--store", DEVICE)
            sold = await stage.fleetctl("tickets", "--device", DEVICE)
        finally:
            await stage.end()
    [order] = orders
    day = closes.date().isoformat()
    assert (order["reason"], order["is_by_hand"], order["first_day"], order["last_day"]) == ("missing", "no", day, day)
    assert order["times"] == 1, "given once, in an answer"
    [proven] = [one for one in told["days"] if one["business_day"] == day]
    assert (proven["status"], proven["difference_cents"], proven["missing"]) == ("complete", 0, [])
    identities = [one["identity"] for one in sold]
    assert identities.count(store.left_out.identity) == 1, "read twice, kept once, like all the others"
    assert len(set(identities)) == len(identities)
    assert store.reads == 2
