"""The folder link: files that a POS drops into a directory, mostly on a network share, are read and left alone.

The folder is polled: change notifications know nothing of what happens on a server, and a watcher that went deaf lost
a store's day. Each file is one final document, read once its size and time have stood still; a file that is written
anew is another document, of which only the new records count (`PullInlet.fetch`).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Set
from contextlib import suppress
from datetime import date, datetime, timedelta
from functools import partial
from typing import Protocol, TypeVar

from routerd.backoff import Backoff
from routerd.capture.flow import give_up
from routerd.capture.folder.aside import Aside
from routerd.capture.folder.directory import SHARE_ERRORS, Directory
from routerd.capture.folder.listing import Entry, Listing, Sight
from routerd.capture.link import Backfill, BackfillPlan, Fetch, PullInlet
from routerd.errors import PermanentError, TransientError
from routerd.model import FolderLink

T = TypeVar("T")

ANSWER_S = 60.0  # a listing of 20,000 files over a slow share takes ten; a kernel's own time-outs are minutes
UNREADABLE_AFTER_S = 60.0  # writers were seen to hold a file for 35 s
CONTENDED_FOR_S = 24 * 3600.0  # a night's collection by another product shows until the next one is due
SHORT_POLL_S = 1.0  # no listing more often than this, however short `settle_s` is
MAX_WISH_DAYS = 400  # of a backfill: no POS keeps its files for longer than a year
_BATCH = 256  # names asked of memory before others get the loop
_MOUNT = "mount"  # what is noted durably: the folder is a mount point


class Disk(Protocol):
    """See `directory.Directory`."""

    def look(self, known: Set[str], again: Set[str]) -> Sight: ...
    def piece(self, entry: Entry, offset: int) -> bytes: ...


class FolderTransport:
    """Reads the files of one directory, until cancelled.

    `backoff` spaces the tries at a file that cannot be read.

    Conditions: folder.bad_settings; share.lost; beside the link's state source.unreadable (held or forbidden files),
    source.truncated (files that are not whole) and source.contended (another product takes files away before us).
    """

    def __init__(
        self,
        link: FolderLink,
        *,
        backoff: Backoff | None = None,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        disk: Disk | None = None,
        answer_s: float = ANSWER_S,
    ) -> None:
        """`clock` is monotonic, in seconds."""
        self._link = link
        self._backoff = backoff or Backoff()
        self._chance = chance
        self._clock = clock
        self._sleep = sleep
        self._disk = disk or Directory(link.path, link.pattern)
        self._aside = Aside(answer_s)
        self._answer_s = answer_s
        self._listing = Listing(link.settle_s)
        self._inlet: PullInlet | None = None
        self._current: Entry | None = None
        self._was_mount = False
        self._place: tuple[int, int] | None = None
        self._stolen = 0
        self._stolen_at_s = 0.0

    async def run(self, inlet: PullInlet) -> None:
        try:
            _check(self._link)
        except PermanentError as fault:
            await give_up(inlet, fault)
        self._was_mount = bool(await inlet.noted(_MOUNT))
        self._inlet = inlet
        while True:
            try:
                wait_s = await self._round(inlet)
            except TransientError as fault:
                inlet.failed(fault.code, str(fault))
                wait_s = self._link.poll_s  # a look that fails costs the server no more than one that works
            await self._sleep(wait_s)

    async def backfill(self, wish: Backfill) -> BackfillPlan:
        """See `link.PullTransport`. A file belongs to the day, in the router's time zone, it was last written on."""
        first, last = _range(wish)
        inlet = self._inlet
        if inlet is None:
            raise TransientError("share.lost", f"{self._link.path} was not read yet: ask again")
        sight = await self._look(frozenset(), frozenset())
        days: dict[date, list[Entry]] = {}
        for entry in sorted(sight.entries, key=lambda entry: (entry.mtime_ns, entry.name)):
            days.setdefault(_day(entry.mtime_ns), []).append(entry)
        if not days or last < min(days):
            oldest = f"its oldest file is of {min(days)}" if days else "it holds no file"
            raise PermanentError("backfill.beyond_window", f"{self._link.path}: {oldest}")
        queued, held = [], []
        wanted = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        for entry in [entry for day in wanted for entry in days.get(day, ())]:
            if wish.anew or not inlet.taken(entry.document):
                self._listing.again(entry, self._clock(), anew=wish.anew)
                queued.append(entry.document)
            else:
                held.append(entry.document)
        absent = tuple(day.isoformat() for day in wanted if day not in days)
        return BackfillPlan(tuple(queued), tuple(held), absent)

    @property
    def waiting(self) -> tuple[str, ...]:
        entries = self._listing.waiting
        if self._current in entries:
            entries.remove(self._current)
            entries.insert(0, self._current)
        return tuple(entry.document for entry in entries)

    async def _round(self, inlet: PullInlet) -> float:
        """Look, read what is ready until the next look is due, return the wait for that. TransientError share.lost."""
        began_s = self._clock()
        sight = await self._look(self._listing.known, self._listing.turn())
        await self._know_mount(inlet, sight)
        inlet.fine()
        changes = self._listing.see(sight, self._clock())
        for n, entry in enumerate(changes.fresh):
            if inlet.taken(entry.document):
                self._listing.done(entry, whole=True)
            if n % _BATCH == _BATCH - 1:
                await asyncio.sleep(0)
        self._report(inlet, [entry for entry in changes.stolen if not inlet.taken(entry.document)])
        for entry in self._listing.ready(began_s):
            await self._take(entry, inlet)
            if self._clock() - began_s >= self._link.poll_s:
                return 0.0  # a first start finds weeks of files: look whether any was taken away, and go on
        self._report(inlet, [])
        if self._listing.is_settling:
            return min(self._link.poll_s, max(self._link.settle_s, SHORT_POLL_S))
        return self._link.poll_s

    async def _look(self, known: Set[str], again: Set[str]) -> Sight:
        try:
            return await self._ask(partial(self._disk.look, known, again))
        except OSError as exc:
            raise self._lost(exc) from exc

    async def _know_mount(self, inlet: PullInlet, sight: Sight) -> None:
        """Tell an emptied folder from one whose share is not there: what it was mounted on is empty, too.

        A folder that is no mount point lies in a share, and is missing without it, or on the router's own disk. The
        same folder empty was purged; an empty one in its place is a lost share until it holds files. What the folder
        is, a look that sees files tells; that it is a mount point is known after a start, too.
        """
        if not sight.present:
            if not sight.mounted and (self._was_mount or self._place not in (None, sight.place)):
                raise TransientError("share.lost", f"{self._link.path} is empty, nothing is mounted there: mount it")
            return
        self._place = sight.place
        if sight.mounted != self._was_mount:
            self._was_mount = sight.mounted
            with suppress(TransientError):  # the spool reports its disk itself; this run knows
                await inlet.note(_MOUNT, "yes" if sight.mounted else "")

    async def _take(self, entry: Entry, inlet: PullInlet) -> None:
        """Read one file. TransientError share.lost; any other failure is that file's own."""
        fetch = inlet.fetch(entry.document, final=True, anew=self._listing.is_anew(entry))
        self._current = entry
        try:
            why = await self._pour(entry, fetch, inlet)
        except OSError as exc:
            fetch.break_off()
            if exc.errno in SHARE_ERRORS:
                raise self._lost(exc) from exc
            why = exc.strerror or str(exc)
        except BaseException:
            fetch.break_off()
            raise
        else:
            if not why:
                self._listing.done(entry, whole=fetch.end())
                return
            fetch.break_off()
        finally:
            self._current = None
        self._listing.put_off(entry, self._clock(), why, self._backoff, self._chance())

    async def _pour(self, entry: Entry, fetch: Fetch, inlet: PullInlet) -> str:
        """Feed the whole file; what stands in the way otherwise. Raises OSError, TransientError."""
        offset = 0
        while offset < entry.size:
            piece = await self._ask(partial(self._disk.piece, entry, offset))
            if not piece:
                return "still being written"
            offset += len(piece)
            if not fetch.feed(piece):
                await inlet.room()
        return ""

    async def _ask(self, work: Callable[[], T]) -> T:
        try:
            return await self._aside.run(work)
        except TimeoutError as exc:
            message = f"{self._link.path} does not answer (waited {self._answer_s:.0f} s): check its server and the LAN"
            raise TransientError("share.lost", message) from exc

    def _lost(self, exc: OSError) -> TransientError:
        message = f"{self._link.path}: {exc.strerror}: mount the share, or correct path and permissions"
        return TransientError("share.lost", message)

    def _report(self, inlet: PullInlet, stolen: list[Entry]) -> None:
        """Raise or clear what stands beside the link's state."""
        now_s = self._clock()
        if stolen:
            self._stolen += len(stolen)
            self._stolen_at_s = now_s
            inlet.warn("source.contended", _contended(self._stolen, _shown(stolen[-1].name)))
        elif self._stolen and now_s - self._stolen_at_s >= CONTENDED_FOR_S:
            self._stolen = 0
            inlet.unwarn("source.contended")
        if failing := self._listing.failing(now_s - UNREADABLE_AFTER_S):
            name, why = failing[0]
            message = f"{len(failing)} files cannot be read, {_shown(name)} ({why}): they are tried again, others go on"
            inlet.warn("source.unreadable", message)
        else:
            inlet.unwarn("source.unreadable")
        if torn := self._listing.torn:
            message = f"{len(torn)} files are not whole, {_shown(torn[-1])}: they are read again when they change"
            inlet.warn("source.truncated", message)
        else:
            inlet.unwarn("source.truncated")


