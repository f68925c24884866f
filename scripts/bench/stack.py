"""The real routerd and the real fleetd beside each other on this machine, over TLS on the loopback."""

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from routerd.cli.question import ask
from routerd.errors import PermanentError
from scripts.bench.recordings import Reading

_BIN = Path(sys.executable).parent
OPTIMISED = ("-OO",)  # as a router's init script starts it: 1.3 MB of docstrings stay on flash
_RAM = Path("/dev/shm")
_START_S, _STOP_S = 20.0, 20.0
_LOOK_S = 0.02  # between two looks at a process that is to get ready; asking for its status is not free: see `drained`
_DEVICE = "bench"


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where routerd writes and dials, when not as usual; `extra` is appended to its configuration, and `program` is the
    module that runs it."""

    data: Path | None = None
    url: str = ""
    cloud_port: int = 0
    extra: str = ""
    program: str = "routerd.daemon"


_USUAL = Wiring()


@dataclass(frozen=True, slots=True)
class Source:
    """A POS that dials routerd on `port`."""

    name: str
    reading: Reading
    port: int


def source(name: str, reading: Reading) -> Source:
    return Source(name, reading, free_port())


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def compiled(folder: Path) -> None:
    """From now on children find compiled modules in `folder`, as a router's packages hold them. An environment that
    forbids writing .pyc files would cost routerd 4 MB and four times the start."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(folder)


@functools.lru_cache(maxsize=1)
def _compile() -> None:
    """Import once all that a daemon does, so that no measured process compiles."""
    words = "import fleetd.server, fleetd.cli, routerd.daemon, routerd.cloud, routerd.forward.forwarder, serial"
    for options in ((), OPTIMISED):
        subprocess.run([sys.executable, *options, "-c", words], check=True, capture_output=True, timeout=60)


class Cloud:
    """fleetd in a folder of its own; `stop` and `start` make an outage."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        _compile()
        self.folder = folder
        self.port = port or free_port()
        self.key_file = folder.with_name("device.key")
        self._process: subprocess.Popen[bytes] | None = None
        _quietly("fleetd", "init", "--data", str(folder))
        _quietly("fleetctl", "--data", str(folder), "device", "add", _DEVICE, "--key-file", str(self.key_file))

    def start(self) -> None:
        log = self.folder.with_name("fleetd.log").open("ab")
        command = [str(_BIN / "fleetd"), "run", "--data", str(self.folder), "--listen", f"127.0.0.1:{self.port}"]
        self._process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        until(lambda: listens(self.port), _START_S, f"fleetd did not listen: see {log.name}")

    def stop(self) -> None:
        if self._process:
            _end(self._process)
            self._process = None

    def transactions(self) -> list[dict[str, Any]]:
        command = [str(_BIN / "fleetctl"), "--data", str(self.folder), "--json", "transactions"]
        done = subprocess.run(command, check=True, capture_output=True, timeout=120)
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


class Router:
    """routerd with TCP sources, a spool in `data` and its hot files in RAM."""

    def __init__(self, scratch: Path, cloud: Cloud, sources: list[Source], wiring: Wiring = _USUAL) -> None:
        self.ram = Path(tempfile.mkdtemp(prefix="routerd-bench-", dir=_RAM))
        self.control = self.ram / "control.sock"
        self.config = scratch / f"routerd-{self.ram.name}.toml"
        self.data = wiring.data or scratch / f"data-{self.ram.name}"
        text = _config(self, cloud, sources, wiring.url or f"https://127.0.0.1:{cloud.port}") + wiring.extra
        self.config.write_text(text, encoding="utf-8")
        self._ports = [each.port for each in sources]
        self._program = wiring.program
        self._log = scratch / f"routerd-{self.ram.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = [sys.executable, *OPTIMISED, "-m", self._program, "run", "--config", str(self.config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._is_up, _START_S, f"routerd did not start: see {self._log}")

    def _is_up(self) -> bool:
        if self._process and self._process.poll() is not None:
            raise RuntimeError(f"routerd ended with {self._process.returncode}: {self._log.read_text()[-500:]}")
        return self.control.exists() and all(listens(port) for port in self._ports)

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = ask(self.control, "status")
        return document

    def total(self) -> dict[str, int]:
        counts: dict[str, int] = self.status()["sum"]
        return counts

    def drained(self, captured: int, deadline_s: float, look_s: float = 0.25) -> None:
        """Wait until `captured` records came in and the cloud has processed each. A status costs routerd under a
        millisecond of CPU, so looking four times a second stays below one per cent."""

        def done() -> bool:
            counts = self.total()
            return counts["captured"] >= captured and counts["processed"] == counts["captured"]

        until(done, deadline_s, f"not all {captured} records were processed", look_s)

    def captured(self, records: int, deadline_s: float) -> None:
        """Wait until `records` records came in, wherever they are now."""
        until(lambda: self.total()["captured"] >= records, deadline_s, f"not all {records} were captured", 0.25)

    def halt(self) -> None:
        """Stop it and keep its folders."""
        if self._process:
            _end(self._process)
            self._process = None

    def stop(self) -> None:
        self.halt()
        shutil.rmtree(self.ram, ignore_errors=True)


@contextlib.contextmanager
def running(scratch: Path, sources: list[Source], wiring: Wiring = _USUAL) -> Iterator[tuple[Router, Cloud]]:
    """Both, up; stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="stack-", dir=scratch))
    cloud = Cloud(folder / "cloud", wiring.cloud_port)
    router = Router(folder, cloud, sources, wiring)
    try:
        cloud.start()
        router.start()
        yield router, cloud
    finally:
        router.stop()
        cloud.stop()


