"""Promises of the TCP links, kept on real sockets."""

import asyncio
import os
import resource
import socket
import struct
from collections.abc import AsyncIterator, Iterator

import pytest

from routerd.backoff import Backoff
from routerd.capture.link import Transport
from routerd.capture.tcp import (
    MAX_STRANGERS,
    OTHERS,
    RECEIVE_BUFFER_BYTES,
    Keepalive,
    TcpConnectTransport,
    TcpListenTransport,
)
from routerd.model import TcpConnectLink, TcpListenLink
from tests.capture.wires import Till, as_nobody, dial, free_port, payload, turns
from tests.fakes.inlet import FakeInlet, running

QUICK = Backoff(0.02, 0.05)
TCP_REPAIR = 19  # linux/tcp.h; a socket closed in this mode sends neither FIN nor RST


@pytest.fixture
def till() -> Iterator[Till]:
    till = Till()
    yield till
    till.close()


def dialler(port: int, keepalive: Keepalive | None = None) -> TcpConnectTransport:
    return TcpConnectTransport(TcpConnectLink("127.0.0.1", port), backoff=QUICK, keepalive=keepalive)


def listener(port: int, *allow: str, **settings: object) -> TcpListenTransport:
    link = TcpListenLink("127.0.0.1", port, allow or ("127.0.0.1",))
    return TcpListenTransport(link, backoff=QUICK, **settings)  # type: ignore[arg-type]


def reset(sock: socket.socket) -> None:
    """Close with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def router_ends(port: int) -> list[socket.socket]:
    """The router's own sockets with `port` at either end, found among this process's descriptors, as duplicates."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            sock = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        try:
            ends = sock.getpeername()[1], sock.getsockname()[1]
        except (OSError, IndexError):
            sock.close()
            continue
        if port in ends and sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
            found.append(sock)
        else:
            sock.close()
    return found


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
