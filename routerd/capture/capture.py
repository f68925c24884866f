"""The room: one task per source, each with its link, its sessions and its health."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from routerd import framing, tlog
from routerd.backoff import Backoff
from routerd.capture.baud import impossible_baud
from routerd.capture.links import transport
from routerd.capture.session import Meter, Reading, Store, StreamSession
from routerd.capture.tcp import TcpListenTransport
from routerd.clock import Clock
from routerd.conditions import CRITICAL, WARNING, Conditions
from routerd.errors import ConfigError
from routerd.model import Link, SerialLink, Source, TcpConnectLink, TcpListenLink

_NOISE_SHARE = 0.05  # more than this of what arrives makes no record: wrong speed, wrong framer
_NOISE_WINDOW = 256 << 10  # bytes looked back on
_NOISE_FLOOR = 4096  # bytes of noise before the share says anything
_RETRY = Backoff(base_s=0.25, ceiling_s=5.0)  # a re-plugged cable is noticed within seconds


@dataclass(frozen=True, slots=True)
class SourceSnapshot:
    """One source now. `state` is up, down or waiting (for the POS to connect); ages in seconds, None for never.

    `strangers` counts the connections turned away because their address is not on the allow-list.
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


class Spool(Store, Protocol):
    """What the room needs of the spool: a place for records, and what the last run had pending."""

    def tail(self, source: str) -> "PendingTail": ...


class PendingTail(Protocol):
    @property
    def pending(self) -> bytes: ...
    @property
    def skip(self) -> int: ...


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
        self._inlets = [SourceInlet(source, spool, clock, conditions) for source in sources]

    async def run(self) -> None:
        """Read every source, for ever."""
        async with asyncio.TaskGroup() as group:
            for inlet in self._inlets:
                group.create_task(inlet.run(self._chance), name=f"capture.{inlet.source.name}")

    def snapshot(self) -> list[SourceSnapshot]:
        return [inlet.snapshot() for inlet in self._inlets]


class SourceInlet:
    """What a link sees of the room: sessions for its connections, a place for its failures."""

    def __init__(self, source: Source, spool: Spool, clock: Clock, conditions: Conditions) -> None:
        self.source = source
        self._spool = spool
        self._clock = clock
        self._conditions = conditions
        self._meter = Meter()
        self._sessions: dict[InletSession, str] = {}
        self._trouble = ""
        self._was_up = False
        self._noise_before = (0, 0)
        self._strangers: Mapping[str, int] = {}
        check(source)

    async def run(self, chance: Callable[[], float]) -> None:
        link = transport(self.source.link, _RETRY, chance=chance)
        if isinstance(link, TcpListenTransport):
            self._strangers = link.refused
        await link.run(self)

    def open(self, peer: str) -> "InletSession":
        self._recovered()
        self._was_up = True
        is_serial = isinstance(self.source.link, SerialLink)
        stream = StreamSession(
            self.source.name, reading(self.source), self._spool, self._clock, self._meter, keeps_tail=is_serial
        )
        tail = self._spool.tail(self.source.name)
        if tail.pending:
            stream.resume(tail.pending, tail.skip)
        session = InletSession(stream, self.source.idle_close_s, self._closed, self._judge_noise)
        self._sessions[session] = peer
        return session

    def ready(self) -> None:
        self._recovered()

    def failed(self, code: str, message: str) -> None:
        if self._trouble != code:
            self._recovered()
        self._trouble = code
        self._conditions.raise_(code, self.source.name, message, CRITICAL if self._was_up else WARNING)

    async def room(self) -> None:
        await self._spool.room(self.source.name)

    def snapshot(self) -> SourceSnapshot:
        now_ns = self._clock.mono_ns()
        meter = self._meter

        def age_s(then_ns: int | None) -> float | None:
            return None if then_ns is None else (now_ns - then_ns) / 1e9

        return SourceSnapshot(
            name=self.source.name,
            link=describe(self.source.link),
            framer=self.source.framer,
            dialect=dialect_name(self.source),
            state="up" if self._sessions else "down" if self._trouble else "waiting",
            peers=tuple(self._sessions.values()),
            bytes_read=meter.bytes_read,
            noise_bytes=meter.noise_bytes,
            masked_bytes=meter.masked_bytes,
            pending_bytes=sum(session.stream.pending_bytes for session in self._sessions),
            last_read_s=age_s(meter.last_read_ns),
            last_record_s=age_s(meter.last_record_ns),
            trouble=self._trouble,
            strangers=dict(self._strangers),
        )

    def _recovered(self) -> None:
        if self._trouble:
            self._conditions.clear(self._trouble, self.source.name)
            self._trouble = ""

    def _closed(self, session: "InletSession") -> None:
        self._sessions.pop(session, None)

    def _judge_noise(self) -> None:
        """Raise the condition while a tell-tale share of what arrives is noise."""
        noise = self._meter.noise_bytes - self._noise_before[0]
        total = self._meter.bytes_read - self._noise_before[1]
        if total > _NOISE_WINDOW:  # forget half, so that neither a good day nor a bad hour is held against now
            self._noise_before = (self._noise_before[0] + noise // 2, self._noise_before[1] + total // 2)
        if noise > _NOISE_FLOOR and noise > total * _NOISE_SHARE:
            message = f"much of what arrives makes no record: check speed, parity and framer ({self.source.framer})"
            self._conditions.raise_("source.noise", self.source.name, message)
        elif self._meter.noise_bytes:
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


def dialect_name(source: Source) -> str:
    """The dialect a source is read with; empty when its first frame decides."""
    return source.dialect or tlog.FOR_FRAMER.get(source.framer, "")


def check(source: Source) -> None:
    """ConfigError that names the source, if its link, framer or dialect cannot be."""
    reading(source)
    if isinstance(source.link, SerialLink) and (reason := impossible_baud(source.link.baud)):
        raise ConfigError(f"[[source]] {source.name}: {reason}")


def reading(source: Source) -> Reading:
    """A fresh framer and the dialect of a source. Raises ConfigError that names the source."""
    name = dialect_name(source)
    try:
        dialect = tlog.dialect(name) if name else None
        framer = framing.build(source.framer, source.framer_options, dialect.elements if dialect else ())
    except ConfigError as exc:
        raise ConfigError(f"[[source]] {source.name}: {exc}") from exc
    return Reading(framer, dialect)


def describe(link: Link) -> str:
    """A link in a few words, for people."""
    match link:
        case SerialLink():
            return f"serial {link.port} {link.baud} {link.data_bits}{link.parity}{link.stop_bits}"
        case TcpConnectLink():
            return f"tcp to {link.host}:{link.port}"
        case TcpListenLink():
            return f"tcp on {link.bind}:{link.port}"
