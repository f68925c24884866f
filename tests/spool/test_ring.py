"""The cold tier: what was committed is found again, whatever happened to the file."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest

from routerd.errors import PermanentError, TransientError
from routerd.model import Segment, Stream
from routerd.spool.page import PAGE_BYTES
from routerd.spool.ring import Place, Recovered, Ring
from routerd.wire import batch

ROWS = 64
STREAM = Stream("till", 5)


def packed(first_seq: int, size: int = 100) -> bytes:
    return batch.pack_segment(
        batch.seal(STREAM, first_seq, 1, b"x" * size, ("raw", 0, bytes([first_seq % 256]) * size))
    )


def firsts(recovered: Recovered) -> list[int]:
    return [info.first_seq for frame in recovered.frames for info in frame.infos]


async def filled(path: Path, sizes: Iterable[int]) -> list[Place]:
    ring, _ = await Ring.open(path, ROWS)
    places = [await ring.write(packed(number, size), 0) for number, size in enumerate(sizes, 1)]
    await ring.close()
    assert None not in places
    return [place for place in places if place]


async def reopened(path: Path) -> tuple[list[int], Recovered]:
    ring, recovered = await Ring.open(path, ROWS)
    contents = await ring.read(frame.place for frame in recovered.frames)
    await ring.close()
    segments: list[Segment] = [s for content in contents.values() for s in batch.unpack_segments(content)]
    assert sorted(s.info.first_seq for s in segments) == sorted(firsts(recovered))
    assert all(batch.is_intact(segment) for segment in segments)
    return firsts(recovered), recovered


async def test_everything_committed_is_found_in_order(tmp_path: Path) -> None:
    await filled(tmp_path / "ring.db", [100, 9000, 4000, 1])
    found, recovered = await reopened(tmp_path / "ring.db")
    assert found == [1, 2, 3, 4]
    assert (recovered.damaged_pages, recovered.torn_pages, recovered.set_aside) == (0, 0, None)


async def test_a_group_of_one_page_writes_one_page(tmp_path: Path) -> None:
    ring, _ = await Ring.open(tmp_path / "ring.db", ROWS)
    await ring.write(packed(1), 0)  # the first of a run also counts the change in page 1
    size = (tmp_path / "ring.db").stat().st_size
    before = (tmp_path / "ring.db").read_bytes()
    await ring.write(packed(2), 0)
    await ring.close()
    after = (tmp_path / "ring.db").read_bytes()
    assert len(after) == size
    assert sum(before[at : at + 4096] != after[at : at + 4096] for at in range(0, size, 4096)) == 1


async def test_a_watermark_hides_what_was_acknowledged(tmp_path: Path) -> None:
    ring, _ = await Ring.open(tmp_path / "ring.db", ROWS)
    places = [await ring.write(packed(number), 0) for number in (1, 2, 3)]
    assert places[2]
    await ring.write(b"", places[2].generation)
    await ring.close()
    found, _ = await reopened(tmp_path / "ring.db")
    assert found == [3]


async def test_a_full_ring_refuses_and_a_freed_place_is_used_again(tmp_path: Path) -> None:
    ring, _ = await Ring.open(tmp_path / "ring.db", ROWS)
    places = [await ring.write(packed(number), 0) for number in range(1, ROWS + 1)]
    assert await ring.write(packed(99), 0) is None
    assert places[10]
    ring.free(places[10])
    place = await ring.write(packed(99), 0)
    assert place
    assert place.row == places[10].row
    await ring.close()


async def test_writes_go_round_the_whole_file(tmp_path: Path) -> None:
    ring, _ = await Ring.open(tmp_path / "ring.db", ROWS)
    rows = []
    for number in range(1, 3 * ROWS):
        place = await ring.write(packed(number), 0)
        assert place
        rows.append(place.row)
        ring.free(place)
    await ring.close()
    assert rows[:ROWS] == list(range(1, ROWS + 1))
    assert rows[ROWS : 2 * ROWS] == list(range(1, ROWS + 1))


async def test_a_write_cut_short_loses_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "ring.db"
    places = await filled(path, [100, 100, 9000])
    spoil(path, places[2].row + 1, b"\xaa" * 512, at=1024)
    found, recovered = await reopened(path)
    assert found == [1, 2]
    assert (recovered.torn_pages, recovered.damaged_pages) == (1, 0)


async def test_damage_elsewhere_sets_the_file_aside_and_salvages_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "ring.db"
    places = await filled(path, [100, 100, 100, 9000])
    spoil(path, places[0].row, b"\xaa" * 32, at=80)
    found, recovered = await reopened(path)
    assert found == [2, 3, 4]
    assert recovered.damaged_pages == 1
    assert recovered.set_aside == tmp_path / "ring.db.damaged-1"
    assert recovered.set_aside.exists()
    again, recovered = await reopened(path)
    assert again == [2, 3, 4]
    assert recovered.set_aside is None


@pytest.mark.parametrize("at", [0, 20, 4096, 8192])
async def test_a_file_that_sqlite_cannot_read_is_salvaged_past_it(tmp_path: Path, at: int) -> None:
    path = tmp_path / "ring.db"
    await filled(path, [100, 9000, 100])
    content = bytearray(path.read_bytes())
    content[at : at + 32] = b"\xff" * 32
    path.write_bytes(content)
    found, _ = await reopened(path)
    assert found == [1, 2, 3]


async def test_a_file_of_garbage_is_set_aside_and_capture_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ring.db"
    path.write_bytes(b"\x5a" * 100_000)
    found, recovered = await reopened(path)
    assert found == []
    assert recovered.set_aside is not None
    assert recovered.set_aside.read_bytes() == b"\x5a" * 100_000


async def test_a_truncated_file_gives_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "ring.db"
    places = await filled(path, [100] * 20)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"RDp1") + 10 * 4096])
    found, _ = await reopened(path)
    assert found == list(range(1, 11))
    assert len(places) == 20


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ring.db"
    await filled(path, [100])
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    before = path.read_bytes()
    with pytest.raises(PermanentError, match="newer"):
        await Ring.open(path, ROWS)
    assert path.read_bytes() == before


async def test_a_disk_that_refuses_is_transient(tmp_path: Path) -> None:
    with pytest.raises(TransientError):
        await Ring.open(tmp_path / "absent" / "ring.db", ROWS)


@pytest.mark.parametrize("moment", ["drafting", "named"])
async def test_a_salvage_cut_short_is_done_again(tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ring.db"
    await filled(path, [100, 9000, 100])
    path.write_bytes(b"\xff" * 64 + path.read_bytes()[64:])

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    name = "set_aside" if moment == "drafting" else "_take_name"
    with monkeypatch.context() as patch:
        patch.setattr(f"routerd.spool.ring.{name}", power_cut)
        with pytest.raises(KeyboardInterrupt):
            await Ring.open(path, ROWS)
    found, _ = await reopened(path)
    assert found == [1, 2, 3]


async def test_a_disk_without_room_for_a_second_ring_leaves_the_damaged_one_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ring.db"
    await filled(path, [100, 9000, 100])
    path.write_bytes(b"\xff" * 64 + path.read_bytes()[64:])

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("routerd.spool.ring._make", full)
        with pytest.raises(TransientError):
            await Ring.open(path, ROWS)
    found, recovered = await reopened(path)
    assert found == [1, 2, 3]
    assert recovered.set_aside


def spoil(path: Path, row: int, garbage: bytes, *, at: int) -> None:
    """Overwrite part of a row's page in the file, past SQLite."""
    content = bytearray(path.read_bytes())
    first = content.index(b"RDp1") - (4096 - PAGE_BYTES)
    where = first + (row - 1) * 4096 + at
    content[where : where + len(garbage)] = garbage
    path.write_bytes(content)
