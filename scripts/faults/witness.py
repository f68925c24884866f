"""Who saw everything: what was captured, what the cloud has, what was given up, at each moment of a run. Pure.

Moments are counted in disk changes: a cut at change `k` knows of what happened before it.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from routerd.model import Stream

Key = tuple[Stream, int]


@dataclass(slots=True)
class Known:
    """The world at one moment. `captured`: record -> (its bytes, when it had to be safe, monotonic ns)."""

    now_ns: int = 0
    captured: dict[Key, tuple[bytes, int]] = field(default_factory=dict)
    cloud: dict[Key, bytes] = field(default_factory=dict)
    given_up: set[Key] = field(default_factory=set)
    noted: tuple[str, ...] = ("",)  # what the cursor may be: the last that was kept, and one that was under way
    remembered: dict[int, Key] = field(default_factory=dict)
    excused: tuple[int, int] = (0, 0)  # what was due in this time could not be written: the disk refused
    stage: str = ""
    conflicts: list[Key] = field(default_factory=list)

    def deliver(self, records: dict[Key, bytes]) -> int:
        """The cloud keeps one copy per number; returns how many were new. Other bytes under a number are a conflict."""
        new = records.keys() - self.cloud.keys()
        self.conflicts += [key for key in records.keys() - new if self.cloud[key] != records[key]]
        self.cloud.update({key: records[key] for key in new})
        return len(new)

    def is_due(self, key: Key) -> bool:
        """Whether this record has to be safe by now."""
        _, by_ns = self.captured[key]
        first_ns, last_ns = self.excused
        return by_ns <= self.now_ns and not (first_ns <= by_ns and self.now_ns <= last_ns)

    def after_reboot(self) -> "Known":
        """A copy for the next boot: what was due stays due, what a power cut may have taken is not asked for."""
        due = {key: (data, 0) for key, (data, _) in self.captured.items() if self.is_due(key)}
        return replace(
            self,
            now_ns=0,
            excused=(0, 0),
            captured=due,
            cloud=dict(self.cloud),
            given_up=set(self.given_up),
            remembered=dict(self.remembered),
            conflicts=list(self.conflicts),
        )


class Witness:
    """Write down as it happens; `at(k)` is the world when the k-th change was about to happen.

    `before` is the world that an earlier fault left: what had to be safe then has to be safe ever after.
    """

    def __init__(self, before: Known | None = None) -> None:
        self.changes = 0
        self.complaints: list[str] = []
        self._before = before or Known()
        self._events: list[tuple[int, str, Any]] = []

    def say(self, what: str, value: Any) -> None:
        self._events.append((self.changes, what, value))

    def at(self, change: int) -> Known:
        known = self._before.after_reboot()
        for number, what, value in self._events:
            if number > change:
                break
            match what:
                case "now":
                    known.now_ns = value
                case "excused":
                    known.excused = value
                case "stage":
                    known.stage = value
                case "captured":
                    known.captured.update(value)
                case "cloud":
                    known.deliver(value)
                case "given_up":
                    known.given_up |= value
                case "remembered":
                    known.remembered.update(value)
                case "noting":
                    known.noted = (*known.noted, value)
                case "noted":
                    known.noted = (value,)
        return known

    def stages(self) -> dict[str, list[int]]:
        """The changes that happened in each named stage of the work."""
        found: dict[str, list[int]] = {}
        marks = [(number, value) for number, what, value in self._events if what == "stage"]
        ends = [number for number, _ in marks[1:]] + [self.changes]
        for (start, name), end in zip(marks, ends, strict=True):
            found.setdefault(name, []).extend(range(start, end))
        return found
