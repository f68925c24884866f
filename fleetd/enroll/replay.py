"""Which requests of a key were seen, and whether two boxes hold it. Exact: no reboot, retry or late packet is a clone.

A run of the daemon names itself by a random boot id and counts its requests. It signs with nonces it was given while it
ran, and it never comes back, so the nonces of one run were all made before those of the next: two runs whose nonces lie
between each other's are two holders of the key. That does not depend on the order in which requests arrive.

The same count with the same signature is the same bytes twice: a proxy's repetition. The same count with another
signature is a copy of a running machine's memory, for a router counts each request once.
"""

from array import array
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

SIZE = 64  # requests that may overtake each other; a router has two connections
MAX_BOOTS = 16
TOLERANCE_MS = 5_000  # clocks of two processes that mint nonces
BURST, BURST_MS = 3, 600_000  # more contradicting counts than this within this time are a clone


class Seen(Enum):
    """What to do with a request: NEW_BOOT is fresh too, and is worth keeping."""

    FRESH = "fresh"
    NEW_BOOT = "new_boot"
    REPLAYED = "replayed"
    CLONE = "clone"


@dataclass(slots=True)
class _Boot:
    first_ms: int  # the oldest and the newest nonce it signed with
    last_ms: int
    highest: int = 0
    tags: "array[int] | None" = None  # the first 32 bits of each signature, by count modulo SIZE; 0 for not seen


class Window:
    """Of one key. In memory; only the boots outlive the process, and nonces of an earlier process are not taken."""

    def __init__(self, boots: Iterable[tuple[str, int]] = ()) -> None:
        """`boots`: those kept: id, and when a nonce it signed with was made, in ms."""
        self._boots = {boot: _Boot(nonce_ms, nonce_ms) for boot, nonce_ms in boots}
        self._contradictions: deque[int] = deque(maxlen=BURST + 1)

    def judge(self, boot: str, count: int, signature: bytes, nonce_ms: int, now_ms: int) -> Seen:
        """A request whose signature and nonce are good. `nonce_ms`: when its nonce was made."""
        is_new = boot not in self._boots
        known = self._boots.setdefault(boot, _Boot(nonce_ms, nonce_ms))
        verdict = self._count(known, count, signature, now_ms)
        if verdict is not Seen.FRESH:
            return verdict
        known.first_ms, known.last_ms = min(known.first_ms, nonce_ms), max(known.last_ms, nonce_ms)
        if any(other is not known and _interleave(known, other) for other in self._boots.values()):
            return Seen.CLONE
        if len(self._boots) > MAX_BOOTS:
            del self._boots[min(self._boots, key=lambda name: self._boots[name].last_ms)]
        return Seen.NEW_BOOT if is_new else Seen.FRESH

    def _count(self, boot: _Boot, count: int, signature: bytes, now_ms: int) -> Seen:
        if boot.tags is None:
            boot.tags = array("I", bytes(4 * SIZE))
        tag = int.from_bytes(signature[:4], "big") or 1
        if count <= boot.highest - SIZE:
            return Seen.REPLAYED
        for passed in range(max(boot.highest + 1, count - SIZE + 1), count):
            boot.tags[passed % SIZE] = 0
        if count > boot.highest:
            boot.highest = count
        elif held := boot.tags[count % SIZE]:
            return Seen.REPLAYED if held == tag else self._contradicted(now_ms)
        boot.tags[count % SIZE] = tag
        return Seen.FRESH

    def _contradicted(self, now_ms: int) -> Seen:
        self._contradictions.append(now_ms)
        many = len(self._contradictions) > BURST and now_ms - self._contradictions[0] <= BURST_MS
        return Seen.CLONE if many else Seen.REPLAYED


def _interleave(one: _Boot, other: _Boot) -> bool:
    """Whether each signed with a nonce made after one of the other's."""
    return one.first_ms + TOLERANCE_MS < other.last_ms and other.first_ms + TOLERANCE_MS < one.last_ms
