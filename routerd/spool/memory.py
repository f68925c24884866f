"""What was captured of a source that can be read again: where each known key stands, the oldest forgotten. Pure.

What is to be kept for the next start leaves as entries of 12 bytes (`journal` keeps them):

    key u64 | seq u32      `key` (63 bits) was captured under `seq` of the epoch last named; seq 0: it is forgotten
    epoch + 2^63 | 0       the epoch of what follows
"""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator

GENERATION = 16_384  # keys; two of them are four to eight days of a Commander with 4,200 records a day
_FRESH = 256  # keys that wait to be sorted in: many at once, because each time the arrays are copied
_MAX_SEQ = (1 << 32) - 1  # a run of the daemon with more records than this remembers no more of them
_ENTRY = struct.Struct(">QI")
ENTRY_BYTES = _ENTRY.size
_EPOCH = 1 << 63


def entry(key: int, seq: int) -> bytes:
    return _ENTRY.pack(key, seq)


def epoch_entry(epoch: int) -> bytes:
    return _ENTRY.pack(_EPOCH | epoch, 0)


def walk(entries: bytes) -> Iterator[tuple[int, int, int]]:
    """(key, epoch, seq) of each entry; epochs' own entries come as (0, epoch, 0). A piece at the end is ignored."""
    epoch = 0
    for number, seq in _ENTRY.iter_unpack(entries[: len(entries) - len(entries) % ENTRY_BYTES]):
        if number & _EPOCH:
            epoch = number ^ _EPOCH
            yield 0, epoch, 0
        else:
            yield number, epoch, seq


class _Generation:
    """Up to GENERATION keys in two sorted arrays: 17 bytes a key, where a dict would need 130. Place 0: forgotten."""

    def __init__(self) -> None:
        self._keys = array("Q")
        self._places = array("Q")
        self._fresh: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._keys) + len(self._fresh)

    def find(self, key: int) -> int:
        place = self._fresh.get(key)
        if place is not None:
            return place
        at = bisect_left(self._keys, key)
        return self._places[at] if at < len(self._keys) and self._keys[at] == key else 0

    def add(self, key: int, place: int) -> None:
        self._fresh[key] = place
        if len(self._fresh) >= _FRESH:
            self._sort_in()

    def between(self, low: int, high: int) -> list[int]:
        """The keys whose place is one of `low`..`high`."""
        held = [key for key, place in zip(self._keys, self._places, strict=True) if low <= place <= high]
        return [key for key in [*held, *self._fresh] if low <= self.find(key) <= high]

    def _sort_in(self) -> None:
        keys, places = array("Q"), array("Q")
        start = 0
        for key in sorted(self._fresh):
            at = bisect_left(self._keys, key, start)
            keys += self._keys[start:at]
            places += self._places[start:at]
            if place := self._fresh[key]:
                keys.append(key)
                places.append(place)
            start = at + (at < len(self._keys) and self._keys[at] == key)
        keys += self._keys[start:]
        places += self._places[start:]
        self._keys, self._places, self._fresh = keys, places, {}


class Memory:
    """Where each key of one source was captured: the last 16,384 to 32,768 of them.

    `keep` takes the entries that the next start is to `replay`. `is_stored` says whether a kill would find the record
    that was appended last: a memory must never outlive its record.
    """

    def __init__(self, epoch: int, keep: Callable[[bytes], None], is_stored: Callable[[], bool]) -> None:
        self.epoch = epoch
        self._keep = keep
        self._is_stored = is_stored
        self._epochs: list[int] = []
        self._old = _Generation()
        self._young = _Generation()

    def find(self, key: int) -> tuple[int, int] | None:
        """(epoch, seq) under which `key` was captured."""
        place = self._young.find(key) or self._old.find(key)
        return (self._epochs[place >> 32], place & _MAX_SEQ) if place else None

    def add(self, key: int, seq: int) -> None:
        """`key` (63 bits) was captured in the running epoch under `seq`. Call after `Spool.append`."""
        if seq > _MAX_SEQ:
            return
        self._put(key, self._place(self.epoch, seq))
        if self._is_stored():
            self._keep(entry(key, seq))

    def forget(self, epoch: int, first: int, last: int) -> int:
        """The records `first`..`last` of `epoch` are lost: the next reading shall capture them again. How many."""
        low, high = self._place(epoch, first), self._place(epoch, min(last, _MAX_SEQ))
        keys = {*self._old.between(low, high), *self._young.between(low, high)}
        lost = [key for key in keys if low <= (self._young.find(key) or self._old.find(key)) <= high]
        for key in lost:
            self._drop(key)
        if lost:
            self._keep(b"".join(entry(key, 0) for key in lost))
        return len(lost)

    def replay(self, parts: Iterable[bytes]) -> None:
        """Take in entries that an earlier run kept, oldest first."""
        for part in parts:
            for key, epoch, seq in walk(part):
                if seq:
                    self._put(key, self._place(epoch, seq))
                elif key:
                    self._drop(key)

    def _place(self, epoch: int, seq: int) -> int:
        """Epochs are few and 63 bits long: a place holds the number of one."""
        if not self._epochs or self._epochs[-1] != epoch:
            if epoch not in self._epochs:
                self._epochs.append(epoch)
            return self._epochs.index(epoch) << 32 | seq
        return len(self._epochs) - 1 << 32 | seq

    def _put(self, key: int, place: int) -> None:
        if len(self._young) >= GENERATION:
            self._old, self._young = self._young, _Generation()
        self._young.add(key, place)

    def _drop(self, key: int) -> None:
        for generation in (self._old, self._young):
            if generation.find(key):
                generation.add(key, 0)
