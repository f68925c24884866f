"""SIGKILL in the moments that a random one seldom meets: while a backlog drains, while the daemon starts, in a pull."""

import asyncio
import json
import random
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

from scripts.commander.commander import Commander
from scripts.commander.recorded import Recorded
from scripts.commander.sessions import Site
from scripts.faults.line import GOOD, Mood
from scripts.pos.clock import WallClock
from scripts.pos.formats import Settings
from scripts.pos.generate import record
from scripts.pos.truth import Truth
from tests.e2e.router import Router
from tests.e2e.test_kill import BROKEN_S, SAFE_WITHIN_S
from tests.faults.ends import Ends, acknowledged, ends, reconstructed
from tests.fleetd.kit import Cloud

KILLS = 2
BEGUN_BYTES = 3000  # of a document that gzip makes ten times as long
DOWN = Mood(says=b"HTTP/1.1 503 Down\r\n\r\n")
NARROW = Mood(bytes_per_s=30_000)  # so that a drain takes long enough to be met


async def test_kills_in_a_drain_and_in_the_start_after_it_lose_and_double_nothing(
    tmp_path: Path, ram_dir: Path
) -> None:
    chance = random.Random(11)
    kills: list[float] = []
    async with ends(tmp_path, ram_dir, every_s=0.002) as both:
        await both.heard()
        for _ in range(KILLS):
            await backlog(both)
            both.line.turn(NARROW)
            await both.heard()
            await kill(both, kills, chance.uniform(0.0, 0.3))  # the drain
            await kill(both, kills, chance.uniform(0.05, 0.8))  # the start, or what it took up
        both.line.turn(GOOD)
        both.till.stopping = True
        await both.selling
        await both.router.until(lambda s: acknowledged(s) == s["sum"]["captured"] > 0)
        lines = reconstructed(both.cloud, "till")
        there = [line for line in lines if line in both.till.sold]
        assert len(there) == len(set(there))
        assert there == sorted(there)
        missing = both.till.sold.keys() - set(there)
        assert not [line for line in missing if not excused(both.till.sold[line], kills)]


def excused(sold_at: float, kills: list[float]) -> bool:
    return any(-BROKEN_S < kill - sold_at < SAFE_WITHIN_S for kill in kills)


async def backlog(both: Ends) -> None:
    """An outage that puts something on flash."""
    both.line.turn(DOWN)
    await both.router.until(lambda s: s["spool"]["cold_segments"] > 0)


async def kill(both: Ends, kills: list[float], after_s: float) -> None:
    await asyncio.sleep(after_s)
    await asyncio.to_thread(both.router.kill)
    kills.append(monotonic())
    both.router.start()


async def test_a_kill_in_a_commander_pull_neither_loses_nor_doubles_a_transaction(
    tmp_path: Path, ram_dir: Path
) -> None:
    document = tmp_path / "day.xml"
    record("transset-period", Settings(format="transset", seed=5), 120, str(document), Truth(""))
    wanted = document.read_bytes().count(b"</trans>")
    login = tmp_path / "site.login"
    login.touch(0o600)
    with Cloud.prepare(tmp_path / "fleet").running() as cloud:
        async with Commander(Site(), Recorded([document.read_bytes()]), WallClock(datetime.now(), 1.0)) as pos:
            login.write_text(f"{pos.site.user}\n{pos.site.password}\n", encoding="ascii")
            pos.troubles.pause_s = 0.3  # a piece
            router = Router(tmp_path, ram_dir, SITE.format(port=pos.port, login=login))
            router.connect(cloud)
            try:
                router.start()
                while pos.counters.bytes_served < BEGUN_BYTES:  # noqa: ASYNC110 (a counter announces nothing)
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(router.kill)
                pos.troubles.pause_s = 0.0
                router.start()
                await router.until(lambda s: s["sources"][0]["documents"] == 1 and not waits(s), 15.0)
                identities = [row["identity"] for row in transactions(cloud)]
                assert len(identities) == len(set(identities)) == wanted
            finally:
                router.end()


SITE = """[[source]]
name = "site"
link = "commander"
host = "127.0.0.1"
port = {port}
login_file = "{login}"
poll_s = 60
periods = ["daily"]
catch_up_days = 91
pull_gap_s = 0
"""


def waits(status: Any) -> bool:
    return bool(status["sources"][0]["waiting_documents"]) or acknowledged(status) < status["sum"]["captured"]


def transactions(cloud: Cloud) -> Any:
    command = [sys.executable, "-m", "fleetd.cli", "--data", str(cloud.data), "--json", "transactions"]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