def _contended(count: int, last: str) -> str:
    return (
        f"{count} files were taken away before they could be read, last {last}: another product deletes them:"
        " use a read-only exit (Passport: Third Party Data Interface, PPXMLData\\PJR)"
    )


def _shown(name: str) -> str:
    return name if name.isprintable() else ascii(name)


def _day(mtime_ns: int) -> date:
    try:
        return datetime.fromtimestamp(mtime_ns / 1e9).date()
    except (ValueError, OverflowError, OSError):  # a file may bear any time
        return date.max


def _range(wish: Backfill) -> tuple[date, date]:
    try:
        first, last = date.fromisoformat(wish.first), date.fromisoformat(wish.last)
    except ValueError as exc:
        raise PermanentError("backfill.bad_range", f"{wish.first} to {wish.last}: write days as 2026-02-26") from exc
    if not 0 <= (last - first).days < MAX_WISH_DAYS:
        raise PermanentError("backfill.bad_range", f"{first} to {last}: ask for 1 to {MAX_WISH_DAYS} days, in order")
    return first, last


def _check(link: FolderLink) -> None:
    """PermanentError `folder.bad_settings` for what no folder can be read with."""
    if not link.path.is_absolute():
        raise PermanentError("folder.bad_settings", f"path {link.path}: write it from / on")
    if not link.pattern or "/" in link.pattern:
        raise PermanentError("folder.bad_settings", f"pattern {link.pattern!r}: name files, like PJR*.xml")
    if link.poll_s <= 0 or link.settle_s < 0:
        raise PermanentError("folder.bad_settings", "poll_s must be above 0 and settle_s not below")
