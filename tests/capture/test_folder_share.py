"""A share that goes and comes back, other products that take files away, and the wish to read files again."""

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from routerd.capture.folder.aside import MAX_HANGING
from routerd.capture.folder.directory import Directory
from routerd.capture.folder.transport import CONTENDED_FOR_S, FolderTransport
from routerd.capture.link import Backfill
from routerd.errors import PermanentError, TransientError
from routerd.model import FolderLink
from tests.capture.folders import ABSENCES, Shop, journal, sale
from tests.fakes.inlet import FakePullInlet, running

NOON = 1_772_020_800.0  # 2026-02-25 12:00 UTC
DAY = 86_400.0


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "BOOutBox")


@pytest.fixture
def inlet(tmp_path: Path) -> FakePullInlet:
    return FakePullInlet(tmp_path / "scratch", "naxml")


@pytest.mark.parametrize("fault", ABSENCES)
async def test_a_lost_share_is_a_condition_that_ends_by_itself(shop: Shop, inlet: FakePullInlet, fault: int) -> None:
    shop.write("PJR1.xml", journal(1))
    shop.disk.broken = fault
    async with running(shop.link(), inlet):
        await shop.polls.rounds(2)
        assert set(inlet.raised) == {"share.lost"}
        assert str(shop.path) in inlet.raised["share.lost"]
        shop.disk.broken = 0
        await shop.polls.rounds(2)
        assert not inlet.raised
    assert inlet.records == [sale(1)]
    assert not inlet.warned


async def test_a_directory_that_is_made_later_is_read_then(shop: Shop, inlet: FakePullInlet) -> None:
    shop.path.rmdir()
    async with running(shop.link(), inlet):
        await shop.polls.rest()
        assert "share.lost" in inlet.raised
        shop.path.mkdir()
        shop.write("PJR1.xml", journal(1))
        await shop.polls.rounds(2)
    assert inlet.records == [sale(1)]


async def test_what_was_waiting_when_the_share_went_is_neither_lost_nor_called_stolen(
    shop: Shop, inlet: FakePullInlet
) -> None:
    shop.write("PJR1.xml", journal(1))
    async with running(shop.link(), inlet):
        await shop.polls.rest()
        shop.disk.broken = errno.EHOSTDOWN
        await shop.polls.rounds(3)
        shop.disk.broken = 0
        await shop.polls.rounds(2)
    assert inlet.records == [sale(1)]
    assert not inlet.warned


async def test_a_share_that_goes_while_a_file_is_read_ends_the_round_and_forgets_nothing(
    shop: Shop, inlet: FakePullInlet
) -> None:
    shop.write("PJR1.xml", journal(*range(1000)), 1000)
    shop.write("PJR2.xml", journal(2000), 2000)

    def drop(entry: object, offset: int) -> None:
        if offset:
            raise OSError(errno.EHOSTDOWN, "Host is down")

    shop.disk.reading = drop
    async with running(shop.link(), inlet):
        await shop.polls.rounds(1)
        assert "share.lost" in inlet.raised
        assert shop.disk.read == ["PJR1.xml"]
        assert not inlet.documents
        shop.disk.reading = lambda entry, offset: None
        await shop.polls.rounds(1)
        assert not inlet.raised
    assert inlet.records == [*(sale(number) for number in range(1000)), sale(2000)]


@pytest.fixture
def gate(shop: Shop) -> Iterator[threading.Event]:
    shop.disk.gate = threading.Event()
    yield shop.disk.gate
    shop.disk.gate.set()


def hasty(shop: Shop) -> FolderTransport:
    polls = shop.polls
    return FolderTransport(FolderLink(shop.path), clock=polls.clock, sleep=polls.sleep, disk=shop.disk, answer_s=0.01)


async def test_a_share_that_hangs_is_lost_and_holds_no_more_than_a_few_threads(
    shop: Shop, inlet: FakePullInlet, gate: threading.Event
) -> None:
    shop.write("PJR1.xml", journal(1))
    async with running(hasty(shop), inlet):
        await shop.polls.rounds(MAX_HANGING + 3)
        assert "does not answer" in inlet.raised["share.lost"]
        assert sum(thread.name == "aside" for thread in threading.enumerate()) == MAX_HANGING
        assert all(thread.daemon for thread in threading.enumerate() if thread.name == "aside")


async def test_a_share_that_hung_is_read_when_it_answers_again(
    shop: Shop, inlet: FakePullInlet, gate: threading.Event
) -> None:
    shop.write("PJR1.xml", journal(1))
    link = shop.link()
    link._aside._answer_s = 0.01
    async with running(link, inlet):
        await shop.polls.rounds(MAX_HANGING)
        gate.set()
        for thread in threading.enumerate():
            if thread.name == "aside":
                await asyncio.to_thread(thread.join)
        link._aside._answer_s = 60.0
        await shop.polls.rounds(2)
        assert not inlet.raised
    assert inlet.records == [sale(1)]


