"""Segments the cloud refused by themselves, on their way to quarantine."""

import asyncio
from collections import deque
from typing import Generic

from routerd.conditions import Conditions
from routerd.errors import TransientError
from routerd.forward.fault import Fault
from routerd.forward.outbox import H, Outbox
from routerd.wire import batch

_RETRY_S = 10.0  # a full or failing disk is looked at often enough for a person who mends it
_MOST_BYTES = (
    1 << 20
)  # kept in memory meanwhile: with more, the cloud refuses everything and the lanes may as well wait


class Aside(Generic[H]):
    """While the disk refuses, a refused segment waits here, in flight, and all others go on."""

    def __init__(self, outbox: Outbox[H], conditions: Conditions) -> None:
        self._outbox = outbox
        self._fault = Fault(conditions, "quarantine")
        self._waiting: deque[tuple[H, bytes, str]] = deque()
        self._bytes = 0
        self._refused = asyncio.Event()

    async def put(self, held: H, packed: bytes, reason: str) -> None:
        """Take a segment off the lane. TransientError: the disk refuses and too much waits here; it is the lane's
        again."""
        try:
            await self._quarantine(held, packed, reason)
        except TransientError as exc:
            if self._bytes + len(packed) > _MOST_BYTES:
                raise
            self._waiting.append((held, packed, reason))
            self._bytes += len(packed)
            self._refused.set()
            self._fault.raise_(exc.code, str(exc))

    async def run(self) -> None:
        """Try the disk again, on a timer, while something waits."""
        while True:
            await self._refused.wait()
            await asyncio.sleep(_RETRY_S)
            try:
                await self._clear()
            except TransientError as exc:
                self._fault.raise_(exc.code, str(exc))

    async def _clear(self) -> None:
        while self._waiting:
            held, packed, reason = self._waiting[0]
            await self._quarantine(held, packed, reason)
            self._waiting.popleft()
            self._bytes -= len(packed)
        self._refused.clear()
        self._fault.clear()

    async def _quarantine(self, held: H, packed: bytes, reason: str) -> None:
        [segment] = batch.unpack_segments(packed)
        await self._outbox.quarantine(held, segment, reason)
