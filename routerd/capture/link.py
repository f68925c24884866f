"""What a link and the room around it promise each other.

A link only moves bytes: it opens its transport, hands over what the kernel delivered, reports when the transport
comes and goes, and opens it again. Nothing is queued in between: `Session.feed` has stored the bytes when it returns.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

CERTIFICATE = "certificate"  # the note that holds the POS's pinned certificate; forgetting it accepts the next one


class Session(Protocol):
    """One connection's life, from first to last byte."""

    def feed(self, chunk: bytes) -> bool:
        """Take bytes for good. False asks the link to stop reading until `Inlet.room` returns."""
        ...

    def close(self) -> None:
        """The connection is gone; what was pending is settled. Call once."""
        ...

    def leave(self) -> None:
        """We stop reading, the other side goes on: what is pending is kept where the line outlives us. Call once."""
        ...


class Failing(Protocol):
    """Where a link says that it does not work."""

    def failed(self, code: str, message: str) -> None:
        """The link does not work now (`serial.unplugged`, `tcp.refused`, `share.lost` …); it goes on trying."""
        ...


class Inlet(Failing, Protocol):
    """What the room gives a link."""

    def open(self, peer: str) -> Session:
        """A connection came up. `peer` names the other side for people (`192.168.31.11:5001`, `/dev/ttyUSB0`).

        This also tells the room that the link works: conditions raised through `failed` are cleared.
        """
        ...

    def ready(self) -> None:
        """The link works but nobody is connected yet: conditions raised through `failed` are cleared."""
        ...

    async def room(self) -> None:
        """Return when the link may read again."""
        ...


class Transport(Protocol):
    """A link: runs until cancelled, never raises for what the other side or the cable does."""

    async def run(self, inlet: Inlet) -> None: ...


class Fetch(Protocol):
    """One document being read from a POS that still has it: only what was not captured before becomes records."""

    def feed(self, chunk: bytes) -> bool:
        """Take bytes for good. False asks the link to stop reading until `PullInlet.room` returns."""
        ...

    def end(self) -> bool:
        """All bytes were fed. Whether the document is whole (its root's end tag was the last thing in it).

        A whole final document is noted as taken. One that is not whole is treated as by `break_off`. Call once.
        """
        ...

    def break_off(self) -> None:
        """The rest did not come. Records that were whole stay captured; what was pending is forgotten, the POS still
        has it. Call once instead of `end`."""
        ...

    @property
    def frames(self) -> int:
        """Frames (records and envelopes) met so far."""
        ...

    @property
    def fresh(self) -> int:
        """Frames met so far that were not captured before."""
        ...


class PullInlet(Failing, Protocol):
    """What the room gives a link that reads documents which the POS keeps."""

    async def room(self) -> None:
        """Return when the link may read again."""
        ...

    def fetch(self, name: str, *, final: bool, anew: bool = False) -> Fetch:
        """Begin to read the document `name` (the POS's own name for it, at most 255 characters).

        `final`: it is closed and will not change; one that may still grow gives its records but no envelopes.
        `anew`: take everything again although it was captured before (the cloud says it is missing there).
        """
        ...

    def taken(self, name: str) -> bool:
        """Whether the final document `name` was taken whole already, in this run or an earlier one."""
        ...

    def fine(self) -> None:
        """The POS answered as it should: conditions raised through `failed` are cleared."""
        ...

    def warn(self, code: str, message: str) -> None:
        """Raise a condition beside the link's own state (`pos.sequence_reset`, `pos.document_truncated`)."""
        ...

    def unwarn(self, code: str) -> None: ...

    async def note(self, key: str, text: str) -> None:
        """Keep a small text durably on flash under `key`; "" forgets it. Rare: each costs a few flash pages.
        Raises TransientError when the disk refuses."""
        ...

    async def noted(self, key: str) -> str:
        """What `note` kept, or ""."""
        ...

    @property
    def scratch(self) -> Path:
        """A file of this source's own on the RAM disk, for what a restart of the daemon should find and a power cut may
        take (a session cookie). The link creates it with mode 0600."""
        ...


@dataclass(frozen=True, slots=True)
class Backfill:
    """A wish to read closed documents again: business days `first`..`last` (ISO dates), both included."""

    first: str
    last: str
    anew: bool = False


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """What will become of a wish: names of documents now queued, names skipped because they were taken already, and
    the days of the wish the POS has no document for."""

    queued: tuple[str, ...]
    held: tuple[str, ...]
    absent: tuple[str, ...]


class PullTransport(Protocol):
    """A link whose POS keeps its documents for a while."""

    async def run(self, inlet: PullInlet) -> None:
        """Until cancelled; never raises for what the POS or the network does."""
        ...

    async def backfill(self, wish: Backfill) -> BackfillPlan:
        """Ask the POS what it still has and queue what is wanted; `run` fetches it, spaced from other heavy pulls.

        Raises PermanentError `backfill.beyond_window` (naming the oldest day the POS has) when it has no day of the
        wish any more, `backfill.bad_range` for a range that is none, TransientError when the POS cannot be asked now.
        """
        ...

    @property
    def waiting(self) -> tuple[str, ...]:
        """Names of the documents queued and not yet taken, the one being fetched first."""
        ...
