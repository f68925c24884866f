"""Files of a POS: each read once it stands still, each record once, whatever the share and its other users do."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from routerd.capture.folder.directory import SHARE_ERRORS
from routerd.capture.folder.listing import TURNS
from routerd.capture.folder.transport import UNREADABLE_AFTER_S, FolderTransport
from routerd.model import RECORD, FolderLink
from tests.capture.folders import LOCKS, FakeDisk, Shop, document, journal, sale
from tests.fakes.inlet import FakePullInlet, running
from tests.samples import sample, sample_names


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "BOOutBox")


@pytest.fixture
def inlet(tmp_path: Path) -> FakePullInlet:
    return FakePullInlet(tmp_path / "scratch", "naxml")


def names(inlet: FakePullInlet) -> list[str]:
    return [each.name for each in inlet.documents]


async def test_every_file_is_one_document_and_oldest_comes_first(shop: Shop, inlet: FakePullInlet) -> None:
    later = shop.write("PJR1.xml", journal(1), 3000)
    first = shop.write("PJR9.xml", journal(9, 10), 1000.000000001)
    second = shop.write("PJR8.XML", journal(8), 1000.5)
    tie = shop.write("PJR0.xml", journal(7), 3000)
    async with running(shop.link(), inlet):
        await shop.polls.rounds(1)
    assert names(inlet) == [first, second, tie, later]
    assert first == f"PJR9.xml@{len(journal(9, 10))}-1000000000001"
    assert inlet.records == [sale(9), sale(10), sale(8), sale(7), sale(1)]
    assert not inlet.raised
    assert not inlet.warned


async def test_a_file_is_read_only_when_it_stood_unchanged_for_the_settling_time(
    shop: Shop, inlet: FakePullInlet
) -> None:
    async with running(shop.link(settle_s=12.0), inlet):
        for size in range(1, 4):
            await shop.polls.rounds(1)
            shop.write("PJR1.xml", journal(*range(size)), 1000 + size)
        shop.write("PJR1.xml", journal(*range(3)), 1009)  # same size, written again
        await shop.polls.rounds(2)
        assert not shop.disk.read
        await shop.polls.rounds(1)
    assert len(inlet.records) == 3
    assert shop.polls.waits_s[-1] == 10.0
    assert shop.disk.read == ["PJR1.xml"]


async def test_a_file_just_met_is_looked_at_again_as_soon_as_it_may_have_settled(
    shop: Shop, inlet: FakePullInlet
) -> None:
    async with running(shop.link(poll_s=10.0, settle_s=4.0), inlet):
        await shop.polls.rounds(1)
        shop.write("PJR1.xml", journal(1))
        await shop.polls.rounds(2)
        assert len(inlet.records) == 1
    assert shop.polls.waits_s == [10.0, 10.0, 4.0, 10.0]


async def test_only_plain_files_that_match_are_read(shop: Shop, inlet: FakePullInlet, tmp_path: Path) -> None:
    outside = tmp_path / "secret.xml"
    outside.write_bytes(journal(99))
    shop.write("note.txt", journal(98))
    (shop.path / "link.xml").symlink_to(outside)
    (shop.path / "old.xml").mkdir()
    (shop.path / "old.xml" / "PJR0.xml").write_bytes(journal(97))
    os.mkfifo(shop.path / "pipe.xml")
    shop.write("Pjr1.Xml", journal(1))
    async with running(shop.link(), inlet):
        await shop.polls.rounds(1)
    assert inlet.records == [sale(1)]
    assert not inlet.warned


async def test_what_becomes_a_pipe_or_a_link_after_the_look_is_not_entered(
    shop: Shop, inlet: FakePullInlet, tmp_path: Path
) -> None:
    outside = tmp_path / "secret.xml"
    outside.write_bytes(journal(9))
    os.utime(outside, ns=(0, 1_772_000_000 * 10**9))  # as long and as old as what it takes the place of
    shop.write("PJR1.xml", journal(1))
    shop.write("PJR2.xml", journal(2))
    async with running(shop.link(), inlet):
        await shop.polls.rest()

        def swap(entry: object, offset: int) -> None:
            for name, make in (("PJR1.xml", os.mkfifo), ("PJR2.xml", lambda path: path.symlink_to(outside))):
                (shop.path / name).unlink(missing_ok=True)
                make(shop.path / name)

        shop.disk.reading = swap
        await shop.polls.rounds(1)
    assert not inlet.drafts


async def test_a_rewritten_file_is_read_again_and_only_its_new_records_count(shop: Shop, inlet: FakePullInlet) -> None:
    first = shop.write("PJR1.xml", journal(1, 2))
    async with running(shop.link(), inlet):
        await shop.polls.rounds(1)
        second = shop.write("PJR1.xml", journal(1, 2, 3))
        await shop.polls.rounds(2)
        assert inlet.records == [sale(1), sale(2), sale(3)]
        third = shop.write("PJR1.xml", journal(1, 2, 3), 1_772_000_001)
        await shop.polls.rounds(2)
    assert names(inlet) == [first, second, third]
    assert [each.frames for each in inlet.documents] == [4, 5, 5]  # with the two headers
    assert len(inlet.records) == 3


async def test_an_old_file_that_is_rewritten_is_found_within_the_turns(shop: Shop, inlet: FakePullInlet) -> None:
    for number in range(200):
        shop.write(f"PJR{number}.xml", journal(number), 1000 + number)
    async with running(shop.link(), inlet):
        await shop.polls.rounds(1)
        looked_at = sum(len(sight.entries) for sight in shop.disk.looks)
        assert looked_at == 400
        shop.write("PJR0.xml", journal(0, 1000), 5000)
        await shop.polls.rounds(TURNS + 2)
        assert sale(1000) in inlet.records
        looks = shop.disk.looks[2:]
    assert sum(len(sight.entries) for sight in looks) < len(looks) * 120  # 64 recent ones and a turn's share


async def test_a_restart_reads_no_taken_file_again(shop: Shop, inlet: FakePullInlet, tmp_path: Path) -> None:
    for number in range(600):
        shop.write(f"PJR{number}.xml", journal(number))
    async with running(shop.link(), inlet):
        await shop.polls.rounds(1)
    assert len(inlet.records) == 600
    shop.write("PJR600.xml", journal(600))
    again = Shop(tmp_path / "unused")
    again.path, again.disk = shop.path, FakeDisk(shop.path)
    later = FakePullInlet(tmp_path / "scratch", "naxml", inlet.memory)
    async with running(again.link(), later):
        await again.polls.rounds(1)
    assert later.records == [sale(600)]
    assert again.disk.read == ["PJR600.xml"]


@pytest.mark.parametrize("lock", LOCKS)
async def test_a_held_file_is_tried_again_and_holds_up_no_other(shop: Shop, inlet: FakePullInlet, lock: int) -> None:
    shop.write("PJR1.xml", journal(1), 1000)
    shop.write("PJR2.xml", journal(2), 2000)
    shop.disk.held["PJR1.xml"] = lock
    async with running(shop.link(), inlet):
        await shop.polls.rounds(1)
        assert inlet.records == [sale(2)]
        started_s = shop.polls.now_s
        while shop.polls.now_s < started_s + UNREADABLE_AFTER_S:
            assert "source.unreadable" not in inlet.warned
            await shop.polls.rounds(1)
        assert "PJR1.xml" in inlet.warned["source.unreadable"]
        assert os.strerror(lock) in inlet.warned["source.unreadable"]
        shop.disk.held.clear()
        await shop.polls.rounds(6)
        assert inlet.records == [sale(2), sale(1)]
        assert not inlet.warned
    assert not inlet.failures


async def test_a_file_that_its_writer_still_holds_open_behind_a_stale_listing_waits(
    shop: Shop, inlet: FakePullInlet
) -> None:
    shop.write("PJR1.xml", journal(1)[:50])

    def write_on(entry: object, offset: int) -> None:
        shop.write("PJR1.xml", journal(1), 2000)

    async with running(shop.link(), inlet):
        await shop.polls.rest()
        shop.disk.reading = write_on
        await shop.polls.rounds(1)
        assert not inlet.drafts
        assert not inlet.warned
        await shop.polls.rounds(4)
    assert inlet.records == [sale(1)]


@pytest.mark.parametrize("keeps", [len(journal(1)) - 3, len(journal(1)) + 20, len(journal(1, 2)) - 10])
async def test_of_a_file_that_is_not_whole_the_whole_records_are_taken_and_it_is_named(
    shop: Shop, inlet: FakePullInlet, keeps: int
) -> None:
    whole = journal(1, 2)
    shop.write("PJR1.xml", whole[:keeps], 1000)
    shop.write("PJR2.xml", journal(3), 2000)
    async with running(shop.link(), inlet):
        await shop.polls.rounds(3)
        assert sale(1) in inlet.records
        assert "PJR1.xml" in inlet.warned["source.truncated"]
        assert len(inlet.documents) == 1
        assert shop.disk.read == ["PJR1.xml", "PJR2.xml"]  # not again before it changes
        done = shop.write("PJR1.xml", whole, 3000)
        await shop.polls.rounds(2)
        assert not inlet.warned
    assert sorted(inlet.records) == [sale(1), sale(2), sale(3)]
    assert names(inlet)[-1] == done


@pytest.mark.parametrize("data", [b"", b"\0" * 3000, b"not XML at all\n", b"<html>moved</html"])
async def test_what_is_no_xml_is_named_and_forgotten_with_its_file(
    shop: Shop, inlet: FakePullInlet, data: bytes
) -> None:
    shop.write("PJR1.xml", data)
    async with running(shop.link(), inlet):
        await shop.polls.rounds(1)
        assert "PJR1.xml" in inlet.warned["source.truncated"]
        assert not inlet.documents
        (shop.path / "PJR1.xml").unlink()
        await shop.polls.rounds(1)
    assert not inlet.warned


async def test_a_huge_file_streams_in_pieces_and_waits_for_room_with_nothing_open(
    shop: Shop, inlet: FakePullInlet
) -> None:
    shop.write("PJR1.xml", journal(*range(5000)))
    async with running(shop.link(), inlet):
        await shop.polls.rest()
        inlet.fill()
        shop.polls.go()
        await inlet.until(lambda: inlet.waiting == 1)
        assert len(shop.disk.pieces) == 1
        assert not open_below(shop.path)
        inlet.empty()
        await shop.polls.rounds(0)
    assert len(inlet.records) == 5000
    assert max(size for _, _, size in shop.disk.pieces) == 64 << 10


def open_below(path: Path) -> list[str]:
    links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd_exists(fd)]
    return [link for link in links if link.startswith(str(path))]


def fd_exists(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


async def test_a_long_backlog_is_left_for_a_look_and_gone_on_with_at_once(shop: Shop, inlet: FakePullInlet) -> None:
    for number in range(6):
        shop.write(f"PJR{number}.xml", journal(number))

    def slow(entry: object, offset: int) -> None:
        shop.polls.now_s += 4.0

    shop.disk.reading = slow
    async with running(shop.link(), inlet):
        await shop.polls.rounds(1)
        assert len(inlet.records) == 3
        assert shop.polls.waits_s[-1] == 0.0
        await shop.polls.rounds(1)
        assert len(inlet.records) == 6


async def test_nothing_in_the_folder_is_changed_by_reading_it(shop: Shop, inlet: FakePullInlet) -> None:
    for number in range(3):
        shop.write(f"PJR{number}.xml", journal(number))
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in shop.path.iterdir()}
    folder = shop.path.stat()
    async with running(shop.link(), inlet):
        await shop.polls.rounds(3)
    assert before == {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in shop.path.iterdir()}
    assert shop.path.stat().st_mtime_ns == folder.st_mtime_ns


async def test_any_name_becomes_a_document_of_at_most_255_characters(shop: Shop, inlet: FakePullInlet) -> None:
    raw = [b"a\nb.xml", b"\xff\xfe.xml", "é.xml".encode(), b"x" * 251 + b".xml", b"x" * 250 + b"y.xml"]
    for number, name in enumerate(raw):
        shop.write(os.fsdecode(name), journal(number), 1000 + number)
    async with running(shop.link(), inlet):
        await shop.polls.rounds(1)
    found = names(inlet)
    assert len(set(found)) == len(raw)
    assert max(map(len, found)) == 255
    assert all(name.isprintable() for name in found)
    assert found[0].startswith("a\\nb.xml@")
    assert found[2] == document(shop.path / "é.xml")


async def test_waiting_names_what_is_not_taken_yet(shop: Shop, inlet: FakePullInlet) -> None:
    older = shop.write("PJR1.xml", journal(1), 1000)
    newer = shop.write("PJR2.xml", journal(2), 2000)
    link = shop.link()
    during: list[tuple[str, ...]] = []
    shop.disk.reading = lambda entry, offset: during.append(link.waiting)
    async with running(link, inlet):
        await shop.polls.rest()
        assert link.waiting == (older, newer)
        await shop.polls.rounds(1)
        assert link.waiting == ()
    assert during == [(older, newer), (newer,)]


async def test_what_the_room_raises_is_no_fault_of_the_file(shop: Shop, inlet: FakePullInlet) -> None:
    shop.write("PJR1.xml", journal(1))
    inlet.bug = ZeroDivisionError()
    task = asyncio.create_task(shop.link().run(inlet))
    await shop.polls.rest()
    shop.polls.go()
    with pytest.raises(ZeroDivisionError):
        await task


@pytest.mark.parametrize(
    ("link", "word"),
    [
        (FolderLink(Path("share")), "path share"),
        (FolderLink(Path("/x"), pattern=""), "pattern"),
        (FolderLink(Path("/x"), pattern="a/*.xml"), "pattern"),
        (FolderLink(Path("/x"), poll_s=0.0), "poll_s"),
        (FolderLink(Path("/x"), settle_s=-1.0), "settle_s"),
    ],
)
async def test_impossible_settings_are_named_and_end_nothing(inlet: FakePullInlet, link: FolderLink, word: str) -> None:
    async with running(FolderTransport(link), inlet):
        await inlet.until(lambda: bool(inlet.failures))
    assert inlet.failures[0][0] == "folder.bad_settings"
    assert word in inlet.failures[0][1]


ROLL_UP, SINGLE = "naxml-posjournal_20837_2.xml", "naxml-posjournal_20837_509720_2.xml"


@pytest.mark.parametrize("order", [(ROLL_UP, SINGLE), (SINGLE, ROLL_UP)])
async def test_a_bulloch_stores_files_give_each_of_their_events_once(
    shop: Shop, inlet: FakePullInlet, order: tuple[str, str]
) -> None:
    """A shift's roll-up and the files of its single sales hold the same events."""
    for number, name in enumerate(order):
        shop.write(name, sample("naxml-bulloch", name), 1000 + number)
    async with running(shop.link(), inlet):
        await shop.polls.rounds(1)
        assert len(inlet.records) == len(set(inlet.records)) == 146
        makeup = {each.name.partition("@")[0]: each for each in inlet.documents}
        assert makeup[ROLL_UP].frames == 148  # with its header and its end
        sequence = [seq for run in makeup[SINGLE].runs for seq in range(run.first, run.last + 1)]
        events = [inlet.drafts[seq - 1] for seq in sequence if inlet.drafts[seq - 1].kind == RECORD]
        assert len(events) == 1
        assert events[0].data.strip() in sample("naxml-bulloch", ROLL_UP)
        assert events[0].data.strip() in sample("naxml-bulloch", SINGLE)
        [other] = sample_names("naxml-bulloch", "*_10089_*")
        shop.write(other, sample("naxml-bulloch", other), 3000)
        await shop.polls.rounds(2)
    assert len(inlet.records) == 147
    assert not inlet.warned


def test_errors_of_a_share_are_told_from_those_of_a_file() -> None:
    assert errno.EHOSTDOWN in SHARE_ERRORS
    assert not SHARE_ERRORS & set(LOCKS)
