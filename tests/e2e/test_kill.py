"""SIGKILL at any moment, under load: nothing older than the promise is missing, nothing is there twice."""

import asyncio
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import monotonic

import pytest

from tests.e2e.pos import SerialTill, TcpTill, Till
from tests.e2e.router import Router, free_port, serial_source, tcp_source
from tests.fleetd.kit import Cloud

KILLS = 50
SAFE_WITHIN_S = 2.0  # the default, which is the promise tested here
BROKEN_S = 0.25  # a till may write once more into a connection that the kill has just broken


@pytest.mark.timeout(400)
async def test_fifty_kills_lose_nothing_older_than_the_promise_and_double_nothing(
    cloud: Cloud, router: Router, tmp_path: Path
) -> None:
    port = free_port()
    tcp = TcpTill("tcp", 0.004, port)
    serial = SerialTill("serial", 0.01, tmp_path / "tty")
    router.sections = tcp_source("tcp", port) + serial_source("serial", tmp_path / "tty")
    router.connect(cloud)
    tills: list[Till] = [tcp, serial]
    kills: list[float] = []
    chance = random.Random(20)
    router.start()
    async with asyncio.TaskGroup() as group:
        selling = [group.create_task(till.run()) for till in tills]
        for _ in range(KILLS):
            await reading_again(router)
            await asyncio.sleep(chance.uniform(0.0, 0.7))
            await asyncio.to_thread(router.kill)
            kills.append(monotonic())
            router.start()
        await reading_again(router)
        for till in tills:
            till.stopping = True
        await asyncio.wait(selling)
        status = await router.drained()
    serial.close()
    assert status["sum"]["gaps"] == status["sum"]["quarantined"] == 0
    for till in tills:
        judge(till, records(cloud, till.name), kills)
    assert router.stop() == 0


async def reading_again(router: Router) -> None:
    """Both tills have been heard since the start: the kill falls into the middle of work."""
    await router.until(lambda s: all(source["bytes_read"] > 200 for source in s["sources"]))


def records(cloud: Cloud, source: str) -> Counter[bytes]:
    """Every record of a source as it stands in the cloud, halves of torn lines among them."""
    command = [sys.executable, "-m", "fleetd.cli", "--data", str(cloud.data)]
    shown = subprocess.run([*command, "reconstruct", "--device", "store", "--source", source], capture_output=True)
    assert shown.returncode == 0, shown.stderr
    return Counter(shown.stdout.splitlines(keepends=True))


def judge(till: Till, arrived: Counter[bytes], kills: list[float]) -> None:
    """A line may be missing only if a kill came within the promise after its last byte."""
    assert len(till.sold) > 1000
    doubled = [line for line in till.sold if arrived[line] > 1]
    assert not doubled, doubled[:5]
    missing = [line for line in till.sold if not arrived[line]]
    excused = [line for line in missing if any(-BROKEN_S < kill - till.sold[line] < SAFE_WITHIN_S for kill in kills)]
    assert missing == excused
