"""The health document: what a router says of itself in full. `SHAPE` rules; every field is there, None when unknown.

Times that end in `_ms` without more are milliseconds since 1970 by the trusted clock. The document holds no t-log
content, no key and no WAN address. Whether no t-log lately is a fault is the cloud's to judge, by opening hours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from routerd.errors import CorruptError

MAX_ERRORS = 10
MAX_POS = 32
MAX_MESSAGE_CHARS = 160
_MAX_TEXT_CHARS = 160
_MAX_NUMBER = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Rows:
    """A list of objects of one shape."""

    shape: Mapping[str, Any]
    most: int


_POS = {
    "id": str,
    "kind": str,  # serial | tcp | pull | folder
    "link": str,  # up | down | flapping | unknown
    "since_s": int,
    "last_rx_ms": int,
    "last_tlog_ms": int,
    "tlogs_total": int,
    "bytes_total": int,
    "errors_total": int,
    "flaps_24h": int,
    "detail": str,
}
_ERROR = {"code": str, "msg": str, "first_ms": int, "last_ms": int, "count": int}
_QUEUE = ("rows", "bytes", "cap_bytes", "oldest_ms", "oldest_age_s", "inflight", "deadletter_rows")
SHAPE: Mapping[str, Any] = {
    "v": int,
    "device_id": str,
    "boot": str,
    "n": int,
    "clock": {"source": str, "offset_ms": int, "uncertainty_ms": int, "age_s": int, "system_synced": bool},
    "uptime": {"system_s": int, "daemon_s": int, "restarts_24h": int},
    "ver": {"protocol": str, "routerd": str, "openwrt": str, "kernel": str, "config": str, "trust": int},
    "wan": {"up": bool, "iface": str, "proto": str, "since_s": int, "dns_ok": bool, "gw_rtt_ms": float, "lte": dict},
    "path": str,  # ok | no_wan | captive | tls_intercepted | dns | server
    "pos": Rows(_POS, MAX_POS),
    "queue": dict.fromkeys((*_QUEUE, "dropped_rows_total", "foreign_rows"), int),
    "upload": {"last_ok_ms": int, "last_attempt_ms": int, "fails": int, "backoff_s": int, "bps_1m": int},
    "store": {
        "fs": str,
        "free_bytes": int,
        "total_bytes": int,
        "db_bytes": int,
        "wal_bytes": int,
        "written_bytes_boot": int,
    },
    "wear": {"kind": str, "life_pct": int, "pre_eol": int, "ubi_max_ec": int, "ubi_bad_peb": int},
    "sys": {
        "load1": float,
        "mem_total_kb": int,
        "mem_avail_kb": int,
        "rss_kb": int,
        "fds": int,
        "temp_c": dict,
        "oom_kills": int,
    },
    "auth": {"state": str, "keyid8": str, "enrolled_ms": int, "epoch": int, "audit_head": str},
    "errors": Rows(_ERROR, MAX_ERRORS),
    "partial": list,  # names of the probes that missed their time
}


def read(values: Any) -> tuple[dict[str, Any], list[str]]:
    """A whole document from what a router sent, and the paths in it that were missing or of another type.

    Those are None; fields nobody knows are left out. Raises CorruptError `health.malformed` for no object of version 1.
    """
    if not isinstance(values, dict) or values.get("v") != 1:
        raise CorruptError("health.malformed", "this is no health document of version 1")
    faults: list[str] = []
    return _object(SHAPE, values, "", faults), faults


def _object(shape: Mapping[str, Any], values: Any, path: str, faults: list[str]) -> dict[str, Any]:
    held = values if isinstance(values, dict) else {}
    return {
        name: _value(kind, held.get(name, ...), f"{path}.{name}" if path else name, faults)
        for name, kind in shape.items()
    }


def _value(kind: Any, value: Any, path: str, faults: list[str]) -> Any:
    if isinstance(kind, Mapping):
        return _object(kind, value, path, faults)
    if isinstance(kind, Rows):
        rows = value if isinstance(value, list) else []
        if value is not rows or len(rows) > kind.most:
            faults.append(path)
        return [_object(kind.shape, row, f"{path}[]", faults) for row in rows[: kind.most]]
    if value is None or _fits(kind, value):
        return value
    faults.append(path)
    return None


def _fits(kind: type, value: Any) -> bool:
    if kind is str:
        return isinstance(value, str) and len(value) <= _MAX_TEXT_CHARS and value.isprintable()
    if kind is bool:
        return isinstance(value, bool)
    if kind is dict:
        return isinstance(value, dict) and all(_is_scalar(inner) for inner in value.values())
    if kind is list:
        return isinstance(value, list) and all(_fits(str, inner) for inner in value)
    return _is_scalar(value) and isinstance(value, (int, float) if kind is float else int)


def _is_scalar(value: Any) -> bool:
    """A text or a number that any table and any JSON reader can hold."""
    if isinstance(value, str):
        return _fits(str, value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) <= _MAX_NUMBER  # nor is NaN, nor infinity
