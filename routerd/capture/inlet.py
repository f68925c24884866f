"""What a link sees of the room: sessions for its connections, a place for its failures."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from routerd.backoff import Backoff
from routerd.capture.links import transport
from routerd.capture.session import Meter, Store, StreamSession
from routerd.capture.sources import check, describe, dialect_name, reading
from routerd.capture.tcp import TcpListenTransport
from routerd.clock import Clock
from routerd.conditions import CRITICAL, WARNING, Conditions
from routerd.model import Gap, Link, SerialLink, Source, Stream
from routerd.wire.body import gap_draft

_NOISE_SHARE = 0.05  # more than this of what arrives makes no record: wrong speed, wrong framer
_NOISE_WINDOW = 256 << 10  # bytes looked back on
_NOISE_FLOOR = 4096  # bytes of noise before the share says anything
_RETRY = Backoff(base_s=0.25, ceiling_s=5.0)  # a re-plugged cable is noticed within seconds
_AWAY_S = 5.0  # a line that was gone for longer may have missed something; a POS that dials anew is quicker


@dataclass(frozen=True, slots=True)
class SourceSnapshot:
    """One source now. `state` is up, down or waiting (for the POS to connect); ages in seconds, None for never.

    `strangers` counts the connections turned away because their address is not on the allow-list. Of a source that is
    read document by document: how many were taken whole in this run, and the names of those it still means to read.
    """

    name: str
    link: str
    framer: str
    dialect: str
    state: str
    peers: tuple[str, ...]
    bytes_read: int
    noise_bytes: int
    masked_bytes: int
    pending_bytes: int
    last_read_s: float | None
    last_record_s: float | None
    trouble: str
    strangers: dict[str, int]
    documents: int = 0
    waiting_documents: tuple[str, ...] = ()


class StreamStore(Store, Protocol):
    """What a stream needs of the spool: a place for records, and what the last run had pending."""

    def tail(self, source: str) -> "PendingTail": ...
    def stream(self, source: str) -> Stream: ...


class PendingTail(Protocol):
    @property
    def pending(self) -> bytes: ...
    @property
    def skip(self) -> int: ...


class Health:
    """A source's state and what it has read: what both kinds of inlet share."""

    def __init__(self, source: Source, clock: Clock, conditions: Conditions) -> None:
        """Raises ConfigError for settings that cannot be."""
        self.source = source
        self.meter = Meter()
        self.trouble = ""
        self._was_up = False
        self._away: tuple[int, str] | None = None
        self._clock = clock
        self._conditions = conditions
        check(source)

    def works(self) -> tuple[float, str] | None:
        """The link does what it should: what was raised through `failed` is cleared.

        Returns for how many seconds it did not, and the code of its first failure; None if it was well all the time or
        never worked before.
        """
        away = self._away
        self._was_up, self._away = True, None
        self.recovered()
        return away and ((self._clock.mono_ns() - away[0]) / 1e9, away[1])

    def recovered(self) -> None:
        if self.trouble:
            self._conditions.clear(self.trouble, self.source.name)
            self.trouble = ""

    def failed(self, code: str, message: str) -> None:
        if self.trouble != code:
            self.recovered()
        self.trouble = code
        if self._was_up and self._away is None:
            self._away = self._clock.mono_ns(), code
        self._conditions.raise_(code, self.source.name, message, CRITICAL if self._was_up else WARNING)

    def snapshot(self, *, is_up: bool) -> SourceSnapshot:
        now_ns = self._clock.mono_ns()

        def age_s(then_ns: int | None) -> float | None:
            return None if then_ns is None else (now_ns - then_ns) / 1e9

        return SourceSnapshot(
            name=self.source.name,
            link=describe(self.source.link),
            framer=self.source.framer,
            dialect=dialect_name(self.source),
            state="up" if is_up else "down" if self.trouble else "waiting",
            peers=(),
            bytes_read=self.meter.bytes_read,
            noise_bytes=self.meter.noise_bytes,
            masked_bytes=self.meter.masked_bytes,
            pending_bytes=0,
            last_read_s=age_s(self.meter.last_read_ns),
            last_record_s=age_s(self.meter.last_record_ns),
            trouble=self.trouble,
            strangers={},
        )


