"""What was answered is there: after kill -9, after SIGTERM, and for whoever opens the folder next."""

import asyncio
import contextlib
import signal
import socket
import subprocess
from pathlib import Path

import aiohttp

from fleetd.sqlite_store import SqliteStore
from fleetd.store import Query
from routerd.model import Segment, Stream
from routerd.wire.batch import DUPLICATE
from tests.fleetd.kit import Cloud, headers, pack, request_head, run_of, sale, segment

ROUTERS = ("r1", "r2", "r3", "r4")
ENOUGH_ACKS = 120
Acked = set[tuple[str, int]]


def nth(router: str, number: int) -> Segment:
    """Five records; every router its own POS, so that identities do not meet."""
    first = 5 * number + 1
    return segment(first, [sale(at) for at in range(first, first + 5)], Stream(f"pos-{router}", 1))


async def load(cloud: Cloud, router: str, acked: Acked, enough: asyncio.Event) -> None:
    """Send one segment after the other until the cloud is gone."""
    number = 0
    try:
        async with cloud.session as session:
            while True:
                await cloud.send(session, router, nth(router, number))
                acked |= {(router, 5 * number + at) for at in range(1, 6)}
                number += 1
                if len(acked) >= 5 * ENOUGH_ACKS:
                    enough.set()
    except aiohttp.ClientError:
        return


def kept(cloud: Cloud) -> Acked:
    with SqliteStore(cloud.data / "fleet.db", read_only=True) as store:
        found = [(one.device, one.seq) for one in store.transactions(Query())]
    assert len(found) == len(set(found)), "each once"
    return set(found)


async def test_everything_acked_survives_kill_9_under_load(tmp_path: Path) -> None:
    cloud = Cloud.prepare(tmp_path)
    acked: Acked = set()
    enough = asyncio.Event()
    for router in ROUTERS:
        cloud.token(router)
    with cloud.running():
        async with asyncio.TaskGroup() as group:
            for router in ROUTERS:
                group.create_task(load(cloud, router, acked, enough))
            await enough.wait()
            assert cloud.process is not None
            cloud.process.send_signal(signal.SIGKILL)
    after_kill = kept(cloud)
    assert acked <= after_kill
    with cloud.running():
        async with cloud.session as session:
            for router in ROUTERS:
                last = max(seq for owner, seq in acked if owner == router)
                everything = [nth(router, number) for number in range(last // 5)]
                answer = await cloud.send(session, router, *everything)
                assert {ack.status for ack in answer.acks} == {DUPLICATE}
                await cloud.until_processed(session, router, {Stream(f"pos-{router}", 1): last})
    assert kept(cloud) == after_kill


async def test_sigterm_answers_what_is_under_way_and_ends_cleanly(tmp_path: Path) -> None:
    """A request whose body has not come yet when the signal does is still read, stored and answered."""
    cloud = Cloud.prepare(tmp_path)
    data = pack(run_of(1, 3))
    sent = headers(data, cloud.token("r1"), host="a", expect="100-continue", content_length=str(len(data)))
    with cloud.running():
        process, port = cloud.process, int(cloud.url.rsplit(":", 1)[1])
        assert process is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=cloud.tls, server_hostname="localhost")
        writer.write(request_head(sent))
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n", "the request is under way"
        process.send_signal(signal.SIGTERM)
        await until_refused(port)
        writer.write(data)
        assert b"HTTP/1.1 200 OK" in await reader.read()
        writer.close()
        await writer.wait_closed()
        assert await asyncio.to_thread(process.wait, 20) == 0
    assert not (cloud.data / "fleet.db-wal").exists(), "the log was folded in"
    assert len(kept(cloud)) == 3


async def until_refused(port: int) -> None:
    """Knock until nobody listens."""
    with contextlib.suppress(ConnectionError):
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()


def test_two_fleetds_never_share_a_folder(tmp_path: Path) -> None:
    cloud = Cloud.prepare(tmp_path)
    with cloud.running():
        second = subprocess.run(cloud.command, capture_output=True, text=True, timeout=30)
    assert second.returncode == 2
    assert second.stderr == f"fleetd: another fleetd runs on {cloud.data}: stop it first\n"


def test_a_port_in_use_stops_the_start_in_one_line(tmp_path: Path) -> None:
    cloud = Cloud.prepare(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = subprocess.run([*cloud.command, "--listen", listen], capture_output=True, text=True, timeout=30)
    assert refused.returncode == 2
    assert refused.stderr == f"fleetd: cannot listen on {listen} (Address already in use): choose another --listen\n"
