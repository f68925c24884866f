"""Opening after any end: what waits is found again, once each."""

import fcntl
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from routerd.config import SpoolConfig
from routerd.errors import PermanentError
from routerd.fsio import is_ram, private_directory
from routerd.model import Segment, SegmentInfo, Stream
from routerd.spool.hot import HotFiles, Tail
from routerd.spool.index import Held, Index, uncovered
from routerd.spool.ring import Recovered, Ring
from routerd.spool.state import mint_epoch
from routerd.spool.writer import Writer
from routerd.wire import batch, body

log = logging.getLogger("routerd.spool")

_UNCOUNTED = 0x7FFFFFFF  # sorts behind every counted run of the device's life


async def open_ring(path: Path, rows: int) -> tuple[Ring, Recovered]:
    """See Ring.open; says what it found."""
    ring, found = await Ring.open(path, rows)
    if ring.rows != rows:
        log.info("%s keeps its size of %d pages; %d are configured", path, ring.rows, rows)
    if found.torn_pages:
        log.info("%s: a write was cut short by the last power cut; nothing committed was in it", path)
    return ring, found


def cold_segments(index: Index, found: Recovered) -> list[Held]:
    """Put what stands on flash into the index, each record once; returns what was added."""
    wanted = uncovered(info for _, infos in found.frames for info in infos)
    added = []
    for place, infos in found.frames:
        for info in infos:
            held = Held(info, b"", 0)
            if info in wanted and held.key not in index.cold and held.key not in index.hot:
                index.add_cold(held, place)
                added.append(held)
    return added


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


def tails(files: HotFiles, writer: Writer, infos: Iterable[SegmentInfo]) -> dict[str, Tail]:
    """What each framer had pending, and how many of the pieces it will yield are records already."""
    last: dict[Stream, int] = {}
    for info in infos:
        last[info.stream] = max(last.get(info.stream, 0), info.last_seq)
    sources = [path.stem for path in files.directory.glob("*.tail")]
    found = {source: files.take_over_tail(writer.stream(source), last) for source in sources}
    return {source: tail for source, tail in found.items() if tail.pending}


def emergency_epoch() -> int:
    """An epoch for a start that could not be counted, because the disk refuses."""
    return mint_epoch(_UNCOUNTED)


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
