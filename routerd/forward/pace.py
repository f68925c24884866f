"""How long to wait after an answer. Pure: chance comes in as an argument."""

from dataclasses import dataclass

from routerd.backoff import Backoff
from routerd.wire.answers import Reaction

_HOLD_FLOOR_S = 120.0  # refused: at most 30 requests an hour
_HOLD_CEILING_S = 3600.0  # and an hour at most until a device that was let in again notices
_TOLD_S = (1.0, 3600.0)  # what a cloud may ask for; more would let one wrong header silence a store for days


@dataclass(frozen=True, slots=True)
class Pace:
    """failures counts from 1 (the answer just had); chance is uniform in [0, 1)."""

    backoff: Backoff

    def wait_s(self, reaction: Reaction, failures: int, retry_after_s: float | None, chance: float) -> float:
        if reaction in (Reaction.TAKE, Reaction.HALVE, Reaction.PLAIN, Reaction.QUARANTINE):
            return 0.0
        if reaction is Reaction.HOLD:
            ceiling_s = min(_HOLD_CEILING_S, _HOLD_FLOOR_S * 2.0 ** min(failures, 16))
            return _HOLD_FLOOR_S + chance * (ceiling_s - _HOLD_FLOOR_S)
        if retry_after_s is not None and reaction is Reaction.RETRY:  # never from one who is not our cloud
            return min(max(retry_after_s, _TOLD_S[0]), _TOLD_S[1])
        return self.backoff.wait_s(failures - 1, chance)
