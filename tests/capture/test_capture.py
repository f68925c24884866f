"""The room: what is impossible is said before the first byte, and what a link turns away is shown."""

import asyncio
from pathlib import Path

import pytest

from routerd.capture.capture import Capture
from routerd.capture.inlet import StreamInlet
from routerd.capture.link import Backfill
from routerd.conditions import Conditions
from routerd.errors import ConfigError, PermanentError
from routerd.model import (
    CommanderLink,
    Draft,
    Gap,
    Link,
    PullLink,
    SerialLink,
    Source,
    Stamp,
    Stream,
    TcpConnectLink,
    TcpListenLink,
)
from routerd.spool.hot import Tail
from routerd.wire.body import unpack_gap
from tests.capture.wires import dial, free_port
from tests.fakes.clock import FakeClock
from tests.fakes.inlet import FakeMemory


class FakeSpool:
    """Takes nothing that a test would look at, but the notes."""

    def __init__(self) -> None:
        self.notes: dict[tuple[str, str], str] = {}
        self.drafts: list[Draft] = []
        self.memories = FakeMemory()

    def append(self, source: str, drafts: list[Draft], stamp: Stamp) -> int:
        self.drafts += drafts
        return 1

    def stream(self, source: str) -> Stream:
        return Stream(source, 7)

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

    def memory(self, source: str) -> FakeMemory:
        return self.memories

    def scratch(self, source: str) -> Path:
        return Path("/dev/null")

    async def note(self, source: str, key: str, text: str) -> None:
        self.notes[source, key] = text

    async def noted(self, source: str, key: str) -> str:
        return self.notes.get((source, key), "")


def capture(link: Link | PullLink, spool: FakeSpool | None = None) -> Capture:
    clock = FakeClock()
    return Capture((Source("till", link, "text"),), spool or FakeSpool(), clock, Conditions(clock), lambda: 0.0)


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


async def test_only_a_source_that_shows_a_certificate_can_be_trusted_and_its_note_is_forgotten() -> None:
    spool = FakeSpool()
    room = capture(CommanderLink("192.168.31.11", Path("/etc/login")), spool)
    await room.trust("till")
    assert spool.notes == {("till", "certificate"): ""}
    with pytest.raises(PermanentError, match="no source"):
        await room.trust("other")


async def test_a_stream_is_not_read_again() -> None:
    room = capture(SerialLink("/dev/null"))
    assert not room.reads_again
    with pytest.raises(PermanentError, match="no source here does"):
        await room.backfill("till", Backfill("2026-07-16", "2026-07-16"))


def test_a_line_that_was_away_is_declared_with_cause_and_times_when_it_is_back() -> None:
    clock, spool = FakeClock(), FakeSpool()
    link = TcpConnectLink("127.0.0.1", 9)
    inlet = StreamInlet(Source("till", link, "text"), link, spool, clock, Conditions(clock))
    inlet.failed("tcp.refused", "nothing listens")
    clock.move(60)
    inlet.open("pos").close()  # it never worked before: what it missed is the time the router was off
    inlet.failed("tcp.lost", "closed")
    clock.move(4)
    inlet.open("pos").close()  # it only dialled anew
    assert not spool.drafts
    inlet.failed("serial.unplugged", "plug it in")
    clock.move(30)
    inlet.failed("serial.absent", "still not there")
    clock.move(30)
    inlet.open("pos").close()
    [draft] = spool.drafts
    now_ms = clock.wall_ms()
    assert unpack_gap(draft.data) == Gap(Stream("till", 7), 0, 0, "serial.unplugged", 0, now_ms - 60_000, now_ms)
