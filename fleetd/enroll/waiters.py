"""Polls that are held, and how they are ended early."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Waiters:
    """Of this process. A device has one poll held: a newer one ends the older, whose connection is likely dead."""

    def __init__(self) -> None:
        self._held: dict[str, asyncio.Event] = {}

    @contextmanager
    def hold(self, device: str) -> Iterator[asyncio.Event]:
        """The event that ends this poll."""
        self.wake(device)
        event = self._held[device] = asyncio.Event()
        try:
            yield event
        finally:
            if self._held.get(device) is event:
                del self._held[device]

    def wake(self, device: str) -> bool:
        """End the poll held by a device; False when there is none."""
        event = self._held.get(device)
        if event is not None:
            event.set()
        return event is not None

    def wake_all(self) -> None:
        """When the server stops."""
        for event in self._held.values():
            event.set()


class Results:
    """Who waits for the result of a command."""

    def __init__(self) -> None:
        self._wanted: dict[str, asyncio.Event] = {}

    @contextmanager
    def expect(self, order_id: str) -> Iterator[asyncio.Event]:
        event = self._wanted.setdefault(order_id, asyncio.Event())
        try:
            yield event
        finally:
            self._wanted.pop(order_id, None)

    def arrived(self, order_id: str) -> None:
        if event := self._wanted.get(order_id):
            event.set()
