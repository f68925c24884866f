"""The room of a source that is read document by document, as its link sees it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from routerd.backoff import Backoff
from routerd.capture.inlet import Health, SourceSnapshot
from routerd.capture.link import Backfill, BackfillPlan, PullTransport
from routerd.capture.links import pull_transport
from routerd.capture.pull import DocumentFetch, Memory, document_key
from routerd.capture.sources import reading
from routerd.clock import Clock
from routerd.conditions import Conditions
from routerd.errors import TransientError
from routerd.model import DOCUMENT, Draft, PullLink, Source, Stamp

_RETRY = Backoff(base_s=5.0, ceiling_s=60.0)  # the POS keeps its documents, but a technician at it waits


class DocumentStore(Protocol):
    """What a document feed needs of the spool."""

    def append(self, source: str, drafts: list[Draft], stamp: Stamp) -> int: ...
    def has_room(self, source: str) -> bool: ...
    async def room(self, source: str) -> None: ...
    def memory(self, source: str) -> Memory: ...
    def scratch(self, source: str) -> Path: ...
    async def note(self, source: str, key: str, text: str) -> None: ...
    async def noted(self, source: str, key: str) -> str: ...


class DocumentInlet:
    """See `link.PullInlet`; `backfill` hands a wish to the link."""

    def __init__(
        self, source: Source, link: PullLink, store: DocumentStore, clock: Clock, conditions: Conditions
    ) -> None:
        self.source = source
        self._health = Health(source, clock, conditions)
        self._link_settings = link
        self._link: PullTransport | None = None
        self._store = store
        self._clock = clock
        self._conditions = conditions
        self._is_up = False
        self._documents = 0
        self._memory: Memory | None = None

    async def run(self, chance: Callable[[], float]) -> None:
        self._link = pull_transport(self._link_settings, _RETRY, chance=chance)
        await self._link.run(self)

    async def backfill(self, wish: Backfill) -> BackfillPlan:
        """Raises PermanentError and TransientError as the link does."""
        if self._link is None:
            raise TransientError("backfill.not_yet", f"{self.source.name} is still starting: try again in a moment")
        return await self._link.backfill(wish)

    @property
    def memory(self) -> Memory:
        if self._memory is None:
            self._memory = self._store.memory(self.source.name)
        return self._memory

    def append(self, drafts: list[Draft], stamp: Stamp) -> int:
        self._documents += sum(draft.kind == DOCUMENT for draft in drafts)
        return self._store.append(self.source.name, drafts, stamp)

    def has_room(self) -> bool:
        return self._store.has_room(self.source.name)

    def fetch(self, name: str, *, final: bool, anew: bool = False) -> DocumentFetch:
        meter = self._health.meter
        return DocumentFetch(name, reading(self.source), self, self._clock, meter, final=final, anew=anew)

    def taken(self, name: str) -> bool:
        return self.memory.find(document_key(name)) is not None

    def fine(self) -> None:
        self._is_up = True
        self._health.works()

    def failed(self, code: str, message: str) -> None:
        self._is_up = False
        self._health.failed(code, message)

    def warn(self, code: str, message: str) -> None:
        self._conditions.raise_(code, self.source.name, message)

    def unwarn(self, code: str) -> None:
        self._conditions.clear(code, self.source.name)

    async def room(self) -> None:
        await self._store.room(self.source.name)

    async def note(self, key: str, text: str) -> None:
        await self._store.note(self.source.name, key, text)

    async def noted(self, key: str) -> str:
        return await self._store.noted(self.source.name, key)

    @property
    def scratch(self) -> Path:
        return self._store.scratch(self.source.name)

    def snapshot(self) -> SourceSnapshot:
        waiting = self._link.waiting if self._link else ()
        return replace(self._health.snapshot(is_up=self._is_up), documents=self._documents, waiting_documents=waiting)
