"""The room as a link sees it: records what a link does, can be told to be full, and lets tests wait for events."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from routerd import framing, tlog
from routerd.capture.link import Transport
from routerd.capture.pull import DocumentFetch, document_key
from routerd.capture.session import Meter, Reading
from routerd.model import DOCUMENT, RECORD, Document, Draft, Stamp
from routerd.wire.body import unpack_document
from tests.fakes.clock import FakeClock

DEADLINE_S = 10.0


class FakeSession:
    """One connection's bytes. Feeding or closing after `close` is a broken promise and fails."""

    def __init__(self, inlet: "FakeInlet", peer: str) -> None:
        self._inlet = inlet
        self.peer = peer
        self.data = bytearray()
        self.feeds = 0
        self.closed = False
        self.left = False

    def feed(self, chunk: bytes) -> bool:
        assert not self.closed, "fed after close"
        assert type(chunk) is bytes
        assert chunk, "fed nothing"
        if self._inlet.bug:
            raise self._inlet.bug
        self.data += chunk
        self.feeds += 1
        self._inlet.changed()
        return not self._inlet.full

    def close(self) -> None:
        assert not self.closed, "closed twice"
        self.closed = True
        self._inlet.changed()

    def leave(self) -> None:
        self.close()
        self.left = True


class FakeInlet:
    """`raised` holds the conditions of now, `failures` all that ever were; `bug` makes every feed raise it."""

    def __init__(self) -> None:
        self.sessions: list[FakeSession] = []
        self.failures: list[tuple[str, str]] = []
        self.raised: dict[str, str] = {}
        self.bug: Exception | None = None
        self.waiting = 0  # links inside `room`
        self.full = False
        self._room = asyncio.Event()
        self._room.set()
        self._changed = asyncio.Event()

    def open(self, peer: str) -> FakeSession:
        session = FakeSession(self, peer)
        self.sessions.append(session)
        self.raised.clear()
        self.changed()
        return session

    def ready(self) -> None:
        self.raised.clear()
        self.changed()

    def failed(self, code: str, message: str) -> None:
        self.failures.append((code, message))
        self.raised[code] = message
        self.changed()

    async def room(self) -> None:
        self.waiting += 1
        self.changed()
        try:
            await self._room.wait()
        finally:
            self.waiting -= 1

    def fill(self) -> None:
        """From now on every feed answers False, and `room` waits for `empty`."""
        self.full = True
        self._room.clear()

    def empty(self) -> None:
        self.full = False
        self._room.set()

    @property
    def live(self) -> list[FakeSession]:
        return [each for each in self.sessions if not each.closed]

    @property
    def data(self) -> bytes:
        """All sessions' bytes, in the order they were opened."""
        return b"".join(bytes(each.data) for each in self.sessions)

    async def captured(self, data: bytes, session: int = 0) -> None:
        """Wait until that session (0 is the first that was opened) holds as many bytes, then compare them."""
        await self.until(lambda: len(self.sessions) > session and len(self.sessions[session].data) >= len(data))
        assert self.sessions[session].data == data

    def changed(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, done: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
        """Wait until `done()`, looked at after every event. TimeoutError past the deadline."""
        async with asyncio.timeout(deadline_s):
            while not done():
                await self._changed.wait()


class FakeMemory:
    """Remembers for ever; a test may keep it for the next inlet, as a restart of the daemon does."""

    def __init__(self) -> None:
        self.epoch = 1
        self.places: dict[int, tuple[int, int]] = {}

    def find(self, key: int) -> tuple[int, int] | None:
        return self.places.get(key)

    def add(self, key: int, seq: int) -> None:
        self.places[key] = (self.epoch, seq)


class FakePullInlet(FakeInlet):
    """As the room is to a link that reads documents: real framing and memory, drafts in a list instead of a spool.

    `warned` holds the conditions of now that stand beside the link's state, `notes` what was noted durably.
    """

    def __init__(self, scratch: Path, dialect: str, memory: FakeMemory | None = None) -> None:
        super().__init__()
        self.scratch = scratch
        self.memory = memory or FakeMemory()
        self.drafts: list[Draft] = []
        self.warned: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        self.clock = FakeClock()
        self.meter = Meter()
        self._dialect = tlog.dialect(dialect)
        self._seq = 1

    def fetch(self, name: str, *, final: bool, anew: bool = False) -> DocumentFetch:
        reading = Reading(framing.build("xml-element", {}, self._dialect.elements), self._dialect)
        return DocumentFetch(name, reading, self, self.clock, self.meter, final=final, anew=anew)

    def append(self, drafts: list[Draft], stamp: Stamp) -> int:
        if self.bug:
            raise self.bug
        first, self._seq = self._seq, self._seq + len(drafts)
        self.drafts += drafts
        self.changed()
        return first

    def has_room(self) -> bool:
        return not self.full

    def taken(self, name: str) -> bool:
        return self.memory.find(document_key(name)) is not None

    def fine(self) -> None:
        self.ready()

    def warn(self, code: str, message: str) -> None:
        self.warned[code] = message
        self.changed()

    def unwarn(self, code: str) -> None:
        self.warned.pop(code, None)
        self.changed()

    async def note(self, key: str, text: str) -> None:
        self.notes[key] = text

    async def noted(self, key: str) -> str:
        return self.notes.get(key, "")

    @property
    def records(self) -> list[bytes]:
        return [draft.data for draft in self.drafts if draft.kind == RECORD]

    @property
    def documents(self) -> list[Document]:
        return [unpack_document(draft.data) for draft in self.drafts if draft.kind == DOCUMENT]


@asynccontextmanager
async def running(transport: Transport, inlet: FakeInlet) -> AsyncIterator["asyncio.Task[None]"]:
    """Runs the link inside the block, cancels it at the end and insists that it ended by that and nothing else."""
    task = asyncio.create_task(transport.run(inlet))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=DEADLINE_S)
    assert task.cancelled(), task
    assert not inlet.live
