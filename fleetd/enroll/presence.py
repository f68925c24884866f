"""Who is there, by this server's clock alone: a poll that is held is a router that hears."""

from dataclasses import dataclass
from enum import StrEnum

ONLINE_S, STALE_S, OFFLINE_S = 30, 30, 900


class State(StrEnum):
    ONLINE = "online"  # a poll is held, or one ended less than 30 s ago
    LATE = "late"  # between two polls for longer than it should be
    STALE = "stale"  # its next poll is overdue by more than one
    OFFLINE = "offline"


@dataclass(slots=True)
class _Trace:
    last_ms: int
    wait_s: int
    ip: str
    held: int = 0


class Roster:
    """Of this process. What was before it started is in the registry."""

    def __init__(self) -> None:
        self._traces: dict[str, _Trace] = {}

    def begin(self, device: str, wait_s: int, ip: str, now_ms: int) -> None:
        trace = self._traces.setdefault(device, _Trace(now_ms, wait_s, ip))
        trace.last_ms, trace.wait_s, trace.ip, trace.held = now_ms, wait_s, ip, trace.held + 1

    def end(self, device: str, now_ms: int) -> None:
        trace = self._traces[device]
        trace.held -= 1
        trace.last_ms = now_ms

    def touch(self, device: str, ip: str, now_ms: int) -> None:
        """Any other signed request."""
        trace = self._traces.setdefault(device, _Trace(now_ms, 0, ip))
        trace.last_ms, trace.ip = now_ms, ip

    def state(self, device: str, now_ms: int) -> State:
        trace = self._traces.get(device)
        if trace is None:
            return State.OFFLINE
        return state(trace.held > 0, (now_ms - trace.last_ms) / 1000, trace.wait_s)

    def last(self, device: str) -> tuple[int, str] | None:
        """When it spoke last and from where; None if not since the start."""
        trace = self._traces.get(device)
        return (trace.last_ms, trace.ip) if trace else None

    def polling(self) -> int:
        """How many polls are held."""
        return sum(trace.held > 0 for trace in self._traces.values())


def state(is_held: bool, silent_s: float, wait_s: int) -> State:
    if is_held or silent_s < ONLINE_S:
        return State.ONLINE
    if silent_s >= OFFLINE_S:
        return State.OFFLINE
    return State.STALE if silent_s > 2 * wait_s + STALE_S else State.LATE
