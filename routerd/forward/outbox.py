"""What forward needs of the rooms around it."""

import asyncio
from collections.abc import Iterable
from typing import Protocol, TypeVar

from routerd.cloud import Reply
from routerd.model import Segment, SegmentInfo, Stream


class Waiting(Protocol):
    """A segment the spool handed out."""

    info: SegmentInfo


H = TypeVar("H", bound=Waiting)


class Outbox(Protocol[H]):
    """The spool's side that gives segments away."""

    live_ready: asyncio.Event
    backlog_ready: asyncio.Event

    def take_live(self, max_bytes: int) -> list[tuple[H, bytes]]: ...
    async def take_backlog(self, max_bytes: int) -> list[tuple[H, bytes]]: ...
    def settle(self, held: H) -> None: ...
    def process(self, stream: Stream, watermark: int) -> None: ...
    def unheard(self) -> bool: ...
    def release(self, group: Iterable[H]) -> None: ...
    async def quarantine(self, held: H, segment: Segment, reason: str) -> None: ...
    def use_codec(self, name: str) -> None: ...
    def cloud_is(self, *, reachable: bool) -> None: ...


class Uplink(Protocol):
    """The HTTP client."""

    async def post(self, path: str, body: bytes) -> Reply: ...
    def renewed(self) -> bool: ...
