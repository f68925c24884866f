"""One frozen `Config`, read from TOML. Each setting's default stands beside it with its reason.

An unknown or impossible key stops the start and names file, key and remedy.
"""

import ipaddress
import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from routerd.errors import ConfigError
from routerd.model import CommanderLink, FolderLink, Link, PullLink, SerialLink, Source, TcpConnectLink, TcpListenLink

T = TypeVar("T")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")  # names of sources become file names and stream ids


@dataclass(frozen=True, slots=True)
class SpoolConfig:
    data_dir: Path = Path("/var/lib/routerd")  # on persistent storage; OpenWrt's package sets /etc/routerd/spool
    hot_dir: Path = Path("/run/routerd")  # on a RAM disk
    ring_mb: int = 24  # two weeks of outage at 5,000 tickets a day
    safe_within_s: float = 2.0  # acknowledged or on flash this long after a record's last byte
    seal_after_s: float = 0.25  # how long a live record waits for company before it is sent
    hot_limit_kb: int = 2048  # compressed bytes waiting for ack or flash before readers pause
    ephemeral: bool = False  # True allows a data_dir in RAM: nothing survives a power cut


@dataclass(frozen=True, slots=True)
class ForwardConfig:
    url: str = ""
    ca_file: Path = Path("/etc/routerd/ca.pem")  # the only anchors trusted; never the system's
    key_file: Path = Path("/etc/routerd/device.key")  # one line `device.secret`, mode 0600
    batch_kb: int = 256  # one upload; small enough to finish on a bad line
    timeout_s: float = 30.0  # one upload, from connect to answer
    backoff_base_s: float = 0.5
    backoff_ceiling_s: float = 60.0  # thousands of routers come back together after a provider's outage


@dataclass(frozen=True, slots=True)
class ControlConfig:
    socket: Path = Path("/run/routerd/control.sock")


@dataclass(frozen=True, slots=True)
class Config:
    spool: SpoolConfig
    forward: ForwardConfig
    control: ControlConfig
    sources: tuple[Source, ...]


_LINKS: dict[str, type[Link | PullLink]] = {
    "serial": SerialLink,
    "tcp-connect": TcpConnectLink,
    "tcp-listen": TcpListenLink,
    "commander": CommanderLink,
    "folder": FolderLink,
}
_PULLED: dict[type[Link | PullLink], str] = {
    CommanderLink: "transset",
    FolderLink: "",
}  # what they hold is XML; their dialect unless the source says
_PERIODS = ("daily", "shift")
_COMMANDER_FLOOR_S = 60.0  # each poll leaves a record in the controller's own log; faster ones fill it
_LIMITS: dict[str, tuple[float, float]] = {
    "ring_mb": (2, 4096),
    "safe_within_s": (0.1, 60),
    "seal_after_s": (0.01, 30),
    "hot_limit_kb": (256, 65536),
    "batch_kb": (16, 2048),
    "timeout_s": (1, 600),
    "backoff_base_s": (0.05, 60),
    "backoff_ceiling_s": (0.1, 21600),
    "baud": (300, 921600),
    "data_bits": (7, 8),
    "stop_bits": (1, 2),
    "port": (1, 65535),
    "idle_close_s": (0, 3600),
    "poll_s": (1, 86400),
    "settle_s": (0, 600),
    "catch_up_days": (0, 91),  # a Commander lists 91 days
    "pull_gap_s": (0, 3600),
}