class StreamInlet:
    """The room of one byte stream."""

    def __init__(self, source: Source, link: Link, store: StreamStore, clock: Clock, conditions: Conditions) -> None:
        self.source = source
        self._health = Health(source, clock, conditions)
        self._link = link
        self._store = store
        self._clock = clock
        self._conditions = conditions
        self._sessions: dict[InletSession, str] = {}
        self._noise_before = (0, 0)
        self._strangers: Mapping[str, int] = {}

    async def run(self, chance: Callable[[], float]) -> None:
        link = transport(self._link, _RETRY, chance=chance)
        if isinstance(link, TcpListenTransport):
            self._strangers = link.refused
        await link.run(self)

    def open(self, peer: str) -> "InletSession":
        away = self._health.works()
        if away and away[0] >= _AWAY_S:
            self._declare(*away)
        is_serial = isinstance(self._link, SerialLink)
        name, meter = self.source.name, self._health.meter
        stream = StreamSession(name, reading(self.source), self._store, self._clock, meter, keeps_tail=is_serial)
        tail = self._store.tail(name)
        if tail.pending:
            stream.resume(tail.pending, tail.skip)
        session = InletSession(stream, self.source.idle_close_s, self._closed, self._judge_noise)
        self._sessions[session] = peer
        return session

    def ready(self) -> None:
        self._health.recovered()

    def failed(self, code: str, message: str) -> None:
        self._health.failed(code, message)

    async def room(self) -> None:
        await self._store.room(self.source.name)

    def snapshot(self) -> SourceSnapshot:
        return replace(
            self._health.snapshot(is_up=bool(self._sessions)),
            peers=tuple(self._sessions.values()),
            pending_bytes=sum(session.stream.pending_bytes for session in self._sessions),
            strangers=dict(self._strangers),
        )

    def _declare(self, away_s: float, cause: str) -> None:
        """Say that the line was away: what was sent meanwhile, nobody can know."""
        now = self._clock.stamp()
        since_ms = max(0, now.wall_ms - int(away_s * 1000))
        gap = Gap(self._store.stream(self.source.name), 0, 0, cause, 0, since_ms, max(0, now.wall_ms))
        self._store.append(self.source.name, [gap_draft(gap)], now)

    def _closed(self, session: "InletSession") -> None:
        self._sessions.pop(session, None)

    def _judge_noise(self) -> None:
        """Raise the condition while a tell-tale share of what arrives is noise."""
        meter = self._health.meter
        noise = meter.noise_bytes - self._noise_before[0]
        total = meter.bytes_read - self._noise_before[1]
        if total > _NOISE_WINDOW:  # forget half, so that neither a good day nor a bad hour is held against now
            self._noise_before = (self._noise_before[0] + noise // 2, self._noise_before[1] + total // 2)
        if noise > _NOISE_FLOOR and noise > total * _NOISE_SHARE:
            message = f"much of what arrives makes no record: check speed, parity and framer ({self.source.framer})"
            self._conditions.raise_("source.noise", self.source.name, message)
        elif meter.noise_bytes:
            self._conditions.clear("source.noise", self.source.name)


class InletSession:
    """A stream session with its place in the room: the silence timer, the noise verdict, the list of connections."""

    def __init__(
        self,
        stream: StreamSession,
        idle_close_s: float,
        closed: Callable[["InletSession"], None],
        judge_noise: Callable[[], None],
    ) -> None:
        self.stream = stream
        self._idle_close_s = idle_close_s
        self._closed = closed
        self._judge_noise = judge_noise
        self._timer: asyncio.TimerHandle | None = None

    def feed(self, chunk: bytes) -> bool:
        if self._idle_close_s:
            self._stop_timer()
            self._timer = asyncio.get_running_loop().call_later(self._idle_close_s, self.stream.settle)
        has_room = self.stream.feed(chunk)
        if not has_room:
            self._stop_timer()  # the silence is ours, not the line's
        self._judge_noise()
        return has_room

    def close(self) -> None:
        self._stop_timer()
        self.stream.settle()
        self._judge_noise()
        self._closed(self)

    def leave(self) -> None:
        self._stop_timer()
        self.stream.leave()
        self._closed(self)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
