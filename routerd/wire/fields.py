"""JSON objects read strictly: what is missing or of another type is damage; what is unknown is from somebody newer."""

import json
import re
from collections.abc import Mapping
from typing import Any

from routerd.errors import CorruptError
from routerd.wire import base64url

MAX_INTEGER = (1 << 63) - 1  # SQLite's largest


class Fields:
    """One object. Every getter raises CorruptError `<what>.malformed` and names the field, at any depth."""

    def __init__(self, values: Any, what: str) -> None:
        self.what = what
        if not isinstance(values, dict):
            raise CorruptError(f"{what.split('.')[0]}.malformed", f"a {what} is a JSON object")
        self._values: dict[str, Any] = values

    def text(self, name: str, longest: int = 128, shortest: int = 1) -> str:
        """Printable text: it may be shown, logged and stored as it is."""
        value = self._values.get(name)
        if not isinstance(value, str) or not shortest <= len(value) <= longest or not value.isprintable():
            raise self.malformed(name)
        return value

    def word(self, name: str, pattern: re.Pattern[str]) -> str:
        """Text of which `pattern` matches the whole."""
        value = self._values.get(name)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise self.malformed(name)
        return value

    def integer(self, name: str, low: int = 0, high: int = MAX_INTEGER) -> int:
        value = self._values.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.malformed(name)
        return value

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._values.get(name) is not None

    def blob(self, name: str, size_bytes: int | None = None) -> bytes:
        """Bytes that travel as base64url."""
        value = self._values.get(name)
        if not isinstance(value, str):
            raise self.malformed(name)
        try:
            return base64url.decode(value, size_bytes)
        except CorruptError as exc:
            raise self.malformed(name) from exc

    def rows(self, name: str, most: int) -> list[Any]:
        value = self._values.get(name)
        if not isinstance(value, list) or len(value) > most:
            raise self.malformed(name)
        return value

    def texts(self, name: str, most: int, longest: int = 128) -> tuple[str, ...]:
        """A list of printable texts."""
        rows = self.rows(name, most)
        if not all(isinstance(row, str) and 0 < len(row) <= longest and row.isprintable() for row in rows):
            raise self.malformed(name)
        return tuple(rows)

    def table(self, name: str) -> "Fields":
        return Fields(self._values.get(name), f"{self.what}.{name}")

    def tables(self, name: str, most: int) -> list["Fields"]:
        return [Fields(row, f"{self.what}.{name}") for row in self.rows(name, most)]

    def values(self, name: str) -> Mapping[str, Any]:
        """A free object: its inside is for others to judge."""
        value = self._values.get(name)
        if not isinstance(value, dict):
            raise self.malformed(name)
        return value

    def malformed(self, name: str) -> CorruptError:
        code = f"{self.what.split('.')[0]}.malformed"
        return CorruptError(code, f"{self.what}.{name} is missing or malformed")


def read(data: bytes, what: str, limit_bytes: int) -> Fields:
    """An object of version 1 from its bytes. Raises CorruptError `<what>.malformed`, and nothing else, on any input."""
    if len(data) > limit_bytes:
        raise CorruptError(f"{what}.malformed", f"a {what} has at most {limit_bytes} bytes")
    try:
        values = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as exc:  # UnicodeDecodeError is a ValueError
        raise CorruptError(f"{what}.malformed", f"this is no JSON {what}") from exc
    fields = Fields(values, what)
    fields.integer("v", 1, 1)
    return fields


def pack(values: Mapping[str, Any]) -> bytes:
    """An object as bytes, without blanks. Fields that are None are left out."""
    said = {"v": 1, **{name: value for name, value in values.items() if value is not None}}
    return json.dumps(said, separators=(",", ":"), allow_nan=False).encode("ascii")


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
