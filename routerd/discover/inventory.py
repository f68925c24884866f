"""The devices of a store and what becomes of them. Pure: sightings and times go in, changes come out.

A device is its hardware. It is *new* once, *known* from then on, *moved* when it is at another address, *replaced* when
other hardware took its address, *missing* when every address it had stays silent. An address beside the one it uses
is an alias (two addresses on one card) and no move; so is every address it had while the present one answers.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from routerd.discover.evidence import (
    ADDRESS,
    ALIVE,
    ASSIGNED,
    GONE,
    OUI,
    USB,
    Evidence,
    Sighting,
    is_randomised,
)

NEW, LEARNED, MOVED, REPLACED, MISSING, RETURNED = "new", "learned", "moved", "replaced", "missing", "returned"
MAX_DEVICES = 256  # a full /24; 50 KB on flash
MAX_ALIASES = 4
MAX_HINTS_PER_KIND = 4  # names that change for ever may not grow the file for ever
FRESH_S = 90.0  # twice the kernel's longest reachable time (net.ipv4.neigh.*.base_reachable_time_ms 30 s, times 1.5)
QUIET_S = 3600.0  # an address that no longer answers while another does was left: nobody asked it, so nothing failed


@dataclass(frozen=True, slots=True)
class Moment:
    """When a batch of sightings came: monotonic seconds for waiting, wall milliseconds (0: never set) for people."""

    mono_s: float
    wall_ms: int


@dataclass(frozen=True, slots=True)
class Device:
    """What is kept of a device. `place` is its address or USB port, "" when other hardware took it."""

    key: str
    place: str
    interface: str = ""
    aliases: tuple[str, ...] = ()
    hints: frozenset[Evidence] = frozenset()
    first_ms: int = 0
    changed_ms: int = 0

    @property
    def evidence(self) -> frozenset[Evidence]:
        """Everything that says what it is: hints, hardware and present address."""
        scheme, _, hardware = self.key.partition(":")
        own = Evidence(OUI, hardware) if scheme == "mac" else Evidence(USB, hardware[:9])
        places = {self.place, *self.aliases} if scheme == "mac" else set()
        return self.hints | {own} | {Evidence(ADDRESS, place) for place in places if place}


@dataclass(frozen=True, slots=True)
class Change:
    """One transition. `was` is the former address (moved) or the former hardware's key (replaced), else ""."""

    kind: str
    device: Device
    was: str = ""


@dataclass(slots=True)
class Presence:
    """What is known of a device since the start, never kept: when each address answered, and since when it does not."""

    seen_s: float
    wall_ms: int
    alive_s: dict[str, float] = field(default_factory=dict)
    silent_s: dict[str, float] = field(default_factory=dict)
    is_missing: bool = False


