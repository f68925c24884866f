"""What the spool holds and in which order: bookkeeping without I/O. Pure: it says what to do, the spool does it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from routerd.model import SegmentInfo, Stream
from routerd.spool.page import Place

Key = tuple[Stream, int]


@dataclass(slots=True, eq=False)
class Held:
    """A segment that waits for its ack. While hot, `packed` is its bytes; once on flash, `place` says where.

    `since_ns` is when its first record was captured, on this boot's monotonic clock: negative for an earlier boot
    whose wall clock could be trusted, 0 for an earlier boot otherwise. A parked segment is sent later, by itself.
    """

    info: SegmentInfo
    packed: bytes
    since_ns: int
    place: Place | None = None
    in_flight: bool = False
    parked: bool = False

    @property
    def key(self) -> Key:
        return self.info.stream, self.info.first_seq


class Index:
    def __init__(self) -> None:
        self.hot: dict[Key, Held] = {}
        self.cold: dict[Key, Held] = {}
        self.hot_bytes = 0
        self._by_place: dict[int, dict[Key, Held]] = {}

    def add_hot(self, held: Held) -> None:
        self.hot[held.key] = held
        self.hot_bytes += len(held.packed)

    def add_cold(self, held: Held, place: Place) -> None:
        held.place = place
        self.cold[held.key] = held
        self._by_place.setdefault(place.generation, {})[held.key] = held

    def cool(self, group: Iterable[Held], place: Place) -> list[Held]:
        """What of `group` still waits now stands at `place`; returns it. If nothing does, the place is free again."""
        cooled = [held for held in group if held.key in self.hot]
        for held in cooled:
            self.remove(held)
            held.packed = b""
            self.add_cold(held, place)
        return cooled

    def remove(self, held: Held) -> Place | None:
        """Forget a segment; the place to free if it was the last one there."""
        if self.hot.pop(held.key, None) is not None:
            self.hot_bytes -= len(held.packed)
            return None
        if self.cold.pop(held.key, None) is None or held.place is None:
            return None
        tenants = self._by_place[held.place.generation]
        del tenants[held.key]
        if tenants:
            return None
        del self._by_place[held.place.generation]
        return held.place

    def replace(self, old: Iterable[Held], new: Iterable[tuple[Held, Place]]) -> list[Place]:
        """Dense segments take the place of small ones, at the front of the queue. Returns the places to free."""
        freed = [place for held in old if (place := self.remove(held))]
        younger, younger_places = self.cold, self._by_place
        self.cold, self._by_place = {}, {}
        for held, place in new:
            self.add_cold(held, place)
        self.cold = {held.key: held for held in in_order([*self.cold.values(), *younger.values()])}
        self._by_place.update(younger_places)
        return freed

    @property
    def oldest_live(self) -> int:
        """Frames of a lower generation hold nothing that is needed; a huge number when no frame does."""
        return min(self._by_place, default=(1 << 63) - 1)

    def tenants(self, place: Place) -> list[Held]:
        return list(self._by_place.get(place.generation, {}).values())

    def queued(self) -> dict[str, int]:
        """Records held, by source."""
        total: dict[str, int] = {}
        for held in self:
            source = held.info.stream.source
            total[source] = total.get(source, 0) + held.info.count
        return total

    def __iter__(self) -> Iterator[Held]:
        yield from self.hot.values()
        yield from self.cold.values()

    def oldest_hot_ns(self) -> int | None:
        """When the oldest record outside flash was captured."""
        return min((held.since_ns for held in self.hot.values()), default=None)

    def waiting_hot(self, max_bytes: int) -> list[Held]:
        """Hot segments to send now, oldest first; at least one, however large."""
        return _up_to(max_bytes, ((held, len(held.packed)) for held in self._hot_idle()))

    def _hot_idle(self) -> Iterator[Held]:
        return (held for held in self.hot.values() if not (held.in_flight or held.parked))

    def waiting_cold(self, max_bytes: int, page_bytes: int) -> list[Held]:
        """Flash segments to send now, oldest first, whole frames' worth of pages counted once."""
        seen: set[int] = set()

        def priced() -> Iterator[tuple[Held, int]]:
            for held in self.cold.values():
                if held.in_flight or held.parked or held.place is None:
                    continue
                new = held.place.generation not in seen
                seen.add(held.place.generation)
                yield held, held.place.rows * page_bytes if new else 0

        return _up_to(max_bytes, priced())

    def mergeable(self, min_rows: int, max_rows: int, small_rows: int) -> list[Place]:
        """The oldest small frames with nothing in flight, if together they fill enough pages to be worth a merge."""
        places: list[Place] = []
        rows = 0
        for tenants in self._by_place.values():
            place = next(iter(tenants.values())).place
            if place is None or place.rows > small_rows or any(held.parked for held in tenants.values()):
                continue
            if rows + place.rows > max_rows or any(held.in_flight for held in tenants.values()):
                break
            places.append(place)
            rows += place.rows
        return places if rows >= min_rows else []

    def evictable(self, cannot_wait: frozenset[str]) -> list[Held]:
        """What the full policy gives up next: the oldest frame of sources that cannot wait, else the oldest of all."""
        oldest: list[Held] = []
        for tenants in self._by_place.values():
            group = list(tenants.values())
            if any(held.in_flight for held in group):
                continue
            if all(held.info.stream.source in cannot_wait for held in group):
                return group
            oldest = oldest or group
        return oldest


def in_order(queue: Iterable[Held]) -> list[Held]:
    """The same queue, with each stream's segments by their numbers: a frame too large to be merged stays between those
    before and those behind it, which may stand in one dense frame."""
    held = list(queue)
    streams: dict[Stream, list[Held]] = {}
    for each in held:
        streams.setdefault(each.info.stream, []).append(each)
    turns = {stream: iter(sorted(group, key=lambda h: h.info.first_seq)) for stream, group in streams.items()}
    return [next(turns[each.info.stream]) for each in held]


def _up_to(max_bytes: int, priced: Iterable[tuple[Held, int]]) -> list[Held]:
    taken: list[Held] = []
    total = 0
    for held, size in priced:
        if taken and total + size > max_bytes:
            break
        taken.append(held)
        total += size
    return taken


def uncovered(infos: Iterable[SegmentInfo]) -> set[SegmentInfo]:
    """The segments that no other one covers: after a crash a dense frame may stand beside what it was merged from."""
    kept: set[SegmentInfo] = set()
    reach: dict[Stream, int] = {}
    for info in sorted(infos, key=lambda i: (i.stream, i.first_seq, -i.count)):
        if info.last_seq > reach.get(info.stream, 0):
            kept.add(info)
            reach[info.stream] = info.last_seq
    return kept
