"""The rules of the house, held by reading the code: who may import whom, what stays pure, how large things grow."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROUTER = sorted((ROOT / "routerd").rglob("*.py"))
CLOUD = sorted((ROOT / "fleetd").rglob("*.py"))
SHELVES = {
    "errors": 0,
    "model": 1,
    "backoff": 1,
    "framing": 2,
    "tlog": 2,
    "wire": 2,
    "clock": 3,
    "fsio": 3,
    "conditions": 3,
    "config": 4,
    "board": 4,
    "cloud": 4,
    "discover": 5,
    "capture": 5,
    "spool": 5,
    "forward": 5,
    "enroll": 5,
    "health": 5,
    "inbox": 5,
    "control": 5,
    "daemon": 6,
    "cli": 6,
}
# Shelf 3 has an order of its own: conditions are dated by the clock, the clock by nobody.
NEIGHBOURS = {("conditions", "clock")}
CLI_READS = {"control", "framing", "tlog", "errors"}  # besides the socket, the bench tools read what is pure
IMPURE = {"asyncio", "os", "time", "socket", "sqlite3", "logging", "random", "threading", "subprocess"}
# yarl is aiohttp's own URL type: what it would parse again for every request is made once
ON_THE_ROUTER = {"aiohttp", "yarl", "nacl", "aiosqlite", "serial", "zeroconf", "msgpack", "zstandard", "compression"}
FOR_THE_CLOUD = {"aiohttp", "nacl", "msgpack", "cryptography", "zstandard"}
CLOUD_READS = {"wire", "tlog", "framing", "errors", "model"}
MAX_LINES, MAX_FUNCTION_LINES = 400, 40
PURE_ROOM_FILES = [
    *(f"spool/{name}.py" for name in ("page", "index", "tally", "memory", "timing", "dating")),
    *("forward/pace.py", "control/status.py", "capture/folder/listing.py"),
    *(f"enroll/{name}.py" for name in ("hardware", "trusted", "state", "image")),
    *("health/document.py", "health/ping.py"),
    *(f"capture/commander/{name}.py" for name in ("periods", "cgi", "agenda", "inflate")),
]
LEDGER = ("verdict", "days", "registers", "serials", "pumps", "skew", "witness", "risk", "orders", "calendar", "base")
PURE_CLOUD = [*sorted((ROOT / "fleetd/decode").glob("*.py")), *(ROOT / f"fleetd/ledger/{name}.py" for name in LEDGER)]
SHOWN = sorted(path for path in ROOT.glob("*/**/*.py") if not path.relative_to(ROOT).parts[0].startswith("."))


def unit(path: Path) -> str:
    """The module or room a file belongs to: `routerd/wire/batch.py` -> `wire`."""
    return path.relative_to(ROOT).parts[1].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            if node.module in ("routerd", "fleetd"):
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
            elif node.module:
                yield node.module


def own(path: Path, package: str) -> set[str]:
    """The units of `package` that a file imports; `__version__` is no unit."""
    found = {name.split(".")[1] for name in imports(path) if name.startswith(f"{package}.")}
    return {name for name in found if not name.startswith("__")}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", ROUTER, ids=name_of)
def test_a_module_imports_from_lower_shelves_only(path: Path) -> None:
    here = unit(path)
    if here == "__init__":
        assert not own(path, "routerd")
        return
    for there in own(path, "routerd") - {here}:
        lower = SHELVES[there] < SHELVES[here]
        assert lower or (here, there) in NEIGHBOURS, f"{here} (shelf {SHELVES[here]}) imports {there}"


@pytest.mark.parametrize("path", [p for p in ROUTER if SHELVES.get(unit(p), 9) <= 2], ids=name_of)
def test_pure_shelves_touch_nothing_but_their_arguments(path: Path) -> None:
    assert not IMPURE & {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("name", PURE_ROOM_FILES)
def test_what_decides_in_a_room_is_pure(name: str) -> None:
    assert not IMPURE & {module.split(".")[0] for module in imports(ROOT / "routerd" / name)}


@pytest.mark.parametrize("path", PURE_CLOUD, ids=name_of)
def test_what_reads_and_judges_in_the_ledger_is_pure(path: Path) -> None:
    assert not IMPURE & {module.split(".")[0] for module in imports(path)}


@pytest.mark.parametrize("path", [p for p in ROUTER if unit(p) == "cli"], ids=name_of)
def test_the_command_line_talks_to_the_socket_only(path: Path) -> None:
    assert own(path, "routerd") <= CLI_READS | {"cli"}


def test_only_the_daemon_names_two_rooms() -> None:
    rooms = {name for name, shelf in SHELVES.items() if shelf == 5}
    for path in ROUTER:
        assert len(own(path, "routerd") & rooms - {unit(path)}) < 2 or unit(path) == "daemon", path


@pytest.mark.parametrize("path", ROUTER, ids=name_of)
def test_third_parties_on_the_router_are_the_allowed_ones(path: Path) -> None:
    assert third_parties(path) <= ON_THE_ROUTER


@pytest.mark.parametrize("path", CLOUD, ids=name_of)
def test_the_cloud_needs_of_the_router_what_travels_and_nothing_else(path: Path) -> None:
    assert own(path, "routerd") <= CLOUD_READS
    assert third_parties(path) <= FOR_THE_CLOUD


def third_parties(path: Path) -> set[str]:
    import sys

    roots = {name.split(".")[0] for name in imports(path)}
    return roots - set(sys.stdlib_module_names) - {"routerd", "fleetd"}


@pytest.mark.parametrize("path", SHOWN, ids=name_of)
def test_files_and_functions_stay_small(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.count("\n") <= MAX_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            assert node.end_lineno - node.lineno < MAX_FUNCTION_LINES, f"{path}: {node.name}"


def test_there_is_one_version_number() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"]
    [number] = re.findall(r'^__version__ = "(.+)"', (ROOT / "routerd/__init__.py").read_text(encoding="utf-8"), re.M)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(number)}\b", changelog, re.M)


def test_ci_runs_exactly_what_the_readme_says() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "    make demo\n" in readme
    assert "    make test\n" in readme
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").rstrip().endswith("exec make test")


def test_every_make_target_says_what_it_does() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY: (.+)$", text, re.M))
    documented = set(re.findall(r"^([a-z-]+):.*## .+$", text, re.M))
    assert phony == documented
    listed = subprocess.run(["make", "-C", ROOT, "--no-print-directory"], capture_output=True, text=True, check=True)
    assert all(target in listed.stdout for target in documented)


def test_no_module_is_named_for_nothing() -> None:
    for path in [*ROUTER, *CLOUD]:
        assert path.stem not in {"utils", "util", "common", "helpers", "manager", "misc"}
