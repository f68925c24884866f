"""The rules this room and the board's data live by, held by reading the code and a fresh interpreter."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from routerd.tlog.registry import DIALECTS

ROOT = Path(__file__).parents[2]
PURE = [
    "board/mnsp.py",
    "board/overlay.py",
    "board/schema.py",
    "discover/alarm.py",
    "discover/certificate.py",
    "discover/evidence.py",
    "discover/export.py",
    "discover/fingerprint.py",
    "discover/inventory.py",
    "discover/leases.py",
    "discover/netlink.py",
    "discover/probe.py",
    "discover/proposal.py",
    "discover/serialguess.py",
    "discover/uevent.py",
]
IMPURE = {
    "asyncio",
    "os",
    "time",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "logging",
    "random",
    "termios",
    "sqlite3",
}
HEAVY = {"zeroconf", "serial", "aiohttp", "ifaddr", "ctypes", "email", "urllib.request", "http.client", "cryptography"}
PROVIDERS = {"mako", "cybera", "paysafe", "glinet", "gl-mt3000", "x86-64", "arm64"}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("name", PURE)
def test_what_decides_is_pure(name: str) -> None:
    assert not IMPURE & imports(ROOT / "routerd" / name)


@pytest.mark.parametrize(
    "module",
    ["routerd.discover", "routerd.discover.discover", "routerd.discover.edges", "routerd.board.board"],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(module: str) -> None:
    program = f"import {module}, sys; print('\\n'.join(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not HEAVY & set(shown.stdout.split())


def makers() -> set[str]:
    """Words that only makers, models and providers are called by."""
    document = json.loads((ROOT / "board/fingerprints.json").read_text(encoding="utf-8"))
    common = {"windows", "usb", "linux", "android", "custom", "square", "network", "serial", "back-office", "secondary"}
    names = {row["name"].split()[0].lower() for row in document["classes"]}
    return (names | PROVIDERS | {"passport", "radiant", "sapphire"}) - common - {"star", "id"}


def compared(path: Path) -> Iterator[str]:
    """Every text that something is compared with."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        tests: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            tests = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            tests = [node.value]
        for part in tests:
            yield from (c.value for c in ast.walk(part) if isinstance(c, ast.Constant) and isinstance(c.value, str))


@pytest.mark.parametrize("path", sorted((ROOT / "routerd").rglob("*.py")), ids=lambda path: path.stem)
def test_no_code_asks_which_make_it_has_before_it(path: Path) -> None:
    for text in compared(path):
        if text not in DIALECTS:
            assert not any(name in text.lower().split() for name in makers()), text


def texts(path: Path) -> Iterator[str]:
    """Every text of a file that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


@pytest.mark.parametrize("room", ["discover", "board"])
def test_makes_and_providers_are_data(room: str) -> None:
    for path in sorted((ROOT / "routerd" / room).glob("*.py")):
        for text in texts(path):
            if text not in DIALECTS:
                found = [name for name in makers() if name in text.lower()]
                assert not found, f"{path.name}: {text!r}"


def test_the_room_sends_to_devices_from_one_place_only() -> None:
    """Opening a connection or sending a packet happens in `prober`, and mDNS questions in the helper."""
    senders = {"open_connection", "create_connection", "sendto", "connect", "create_datagram_endpoint"}
    for path in sorted((ROOT / "routerd/discover").glob("*.py")):
        used = {n.attr for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Attribute)}
        assert not used & senders or path.name == "prober.py", path.name
