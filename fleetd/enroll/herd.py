"""What a server does when everybody comes at once: it says no early, and spreads when they come back."""

MAX_WAIT_S = 2.0  # a request that would wait longer is sent away, before anything is verified for it
MIN_PAUSE_S, MAX_PAUSE_S = 1, 3600
_WEIGHT = 0.05  # of the newest measurement: a pause of the disk does not close the door
_FIRST_GUESS_S = 0.0005  # a signature and a lookup


class Load:
    """How many requests wait for their turn, and what a turn takes. Turns are taken one after another."""

    def __init__(self, turn_s: float = _FIRST_GUESS_S) -> None:
        self._turn_s = turn_s
        self._waiting = 0

    @property
    def wait_s(self) -> float:
        """How long the next one would wait."""
        return self._waiting * self._turn_s

    @property
    def per_s(self) -> float:
        """What can be served."""
        return 1 / self._turn_s

    def enter(self) -> bool:
        """False: refuse it, it was not counted."""
        if self.wait_s > MAX_WAIT_S:
            return False
        self._waiting += 1
        return True

    def leave(self, took_s: float) -> None:
        """A turn has ended; `took_s` without the waiting."""
        self._waiting -= 1
        self._turn_s += _WEIGHT * (max(took_s, 1e-5) - self._turn_s)


def pause_s(missing: int, per_s: float, chance: float) -> int:
    """When somebody sent away is to come back, in whole seconds: anywhere within twice the time that all who are
    missing take. `chance` is uniform in [0, 1), drawn anew for each client: the server spreads them, not their luck."""
    span_s = 2 * missing / max(per_s, 1.0)
    return round(min(max(chance * span_s, MIN_PAUSE_S + chance * 4), MAX_PAUSE_S))
