"""What a board or provider file may say, and the check of it. Pure."""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from routerd.errors import ConfigError

FLASH_TYPES = ("nor", "nand", "emmc", "sd", "ssd", "disk", "unknown")
ROLES = ("pos", "back-office", "payment", "guest", "management", "wan")
APPROVERS = ("person", "policy")


@dataclass(frozen=True, slots=True)
class Field:
    """One key: its type, a check of the value (its answer is the remedy, "" if the value is good)."""

    kind: type
    remedy: Callable[[Any], str] = lambda _: ""


def _one_of(*words: str) -> Callable[[Any], str]:
    return lambda value: "" if value in words else f"use one of {', '.join(words)}"


def _between(low: float, high: float) -> Callable[[Any], str]:
    return lambda value: "" if low <= value <= high else f"use {low:g} to {high:g}"


def _absolute(value: Any) -> str:
    return "" if value.startswith("/") else "write an absolute path"


def _texts(value: Any) -> str:
    return "" if all(isinstance(item, str) and item for item in value) else 'write a list of texts, ["…"]'


def _networks(value: Any) -> str:
    try:
        for item in value:
            ipaddress.ip_network(item)
    except ValueError:
        return 'write networks like ["192.168.31.0/24"]'
    return ""


def _hours(value: Any) -> str:
    """`06:00-23:00`, store time; "" for no busy hours; across midnight is allowed."""
    parts = value.split("-") if value else []
    good = not value or (len(parts) == 2 and all(map(_is_time, parts)))
    return "" if good else 'write hours like "06:00-23:00", or ""'


def _is_time(text: str) -> bool:
    hours, _, minutes = text.partition(":")
    is_clock = len(text) == 5 and hours.isdigit() and minutes.isdigit() and int(hours) < 24 and int(minutes) < 60
    return is_clock or text == "24:00"


_TEXT, _TRUTH, _TEXTS = Field(str), Field(bool), Field(list, _texts)
_PATH, _NETWORKS = Field(str, _absolute), Field(list, _networks)
_PROVENANCE = {"verified": _TRUTH, "source": _TEXTS, "note": _TEXT}
_LIMITS = {
    "ring_mb": Field(int, _between(2, 4096)),
    "hot_limit_kb": Field(int, _between(256, 65536)),
    "batch_kb": Field(int, _between(16, 2048)),
    "buffer_kb": Field(int, _between(64, 65536)),
}

# Dotted patterns of keys; `*` stands for one name of the file's own choosing.
BOARD: Mapping[str, Field] = {
    "board.name": _TEXT,
    "board.base": _TEXT,
    "match.board_name": _TEXTS,
    "match.dmi": _TEXTS,
    "match.machine": _TEXTS,
    "serial.*.port": _TEXT,
    "serial.*.label": _TEXT,
    "net.wan": _TEXTS,
    "net.lan": _TEXTS,
    "paths.data": _PATH,
    "paths.hot": _PATH,
    "paths.scratch": _PATH,
    "flash.type": Field(str, _one_of(*FLASH_TYPES)),
    "flash.erase_block_kb": Field(int, _between(0, 65536)),
    "flash.budget_mb_per_day": Field(float, _between(0.1, 1_000_000)),
    "led.*.name": _TEXT,
    "watchdog.device": Field(str, lambda value: "" if not value else _absolute(value)),
    "watchdog.timeout_s": Field(int, _between(0, 3600)),
    "ram.*.upto_mb": Field(int, _between(16, 1_048_576)),
    **{f"ram.*.{key}": field for key, field in _LIMITS.items()},
    **{f"limits.{key}": field for key, field in _LIMITS.items()},
    **{f"{table}.{key}": field for table in ("board", "flash", "watchdog") for key, field in _PROVENANCE.items()},
    **{f"{table}.*.{key}": field for table in ("serial", "led") for key, field in _PROVENANCE.items()},
}
MNSP: Mapping[str, Field] = {
    "mnsp.name": _TEXT,
    "mnsp.identity_confirmed": _TRUTH,
    "zones.*.role": Field(str, _one_of(*ROLES)),
    "zones.*.interfaces": _TEXTS,
    "zones.*.networks": _NETWORKS,
    "egress.*.from": _TEXT,
    "egress.*.to": _TEXT,
    "egress.*.port": Field(int, _between(1, 65535)),
    "egress.*.protocol": Field(str, _one_of("tcp", "udp")),
    "egress.*.why": _TEXT,
    "probing.allowed": _TRUTH,
    "probing.queries": _TRUTH,
    "probing.busy_hours": Field(str, _hours),
    "approval.by": Field(str, _one_of(*APPROVERS)),
    "approval.classes": _TEXTS,
    "approval.min_score": Field(float, _between(0.5, 1)),
    "approval.roles": Field(list, lambda value: _texts(value) or _roles(value)),
    "approval.follow_moves": _TRUTH,
    "claim.url": _TEXT,
    "claim.key_file": _PATH,
    "cloud.host": _TEXT,
    "cloud.port": Field(int, _between(1, 65535)),
    **{
        f"{table}.{key}": field
        for table in ("mnsp", "probing", "approval", "claim", "cloud", "zones.*", "egress.*")
        for key, field in _PROVENANCE.items()
    },
}


def _roles(value: list[str]) -> str:
    return "" if set(value) <= set(ROLES) else f"use roles of {', '.join(ROLES)}"


def check(table: Mapping[str, Any], schema: Mapping[str, Field], origin: str) -> None:
    """ConfigError that names file, key and remedy for the first key that is unknown or impossible."""
    for path, value in walk(table):
        field = _field(path, schema)
        if field is None:
            near = ", ".join(sorted({key.split(".")[0] for key in schema}))
            raise ConfigError(f"{origin}: {path} is no setting: see the shipped files; tables are {near}")
        given = float(value) if field.kind is float and type(value) is int else value
        if type(given) is not field.kind:
            raise ConfigError(f"{origin}: {path} = {value!r} has the wrong type: write a {_WORDS[field.kind]}")
        if remedy := field.remedy(given):
            raise ConfigError(f"{origin}: {path} = {value!r}: {remedy}")


_WORDS = {str: "text in quotes", bool: "true or false", int: "whole number", float: "number", list: "list in brackets"}


def _field(path: str, schema: Mapping[str, Field]) -> Field | None:
    if path in schema:
        return schema[path]
    parts = path.count(".")
    return next((f for key, f in schema.items() if key.count(".") == parts and fnmatchcase(path, key)), None)


def walk(table: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """(dotted key, value) of every leaf."""
    found = []
    for key, value in table.items():
        if isinstance(value, dict):
            found += walk(value, f"{above}{key}.")
        else:
            found.append((f"{above}{key}", value))
    return found
