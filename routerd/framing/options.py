"""What a framer lets the configuration say, as data: names, meanings, and how text becomes a value."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from routerd.errors import ConfigError
from routerd.framing.base import Framer

_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|.?)", re.DOTALL)
_ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "e": b"\x1b", "0": b"\0", "\\": b"\\"}
_NOTATION = r"text with the escapes \r \n \t \e \0 \\ \xHH, or hex:220d0a"


@dataclass(frozen=True, slots=True)
class Option:
    """One key of a framer. `values` lists every valid one; empty means a delimiter."""

    name: str
    meaning: str
    default: str = ""
    values: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        return ", ".join(self.values) if self.values else _NOTATION


class Settings:
    """The options of one source, checked: every read gives a valid value or the default."""

    def __init__(self, framer: str, options: tuple[Option, ...], given: Mapping[str, str]) -> None:
        """`given` comes from the configuration. Raises ConfigError for a key or a value that is not declared."""
        self.framer = framer
        self._values = {option.name: option.default for option in options}
        declared = {option.name: option for option in options}
        for key, value in given.items():
            if key not in declared:
                known = ", ".join(declared) or "none"
                raise ConfigError(f"framer {framer}: unknown option {key} = {value!r}; valid options: {known}")
            if declared[key].values and value not in declared[key].values:
                raise self.refused(key, value, f"use one of: {declared[key].allowed}")
            self._values[key] = value

    def text(self, key: str) -> str:
        return self._values[key]

    def flag(self, key: str) -> bool:
        return self._values[key] == "yes"

    def delimiter(self, key: str) -> bytes:
        """Raises ConfigError where the notation is wrong."""
        value = self._values[key]
        try:
            return _bytes(value)
        except ValueError as exc:
            raise self.refused(key, value, f"{exc}; write {_NOTATION}") from exc

    def refused(self, key: str, value: str, remedy: str) -> ConfigError:
        return ConfigError(f"framer {self.framer}: {key} = {value!r} is impossible: {remedy}")


@dataclass(frozen=True, slots=True)
class Builder:
    """A framer as the configuration sees it. `make` takes checked settings and the dialect's record elements."""

    summary: str
    options: tuple[Option, ...]
    make: Callable[[Settings, tuple[str, ...]], Framer]


def _bytes(value: str) -> bytes:
    if value.startswith("hex:"):
        return bytes.fromhex(value[4:])
    pieces: list[bytes] = []
    at = 0
    for escape in _ESCAPE.finditer(value):
        pieces += [value[at : escape.start()].encode(), _unescape(escape.group(1))]
        at = escape.end()
    return b"".join(pieces) + value[at:].encode()


def _unescape(name: str) -> bytes:
    if name.startswith("x") and len(name) == 3:
        return bytes.fromhex(name[1:])
    if name not in _ESCAPES:
        raise ValueError(f"unknown escape \\{name}")
    return _ESCAPES[name]
