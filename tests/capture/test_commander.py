"""The Commander link against a controller that sells: what it reads, in which order, and how little it asks."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from routerd.capture.commander import pulls
from routerd.capture.link import Backfill
from routerd.errors import PermanentError, TransientError
from routerd.model import DOCUMENT
from scripts.commander.recorded import Recorded
from scripts.commander.sessions import Site
from tests.capture.commanders import Shop, open_shop, store
from tests.capture.wires import turns
from tests.fakes.inlet import FakePullInlet
from tests.samples import sample

POLL_S, DAY_S = 300.0, 86_400.0


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path) as opened:
        yield opened


def sold(shop: Shop, name: str) -> set[str]:
    """What the POS has of a day, by its own ids."""
    return {piece.identity for piece in shop.pos.book(2, name).pieces if piece.identity.startswith("transset:")}


def captured(inlet: FakePullInlet) -> set[str]:
    return {draft.identity for draft in inlet.drafts if draft.identity}


def taken(shop: Shop) -> list[str]:
    return [document.name for document in shop.inlet.documents]


async def test_the_first_round_polls_current_lists_the_periods_and_takes_the_oldest_owed(shop: Shop) -> None:
    async with shop.polled() as inlet:
        assert shop.pos.counters.requests == {"validate": 1, "vtranssetz": 2, "vtlogpdlist": 1}
        assert taken(shop) == ["daily/2026-11-18.311"]
        assert shop.transport.waiting == tuple(f"daily/2026-11-{day}.{day + 293}" for day in (19, 20, 21, 22))
        assert sold(shop, "2026-11-18.311") <= captured(inlet)
        assert not inlet.raised
        assert not inlet.warned


async def test_closed_days_come_oldest_first_and_no_two_within_five_minutes(shop: Shop) -> None:
    async with shop.polled():
        for count in range(1, 6):
            assert len(taken(shop)) == count
            await shop.pace.elapse(299)
            assert len(taken(shop)) == count
            await shop.pace.elapse(1)
        assert taken(shop) == sorted(taken(shop))
        assert shop.transport.waiting == ()


async def test_a_poll_costs_one_request_and_brings_what_was_sold_since(shop: Shop) -> None:
    async with shop.polled(catch_up_days=0) as inlet:
        for _ in range(12):
            before, requests = len(inlet.records), shop.transport.requests
            await shop.pace.elapse(POLL_S)
            assert shop.transport.requests - requests <= 2  # a list each hour
            assert len(inlet.records) > before  # at least the poll's own journal record
        assert shop.pos.counters.requests["vtlogpdlist"] == 2
        assert shop.pos.counters.logins == 1
        assert len(inlet.records) == len(set(inlet.records))


async def test_the_poll_interval_has_a_floor(shop: Shop) -> None:
    async with shop.polled(poll_s=1.0, catch_up_days=0):
        before = shop.transport.requests
        await shop.pace.elapse(600)
        assert shop.transport.requests - before == 10


async def test_a_closed_day_is_taken_as_soon_as_current_shows_its_end(shop: Shop) -> None:
    async with shop.polled(catch_up_days=2) as inlet:
        await shop.pace.elapse(2 * POLL_S)
        assert shop.transport.waiting == ()
        shop.pos.close()
        lists = shop.pos.counters.requests["vtlogpdlist"]
        await shop.pace.elapse(POLL_S)
        assert taken(shop)[-1] == "daily/2026-11-22.316"
        assert shop.pos.counters.requests["vtlogpdlist"] == lists + 1
        document = inlet.documents[-1]
        assert document.frames == sum(run.last - run.first + 1 for run in document.runs)


async def test_a_day_read_while_it_ran_and_when_it_closed_gives_each_record_once(shop: Shop) -> None:
    async with shop.polled(catch_up_days=0) as inlet:
        await shop.pace.elapse(18 * 3600)  # over the automatic close at 02:05
        assert taken(shop)[-1] == "daily/2026-11-23.316"
        assert len(inlet.records) == len(set(inlet.records))
        assert sold(shop, "2026-11-23.316") <= captured(inlet)


async def test_shift_and_day_give_each_record_once_and_are_both_taken(shop: Shop) -> None:
    async with shop.polled(periods=("daily", "shift"), catch_up_days=2) as inlet:
        await shop.pace.elapse(5 * POLL_S)
        assert taken(shop) == [
            "daily/2026-11-21.314",
            "shift/2026-11-21.394",
            "daily/2026-11-22.315",
            "shift/2026-11-22.395",
        ]
        assert len(inlet.records) == len(set(inlet.records))


async def test_a_restart_takes_nothing_twice_and_goes_on_with_its_cookie(shop: Shop) -> None:
    async with shop.polled(catch_up_days=2):
        await shop.pace.elapse(2 * POLL_S)
        cookie = shop.inlet.scratch.read_bytes()
    shop.inlet.scratch.touch(mode=0o600)
    shop.restart()
    async with shop.polled(catch_up_days=2) as inlet:
        await shop.pace.elapse(POLL_S)
        assert taken(shop) == []
        assert all(draft.kind != DOCUMENT for draft in inlet.drafts)
        assert len(inlet.records) <= 12  # the requests' own journal records
        assert shop.inlet.scratch.read_bytes() != cookie


async def test_a_long_silence_is_caught_up_whatever_its_length(shop: Shop) -> None:
    async with shop.polled(catch_up_days=1):
        await shop.pace.elapse(POLL_S)
    shop.restart(power_cut=True)
    shop.pace.move_to(shop.pace.now_s() + 4 * DAY_S)
    async with shop.polled(catch_up_days=1):
        await shop.pace.elapse(6 * POLL_S)
        assert taken(shop) == [f"daily/2026-11-{day}.{day + 293}" for day in (23, 24, 25, 26)]


async def test_a_controller_without_gzip_is_asked_for_it_once(tmp_path: Path) -> None:
    async with open_shop(tmp_path, Site(gzip=False)) as shop, shop.polled(catch_up_days=2) as inlet:
        await shop.pace.elapse(2 * POLL_S)
        assert shop.pos.counters.requests["vtranssetz"] == 1
        assert len(taken(shop)) == 2
        assert not inlet.raised


async def test_the_genuine_day_served_whole_gives_every_record_once(tmp_path: Path) -> None:
    day, shift = sample("verifone-commander", "daily-2026-07-16.311.xml"), "shift-2026-07-17.392.xml"
    books = Recorded(
        [day, sample("verifone-commander", "daily-2026-07-17.312.xml"), sample("verifone-commander", shift)]
    )
    async with open_shop(tmp_path, books=books, now=datetime(2026, 7, 17, 9)) as shop:
        async with shop.polled() as inlet:
            assert taken(shop) == ["daily/2026-07-16.311"]
            assert len(inlet.records) == 4133
            await shop.pace.elapse(POLL_S)
            assert len(inlet.records) == 4133 + 4182
        shop.restart()
        async with shop.polled(periods=("daily", "shift")) as inlet:
            assert taken(shop) == ["shift/2026-07-17.392"]
            assert len(inlet.records) == 0  # its one record of its own, a periodClose, ended the day before
            assert inlet.documents[0].frames > 4182  # with the totals and the cashiers' bare elements


async def test_the_genuine_day_played_as_it_ran_gives_every_record_once(tmp_path: Path) -> None:
    day = sample("verifone-commander", "daily-2026-07-17.312.xml")
    books = Recorded([sample("verifone-commander", "daily-2026-07-16.311.xml")], day, first=100)
    assert books.begin
    async with open_shop(tmp_path, books=books, now=books.begin) as shop, shop.polled(poll_s=7200.0) as inlet:
        await shop.pace.elapse(26 * 3600)
        assert taken(shop) == ["daily/2026-07-16.311", "daily/2026-07-17.312"]
        assert sold(shop, "2026-07-17.312") <= captured(inlet)
        assert len(inlet.records) == len(set(inlet.records))


async def test_a_full_spool_stops_the_reading_and_loses_nothing(shop: Shop) -> None:
    async with shop.polled(catch_up_days=2) as inlet:
        inlet.fill()
        requests, records = shop.transport.requests, len(inlet.records)
        shop.pace.allow(1000)
        await inlet.until(lambda: inlet.waiting == 1)
        while shop.pos.cookies_in_use:
            await turns(1)
        assert (shop.transport.requests, len(inlet.records)) == (requests + 1, records)
        inlet.empty()
        await shop.pace.elapse(1000)
        assert taken(shop) == ["daily/2026-11-21.314", "daily/2026-11-22.315"]
        assert not inlet.raised


async def test_a_spool_that_fills_up_in_the_middle_lets_the_controller_go(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulls, "_ROOM_S", 0.05)
    async with shop.polled(catch_up_days=2) as inlet:
        inlet.full = True  # every feed says so, and whoever asks for room before a request gets it
        inlet.hold_room_after(1)
        await shop.pace.elapse(300)
        assert "source.no_room" in inlet.raised
        inlet.empty()
        await shop.pace.elapse(1200)
        assert taken(shop) == ["daily/2026-11-21.314", "daily/2026-11-22.315"]
        assert not inlet.raised


async def test_a_link_that_ended_takes_no_backfill(shop: Shop) -> None:
    async with shop.polled():
        pass
    with pytest.raises(TransientError) as fault:
        await shop.transport.backfill(Backfill("2026-11-18", "2026-11-18"))
    assert fault.value.code == "source.stopped"


async def test_a_backfill_queues_what_the_pos_has_and_says_what_it_has_not(shop: Shop) -> None:
    async with shop.polled(catch_up_days=0) as inlet:
        plan = await shop.transport.backfill(Backfill("2026-11-16", "2026-11-19"))
        assert plan.queued == ("daily/2026-11-18.311", "daily/2026-11-19.312")
        assert plan.held == ()
        assert plan.absent == ("2026-11-16", "2026-11-17")
        assert shop.transport.waiting == plan.queued
        await shop.pace.elapse(600)
        assert taken(shop)[1:] == list(plan.queued)
        again = await shop.transport.backfill(Backfill("2026-11-18", "2026-11-20"))
        assert again.queued == ("daily/2026-11-20.313",)
        assert again.held == plan.queued
        count = len(inlet.drafts)
        anew = await shop.transport.backfill(Backfill("2026-11-18", "2026-11-18", anew=True))
        assert anew.queued == ("daily/2026-11-18.311",)
        await shop.pace.elapse(900)
        assert sold(shop, "2026-11-18.311") <= {draft.identity for draft in inlet.drafts[count:] if draft.identity}


async def test_a_backfill_beyond_what_the_pos_keeps_names_its_oldest_day(shop: Shop) -> None:
    async with shop.polled():
        with pytest.raises(PermanentError, match="2026-11-18") as fault:
            await shop.transport.backfill(Backfill("2026-10-01", "2026-10-31"))
        assert fault.value.code == "backfill.beyond_window"
        for first, last in (("2026-11-20", "2026-11-19"), ("yesterday", "2026-11-19"), ("20261119", "20261120")):
            with pytest.raises(PermanentError) as fault:
                await shop.transport.backfill(Backfill(first, last))
            assert fault.value.code == "backfill.bad_range"


async def test_a_backfill_needs_a_link_that_runs_and_a_pos_that_answers(shop: Shop) -> None:
    with pytest.raises(TransientError):
        await shop.transport.backfill(Backfill("2026-11-18", "2026-11-18"))
    async with shop.polled():
        await shop.pos.go_down()
        with pytest.raises(TransientError) as fault:
            await shop.transport.backfill(Backfill("2026-11-18", "2026-11-18"))
        assert fault.value.code == "pos.unreachable"


async def test_one_cookie_is_in_use_and_none_after_the_end(shop: Shop) -> None:
    async with shop.polled() as inlet:
        assert inlet.scratch.stat().st_mode & 0o777 == 0o600
        await shop.pace.elapse(DAY_S / 4)
        assert shop.pos.cookies_max == 1
        assert shop.pos.cookies_in_use == 1
        assert shop.pos.counters.logins == 1
    assert shop.pos.cookies_in_use == 0
    assert not shop.inlet.scratch.exists()


async def test_a_cookie_is_given_back_before_a_long_rest(shop: Shop) -> None:
    async with shop.polled(poll_s=3600.0, catch_up_days=0):
        assert shop.pos.cookies_in_use == 0
        await shop.pace.elapse(4 * 3600)
        assert shop.pos.counters.logins == 5
        assert shop.pos.cookies_max == 1


async def test_numbers_that_begin_anew_are_told_and_the_days_behind_them_read(tmp_path: Path) -> None:
    async with open_shop(tmp_path) as shop:
        async with shop.polled(catch_up_days=1):
            assert taken(shop) == ["daily/2026-11-22.315"]
        shop.restart()
        books = store(closes_at=None)
        books._running[2].number, books._running[1].number = 4, 4
        books.close(datetime(2026, 11, 22, 1, 0))
        books.close(datetime(2026, 11, 22, 8, 0))
        async with open_shop(tmp_path, books=books) as other:
            other.inlet.notes = {"newest": shop.inlet.notes["newest"]}
            async with other.polled(catch_up_days=1) as inlet:
                assert "counts its periods anew" in inlet.warned["pos.sequence_reset"]
                await other.pace.elapse(POLL_S)
                assert taken(other) == ["daily/2026-11-22.4", "daily/2026-11-22.5"]
                other.pos.close()
                await other.pace.elapse(POLL_S)
                assert "pos.sequence_reset" not in inlet.warned


async def test_impossible_settings_are_told_and_nothing_is_asked(shop: Shop) -> None:
    async with shop.started(periods=("weekly",)) as inlet:
        await inlet.until(lambda: "pos.bad_settings" in inlet.raised)
        assert shop.transport.requests == 0
