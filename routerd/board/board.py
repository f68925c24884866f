"""Load the board's and the provider's files, check them, lay them over each other."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from routerd.board import schema
from routerd.board.identity import Machine
from routerd.board.mnsp import Mnsp, mnsp_from
from routerd.board.overlay import Layer, Overlay, merge
from routerd.errors import ConfigError

DEFAULT = "generic/default"
_INSTALLED = Path("/usr/share/routerd/board")
_CHECKOUT = Path(__file__).resolve().parents[2] / "board"
_MAX_BASES = 4  # default, architecture, family, board
_LIMITS = ("ring_mb", "hot_limit_kb", "batch_kb", "buffer_kb")


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A serial port of the board itself, by the label printed beside it."""

    label: str
    port: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What this much RAM and flash lets routerd keep."""

    ring_mb: int
    hot_limit_kb: int
    batch_kb: int
    buffer_kb: int


@dataclass(frozen=True, slots=True)
class Board:
    """The facts of one board. `overlay` keeps them all, each with its file, for `explain`."""

    id: str
    name: str
    serial: tuple[SerialPort, ...]
    data_dir: Path
    hot_dir: Path
    flash_type: str
    flash_budget_bytes_per_day: int
    erase_block_bytes: int
    leds: dict[str, str]
    watchdog: str
    limits: Limits
    overlay: Overlay

    def explain(self, key: str) -> str:
        """Which file won for a dotted key (`limits.ring_mb`); "" if none names it."""
        return self.overlay.explain(key)


def root() -> Path:
    """Where the data lies: what the package installed, or this checkout's."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


def choose(folder: Path, machine: Machine) -> str:
    """The id (`vendor/board`) of the files for a machine: OpenWrt's board name before DMI before architecture, the
    longest pattern first; `generic/default` when nothing fits. Raises ConfigError for a damaged file."""
    best = (0, 0, DEFAULT)
    for board_id, table in _boards(folder):
        match = table.get("match", {})
        for rank, key, value in (
            (3, "board_name", machine.board_name),
            (2, "dmi", machine.dmi),
            (1, "machine", machine.machine),
        ):
            fitting = [pattern for pattern in match.get(key, []) if value and fnmatchcase(value, pattern)]
            if fitting:
                best = max(best, (rank, max(map(len, fitting)), board_id))
    return best[2]


def load(folder: Path, board_id: str, ram_mb: int = 0) -> Board:
    """The board with all its bases. `ram_mb` chooses the limits that the files give by RAM; 0 takes the smallest class.

    Raises ConfigError that names file, key and remedy.
    """
    layers: list[Layer] = []
    while True:
        path = folder / board_id / "board.toml"
        table = _read(path, schema.BOARD)
        layers.insert(0, Layer(_shown(folder, path), table))
        if board_id == DEFAULT:
            break
        board_id = table.get("board", {}).get("base", DEFAULT)
        if len(layers) >= _MAX_BASES:
            raise ConfigError(f"{path}: board.base leads in a circle: end it at {DEFAULT}")
    return _board(merge(_with_ram(layers, ram_mb)), layers[-1].origin)


def load_mnsp(folder: Path, vendor: str) -> Mnsp:
    """The profile of a provider (`board/<vendor>/mnsp.toml`) over the generic one. Raises ConfigError."""
    layers = []
    for name in dict.fromkeys(("generic", vendor)):
        path = folder / name / "mnsp.toml"
        layers.append(Layer(_shown(folder, path), _read(path, schema.MNSP)))
    return mnsp_from(merge(layers), vendor)


def _with_ram(layers: list[Layer], ram_mb: int) -> list[Layer]:
    """The layers with each file's own limits laid over what its table of RAM classes gives for this much RAM."""
    result = []
    for layer in layers:
        classes = sorted(layer.table.get("ram", {}).values(), key=lambda row: row.get("upto_mb", 0))
        fitting = next((row for row in classes if row.get("upto_mb", 0) >= ram_mb), classes[-1] if classes else {})
        limits = {key: fitting[key] for key in _LIMITS if key in fitting}
        result.append(Layer(layer.origin, {**layer.table, "limits": {**limits, **layer.table.get("limits", {})}}))
    return result


def _board(overlay: Overlay, origin: str) -> Board:
    def need(*path: str) -> Any:
        value = overlay.get(*path)
        if value is None:
            raise ConfigError(f"{origin}: {'.'.join(path)} is given by no file: add it there or in {DEFAULT}")
        return value

    serial, leds = overlay.get("serial") or {}, overlay.get("led") or {}
    return Board(
        id=origin.removesuffix("/board.toml"),
        name=need("board", "name"),
        serial=tuple(SerialPort(row.get("label", key), row["port"]) for key, row in serial.items() if row.get("port")),
        data_dir=Path(need("paths", "data")),
        hot_dir=Path(need("paths", "hot")),
        flash_type=need("flash", "type"),
        flash_budget_bytes_per_day=int(float(need("flash", "budget_mb_per_day")) * 1_000_000),
        erase_block_bytes=need("flash", "erase_block_kb") * 1024,
        leds={key: row["name"] for key, row in leds.items() if row.get("name")},
        watchdog=need("watchdog", "device"),
        limits=Limits(**{key: need("limits", key) for key in _LIMITS}),
        overlay=overlay,
    )


def _boards(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(folder.glob("*/*/board.toml")):
        yield _shown(folder, path).removesuffix("/board.toml"), _read(path, schema.BOARD)


def _shown(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _read(path: Path, keys: Any) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}: install the board files or name another board") from exc
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path}: {exc}: mend the TOML there") from exc
    schema.check(table, keys, str(path))
    return table
