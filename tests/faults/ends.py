"""The two ends of a store's line, each a process, and a bad line between them."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from scripts.faults.impostor import Impostor
from scripts.faults.line import Line
from tests.e2e.pos import TcpTill
from tests.e2e.router import Router, free_port, tcp_source
from tests.fleetd.kit import Cloud

TIMEOUT_S = 2.0  # one upload; the default would let each black hole cost half a minute


class HastyRouter(Router):
    """Waits for an answer for seconds only."""

    def write_config(self) -> None:
        super().write_config()
        text = self.config.read_text(encoding="utf-8")
        self.config.write_text(text.replace("[forward]\n", f"[forward]\ntimeout_s = {TIMEOUT_S}\n"), encoding="utf-8")


@dataclass
class Ends:
    """A till that sells all the time, the router it dials, the line, and the cloud at its end."""

    router: HastyRouter
    cloud: Cloud
    line: Line
    till: TcpTill
    selling: "asyncio.Task[None]"
    processes: ExitStack

    def revive_cloud(self) -> None:
        """SIGKILL fleetd and start it again, on another port."""
        assert self.cloud.process
        self.cloud.process.kill()
        self.cloud.process.wait()
        self.processes.enter_context(self.cloud.running())
        self.line.target = port_of(self.cloud)

    async def sold(self, more: int) -> None:
        wanted = len(self.till.sold) + more
        while len(self.till.sold) < wanted:  # noqa: ASYNC110 (a till announces nothing)
            await asyncio.sleep(0.01)

    async def heard(self) -> None:
        """The cloud has acknowledged something since now."""
        before = acknowledged(await self.router.until(lambda s: True))
        await self.router.until(lambda s: acknowledged(s) > before)

    async def all_there(self) -> None:
        """The till ends, and all it sold arrives."""
        self.till.stopping = True
        await self.selling
        sold = len(self.till.sold)
        status = await self.router.until(lambda s: acknowledged(s) == s["sum"]["captured"] >= sold)
        assert status["sum"]["gaps"] == status["sum"]["quarantined"] == 0
        self.arrived()

    def arrived(self) -> None:
        """Every line sold is in the cloud, once, and in the order sold."""
        lines = reconstructed(self.cloud, self.till.name)
        assert [line for line, count in Counter(lines).items() if count > 1] == []
        assert [line for line in lines if line in self.till.sold] == list(self.till.sold)


@asynccontextmanager
async def ends(tmp_path: Path, ram_dir: Path, every_s: float = 0.01) -> AsyncIterator[Ends]:
    port = free_port()
    router = HastyRouter(tmp_path, ram_dir, tcp_source("till", port))
    till = TcpTill("till", every_s, port)
    with ExitStack() as processes:
        cloud = processes.enter_context(Cloud.prepare(tmp_path / "fleet").running())
        processes.callback(router.end)
        line = Line(port_of(cloud), Random(1))
        await line.start()
        router.connect(cloud)
        router.url = f"https://127.0.0.1:{line.port}"
        router.start()
        selling = asyncio.create_task(till.run())
        try:
            yield Ends(router, cloud, line, till, selling, processes)
        finally:
            till.stopping = True
            await selling
            await line.stop()


def acknowledged(status: Any) -> int:
    """Records that the cloud holds durably, used or not yet."""
    return int(status["sum"]["uploaded"] + status["sum"]["processed"])


def port_of(cloud: Cloud) -> int:
    return int(cloud.url.rpartition(":")[2])


def impostor_of(cloud: Cloud) -> Impostor:
    """Somebody with the cloud's own certificate."""
    return Impostor(cloud.data / "server.pem", cloud.data / "server.key")


def reconstructed(cloud: Cloud, source: str) -> list[bytes]:
    command = [sys.executable, "-m", "fleetd.cli", "--data", str(cloud.data)]
    shown = subprocess.run([*command, "reconstruct", "--device", "store", "--source", source], capture_output=True)
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.splitlines(keepends=True)
