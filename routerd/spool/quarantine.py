"""Segments that the cloud refused by themselves: kept aside, counted, never dropped.

`row.quarantined` about a source stands while anything of it is kept aside or parked, also after a restart.
"""

from routerd.clock import Clock
from routerd.conditions import CRITICAL, Conditions
from routerd.spool.index import Held
from routerd.spool.state import Refused, State

MAX_BYTES = 4 << 20  # hundreds of segments: by then it is the cloud's fault or ours, and support has to act
PARK_S = 3600.0  # how often what found no room is offered to the cloud again


class Quarantine:
    def __init__(self, state: State, clock: Clock, conditions: Conditions) -> None:
        self._state = state
        self._clock = clock
        self._conditions = conditions
        self._refused: dict[str, Refused] = {}
        self._parked: dict[Held, int | None] = {}  # until when; None: it is being offered to the cloud again

    async def open(self) -> dict[str, Refused]:
        """What earlier runs kept aside. Raises TransientError."""
        self._refused = await self._state.quarantined()
        for source in self._refused:
            self._show(source)
        return self._refused

    async def take(self, held: Held, packed: bytes, reason: str) -> bool:
        """Keep a refused segment aside. False if the quarantine is full: it stays in the spool, parked for a while,
        so that the others go on. Raises TransientError."""
        source = held.info.stream.source
        if sum(refused.packed_bytes for refused in self._refused.values()) + len(packed) > MAX_BYTES:
            held.parked = True
            self._parked[held] = self._clock.mono_ns() + int(PARK_S * 1e9)
            self._show(source)
            return False
        await self._state.quarantine(held.info, packed, reason)
        before = self._refused.get(source, Refused(0, 0, ""))
        records, size = before.records + held.info.count, before.packed_bytes + len(packed)
        self._refused[source] = Refused(records, size, reason)
        self._parked.pop(held, None)
        self._show(source)
        return True

    def unpark(self) -> list[Held]:
        """The segments whose time has come: they wait again like any other."""
        now_ns = self._clock.mono_ns()
        due = [held for held, until_ns in self._parked.items() if until_ns is not None and until_ns <= now_ns]
        for held in due:
            self._parked[held] = None
            held.parked = False
        return due

    def left(self, held: Held) -> None:
        """The segment left the spool after all."""
        if held in self._parked:
            del self._parked[held]
            self._show(held.info.stream.source)

    @property
    def due_ns(self) -> int | None:
        return min((until_ns for until_ns in self._parked.values() if until_ns is not None), default=None)

    def _show(self, source: str) -> None:
        refused = self._refused.get(source)
        parked = sum(held.info.count for held in self._parked if held.info.stream.source == source)
        said = []
        if refused:
            said.append(f"{refused.records} records are kept aside ({refused.reason})")
        if parked:
            said.append(f"{parked} more wait in the spool, because the quarantine is full ({MAX_BYTES >> 20} MiB)")
        if said:
            self._conditions.raise_("row.quarantined", source, f"{'; '.join(said)}: ask support", CRITICAL)
        else:
            self._conditions.clear("row.quarantined", source)
