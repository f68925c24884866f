"""Losses and damage: counted durably, and conditions that follow facts instead of the daemon's life.

spool.lost     about a source: from a loss until the record that tells the cloud of it has left the spool
               (acknowledged, or itself in quarantine). A restart in between raises it again.
spool.damaged  about a file that was set aside: until somebody has removed it, which is noticed when asked (`look`).
"""

import os
from dataclasses import replace
from pathlib import Path

from routerd.clock import Clock
from routerd.conditions import CRITICAL, Conditions
from routerd.model import Gap, SegmentInfo, Stream
from routerd.spool.index import Index
from routerd.spool.state import Incident, State

COUNT_EVERY_S = 3600.0  # a ring that stays full loses something every few seconds; each count costs some flash pages
_DAMAGED = "spool.damaged"
_REMEDIES = {
    "spool.full": "the ring was full: mend the line to the cloud, or raise ring_mb",
    "spool.disk": "the flash took no writes: check free space and the flash",
    "flash.damaged": "pages on the flash went bad: replace it",
}


class Faults:
    def __init__(self, state: State, data_dir: Path, clock: Clock, conditions: Conditions) -> None:
        self.due_ns: int | None = None  # when counts want writing; None while all are written
        self._state = state
        self._data_dir = data_dir
        self._clock = clock
        self._conditions = conditions
        self._incidents: dict[tuple[str, str], Incident] = {}
        self._unwritten: set[tuple[str, str]] = set()
        self._written_ns: int | None = None
        self._untold: set[tuple[Stream, int]] = set()  # where gap records stand that the cloud does not have yet
        self._asides: set[Path] = set()

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """Oldest first."""
        return tuple(sorted(self._incidents.values(), key=lambda incident: incident.last_wall_ms))

    async def open(self, index: Index) -> None:
        """Take up what earlier runs counted and what still stands; `index` is all that waits. Raises TransientError."""
        for aside in sorted(self._data_dir.glob("*.damaged-*")):
            self._raise_aside(aside)
        for incident in await self._state.incidents():
            key = incident.cause, incident.subject
            self._incidents[key] = self._sum(incident, self._incidents.get(key))
            stream = Stream(incident.subject, incident.epoch)
            if incident.seq and any(_holds(held.info, stream, incident.seq) for held in index):
                self._tell(incident.cause, stream, incident.seq)

    def lost(self, gap: Gap, stream: Stream, seq: int) -> None:
        """`gap` happened; its record is `seq` of `stream`. What it lost may have told of others before."""
        self._untold = {(s, n) for s, n in self._untold if not (s == gap.stream and gap.first <= n <= gap.last)}
        now_ms = self._clock.wall_ms()
        self._count(Incident(gap.cause, gap.stream.source, 1, gap.count, gap.lost_bytes, now_ms, stream.epoch, seq))
        self._tell(gap.cause, stream, seq)

    def told(self, info: SegmentInfo) -> None:
        """This segment has left the spool for good."""
        if not self._untold:
            return
        gone = {(stream, seq) for stream, seq in self._untold if _holds(info, stream, seq)}
        self._untold -= gone
        for source in {stream.source for stream, _ in gone} - {stream.source for stream, _ in self._untold}:
            self._conditions.clear("spool.lost", source)

    def damaged(self, aside: Path) -> None:
        """A file was found damaged and set aside as `aside`."""
        name = aside.name.partition(".damaged-")[0]
        self._count(Incident(_DAMAGED, name, 1, 0, 0, self._clock.wall_ms()))
        self._raise_aside(aside)

    def look(self) -> None:
        """Drop the conditions of set-aside files that are gone."""
        for aside in [aside for aside in self._asides if not os.path.lexists(aside)]:
            self._asides.remove(aside)
            self._conditions.clear(_DAMAGED, str(aside))

    async def write(self) -> None:
        """Make the counts durable. Raises TransientError, and they wait."""
        if self._unwritten:
            keys = set(self._unwritten)
            await self._state.count([self._incidents[key] for key in keys])
            self._unwritten -= keys
        self._written_ns = self._clock.mono_ns()
        self.due_ns = None

    def _count(self, incident: Incident) -> None:
        key = incident.cause, incident.subject
        self._incidents[key] = self._sum(incident, self._incidents.get(key))
        self._unwritten.add(key)
        now_ns = self._clock.mono_ns()
        rested_ns = now_ns if self._written_ns is None else self._written_ns + int(COUNT_EVERY_S * 1e9)
        self.due_ns = max(now_ns, rested_ns)

    def _tell(self, cause: str, stream: Stream, seq: int) -> None:
        self._untold.add((stream, seq))
        remedy = _REMEDIES.get(cause, cause)
        self._conditions.raise_(
            "spool.lost", stream.source, f"records were lost; the cloud will know: {remedy}", CRITICAL
        )

    def _raise_aside(self, aside: Path) -> None:
        self._asides.add(aside)
        reason = "damaged, or a newer routerd's; what could be read goes on without it: ask support, then remove it"
        self._conditions.raise_(_DAMAGED, str(aside), reason, CRITICAL)

    @staticmethod
    def _sum(newer: Incident, older: Incident | None) -> Incident:
        if older is None:
            return newer
        return replace(
            newer,
            times=newer.times + older.times,
            records=newer.records + older.records,
            bytes=newer.bytes + older.bytes,
        )


def _holds(info: SegmentInfo, stream: Stream, seq: int) -> bool:
    return info.stream == stream and info.first_seq <= seq <= info.last_seq