class Inventory:
    """All devices of a store. `observe` and `overdue` change it and say what changed."""

    def __init__(self, devices: Iterable[Device] = (), *, missing_after_s: float = 900.0) -> None:
        self._missing_after_s = missing_after_s
        self.devices: dict[str, Device] = {device.key: device for device in devices}
        self.presence: dict[str, Presence] = {}
        self.refused = 0  # sightings that found the inventory full
        self.randomised: set[str] = set()

    def observe(self, batch: Iterable[Sighting], now: Moment, keep: Collection[str] = ()) -> list[Change]:
        """Take in what one edge saw, in any order. `keep` are keys never dropped to make room."""
        changes: list[Change] = []
        rows = sorted(batch, key=_order)
        held = {(seen.key, seen.place) for seen in rows if seen.strength == ASSIGNED}
        for seen in rows:
            changes += self._observe_one(seen, now, keep, held)
        return changes

    def _observe_one(
        self, seen: Sighting, now: Moment, keep: Collection[str], held: Collection[tuple[str, str]]
    ) -> list[Change]:
        key = seen.key or self.holder(seen.place)
        if not key:
            return []
        if key.startswith("mac:") and is_randomised(key[4:]):
            self._count_randomised(key)
            return []
        if seen.strength == GONE:
            return self._silence(key, seen, now)
        if key not in self.devices:
            return self._add(key, seen, now, keep)
        return self._update(key, seen, now, has_lease=(key, self.devices[key].place) in held)

    def _count_randomised(self, key: str) -> None:
        if len(self.randomised) < MAX_DEVICES:
            self.randomised.add(key)

    def holder(self, place: str) -> str:
        """The key of the device whose place or alias this is; "" if nobody's."""
        main = next((d.key for d in self.devices.values() if d.place == place), "")
        return main or next((d.key for d in self.devices.values() if place in d.aliases), "")

    def _add(self, key: str, seen: Sighting, now: Moment, keep: Collection[str]) -> list[Change]:
        if len(self.devices) >= MAX_DEVICES and not self._make_room(keep):
            self.refused += 1
            return []
        was = self._take_place(key, seen.place, now)
        hints = _merged(frozenset(), seen.hints)
        device = Device(key, seen.place, seen.interface, (), hints, now.wall_ms, now.wall_ms)
        self.devices[key] = device
        self._note(key, seen, now)
        return [Change(REPLACED if was else NEW, device, was)]

    def _make_room(self, keep: Collection[str]) -> bool:
        """Forget the device that has been away longest; one that is here or wanted never."""
        away = [d for d in self.devices.values() if d.key not in keep and d.key not in self.presence]
        if not away:
            return False
        oldest = min(away, key=lambda d: (d.changed_ms, d.key))
        del self.devices[oldest.key]
        return True

    def _take_place(self, key: str, place: str, now: Moment) -> str:
        """Free `place` from other hardware; the key of the one whose present place it was, or ""."""
        was = ""
        for other in list(self.devices.values()):
            if other.key == key:
                continue
            if place in other.aliases:
                other = replace(other, aliases=tuple(a for a in other.aliases if a != place))
                self.devices[other.key] = other
            if other.place == place:
                was = other.key
                self.devices[was] = replace(other, place="", changed_ms=now.wall_ms)
        return was

    def _update(self, key: str, seen: Sighting, now: Moment, *, has_lease: bool) -> list[Change]:
        device = self.devices[key]
        changes: list[Change] = []
        hints = _merged(device.hints, seen.hints)
        if hints != device.hints:
            device = replace(device, hints=hints, changed_ms=now.wall_ms)
            changes.append(Change(LEARNED, device))
        if seen.place != device.place and not has_lease and self._is_move(device, seen, now):
            was = self._take_place(key, seen.place, now)
            device, change = _relocated(device, seen, now, was)
            changes = [change]
        elif len(device.aliases) < MAX_ALIASES and not self.holder(seen.place):
            device = replace(device, aliases=(seen.place, *device.aliases), changed_ms=now.wall_ms)
            changes = [Change(LEARNED, device)]
        self.devices[key] = device
        if self._note(key, seen, now):
            changes.append(Change(RETURNED, device))
        return changes

    def _is_move(self, device: Device, seen: Sighting, now: Moment) -> bool:
        presence = self.presence.get(device.key)
        is_silent = presence is not None and device.place in presence.silent_s
        alive_s = presence.alive_s.get(device.place) if presence else None
        if seen.place in device.aliases:
            is_quiet = is_silent or alive_s is None or now.mono_s - alive_s >= QUIET_S
            return device.place == "" or (is_quiet and seen.strength == ALIVE)
        answers = alive_s is not None and now.mono_s - alive_s < FRESH_S and not is_silent
        has_many = len(device.aliases) >= MAX_ALIASES  # a router that answers for others: it is no mover
        return seen.strength == ASSIGNED or is_silent or not (answers or has_many)

    def _silence(self, key: str, seen: Sighting, now: Moment) -> list[Change]:
        presence = self.presence.setdefault(key, Presence(now.mono_s, 0)) if key in self.devices else None
        if presence is None:
            return []
        presence.silent_s.setdefault(seen.place, now.mono_s)
        presence.alive_s.pop(seen.place, None)
        device = self.devices[key]
        other = next((a for a in device.aliases if a in presence.alive_s), "")
        if seen.place != device.place or not other:
            return []
        device, change = _relocated(device, Sighting(key, other, ALIVE, device.interface), now, "")
        self.devices[key] = device
        return [change]

    def _note(self, key: str, seen: Sighting, now: Moment) -> bool:
        """Remember that it answered; whether it had been missing."""
        presence = self.presence.setdefault(key, Presence(now.mono_s, now.wall_ms))
        if seen.strength == ALIVE:
            presence.seen_s, presence.wall_ms = now.mono_s, now.wall_ms
            presence.alive_s[seen.place] = now.mono_s
            presence.silent_s.pop(seen.place, None)
        if presence.is_missing and not self._is_silent(self.devices[key], presence):
            presence.is_missing = False
            return True
        return False

    def _is_silent(self, device: Device, presence: Presence) -> bool:
        return device.place in presence.silent_s and not any(a in presence.alive_s for a in device.aliases)

    def expect(self, keys: Iterable[str], now: Moment) -> None:
        """Count these as silent from now unless they have answered: what is wanted must show itself after a start."""
        for key in keys:
            if key in self.devices and key not in self.presence:
                place = self.devices[key].place
                self.presence[key] = Presence(now.mono_s, 0, silent_s={place: now.mono_s})

    def overdue(self, now: Moment) -> list[Change]:
        """Devices whose last address has been silent for `missing_after_s`: each is told once."""
        changes = []
        for key, presence in self.presence.items():
            device = self.devices.get(key)
            if not device or presence.is_missing or not self._is_silent(device, presence):
                continue
            if now.mono_s - presence.silent_s[device.place] >= self._missing_after_s:
                presence.is_missing = True
                changes.append(Change(MISSING, device))
        return changes

    def deadline_s(self) -> float | None:
        """The monotonic second at which `overdue` may next say something; None while everybody answers."""
        times = [
            presence.silent_s[device.place] + self._missing_after_s
            for key, presence in self.presence.items()
            if (device := self.devices.get(key)) and not presence.is_missing and self._is_silent(device, presence)
        ]
        return min(times, default=None)


def _order(seen: Sighting) -> tuple[bool, str, bool, int, str, str, list[Evidence]]:
    """Hardware before bare places, which belong to somebody only then; what answers before what is silent."""
    rest = (seen.place, seen.interface, sorted(seen.hints))
    return (seen.key == "", seen.key, seen.strength == GONE, -seen.strength, *rest)


def _relocated(device: Device, seen: Sighting, now: Moment, took_from: str) -> tuple[Device, Change]:
    """The device at its new place. Taking an address that other hardware had is told as its replacement."""
    former = [a for a in (device.place, *device.aliases) if a and a != seen.place]
    moved = replace(
        device,
        place=seen.place,
        interface=seen.interface or device.interface,
        aliases=tuple(former)[:MAX_ALIASES],
        changed_ms=now.wall_ms,
    )
    return moved, Change(REPLACED, moved, took_from) if took_from else Change(MOVED, moved, device.place)


def _merged(old: frozenset[Evidence], new: frozenset[Evidence]) -> frozenset[Evidence]:
    """Old hints and as many new ones as each kind may keep."""
    result = set(old)
    for hint in sorted(new - old):
        if sum(each.kind == hint.kind for each in result) < MAX_HINTS_PER_KIND:
            result.add(hint)
    return frozenset(result)
