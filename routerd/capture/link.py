"""What a link and the room around it promise each other.

A link only moves bytes: it opens its transport, hands over what the kernel delivered, reports when the transport
comes and goes, and opens it again. Nothing is queued in between: `Session.feed` has stored the bytes when it returns.
"""

from typing import Protocol


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


class Inlet(Protocol):
    """What the room gives a link."""

    def open(self, peer: str) -> Session:
        """A connection came up. `peer` names the other side for people (`192.168.31.11:5001`, `/dev/ttyUSB0`).

        This also tells the room that the link works: conditions raised through `failed` are cleared.
        """
        ...

    def ready(self) -> None:
        """The link works but nobody is connected yet: conditions raised through `failed` are cleared."""
        ...

    def failed(self, code: str, message: str) -> None:
        """The link does not work now (`serial.unplugged`, `tcp.refused` …); it goes on trying."""
        ...

    async def room(self) -> None:
        """Return when the link may read again."""
        ...


class Transport(Protocol):
    """A link: runs until cancelled, never raises for what the other side or the cable does."""

    async def run(self, inlet: Inlet) -> None: ...
