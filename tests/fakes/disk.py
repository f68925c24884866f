"""A disk that keeps only what was synced, and can lose its power before any step."""

import itertools
from enum import Enum

_Names = dict[int, dict[str, int]]  # of each directory (0 is the top): what a name stands for


class PowerCut(BaseException):
    """Nothing may catch this and go on."""


class Loss(Enum):
    """What a cut leaves of what was never synced."""

    NOTHING = "all of it"  # as after SIGKILL
    EVERYTHING = "none of it"
    CONTENT = "names, but no content"  # as ext4 may, with delayed allocation
    NAMES = "content, but no names"


class FakeDisk:
    """Two levels of directories. `cut_at` counts the steps that change something, from 0."""

    def __init__(self) -> None:
        self._names: _Names = {0: {}}
        self._kept_names: _Names = {0: {}}
        self._content: dict[int, bytes] = {}
        self._kept_content: dict[int, bytes] = {}
        self._numbers = itertools.count(1)
        self.shared: set[str] = set()
        self.steps = 0
        self.cut_at: int | None = None

    def step(self) -> None:
        """One more thing that can be the last."""
        if self.steps == self.cut_at:
            raise PowerCut
        self.steps += 1

    def restart(self, loss: Loss) -> None:
        """Power is back: everything not durable is as `loss` says."""
        self.cut_at, self.steps = None, 0
        if loss in (Loss.EVERYTHING, Loss.NAMES):
            self._names = {number: dict(self._kept_names.get(number, {})) for number in self._names}
        if loss in (Loss.EVERYTHING, Loss.CONTENT):
            self._content = {number: self._kept_content.get(number, b"") for number in self._content}
        self._kept_names = {number: dict(entries) for number, entries in self._names.items()}
        self._kept_content = dict(self._content)

    def read(self, path: str) -> bytes:
        found = self._find(path)
        if found not in self._content:
            raise FileNotFoundError(path)
        return self._content[found]

    def write(self, path: str, content: bytes) -> None:
        self.step()
        directory, name = self._place(path)
        number = next(self._numbers)
        self._names[directory][name] = number
        self._content[number] = content

    def sync(self, path: str) -> None:
        self.step()
        number = self._find(path)
        self._kept_content[number] = self._content[number]

    def rename(self, old: str, new: str) -> None:
        self.step()
        source, old_name = self._place(old)
        target, new_name = self._place(new)
        if self.names(new):
            raise OSError(f"{new} is not empty")
        self._names[target][new_name] = self._names[source].pop(old_name)

    def sync_names(self, directory: str) -> None:
        self.step()
        number = self._find(directory)
        self._kept_names[number] = dict(self._names[number])

    def make_directory(self, path: str) -> None:
        self.step()
        directory, name = self._place(path)
        if name in self._names[directory]:
            raise FileExistsError(path)
        number = next(self._numbers)
        self._names[directory][name] = number
        self._names[number] = {}

    def remove(self, path: str) -> None:
        self.step()
        directory, name = self._place(path)
        if self.names(path):
            raise OSError(f"{path} is not empty")
        del self._names[directory][name]

    def names(self, directory: str) -> list[str]:
        number = self._find(directory)
        return sorted(self._names[number]) if number in self._names else []

    def is_private(self, path: str) -> bool:
        self.read(path)
        return path not in self.shared

    def _find(self, path: str) -> int:
        """The number behind a path, -1 for none."""
        if path == ".":
            return 0
        number = 0
        for part in path.split("/"):
            number = self._names.get(number, {}).get(part, -1)
        return number

    def _place(self, path: str) -> tuple[int, str]:
        parent, _, name = path.rpartition("/")
        number = self._find(parent or ".")
        if number not in self._names:
            raise FileNotFoundError(path)
        return number, name
