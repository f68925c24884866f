"""How long a ping may take, and what came of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from routerd.wire.commands import DEADLINE_S, EXPIRED, OK, PING, Command, Result

PROBE_S = 0.5  # what one probe may take
_ON_THE_WAY_S = 0.25  # what the answer needs back


@dataclass(frozen=True, slots=True)
class Plan:
    """Each probe has `probe_s`, all together; 0 means what is known already is the answer."""

    probe_s: float


def plan(command: Command, now_ms: int) -> Plan | Result:
    """How a ping is answered at `now_ms` (trusted), or the result when nobody waits for it any more."""
    left_s = min(DEADLINE_S[PING], (command.expires_ms - now_ms) / 1000)
    if left_s <= 0:
        return Result(command.id, EXPIRED)
    is_deep = command.args.get("deep") is True
    return Plan(max(0.0, min(PROBE_S, left_s - _ON_THE_WAY_S)) if is_deep else 0.0)


def answer(command: Command, health: Mapping[str, Any], took_ms: int) -> Result:
    """The result that carries the document."""
    return Result(command.id, OK, took_ms, {"health": health})
