"""Promises of the reader that serial and TCP share."""

import asyncio
import os
import socket
from collections.abc import Callable

import pytest

from routerd.backoff import Backoff
from routerd.capture.flow import DRAIN_READS, READ_BYTES, Flow, Retry
from tests.fakes.inlet import FakeInlet


@pytest.mark.parametrize("last_words", [b"", b"ticket"])
async def test_readiness_that_arrives_with_the_cancel_breaks_nothing(last_words: bytes) -> None:
    inlet = FakeInlet()
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there:
        flow = Flow(here.fileno(), inlet.open("pos"))
        task = asyncio.create_task(flow.run(inlet))
        await asyncio.sleep(0)  # until it reads
        there.send(last_words)
        there.close()
        task.cancel()
        flow._read()  # the loop had already queued the callback
        await asyncio.wait({task})
    assert task.cancelled()
    assert inlet.data == last_words
    assert inlet.sessions[0].closed


async def test_a_wake_up_without_bytes_is_slept_through() -> None:
    inlet = FakeInlet()
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there:
        flow = Flow(here.fileno(), inlet.open("pos"))
        task = asyncio.create_task(flow.run(inlet))
        await asyncio.sleep(0)
        flow._read()
        there.send(b"ticket")
        await inlet.captured(b"ticket")
        there.close()
        assert await asyncio.wait_for(task, 10) is None


async def test_a_socket_is_registered_once_however_often_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    registered: list[int] = []
    add_reader = loop.add_reader

    def counted(fd: int, callback: Callable[..., object]) -> None:
        registered.append(fd)
        add_reader(fd, callback)

    monkeypatch.setattr(loop, "add_reader", counted)
    inlet = FakeInlet()
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there:
        task = asyncio.create_task(Flow(here.fileno(), inlet.open("pos")).run(inlet))
        for count in range(1, 6):
            there.send(b"ticket")
            await inlet.captured(b"ticket" * count)
        there.close()
        assert await asyncio.wait_for(task, 10) is None
        assert registered.count(here.fileno()) == 1


async def test_a_drain_ends_though_the_other_side_does_not() -> None:
    inlet = FakeInlet()
    endless = os.open("/dev/zero", os.O_RDONLY)
    Flow(endless, inlet.open("pos"))._drain()
    os.close(endless)
    assert len(inlet.data) == DRAIN_READS * READ_BYTES


async def test_only_a_connection_that_proved_itself_starts_the_waits_anew() -> None:
    waits: list[int] = []

    class Watched(Backoff):
        def wait_s(self, attempt: int, chance: float) -> float:
            waits.append(attempt)
            return 0.0

    inlet = FakeInlet()
    retry = Retry(Watched(), lambda: 0.5)
    silent, useful = Flow(0, inlet.open("pos")), Flow(0, inlet.open("pos"))
    useful.fed = 1
    for flow in (silent, silent, useful, silent):
        retry.ended(flow)
        await retry.wait()
    assert waits == [0, 1, 0, 1]
    lasting = Flow(0, inlet.open("pos"))
    lasting._since_s -= Watched().ceiling_s
    retry.ended(lasting)
    await retry.wait()
    assert waits[-1] == 0
