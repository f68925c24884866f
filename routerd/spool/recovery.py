"""Opening after any end: what waits is found again, once each."""

import asyncio
import fcntl
import logging
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from routerd.config import SpoolConfig
from routerd.errors import CorruptError, PermanentError, TransientError
from routerd.fsio import is_ram, private_directory, set_aside
from routerd.model import Segment, SegmentInfo, Stamp, Stream
from routerd.spool import dating
from routerd.spool.hot import HotFiles, Tail
from routerd.spool.index import Held, Index, in_order, uncovered
from routerd.spool.keeper import Keeper
from routerd.spool.page import Place
from routerd.spool.ring import Live, Recovered, Ring, disk_errors
from routerd.spool.state import State, mint_epoch
from routerd.spool.tally import Tally
from routerd.spool.writer import Writer
from routerd.wire import batch, body

log = logging.getLogger("routerd.spool")

_SQLITE_PAGE = 4096
_OURS = re.compile(r"lock|\.?(ring|state)\.db(-journal|\.new|\.salvaged)?|.*\.(memory|open|seg|tail|scratch)|\.seal")
_UNCOUNTED = 0x7FFFFFFF  # sorts behind every counted run of the device's life


def clear_way(folder: Path) -> list[Path]:
    """Set aside what stands under our files' names and is no file: folders, pipes, links to nothing. Returns where."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    strange = [path for path in found if _OURS.fullmatch(path.name) and not path.is_file()]
    return [aside for path in strange if (aside := _given_way(path))]


def _given_way(path: Path) -> Path | None:
    try:
        return set_aside(path)
    except OSError as exc:
        log.warning("%s: it is in the way: %s", path, exc.strerror)
        return None


async def begin_run(state: State, damaged: Callable[[Path], None]) -> int:
    """This run's epoch. A damaged state file is set aside, and `damaged` told of it; a start that the disk would not
    count has an epoch all the same."""
    if aside := await asyncio.to_thread(state.set_aside_if_damaged):
        damaged(aside)
    try:
        return await state.begin_run()
    except TransientError as exc:
        log.warning("%s", exc)  # whoever reads the state next says it as a condition
        return mint_epoch(_UNCOUNTED)


async def take_up_ring(config: SpoolConfig, keeper: Keeper, index: Index, tally: Tally, now: Stamp) -> Path | None:
    """Open the ring and take up what waits in it. Returns where the old file stands now if it was damaged.

    Raises TransientError while the disk refuses.
    """
    keeper.ring, found = await open_ring(config.data_dir / "ring.db", (config.ring_mb << 20) // _SQLITE_PAGE)
    for held in cold_segments(index, found, now):
        tally.capture(held.info.stream.source, held.info.count, 0)
    for place, *_ in found.frames:
        if not index.tenants(place):
            keeper.free(place)  # all of it is held elsewhere, too
    return found.set_aside


async def open_ring(path: Path, rows: int) -> tuple[Ring, Recovered]:
    """See Ring.open; says what it found."""
    try:
        ring, found = await Ring.open(path, rows)
    except PermanentError as exc:  # a newer routerd's: not used and not touched, but no reason to capture nothing
        log.warning("%s", exc)
        with disk_errors(path):
            aside = await asyncio.to_thread(set_aside, path)
        ring, found = await Ring.open(path, rows)
        found.set_aside = aside
    if ring.rows != rows:
        log.info("%s keeps its size of %d pages; %d are configured", path, ring.rows, rows)
    if found.torn_pages:
        log.info("%s: a write was cut short by the last power cut; nothing committed was in it", path)
    return ring, found


def cold_segments(index: Index, found: Recovered, now: Stamp) -> list[Held]:
    """Put what stands on flash into the index, each record once; returns what was added."""
    wanted = uncovered(info for frame in found.frames for info in frame.infos)
    places: dict[Held, Place] = {}
    taken = {*index.cold, *index.hot}
    for place, infos, since in sorted(found.frames, key=_age):
        for info in infos:
            held = Held(info, b"", dating.mono_ns_of(since, now))
            if info in wanted and held.key not in taken:
                taken.add(held.key)
                places[held] = place
    added = in_order(places)
    for held in added:
        index.add_cold(held, places[held])
    return added


def _age(frame: Live) -> tuple[int, int]:
    """Sorts frames by the capture of their oldest record; a dense frame was written after younger ones."""
    return min(info.stream.epoch for info in frame.infos), frame.since.mono_ns


def take_up_hot(files: HotFiles, writer: Writer, index: Index, tally: Tally, now: Stamp) -> None:
    """Take up what the last daemon of this boot had in RAM and not yet on flash."""
    for segment in hot_segments(files, writer, {held.info for held in index.cold.values()}):
        tally.capture(segment.info.stream.source, segment.info.count, 0)
        index.add_hot(Held(segment.info, batch.pack_segment(segment), _since_ns(writer, segment, now)))


def hot_segments(files: HotFiles, writer: Writer, on_flash: set[SegmentInfo]) -> list[Segment]:
    """The segments of the last daemon of this boot, also the one it was filling, without what is on flash already."""
    sealed, leftovers = files.recover()
    known = {(segment.info.stream, segment.info.first_seq) for segment in sealed}
    for leftover in leftovers:
        content, count = body.whole_items(leftover.body)
        if count and (leftover.stream, leftover.first_seq) not in known:
            segment = writer.compress(leftover.stream, leftover.first_seq, count, content)
            files.seal(-1, leftover.stream, leftover.first_seq, batch.pack_segment(segment))
            sealed.append(segment)
        leftover.path.unlink(missing_ok=True)
    fresh = uncovered([*on_flash, *(segment.info for segment in sealed)]) - on_flash
    for segment in sealed:
        if segment.info not in fresh:
            files.remove(segment.info.stream, segment.info.first_seq)
    found = [segment for segment in sealed if segment.info in fresh]
    return sorted(found, key=lambda segment: (segment.info.stream.epoch, segment.info.first_seq))


def _since_ns(writer: Writer, segment: Segment, now: Stamp) -> int:
    """When the first record of a recovered segment was captured; it says so itself."""
    try:
        first = next(body.records(writer.expand(segment), segment.info.stream, segment.info.first_seq))
    except (CorruptError, StopIteration):  # a dictionary that is not known any more: sent as it is
        return 0
    return dating.mono_ns_of(first.stamp, now)


def tails(files: HotFiles, writer: Writer, infos: Iterable[SegmentInfo]) -> dict[str, Tail]:
    """What each framer had pending, and how many of the pieces it will yield are records already."""
    last: dict[Stream, int] = {}
    for info in infos:
        last[info.stream] = max(last.get(info.stream, 0), info.last_seq)
    sources = [path.stem for path in files.directory.glob("*.tail")]
    found = {source: files.take_over_tail(writer.stream(source), last) for source in sources}
    return {source: tail for source, tail in found.items() if tail.pending}


def take_directory(config: SpoolConfig, path: Path) -> int:
    """Check that `path` is the right kind of place and lock it; the lock goes with the returned descriptor."""
    private_directory(path)
    in_ram = is_ram(path)
    if path == config.hot_dir and not in_ram:
        raise PermanentError("spool.hot_not_ram", f"{path} would wear the flash: set [spool] hot_dir to a tmpfs path")
    if path == config.data_dir and in_ram and not config.ephemeral:
        reason = f"{path} is lost at a power cut: set [spool] data_dir elsewhere, or ephemeral = true"
        raise PermanentError("spool.data_in_ram", reason)
    try:
        fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise PermanentError("path.unusable", f"{path}: {exc.strerror}: make it a directory routerd may write") from exc
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(fd)
        raise PermanentError("spool.in_use", f"{path}: another routerd runs here: stop it first") from exc
    return fd
