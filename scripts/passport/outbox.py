"""The folder: files grow in it as a POS writes them, and vanish, lock and move as the world has it."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import BinaryIO

from scripts.passport.drops import Drop
from scripts.pos.clock import Clock

PIECES = 4  # in which a file comes
KEPT = timedelta(days=7)  # genuine sites empty the folder themselves after a week


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a file takes to be written, by the POS's clock."""

    write_s: float = 2.0


@dataclass(slots=True)
class _Growing:
    drop: Drop
    began: datetime
    sink: BinaryIO
    written: int = 0


class Outbox:
    """Writes `drops` into `folder` as the clock passes them; `whole` is told of each file when it is complete.

    Levers act on files that are whole; they raise KeyError for a name that is none of them. What the other product
    steals is drawn by `seed`.
    """

    def __init__(
        self,
        folder: Path,
        drops: Iterator[Drop],
        clock: Clock,
        *,
        pace: Pace | None = None,
        seed: int = 1,
        whole: Callable[[Drop], None] = lambda drop: None,
    ) -> None:
        self.folder = folder
        self._away = folder.with_name(f".{folder.name}.away")
        self._drops, self._clock, self._pace, self._whole = drops, clock, pace or Pace(), whole
        self._rng = Random(seed ^ 0x9A55)
        self._next = next(drops, None)
        self._growing: list[_Growing] = []
        self._kept: dict[str, datetime] = {}  # files that are whole and not deleted, and when they became whole
        self._locked: dict[str, tuple[str, bytes]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def names(self) -> list[str]:
        """The files that are whole and still there, in the order they became so."""
        return list(self._kept)

    @property
    def growing(self) -> list[str]:
        """The files that are being written."""
        return [one.drop.name for one in self._growing]

    @property
    def is_done(self) -> bool:
        """Whether everything there ever was to write is written."""
        return not (self._next or self._growing)

    def catch_up(self) -> None:
        """Everything that happens by itself until now: files begin, grow and end, and old ones are deleted."""
        now = self._clock.now()
        while self._next and self._next.at <= now:
            self._begin(self._next.at)
        self._grow(now)
        for name, since in list(self._kept.items()):
            if now - since > KEPT:
                self._delete(name)

    def drop(self, count: int = 1) -> list[str]:
        """Begin the next `count` files now, whatever the clock says; they grow with it, side by side."""
        names = []
        for _ in range(count):
            if self._next:
                names.append(self._next.name)
                self._begin(self._clock.now())
        return names

    def steal(self, count: int = 1) -> list[str]:
        """Another product deletes `count` files it has read; their names."""
        taken = self._rng.sample(sorted(self._kept), min(count, len(self._kept)))
        for name in taken:
            self._delete(name)
        return taken

    def rename(self, name: str, to: str) -> None:
        """Somebody gives a file another name; a locked one keeps its own."""
        if name in self._locked:
            raise KeyError(name)
        since = self._kept.pop(name)
        (self._place / name).rename(self._place / to)
        self._kept[to] = since

    def lock(self, name: str, how: str = "mode") -> None:
        """Nobody can read the file: `mode` 000, or for a reader who is root a `directory` or a `fifo` of its name."""
        if how not in ("mode", "directory", "fifo"):
            raise ValueError(f"no lock {how!r}; there are mode, directory, fifo")
        if name not in self._kept or name in self._locked:
            raise KeyError(name)
        path = self._place / name
        self._locked[name] = how, path.read_bytes()
        if how == "mode":
            path.chmod(0)
            return
        path.unlink()
        if how == "directory":
            path.mkdir()
        else:
            os.mkfifo(path)

    def unlock(self, name: str) -> None:
        """It is the file it was."""
        how, data = self._locked.pop(name)
        path = self._place / name
        if how == "mode":
            path.chmod(0o644)
            return
        if how == "directory":
            path.rmdir()
        else:
            path.unlink()
        path.write_bytes(data)

    def lose_share(self, *, empty: bool = False) -> None:
        """The folder vanishes from the reader's sight, or is an `empty` one, as a mount point whose server is away.
        The POS goes on writing behind it."""
        if not self._away.exists():
            self.folder.rename(self._away)
            if empty:
                self.folder.mkdir()

    def return_share(self) -> None:
        """It is there again, with what came meanwhile."""
        if self._away.exists():
            if self.folder.exists():
                self.folder.rmdir()
            self._away.rename(self.folder)

    def close(self) -> None:
        """Stop: what is being written stays as far as it came."""
        for one in self._growing:
            one.sink.close()
        self._growing.clear()

    @property
    def _place(self) -> Path:
        return self._away if self._away.exists() else self.folder

    def _begin(self, at: datetime) -> None:
        drop, self._next = self._next, next(self._drops, None)
        assert drop
        sink = (self._place / drop.name).open("wb", buffering=0)
        self._growing.append(_Growing(drop, at, sink))

    def _grow(self, now: datetime) -> None:
        for one in list(self._growing):
            passed = (now - one.began).total_seconds() / self._pace.write_s if self._pace.write_s else 1.0
            size = len(one.drop.data)
            until = size if passed >= 1 else size * int(passed * PIECES) // PIECES
            if until > one.written:
                one.sink.write(one.drop.data[one.written : until])
                one.written = until
            if until == size:
                one.sink.close()
                self._growing.remove(one)
                self._kept[one.drop.name] = one.began + timedelta(seconds=self._pace.write_s)
                self._whole(one.drop)

    def _delete(self, name: str) -> None:
        if name in self._locked:
            self.unlock(name)
        del self._kept[name]
        (self._place / name).unlink()