def push(port: int, data: bytes) -> None:
    """Hand bytes to a source as fast as it takes them, then hang up."""
    with socket.create_connection(("127.0.0.1", port), timeout=300) as connection:
        connection.sendall(data)


def until(done: Callable[[], bool], deadline_s: float, failure: str, look_s: float = _LOOK_S) -> None:
    """Wait for `done`; RuntimeError past the deadline."""
    give_up = time.monotonic() + deadline_s
    while True:
        try:
            if done():
                return
        except PermanentError as exc:  # the control socket does not answer yet
            failure = f"{failure} ({exc})"
        if time.monotonic() > give_up:
            raise RuntimeError(failure)
        time.sleep(look_s)


def listens(port: int) -> bool:
    """Whether somebody listens on the port, without connecting: a connection would be a POS."""
    wanted = f":{port:04X}"
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return any(fields[1].endswith(wanted) and fields[3] == "0A" for fields in map(str.split, lines))


def _config(router: Router, cloud: Cloud, sources: list[Source], url: str) -> str:
    parts = [
        f'[spool]\ndata_dir = "{router.data}"\nhot_dir = "{router.ram}"\nephemeral = true\n',
        f'[forward]\nurl = "{url}"\nca_file = "{cloud.folder / "ca.pem"}"\nkey_file = "{cloud.key_file}"\n',
        f'[control]\nsocket = "{router.control}"\n',
    ]
    for each in sources:
        options = ", ".join(f'{key} = "{value}"' for key, value in each.reading.options)
        parts.append(
            f'[[source]]\nname = "{each.name}"\nlink = "tcp-listen"\nbind = "127.0.0.1"\nport = {each.port}\n'
            f'allow = ["127.0.0.1"]\nframer = "{each.reading.framer}"\ndialect = "{each.reading.dialect}"\n'
            f"framer_options = {{ {options} }}\n"
        )
    return "\n".join(parts)


def _quietly(tool: str, *arguments: str) -> None:
    subprocess.run([str(_BIN / tool), *arguments], check=True, capture_output=True, timeout=60)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