async def test_a_daemon_that_stops_does_not_wait_for_a_share_that_hangs(
    shop: Shop, inlet: FakePullInlet, gate: threading.Event
) -> None:
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    shop.disk.begun = lambda: loop.call_soon_threadsafe(begun.set)
    async with running(shop.link(), inlet):
        await begun.wait()
    assert not gate.is_set()


async def test_an_empty_mount_point_is_a_lost_share_and_an_empty_share_is_not(shop: Shop, inlet: FakePullInlet) -> None:
    shop.disk.mounted = True
    shop.write("PJR1.xml", journal(1))
    async with running(shop.link(), inlet):
        await shop.polls.rounds(1)
        (shop.path / "PJR1.xml").unlink()
        await shop.polls.rounds(1)
        assert not inlet.raised
        shop.disk.mounted = False
        await shop.polls.rounds(1)
        assert "nothing is mounted" in inlet.raised["share.lost"]
        shop.disk.mounted = True
        await shop.polls.rounds(1)
        assert not inlet.raised


async def test_an_empty_folder_in_the_place_of_a_full_one_is_a_lost_share(shop: Shop, inlet: FakePullInlet) -> None:
    shop.write("PJR1.xml", journal(1))
    away = shop.path.with_name("away")
    async with running(shop.link(), inlet):
        await shop.polls.rest()
        shop.path.rename(away)
        shop.path.mkdir()
        await shop.polls.rounds(3)
        assert "share.lost" in inlet.raised
        shop.path.rmdir()
        away.rename(shop.path)
        await shop.polls.rounds(2)
        assert not inlet.raised
        assert not inlet.warned
    assert inlet.records == [sale(1)]


async def test_after_a_start_without_its_mount_the_folder_is_known_to_be_one(shop: Shop, inlet: FakePullInlet) -> None:
    shop.disk.mounted = False
    inlet.notes["mount"] = "yes"
    async with running(shop.link(), inlet):
        await shop.polls.rest()
        assert "share.lost" in inlet.raised
        shop.write("PJR1.xml", journal(1))  # the share was given up for a folder of the router's own
        await shop.polls.rounds(1)
        assert not inlet.raised
        assert not inlet.notes["mount"]


async def test_a_mount_costs_one_note_and_a_disk_that_refuses_it_stops_nothing(
    shop: Shop, inlet: FakePullInlet
) -> None:
    noted: list[str] = []

    async def refuse(key: str, text: str) -> None:
        noted.append(text)
        raise TransientError("spool.disk", "the disk refuses")

    inlet.note = refuse  # type: ignore[method-assign]
    shop.disk.mounted = True
    shop.write("PJR1.xml", journal(1))
    async with running(shop.link(), inlet):
        await shop.polls.rounds(4)
    assert noted == ["yes"]
    assert inlet.records == [sale(1)]
    assert not inlet.failures


async def test_a_real_mount_point_is_told_from_a_directory(tmp_path: Path) -> None:
    assert Directory(Path("/proc"), "*.xml").look(set(), set()).mounted
    assert not Directory(tmp_path, "*.xml").look(set(), set()).mounted


async def test_a_purge_of_taken_files_is_silent(shop: Shop, inlet: FakePullInlet) -> None:
    for number in range(5):
        shop.write(f"PJR{number}.xml", journal(number))
    async with running(shop.link(), inlet):
        await shop.polls.rounds(1)
        for path in shop.path.iterdir():
            path.unlink()
        await shop.polls.rounds(3)
    assert not inlet.warned
    assert not inlet.failures


async def test_files_taken_away_before_they_were_read_are_counted_and_the_remedy_named(
    shop: Shop, inlet: FakePullInlet
) -> None:
    link = shop.link()
    async with running(link, inlet):
        await shop.polls.rest()
        for number in range(3):
            shop.write(f"PJR{number}.xml", journal(number), 1000 + number)
            await shop.polls.rounds(1)
            (shop.path / f"PJR{number}.xml").unlink()
            await shop.polls.rounds(1)
            assert len(inlet.warned) == (number > 0)  # a listing may pass over a file once
            await shop.polls.rounds(1)
            assert f"{number + 1} files" in inlet.warned["source.contended"]
            assert f"last PJR{number}.xml" in inlet.warned["source.contended"]
        assert "Third Party Data Interface" in inlet.warned["source.contended"]
        assert link.waiting == ()
        shop.polls.now_s += CONTENDED_FOR_S
        await shop.polls.rounds(1)
        assert not inlet.warned
    assert not inlet.drafts


async def test_a_file_that_goes_between_look_and_read_is_contended(shop: Shop, inlet: FakePullInlet) -> None:
    shop.write("PJR1.xml", journal(1), 1000)
    shop.write("PJR2.xml", journal(2), 2000)
    shop.disk.reading = lambda entry, offset: (shop.path / "PJR1.xml").unlink(missing_ok=True)
    async with running(shop.link(), inlet):
        await shop.polls.rounds(3)
        assert "last PJR1.xml" in inlet.warned["source.contended"]
    assert inlet.records == [sale(2)]


