"""The room: what is impossible is said before the first byte, and what a link turns away is shown."""

import asyncio

import pytest

from routerd.capture.capture import Capture
from routerd.conditions import Conditions
from routerd.errors import ConfigError
from routerd.model import Draft, Link, SerialLink, Source, Stamp, TcpListenLink
from routerd.spool.hot import Tail
from tests.capture.wires import dial, free_port
from tests.fakes.clock import FakeClock


class FakeSpool:
    """Takes nothing that a test would look at."""

    def append(self, source: str, drafts: list[Draft], stamp: Stamp) -> int:
        return 1

    def has_room(self, source: str) -> bool:
        return True

    async def room(self, source: str) -> None:
        return

    def tail(self, source: str) -> Tail:
        return Tail(b"", 0)

    def grow_tail(self, source: str, offset: int, masked: bytes) -> None:
        return

    def cut_tail(self, source: str, masked: bytes) -> None:
        return


def capture(link: Link) -> Capture:
    clock = FakeClock()
    return Capture((Source("till", link, "text"),), FakeSpool(), clock, Conditions(clock), lambda: 0.0)


def test_a_speed_no_port_runs_at_stops_the_start_and_names_the_source() -> None:
    with pytest.raises(ConfigError, match=r"\[\[source\]\] till: baud 12345.*set 9600"):
        capture(SerialLink("/dev/ttyUSB0", baud=12345))
    capture(SerialLink("/dev/ttyUSB0", baud=7200))


async def test_who_was_turned_away_is_shown() -> None:
    port = free_port()
    room = capture(TcpListenLink("127.0.0.1", port, ("127.0.0.1",)))
    task = asyncio.create_task(room.run())
    try:
        with await dial(port, "127.0.0.9") as stranger:
            assert await asyncio.get_running_loop().sock_recv(stranger, 1) == b""
        [source] = room.snapshot()
        assert source.strangers == {"127.0.0.9": 1}
    finally:
        task.cancel()
        await asyncio.wait([task])
