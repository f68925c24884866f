"""A routerd as procd would run it: a process with a configuration, killed and started at will."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from routerd.cli.question import ask
from routerd.errors import PermanentError
from tests.fleetd.kit import Cloud

DEADLINE_S = 60.0
_LOOK_S = 0.05  # status is asked for, not announced


@dataclass
class Router:
    """`sections` is the TOML of the sources; `running` is the process while there is one."""

    root: Path
    hot_dir: Path
    sections: str
    url: str = "https://127.0.0.1:1"
    ca_file: Path = Path("absent.pem")
    key_file: Path = Path("absent.key")
    spool: str = ""
    process: "subprocess.Popen[bytes] | None" = None
    starts: int = 0
    env: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.root / "routerd.toml"

    @property
    def socket(self) -> Path:
        return self.hot_dir / "control.sock"

    @property
    def log(self) -> str:
        return (self.root / "routerd.log").read_text(encoding="utf-8")

    def write_config(self) -> None:
        self.config.write_text(
            f'[spool]\ndata_dir = "{self.root / "data"}"\nhot_dir = "{self.hot_dir}"\nring_mb = 2\nephemeral = true\n'
            f"{self.spool}\n"
            f'[forward]\nurl = "{self.url}"\nca_file = "{self.ca_file}"\nkey_file = "{self.key_file}"\n'
            "backoff_base_s = 0.05\nbackoff_ceiling_s = 0.5\n"
            f'[control]\nsocket = "{self.socket}"\n{self.sections}\n',
            encoding="utf-8",
        )

    def connect(self, cloud: Cloud) -> None:
        """Register with a running fleetd."""
        cloud.token("store")
        self.url, self.ca_file, self.key_file = cloud.url, cloud.data / "ca.pem", cloud.root / "store.key"

    def start(self, *limits: str) -> None:
        """`limits` is a command that runs the daemon under limits, such as `prlimit --fsize=1000`."""
        self.write_config()
        command = [*limits, sys.executable, "-OO", "-m", "routerd.daemon", "--config", str(self.config)]
        with (self.root / "routerd.log").open("ab") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log)
        self.starts += 1

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def end(self) -> None:
        """Whatever state it is in."""
        if self.process and self.process.poll() is None:
            self.kill()

    def peak_rss_kb(self) -> int:
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.split("VmHWM:")[1].split()[0])

    def status(self) -> Any:
        """The status document, None while nobody answers."""
        try:
            return ask(self.socket, "status")
        except PermanentError:
            return None

    async def until(self, what: Callable[[Any], bool], deadline_s: float = DEADLINE_S) -> Any:
        """The first status of which `what` is true; it must balance at every look."""
        last = None
        try:
            async with asyncio.timeout(deadline_s):
                while True:
                    status = await asyncio.to_thread(self.status)
                    if status:
                        last = status
                        assert status["sum"]["balances"], status["sum"]
                        if what(status):
                            return status
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise AssertionError(f"never came true; last status {json.dumps(last)}\n{self.log[-3000:]}") from None

    async def raised(self, code: str) -> Any:
        """Wait for a condition; returns it."""
        status = await self.until(lambda s: any(c["code"] == code for c in s["conditions"]))
        return next(c for c in status["conditions"] if c["code"] == code)

    async def drained(self) -> Any:
        """Everything captured is processed."""
        return await self.until(lambda s: s["sum"]["captured"] and s["sum"]["captured"] == s["sum"]["processed"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tcp_source(name: str, port: int, framer: str = "text", extra: str = "") -> str:
    return (
        f'[[source]]\nname = "{name}"\nlink = "tcp-listen"\nbind = "127.0.0.1"\nport = {port}\n'
        f'allow = ["127.0.0.1"]\nframer = "{framer}"\n{extra}\n'
    )


def serial_source(name: str, path: Path, framer: str = "text", extra: str = "") -> str:
    return f'[[source]]\nname = "{name}"\nlink = "serial"\nport = "{path}"\nframer = "{framer}"\n{extra}\n'