def load(path: Path) -> Config:
    """Read and check a whole configuration. Raises ConfigError that names file, key and remedy."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}: pass --config FILE") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: {exc}: mend the TOML there") from exc
    return parse(document, str(path))


def parse(document: dict[str, Any], origin: str) -> Config:
    """The same from a parsed document; `origin` names it in errors."""
    known = {"spool", "forward", "control", "source"}
    if unknown := sorted(set(document) - known):
        raise ConfigError(f"{origin}: [{unknown[0]}] is no section: use one of {', '.join(sorted(known))}")
    rows = document.get("source", [])
    if not isinstance(rows, list):
        raise ConfigError(f"{origin}: write each source as [[source]], in double brackets")
    config = Config(
        _section(SpoolConfig, document.get("spool", {}), f"{origin}: [spool]"),
        _section(ForwardConfig, document.get("forward", {}), f"{origin}: [forward]"),
        _section(ControlConfig, document.get("control", {}), f"{origin}: [control]"),
        tuple(_source(row, f"{origin}: [[source]] {number}") for number, row in enumerate(rows, 1)),
    )
    _check_together(config, origin)
    return config


def _check_together(config: Config, origin: str) -> None:
    names = [source.name for source in config.sources]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"{origin}: two sources are named {twice!r}: give each its own name")
    doors = [(link.bind, link.port) for s in config.sources if isinstance(link := s.link, TcpListenLink)]
    if twice_door := next((door for door in doors if doors.count(door) > 1), None):
        raise ConfigError(f"{origin}: two sources listen on port {twice_door[1]}: give each its own")
    if config.spool.seal_after_s > config.spool.safe_within_s / 2:
        raise ConfigError(f"{origin}: [spool] seal_after_s must be at most half of safe_within_s")
    if not _is_https(config.forward.url):
        raise ConfigError(
            f"{origin}: [forward] url must be like https://cloud.example:8443, not {config.forward.url!r}"
        )


def _is_https(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none, brackets that do not close
        return False


def _check_link(link: Link | PullLink, where: str) -> None:
    if isinstance(link, TcpListenLink):
        _check_networks(link.allow, where)
    if isinstance(link, CommanderLink):
        if not link.periods or not set(link.periods) <= set(_PERIODS):
            raise ConfigError(f'{where} periods = {list(link.periods)}: write ["daily"] or ["daily", "shift"]')
        if link.poll_s < _COMMANDER_FLOOR_S:
            raise ConfigError(f"{where} poll_s = {link.poll_s:g} would fill the POS's own log: use 60 or more")


def _check_networks(allow: tuple[str, ...], where: str) -> None:
    for entry in allow:
        try:
            ipaddress.ip_network(entry, strict=False)
        except ValueError as exc:
            raise ConfigError(f"{where} allow = {entry!r}: write 192.168.31.11 or 10.5.60.0/24") from exc


def _section(kind: type[T], table: Any, where: str) -> T:
    if not isinstance(table, dict):
        raise ConfigError(f"{where} must be a table of keys and values")
    declared = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    values = {}
    for key, value in table.items():
        if key not in declared:
            raise ConfigError(f"{where} {key} is no setting: use one of {', '.join(declared)}")
        values[key] = _value(declared[key].type, key, value, where)
    missing = [name for name, field in declared.items() if name not in values and _is_required(field)]
    if missing:
        raise ConfigError(f"{where} lacks {missing[0]}: add {missing[0]} = …")
    return kind(**values)


def _is_required(field: "Field[Any]") -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _value(kind: Any, key: str, value: Any, where: str) -> Any:
    """One setting, converted to its declared type and checked against its limits."""
    if key == "link":
        return value
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and type(value) is int:
        value = float(value)
    if kind == tuple[str, ...] and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if kind == Mapping[str, str] and isinstance(value, dict):
        return {str(name): str(item) for name, item in value.items()}
    if kind not in (int, float, str, bool) or type(value) is not kind:
        raise ConfigError(f"{where} {key} = {value!r} has the wrong type: write a {_TYPE_WORDS.get(kind, 'table')}")
    low, high = _LIMITS.get(key, (value, value))
    if not isinstance(value, str) and not low <= value <= high:
        raise ConfigError(f"{where} {key} = {value} is out of range: use {low:g} to {high:g}")
    return value


_TYPE_WORDS = {
    int: "whole number",
    float: "number",
    str: "text in quotes",
    bool: "true or false",
    Path: "path in quotes",
}


def _source(row: Any, where: str) -> Source:
    """One [[source]]: the link's own keys stand beside the source's."""
    if not isinstance(row, dict):
        raise ConfigError(f"{where} must be a table of keys and values")
    kind = _LINKS.get(str(row.get("link", "")))
    if kind is None:
        raise ConfigError(f"{where} link = {row.get('link')!r}: use one of {', '.join(_LINKS)}")
    link_keys = {field.name for field in fields(kind)}
    link = _section(kind, {key: value for key, value in row.items() if key in link_keys}, where)
    rest = {key: value for key, value in row.items() if key not in link_keys and key != "link"}
    if kind in _PULLED:
        rest = {"framer": "xml-element", "dialect": _PULLED[kind], **rest}
    source = _section(Source, {**rest, "link": link}, where)
    _check_link(link, where)
    if not _NAME.fullmatch(source.name):
        raise ConfigError(f"{where} name = {source.name!r}: use a-z, 0-9, - and _, at most 32")
    return source