async def test_a_file_that_a_listing_passes_over_once_is_not_called_stolen(shop: Shop, inlet: FakePullInlet) -> None:
    shop.write("PJR1.xml", journal(1))
    async with running(shop.link(), inlet):
        await shop.polls.rest()
        shop.disk.passed_over = {"PJR1.xml"}
        await shop.polls.rounds(1)
        shop.disk.passed_over = set()
        await shop.polls.rounds(1)
        assert inlet.records == [sale(1)]
        shop.disk.passed_over = {"PJR1.xml"}
        await shop.polls.rounds(1)
        shop.disk.passed_over = set()
        await shop.polls.rounds(2)
    assert shop.disk.read == ["PJR1.xml"]
    assert not inlet.warned


async def test_a_file_that_is_renamed_when_it_is_written_is_not_stolen(shop: Shop, inlet: FakePullInlet) -> None:
    shop.write("tmp0.xml", journal(1))
    async with running(shop.link(), inlet):
        await shop.polls.rest()
        os.rename(shop.path / "tmp0.xml", shop.path / "PJR1.xml")
        await shop.polls.rounds(3)
    assert inlet.records == [sale(1)]
    assert not inlet.warned


def three_days(shop: Shop) -> list[str]:
    """Files of 2026-02-23, -25 (two) and -26."""
    times = (NOON - 2 * DAY, NOON, NOON + 1, NOON + DAY)
    return [shop.write(f"PJR{number}.xml", journal(number), when) for number, when in enumerate(times)]


async def test_a_backfill_queues_what_was_not_taken_and_says_what_is_held_and_absent(
    shop: Shop, inlet: FakePullInlet
) -> None:
    files = three_days(shop)
    shop.disk.held["PJR2.xml"] = errno.EBUSY
    link = shop.link()
    async with running(link, inlet):
        await shop.polls.rounds(1)
        plan = await link.backfill(Backfill("2026-02-24", "2026-02-25"))
        assert plan.queued == (files[2],)
        assert plan.held == (files[1],)
        assert plan.absent == ("2026-02-24",)
        assert link.waiting == (files[2],)
        shop.disk.held.clear()
        await shop.polls.rounds(3)
        assert link.waiting == ()
    assert sorted(inlet.records) == [sale(number) for number in range(4)]


async def test_a_backfill_anew_reads_every_file_of_its_days_again(shop: Shop, inlet: FakePullInlet) -> None:
    files = three_days(shop)
    link = shop.link()
    async with running(link, inlet):
        await shop.polls.rounds(1)
        plan = await link.backfill(Backfill("2026-02-25", "2026-02-27", anew=True))
        assert plan.queued == tuple(files[1:])
        assert plan.absent == ("2026-02-27",)
        await shop.polls.rounds(2)
        assert inlet.records[4:] == [sale(1), sale(2), sale(3)]
        await shop.polls.rounds(3)
    assert len(inlet.records) == 7
    assert not inlet.warned


async def test_a_file_that_is_not_whole_is_read_again_when_a_backfill_asks(shop: Shop, inlet: FakePullInlet) -> None:
    name = shop.write("PJR1.xml", journal(1)[:-5], NOON)
    link = shop.link()
    async with running(link, inlet):
        await shop.polls.rounds(1)
        plan = await link.backfill(Backfill("2026-02-25", "2026-02-25"))
        assert plan.queued == (name,)
        await shop.polls.rounds(2)
    assert shop.disk.read == ["PJR1.xml", "PJR1.xml"]


@pytest.mark.parametrize(
    ("first", "last", "code", "word"),
    [
        ("2026-02-01", "2026-02-22", "backfill.beyond_window", "2026-02-23"),
        ("2026-02-25", "2026-02-24", "backfill.bad_range", "in order"),
        ("25.2.2026", "2026-02-25", "backfill.bad_range", "2026-02-26"),
        ("2020-01-01", "2026-02-25", "backfill.bad_range", "days"),
    ],
)
async def test_a_backfill_that_cannot_be_says_why(
    shop: Shop, inlet: FakePullInlet, first: str, last: str, code: str, word: str
) -> None:
    three_days(shop)
    link = shop.link()
    async with running(link, inlet):
        await shop.polls.rest()
        with pytest.raises(PermanentError, match=word) as caught:
            await link.backfill(Backfill(first, last))
    assert caught.value.code == code


async def test_a_backfill_from_an_empty_folder_is_beyond_its_window(shop: Shop, inlet: FakePullInlet) -> None:
    link = shop.link()
    async with running(link, inlet):
        await shop.polls.rest()
        with pytest.raises(PermanentError, match="holds no file"):
            await link.backfill(Backfill("2026-02-25", "2026-02-25"))


async def test_a_backfill_from_a_share_that_is_away_is_for_later(shop: Shop, inlet: FakePullInlet) -> None:
    link = shop.link()
    with pytest.raises(TransientError):
        await link.backfill(Backfill("2026-02-25", "2026-02-25"))
    async with running(link, inlet):
        await shop.polls.rest()
        shop.disk.broken = errno.EHOSTDOWN
        with pytest.raises(TransientError) as caught:
            await link.backfill(Backfill("2026-02-25", "2026-02-25"))
    assert caught.value.code == "share.lost"
