"""The growing, fully jittered wait after a failure. Pure: chance comes in as an argument."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: the wait before attempt n is uniform in [0, min(ceiling, base * 2^n)].

    Source: M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), variant Full Jitter.
    """

    base_s: float = 0.5
    ceiling_s: float = 60.0

    def wait_s(self, attempt: int, chance: float) -> float:
        """attempt counts from 0, chance is uniform in [0, 1)."""
        # 2^16 x base is past any ceiling in use; the bound keeps the power small after days of failures
        return chance * float(min(self.ceiling_s, self.base_s * 2.0 ** min(attempt, 16)))
