"""The room: one task per source, each with its link, its inlet and its health."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from routerd.capture.documents import DocumentInlet, DocumentStore
from routerd.capture.inlet import SourceSnapshot, StreamInlet, StreamStore
from routerd.capture.link import CERTIFICATE, Backfill, BackfillPlan
from routerd.clock import Clock
from routerd.conditions import Conditions
from routerd.errors import PermanentError
from routerd.model import CommanderLink, FolderLink, Source


class Spool(StreamStore, DocumentStore, Protocol):
    """What the room needs of the spool."""


class Capture:
    def __init__(
        self,
        sources: tuple[Source, ...],
        spool: Spool,
        clock: Clock,
        conditions: Conditions,
        chance: Callable[[], float],
    ) -> None:
        """Raises ConfigError for an impossible framer, dialect or speed, before the first byte is read."""
        self._chance = chance
        self._inlets: dict[str, StreamInlet | DocumentInlet] = {}
        for source in sources:
            link = source.link
            if isinstance(link, CommanderLink | FolderLink):
                self._inlets[source.name] = DocumentInlet(source, link, spool, clock, conditions)
            else:
                self._inlets[source.name] = StreamInlet(source, link, spool, clock, conditions)

    async def run(self) -> None:
        """Read every source, for ever."""
        async with asyncio.TaskGroup() as group:
            for name, inlet in self._inlets.items():
                group.create_task(inlet.run(self._chance), name=f"capture.{name}")

    @property
    def reads_again(self) -> bool:
        """Whether some source keeps documents that can be asked for."""
        return any(isinstance(inlet, DocumentInlet) for inlet in self._inlets.values())

    async def backfill(self, source: str, wish: Backfill) -> BackfillPlan:
        """Read closed documents of `source` again. PermanentError `backfill.no_source`, or what the link says."""
        inlet = self._inlets.get(source)
        if not isinstance(inlet, DocumentInlet):
            able = ", ".join(name for name, each in self._inlets.items() if isinstance(each, DocumentInlet))
            told = f"{source!r} keeps no documents to read again: use one of {able or '(no source here does)'}"
            raise PermanentError("backfill.no_source", told)
        return await inlet.backfill(wish)

    async def trust(self, source: str) -> None:
        """Take the certificate that the source's POS shows next for the right one. Raises PermanentError
        `trust.no_source`, TransientError when it cannot be noted."""
        inlet = self._inlets.get(source)
        if not isinstance(inlet, DocumentInlet) or not isinstance(inlet.source.link, CommanderLink):
            raise PermanentError("trust.no_source", f"{source!r} is no source that shows a certificate")
        await inlet.note(CERTIFICATE, "")

    def snapshot(self) -> list[SourceSnapshot]:
        return [inlet.snapshot() for inlet in self._inlets.values()]
