"""Promises of listening for the POS, kept on real sockets."""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator

import pytest

from routerd.capture.tcp import (
    MAX_STRANGERS,
    OTHERS,
    TcpListenTransport,
)
from routerd.model import TcpListenLink
from tests.capture.tcp_ends import QUICK, listener, reset
from tests.capture.wires import as_nobody, dial, free_port, payload
from tests.fakes.inlet import FakeInlet, running


async def test_one_session_per_connection_and_all_bytes_in_the_right_one() -> None:
    inlet = FakeInlet()
    port = free_port()
    sent = [payload(200_000, each) for each in range(8)]
    async with running(listener(port, "127.0.0.0/8"), inlet):
        tills = [await dial(port, f"127.0.0.{each + 1}") for each in range(8)]
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.sock_sendall(pos, data) for pos, data in zip(tills, sent, strict=True)))
        await inlet.until(lambda: len(inlet.data) == sum(map(len, sent)))
        for pos in tills:
            pos.close()
        await inlet.until(lambda: not inlet.live)
        assert not inlet.failures, "hanging up in order is no fault"
    by_peer = {each.peer.split(":")[0]: bytes(each.data) for each in inlet.sessions}
    assert by_peer == {f"127.0.0.{each + 1}": sent[each] for each in range(8)}


async def test_a_stranger_is_closed_counted_and_logged_once_and_raises_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    inlet = FakeInlet()
    port = free_port()
    transport = listener(port, "127.0.0.1", "10.5.60.0/24")
    async with running(transport, inlet):
        for _ in range(3):
            with await dial(port, "127.0.0.9") as stranger:
                assert await asyncio.get_running_loop().sock_recv(stranger, 1) == b""
        with await dial(port) as pos:
            pos.send(b"ticket")
            await inlet.captured(b"ticket")
    assert transport.refused == {"127.0.0.9": 3}
    assert [each.getMessage().split(" ")[1] for each in caplog.records if "peer_refused" in each.getMessage()] == [
        "127.0.0.9"
    ]
    assert not inlet.failures


async def test_nobody_is_allowed_by_an_empty_list() -> None:
    inlet = FakeInlet()
    port = free_port()
    async with running(TcpListenTransport(TcpListenLink("127.0.0.1", port, ())), inlet):
        with await dial(port) as pos:
            assert await asyncio.get_running_loop().sock_recv(pos, 1) == b""
    assert not inlet.sessions


def test_strangers_are_counted_in_bounded_memory() -> None:
    transport = listener(5001, "10.0.0.1")
    for each in range(1000):
        assert not transport._admits(f"192.168.{each // 250}.{each % 250}")
    assert len(transport.refused) == MAX_STRANGERS + 1
    assert sum(transport.refused.values()) == 1000
    assert transport.refused[OTHERS] == 1000 - MAX_STRANGERS


async def test_a_pos_on_ipv4_is_known_behind_a_socket_bound_to_all() -> None:
    inlet = FakeInlet()
    port = free_port()
    link = TcpListenLink("::", port, ("127.0.0.1/32", "fe80::/10"))
    async with running(TcpListenTransport(link, backoff=QUICK), inlet):
        with await dial(port) as pos:
            pos.send(b"ticket")
            await inlet.captured(b"ticket")


async def test_connections_are_bounded_and_the_live_ones_stay() -> None:
    inlet = FakeInlet()
    port = free_port()
    async with running(listener(port, max_connections=2), inlet):
        held = [await dial(port) for _ in range(2)]
        await inlet.until(lambda: len(inlet.live) == 2)
        with await dial(port) as third:
            assert await asyncio.get_running_loop().sock_recv(third, 1) == b""
        assert "tcp.too_many" in inlet.raised
        held.pop().close()
        await inlet.until(lambda: len(inlet.live) == 1)
        held.append(await dial(port))
        await inlet.until(lambda: len(inlet.live) == 2 and not inlet.raised)
        for pos in held:
            pos.close()


@pytest.fixture
async def taken() -> AsyncIterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other


async def test_a_taken_port_is_a_condition_and_retried(taken: socket.socket) -> None:
    inlet = FakeInlet()
    port = taken.getsockname()[1]
    async with running(listener(port), inlet):
        await inlet.until(lambda: "tcp.port_in_use" in inlet.raised)
        taken.close()
        with await dial(port) as pos:
            pos.send(b"ticket")
            await inlet.captured(b"ticket")
            assert not inlet.raised


async def test_out_of_descriptors_is_a_condition_and_the_caller_is_served_later() -> None:
    inlet = FakeInlet()
    port = free_port()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with running(listener(port), inlet):
        with await dial(port) as first, socket.socket() as pos:
            await inlet.until(lambda: bool(inlet.live))
            pos.setblocking(False)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
            try:
                await asyncio.get_running_loop().sock_connect(pos, first.getpeername())
                await inlet.until(lambda: "tcp.accept_failed" in inlet.raised)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            pos.send(b"ticket")
            await inlet.captured(b"ticket", session=1)
            assert not inlet.raised


async def test_an_address_that_is_not_there_yet_is_waited_for() -> None:
    inlet = FakeInlet()
    async with running(TcpListenTransport(TcpListenLink("203.0.113.7", 5001, ()), backoff=QUICK), inlet):
        await inlet.until(lambda: len(inlet.failures) >= 3)
    assert set(inlet.raised) == {"tcp.address_absent"}


async def test_a_low_port_says_why() -> None:
    inlet = FakeInlet()
    with as_nobody():
        async with running(listener(99), inlet):
            await inlet.until(lambda: bool(inlet.failures))
    assert "1024" in inlet.raised["tcp.port_denied"]


async def test_a_restart_listens_again_at_once() -> None:
    port = free_port()
    for _ in range(2):
        inlet = FakeInlet()
        async with running(listener(port), inlet):
            pos = await dial(port)
            await inlet.until(lambda inlet=inlet: bool(inlet.live))  # type: ignore[misc]
        pos.close()  # second, which leaves the router's end in TIME_WAIT
        assert not inlet.failures


async def test_a_dialling_till_that_drops_its_connection_is_lost_until_it_dials_again() -> None:
    inlet = FakeInlet()
    port = free_port()
    async with running(listener(port), inlet):
        pos = await dial(port)
        await inlet.until(lambda: bool(inlet.live))
        reset(pos)
        await inlet.until(lambda: "tcp.lost" in inlet.raised)
        with await dial(port):
            await inlet.until(lambda: bool(inlet.live) and not inlet.raised)


async def test_cancel_drains_every_dialled_in_till() -> None:
    inlet = FakeInlet()
    port = free_port()
    sent = payload(20_000)
    async with running(listener(port), inlet):
        tills = [await dial(port) for _ in range(8)]
        await inlet.until(lambda: len(inlet.live) == 8)
        for pos in tills:
            assert pos.send(sent) == len(sent)
    assert inlet.data == sent * 8
    for pos in tills:
        pos.close()
