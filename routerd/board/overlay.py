"""Tables laid over tables. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """One parsed file: its name for errors and explanations, and its tables."""

    origin: str
    table: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Overlay:
    """The result: every leaf with the origin that won."""

    leaves: Mapping[Path, tuple[Any, str]]

    def get(self, *path: str) -> Any:
        """The value at `path`; a table of all below it if it is no leaf; None if nothing is there."""
        if path in self.leaves:
            return self.leaves[path][0]
        below: dict[str, Any] = {}
        for leaf, (value, _) in self.leaves.items():
            if leaf[: len(path)] == path:
                _put(below, leaf[len(path) :], value)
        return below or None

    def explain(self, key: str) -> str:
        """Which file gave the value of a dotted key (`flash.budget_mb_per_day`); "" if none did."""
        found = self.leaves.get(tuple(key.split(".")))
        return found[1] if found else ""

    def rows(self) -> list[tuple[str, Any, str]]:
        """(dotted key, value, origin) of everything, sorted: what `explain` shows without a key."""
        return sorted((".".join(path), value, origin) for path, (value, origin) in self.leaves.items())


def merge(layers: list[Layer]) -> Overlay:
    """Lay later tables over earlier ones, key by key. Lists and plain values replace; a value never becomes a table
    by merging: the later file's whole word counts there too."""
    leaves: dict[Path, tuple[Any, str]] = {}
    for layer in layers:
        for path, value in _leaves(layer.table, ()):
            for depth in range(1, len(path)):
                leaves.pop(path[:depth], None)
            for hidden in [each for each in leaves if len(each) > len(path) and each[: len(path)] == path]:
                del leaves[hidden]
            leaves[path] = (value, layer.origin)
    return Overlay(leaves)


def _leaves(table: Mapping[str, Any], above: Path) -> Iterator[tuple[Path, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, (*above, key))
        else:
            yield (*above, key), value


def _put(table: dict[str, Any], path: Path, value: Any) -> None:
    for key in path[:-1]:
        table = table.setdefault(key, {})
    table[path[-1]] = value
