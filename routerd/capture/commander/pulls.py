"""Documents read from a controller into the room, and what becomes of those that do not come whole."""

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from enum import Enum, auto

from routerd.capture.commander import cgi
from routerd.capture.commander.cgi import Head
from routerd.capture.commander.controller import Answer
from routerd.capture.commander.visit import FaultError, Visit
from routerd.capture.link import Fetch, PullInlet
from routerd.errors import CorruptError, TransientError

log = logging.getLogger("routerd.capture.commander")

_HEAD_BYTES = 1024  # openedTime ends within the first 250
_ROOM_S = 60.0  # for the spool to drain; longer, and a worker of the controller would hang on our account
_CUTS = ("pos.cut", "pos.busy")  # raised while a body is read


class Outcome(Enum):
    WHOLE = auto()
    CUT = auto()  # the rest did not come: again
    LOST = auto()  # it is like that at the POS: again is useless


@dataclass(frozen=True, slots=True)
class Pulled:
    """What came of reading a document. `tries`: how often running it was cut."""

    outcome: Outcome
    head: Head
    frames: int
    tries: int = 0
    why: str = ""


class Pulls:
    """Reads documents, one at a time, and remembers how those ended that did not come whole.

    Conditions: pos.document_truncated when a document ended at the same byte twice running, pos.document_oversized past
    64 MiB, pos.document_absent when it was listed and is not there. Each names every document concerned, and ends when
    all of them were taken whole.
    """

    def __init__(self, inlet: PullInlet) -> None:
        self._inlet = inlet
        self._cuts: dict[str, list[bytes]] = {}  # name -> digests of what came, one per try
        self._lost: dict[str, set[str]] = {}  # condition -> names

    async def read(self, visit: Visit, kind: str, file_name: str, *, final: bool, anew: bool = False) -> Pulled:
        """Raises RouterdError for what concerns the controller rather than this document."""
        name = f"{kind}/{file_name}"
        reading = _Reading(self._inlet, name, final=final, anew=anew)
        try:
            async with visit.document(kind, file_name) as answer:
                await reading.drink(answer)
            is_whole = reading.end()
        except FaultError as fault:
            if fault.code != "pos.document_absent" or not final:
                raise
            return self._given_up(name, reading, fault.code, str(fault))
        except TransientError as fault:
            if fault.code not in _CUTS or not (reading.size or fault.code == "pos.cut"):
                raise
            return self._cut(name, reading, str(fault))
        except CorruptError as fault:
            return self._given_up(name, reading, fault.code, str(fault))
        finally:
            reading.settle()
        if not is_whole:
            return self._cut(name, reading, f"{name} ended before its end tag")
        self._mended(name)
        log.debug("%s: %d frames, %d new", name, reading.frames, reading.fresh)
        return Pulled(Outcome.WHOLE, cgi.head(reading.head), reading.frames)

    def _cut(self, name: str, reading: "_Reading", why: str) -> Pulled:
        before = self._cuts.setdefault(name, [])
        digest = reading.digest.digest()
        if reading.size and before and before[-1] == digest:
            return self._given_up(name, reading, "pos.document_truncated", why)
        before.append(digest)
        return Pulled(Outcome.CUT, cgi.head(reading.head), reading.frames, len(before), why)

    def _given_up(self, name: str, reading: "_Reading", code: str, why: str) -> Pulled:
        names = self._lost.setdefault(code, set())
        names.add(name)
        listed = ", ".join(sorted(names))
        self._inlet.warn(code, f"not had whole: {listed} ({why}): ask for a backfill when the POS shows it whole")
        return Pulled(Outcome.LOST, cgi.head(reading.head), reading.frames)

    def _mended(self, name: str) -> None:
        self._cuts.pop(name, None)
        for code, names in self._lost.items():
            if name in names:
                names.remove(name)
                if not names:
                    self._inlet.unwarn(code)


class _Reading:
    """One try at one document."""

    def __init__(self, inlet: PullInlet, name: str, *, final: bool, anew: bool) -> None:
        self.head = b""
        self.size = 0
        self.digest = hashlib.blake2b(digest_size=16)
        self._inlet = inlet
        self._name = name
        self._final = final
        self._anew = anew
        self._fetch: Fetch | None = None
        self._is_open = False

    async def drink(self, answer: Answer) -> None:
        self._fetch = self._inlet.fetch(self._name, final=self._final, anew=self._anew)
        self._is_open = True
        while piece := await answer.piece():
            self.size += len(piece)
            self.digest.update(piece)
            if len(self.head) < _HEAD_BYTES:
                self.head = (self.head + piece)[:_HEAD_BYTES]
            if self._fetch.feed(piece):
                await asyncio.sleep(0)  # a small CPU cuts a piece in milliseconds: serial lines are read in between
            else:
                await self._room()

    async def _room(self) -> None:
        try:
            async with asyncio.timeout(_ROOM_S):
                await self._inlet.room()
        except TimeoutError as exc:
            message = f"{self._name} is read again when the router has room for more records"
            raise TransientError("source.no_room", message) from exc

    def end(self) -> bool:
        self._is_open = False
        return bool(self._fetch and self._fetch.end())

    def settle(self) -> None:
        """Whatever happened, the fetch ended once."""
        if self._fetch and self._is_open:
            self._is_open = False
            self._fetch.break_off()

    @property
    def frames(self) -> int:
        return self._fetch.frames if self._fetch else 0

    @property
    def fresh(self) -> int:
        return self._fetch.fresh if self._fetch else 0
