"""How long to wait after an answer. Pure: chance comes in as an argument."""

from dataclasses import dataclass

from routerd.backoff import Backoff
from routerd.wire.answers import Reaction

_HOLD_FLOOR_S = 120.0  # refused: at most 30 requests an hour
_HOLD_CEILING_S = 240.0  # in the first hour: support waits on the phone for the device it let in again
_HOLD_FIRST = 20  # refusals that fill that hour
_HOLD_LATER_CEILING_S = 600.0  # afterwards: 10 small requests an hour are 2 MB a day at most
_TOLD_S = (1.0, 3600.0)  # what a cloud may ask for; more would let one wrong header silence a store for days


@dataclass(frozen=True, slots=True)
class Pace:
    """failures counts from 1 (the answer just had), after a HOLD the refusals in a row; chance is uniform in [0, 1)."""

    backoff: Backoff

    def wait_s(self, reaction: Reaction, failures: int, retry_after_s: float | None, chance: float) -> float:
        if reaction in (Reaction.TAKE, Reaction.HALVE, Reaction.PLAIN, Reaction.QUARANTINE):
            return 0.0
        if reaction is Reaction.HOLD:
            ceiling_s = _HOLD_CEILING_S if failures <= _HOLD_FIRST else _HOLD_LATER_CEILING_S
            return _HOLD_FLOOR_S + chance * (ceiling_s - _HOLD_FLOOR_S)
        if retry_after_s is not None and reaction is Reaction.RETRY:  # never from one who is not our cloud
            return min(max(retry_after_s, _TOLD_S[0]), _TOLD_S[1])
        return self.backoff.wait_s(failures - 1, chance)
