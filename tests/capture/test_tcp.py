"""Promises of TCP links in general and of dialling, kept on real sockets."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from routerd.backoff import Backoff
from routerd.capture.link import Transport
from routerd.capture.tcp import (
    RECEIVE_BUFFER_BYTES,
    Keepalive,
    TcpConnectTransport,
    TcpListenTransport,
)
from routerd.model import TcpConnectLink, TcpListenLink
from tests.capture.tcp_ends import QUICK, TCP_REPAIR, dialler, listener, reset, router_ends
from tests.capture.wires import Till, dial, free_port, payload, turns
from tests.fakes.inlet import FakeInlet, running


@pytest.fixture
def till() -> Iterator[Till]:
    till = Till()
    yield till
    till.close()


async def test_every_byte_arrives_intact_from_a_till_that_is_dialled(till: Till) -> None:
    inlet = FakeInlet()
    sent = payload(4 << 20)
    async with running(dialler(till.port), inlet):
        with await till.accept() as pos:
            await asyncio.get_running_loop().sock_sendall(pos, sent)
            await inlet.captured(sent)
            assert inlet.sessions[0].peer == f"127.0.0.1:{till.port}"


@pytest.mark.parametrize("end", [socket.socket.close, reset])
async def test_nothing_is_lost_across_reconnects(till: Till, end: object) -> None:
    inlet = FakeInlet()
    async with running(dialler(till.port), inlet):
        for round_ in range(5):
            pos = await till.accept()
            sent = payload(30_000, round_)
            await asyncio.get_running_loop().sock_sendall(pos, sent)
            if end is reset:  # a reset overtakes what is still on its way
                await inlet.captured(sent, round_)
            end(pos)  # type: ignore[operator]
            await inlet.captured(sent, round_)
            await inlet.until(lambda: inlet.sessions[-1].closed or len(inlet.live) == 1)
        await inlet.until(lambda: len(inlet.failures) == 5)
    assert [code for code, _ in inlet.failures] == ["tcp.lost"] * 5


async def test_nobody_listening_is_refused_until_the_till_comes_up() -> None:
    inlet = FakeInlet()
    port = free_port()
    async with running(dialler(port), inlet):
        await inlet.until(lambda: "tcp.refused" in inlet.raised)
        assert str(port) in inlet.raised["tcp.refused"]
        till = Till(port)
        with await till.accept():
            await inlet.until(lambda: bool(inlet.live) and not inlet.raised)
        till.close()


@pytest.mark.parametrize("host", ["no-such-till.invalid", "a" * 64, "203.0.113.1.5", "::1%nowhere"])
async def test_a_name_without_address_is_unreachable(host: str) -> None:
    inlet = FakeInlet()
    async with running(TcpConnectTransport(TcpConnectLink(host, 5001), backoff=QUICK), inlet):
        await inlet.until(lambda: "tcp.unreachable" in inlet.raised)
        assert host in inlet.raised["tcp.unreachable"]


async def test_a_till_that_does_not_answer_is_unreachable_after_the_time_out() -> None:
    inlet = FakeInlet()
    with socket.socket() as deaf, socket.socket() as first:  # a full backlog drops further SYNs
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        first.connect(deaf.getsockname())
        link = TcpConnectLink(*deaf.getsockname())
        async with running(TcpConnectTransport(link, backoff=QUICK, connect_timeout_s=0.2), inlet):
            await inlet.until(lambda: "tcp.unreachable" in inlet.raised)
    assert "does not answer" in inlet.failures[0][1]


@pytest.mark.parametrize(
    "link",
    [
        TcpConnectLink("", 5001),
        TcpConnectLink("192.168.31.11", 0),
        TcpConnectLink("192.168.31.11", 70_000),
        TcpConnectLink("kässe", 5001),
        TcpConnectLink("till\0", 5001),
        TcpListenLink("0.0.0.0", -1, ("10.0.0.0/8",)),
        TcpListenLink("br-lan", 5001, ("10.0.0.0/8",)),
        TcpListenLink("127.0.0.1", 5001, ("10.0.0.0/8", "the till")),
    ],
)
async def test_impossible_settings_are_a_condition(link: TcpConnectLink | TcpListenLink) -> None:
    inlet = FakeInlet()
    transport: Transport
    transport = TcpListenTransport(link) if isinstance(link, TcpListenLink) else TcpConnectTransport(link)
    async with running(transport, inlet) as task:
        await inlet.until(lambda: "tcp.bad_settings" in inlet.raised)
        assert not task.done()


async def test_a_dialled_till_that_dies_silently_is_noticed(till: Till) -> None:
    inlet = FakeInlet()
    async with running(dialler(till.port, Keepalive(1, 1, 1)), inlet):
        await die_silently_or_show_the_options(await till.accept(), inlet, till.port)


async def test_a_dialling_till_that_dies_silently_is_noticed() -> None:
    inlet = FakeInlet()
    port = free_port()
    async with running(listener(port, keepalive=Keepalive(1, 1, 1)), inlet):
        await die_silently_or_show_the_options(await dial(port), inlet, port)


async def die_silently_or_show_the_options(pos: socket.socket, inlet: FakeInlet, port: int) -> None:
    await asyncio.get_running_loop().sock_sendall(pos, b"ticket")
    await inlet.captured(b"ticket")
    for sock in router_ends(port):
        with sock:
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            assert [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [1, 1, 1]
    with pos:
        try:
            pos.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        except PermissionError:  # without CAP_NET_ADMIN the options above must do
            return
    await inlet.until(lambda: "tcp.lost" in inlet.raised and inlet.sessions[0].closed)


async def test_keepalive_finds_a_dead_peer_in_about_a_minute_and_the_kernel_holds_little(till: Till) -> None:
    keepalive = Keepalive()
    assert 30 <= keepalive.idle_s + keepalive.interval_s * keepalive.probes <= 75
    inlet = FakeInlet()
    async with running(dialler(till.port), inlet):
        with await till.accept():
            await inlet.until(lambda: bool(inlet.live))
            (sock,) = router_ends(till.port)
            with sock:
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == keepalive.idle_s
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * RECEIVE_BUFFER_BYTES


async def test_full_stops_reading_and_room_resumes_without_loss(till: Till) -> None:
    inlet = FakeInlet()
    sent = payload(8 << 20)
    inlet.fill()
    async with running(dialler(till.port), inlet):
        with await till.accept() as pos:
            sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(pos, sent))
            await inlet.until(lambda: inlet.waiting == 1)
            held = len(inlet.data)
            await turns(500)  # in which a link that ignores it would read on
            assert len(inlet.data) == held
            assert not sending.done(), "the till feels the back-pressure"
            inlet.empty()
            await inlet.captured(sent)
            await sending


async def test_what_a_till_sent_before_it_hung_up_is_captured_though_there_was_no_room(till: Till) -> None:
    inlet = FakeInlet()
    sent = payload(60_000)
    inlet.fill()
    async with running(dialler(till.port), inlet):
        pos = await till.accept()
        await asyncio.get_running_loop().sock_sendall(pos, sent)
        pos.close()
        await inlet.until(lambda: inlet.waiting == 1)
        inlet.empty()
        await inlet.captured(sent)
        await inlet.until(lambda: inlet.sessions[0].closed)


@pytest.mark.parametrize("full", [False, True])
async def test_cancel_takes_what_the_kernel_holds(till: Till, full: bool) -> None:
    inlet = FakeInlet()
    if full:
        inlet.fill()
    async with running(dialler(till.port), inlet):
        pos = await till.accept()
        pos.send(b"A")
        await inlet.captured(b"A")
        sent = payload(40_000)
        assert pos.send(sent) == len(sent)  # loopback delivers at once, and the link has had no chance to run since
    assert inlet.data == b"A" + sent
    pos.settimeout(10)
    assert pos.recv(1) == b"", "closed in order, not reset"
    pos.close()


async def test_cancel_does_not_wait_for_a_till_that_never_stops(till: Till) -> None:
    inlet = FakeInlet()
    task = asyncio.create_task(dialler(till.port).run(inlet))
    pos = await till.accept()
    sending = asyncio.create_task(asyncio.get_running_loop().sock_sendall(pos, payload(64 << 20)))
    await inlet.until(lambda: len(inlet.data) > 100_000)
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert task.cancelled()
    with pytest.raises(ConnectionError):
        await sending
    pos.close()


async def test_a_bug_in_the_session_reaches_whoever_runs_the_link(till: Till) -> None:
    inlet = FakeInlet()
    inlet.bug = OSError("no space left, and nobody caught it")
    task = asyncio.create_task(dialler(till.port).run(inlet))
    with await till.accept() as pos:
        pos.send(b"ticket")
        with pytest.raises(OSError, match="no space"):
            await asyncio.wait_for(task, 10)


async def test_a_till_that_hangs_up_at_once_is_not_stormed(till: Till) -> None:
    waits: list[float] = []

    class Watched(Backoff):
        def wait_s(self, attempt: int, chance: float) -> float:
            waits.append(attempt)
            return 0.0

    inlet = FakeInlet()
    link = TcpConnectLink("127.0.0.1", till.port)
    async with running(TcpConnectTransport(link, backoff=Watched(), chance=lambda: 0.5), inlet):
        for _ in range(3):
            (await till.accept()).close()
        with await till.accept() as pos:
            pos.send(b"ticket")
            await inlet.captured(b"ticket", session=3)
        (await till.accept()).close()
        await inlet.until(lambda: len(inlet.failures) == 5)
        assert waits == [0, 1, 2, 0, 1]
