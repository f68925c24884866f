"""Promises of the serial link, kept on real ptys."""

import asyncio
import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from routerd.backoff import Backoff
from routerd.capture.serial import REPLUG_CEILING_S, SerialTransport
from routerd.model import SerialLink
from tests.capture.wires import ALL_BYTES, Cable, as_nobody, payload, turns
from tests.fakes.inlet import FakeInlet, running

QUICK = Backoff(0.02, 0.05)


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    cable = Cable(tmp_path / "ttyPOS")
    yield cable
    cable.unplug()


def link_to(cable: Cable, **settings: object) -> SerialTransport:
    return SerialTransport(SerialLink(str(cable.path), **settings), backoff=QUICK)  # type: ignore[arg-type]


async def test_every_byte_value_arrives_intact_and_nothing_is_written_back(cable: Cable) -> None:
    inlet = FakeInlet()
    sent = payload(1 << 20)
    async with running(link_to(cable), inlet):
        await cable.send(sent)
        await inlet.captured(sent)
        assert cable.said() == b""


async def test_control_bytes_pass_a_port_that_was_left_cooked(cable: Cable) -> None:
    inlet = FakeInlet()
    mode = termios.tcgetattr(cable.slave)
    mode[0] |= termios.ICRNL | termios.IXON | termios.IXOFF | termios.ISTRIP | termios.PARMRK | termios.BRKINT
    mode[2] |= termios.HUPCL
    mode[3] |= termios.ICANON | termios.ISIG | termios.ECHO
    termios.tcsetattr(cable.slave, termios.TCSANOW, mode)
    async with running(link_to(cable), inlet):
        await inlet.until(lambda: bool(inlet.sessions))
        await cable.send(ALL_BYTES * 3)
        await inlet.captured(ALL_BYTES * 3)
        iflag, _, cflag, _, _, _, chars = termios.tcgetattr(cable.slave)
        assert chars[termios.VMIN] == 1, "an empty read must not look like a hang-up"
        assert not cflag & termios.HUPCL
        assert not iflag & (termios.BRKINT | termios.PARMRK | termios.IXON | termios.IXOFF | termios.ISTRIP)
        assert cable.said() == b""


async def test_bytes_that_wait_before_the_open_are_captured(cable: Cable) -> None:
    inlet = FakeInlet()
    await cable.send(ALL_BYTES)
    select.select([cable.slave], [], [], 10)
    async with running(link_to(cable), inlet):
        await inlet.captured(ALL_BYTES)


async def test_a_slow_line_is_read_in_few_wake_ups(cable: Cable) -> None:
    inlet = FakeInlet()
    async with running(link_to(cable), inlet):
        await inlet.until(lambda: bool(inlet.sessions))
        for _ in range(40):  # 40 pieces of 16 bytes at 9600 baud: 0.67 s of line
            cable.send_now(ALL_BYTES[:16])
            await asyncio.sleep(0.016)  # the line's pace, not a wait for the link
        await inlet.until(lambda: len(inlet.data) == 640)
    assert inlet.sessions[0].feeds <= 20


@pytest.mark.parametrize("baud", [1200, 9600, 19200, 115200])
async def test_the_speed_is_set(cable: Cable, baud: int) -> None:
    inlet = FakeInlet()
    async with running(link_to(cable, baud=baud, data_bits=7, parity="E", stop_bits=2), inlet):
        await inlet.until(lambda: bool(inlet.sessions))
        assert termios.tcgetattr(cable.slave)[4:6] == [getattr(termios, f"B{baud}")] * 2


@pytest.mark.parametrize(
    "settings",
    [
        {"baud": 0},
        {"baud": -9600},
        {"baud": 12345},
        {"parity": "X"},
        {"parity": ""},
        {"data_bits": 9},
        {"stop_bits": 3},
    ],
)
async def test_impossible_settings_are_a_condition_and_touch_no_port(cable: Cable, settings: dict[str, object]) -> None:
    inlet = FakeInlet()
    (key,) = settings
    async with running(link_to(cable, **settings), inlet) as task:
        await inlet.until(lambda: "serial.bad_settings" in inlet.raised)
        assert key in inlet.raised["serial.bad_settings"]
        assert not task.done()
    assert not inlet.sessions


@pytest.mark.parametrize("port", ["", "usb:", "/dev/tty\0"])
async def test_a_port_without_a_name_is_a_condition(port: str) -> None:
    inlet = FakeInlet()
    async with running(SerialTransport(SerialLink(port)), inlet):
        await inlet.until(lambda: "serial.bad_settings" in inlet.raised)


async def test_unplug_is_noticed_within_a_second_and_replug_by_path_resumes(cable: Cable) -> None:
    inlet = FakeInlet()
    async with running(link_to(cable), inlet):
        for round_ in range(3):
            sent = payload(5000, round_)
            await cable.send(sent)
            await inlet.captured(sent, round_)
            assert not inlet.raised
            cable.unplug()
            await inlet.until(lambda: "serial.unplugged" in inlet.raised, deadline_s=1)
            assert inlet.sessions[round_].closed
            cable.plug()
    assert [code for code, _ in inlet.failures if code != "serial.unplugged"] == []


async def test_a_cable_that_stays_out_is_one_condition(cable: Cable) -> None:
    inlet = FakeInlet()
    tries = 0

    def chance() -> float:
        nonlocal tries
        tries += 1
        inlet.changed()
        return 0.5

    async with running(SerialTransport(SerialLink(str(cable.path)), backoff=QUICK, chance=chance), inlet):
        await inlet.until(lambda: bool(inlet.sessions))
        cable.unplug()
        await inlet.until(lambda: tries >= 4)
        assert [code for code, _ in inlet.failures] == ["serial.unplugged"]


async def test_unplug_is_noticed_while_there_is_no_room(cable: Cable) -> None:
    inlet = FakeInlet()
    inlet.fill()
    async with running(link_to(cable), inlet):
        await cable.send(b"ticket")
        await inlet.until(lambda: inlet.waiting == 1)
        cable.unplug()
        await inlet.until(lambda: "serial.unplugged" in inlet.raised, deadline_s=1)
        assert inlet.data == b"ticket"


async def test_replug_by_usb_location_resumes(cable: Cable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[ListPortInfo] = []

    def adapter(cable: Cable, location: str) -> None:
        ports.append(ListPortInfo(os.ttyname(cable.slave)))
        ports[-1].location = location

    monkeypatch.setattr(list_ports, "comports", lambda: list(ports))
    stranger = Cable(tmp_path / "other")
    adapter(stranger, "1-1.3")
    inlet = FakeInlet()
    async with running(SerialTransport(SerialLink("usb:1-1.2"), backoff=QUICK), inlet):
        await inlet.until(lambda: "serial.absent" in inlet.raised)
        for round_, text in enumerate((b"first", b"second")):
            adapter(cable, "1-1.2")
            await cable.send(text)
            await inlet.captured(text, round_)
            del ports[1:]
            cable.unplug()
            await inlet.until(lambda: "serial.unplugged" in inlet.raised)
            cable.plug()
    stranger.unplug()
    assert inlet.data == b"firstsecond"


async def test_full_stops_reading_and_room_resumes_without_loss(cable: Cable) -> None:
    inlet = FakeInlet()
    sent = payload(200_000)
    inlet.fill()
    async with running(link_to(cable), inlet):
        sending = asyncio.create_task(cable.send(sent))
        await inlet.until(lambda: inlet.waiting == 1)
        held = len(inlet.data)
        await turns(500)  # in which a link that ignores it would read on
        assert len(inlet.data) == held
        assert not sending.done()
        inlet.empty()
        await inlet.captured(sent)
        await sending


@pytest.mark.parametrize("full", [False, True])
async def test_cancel_takes_what_the_kernel_holds(cable: Cable, full: bool) -> None:
    inlet = FakeInlet()
    if full:
        inlet.fill()
    async with running(link_to(cable), inlet):
        await cable.send(b"A")
        await inlet.until(lambda: bool(inlet.data))
        held = cable.stuffed()  # the link has had no chance to run since
        assert held > 4096
    assert len(inlet.data) == 1 + held


async def test_cancel_while_opening_leaves_no_port_open(cable: Cable) -> None:
    inlet = FakeInlet()
    task = asyncio.create_task(link_to(cable).run(inlet))
    await asyncio.sleep(0)  # into the thread
    task.cancel()
    await asyncio.wait({task}, timeout=10)
    assert task.cancelled()
    assert not inlet.sessions
    fcntl.flock(cable.slave, fcntl.LOCK_EX | fcntl.LOCK_NB)


async def test_a_missing_port_is_absent_until_it_comes(cable: Cable) -> None:
    inlet = FakeInlet()
    cable.unplug()
    async with running(link_to(cable), inlet):
        await inlet.until(lambda: "serial.absent" in inlet.raised)
        cable.plug()
        await inlet.until(lambda: bool(inlet.sessions))
        assert not inlet.raised


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, os.mkfifo])
async def test_what_is_no_tty_is_told_apart(tmp_path: Path, make: object) -> None:
    make(tmp_path / "port")  # type: ignore[operator]
    inlet = FakeInlet()
    async with running(SerialTransport(SerialLink(str(tmp_path / "port")), backoff=QUICK), inlet):
        await inlet.until(lambda: "serial.not_a_tty" in inlet.raised)


async def test_a_port_that_may_not_be_read_names_the_group(cable: Cable) -> None:
    inlet = FakeInlet()
    name = os.ttyname(cable.slave)
    os.chmod(name, 0)
    async with running(SerialTransport(SerialLink(name), backoff=QUICK), inlet):
        with as_nobody():
            await inlet.until(lambda: "serial.denied" in inlet.raised)
        assert "group" in inlet.raised["serial.denied"]
        os.chmod(name, 0o600)
        await inlet.until(lambda: bool(inlet.sessions))


async def test_another_program_on_the_port_is_named_and_waited_for(cable: Cable) -> None:
    inlet = FakeInlet()
    other = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=os.open(cable.path, os.O_RDONLY | os.O_NOCTTY),
        stdout=subprocess.PIPE,
    )
    async with running(link_to(cable), inlet):
        await inlet.until(lambda: "serial.in_use" in inlet.raised)
        assert f"pid {other.pid}" in inlet.raised["serial.in_use"]
        assert not inlet.sessions
        other.send_signal(signal.SIGKILL)
        other.communicate()
        await inlet.until(lambda: bool(inlet.sessions))


async def test_a_locked_port_is_in_use(cable: Cable) -> None:
    inlet = FakeInlet()
    fcntl.flock(cable.slave, fcntl.LOCK_EX)
    mode = termios.tcgetattr(cable.slave)
    async with running(link_to(cable, baud=1200), inlet):
        await inlet.until(lambda: "serial.in_use" in inlet.raised)
        assert termios.tcgetattr(cable.slave) == mode, "a port in use keeps its settings"
        fcntl.flock(cable.slave, fcntl.LOCK_UN)
        await inlet.until(lambda: bool(inlet.sessions))


async def test_a_captured_port_is_closed_to_others_and_free_again_afterwards(cable: Cable) -> None:
    inlet = FakeInlet()
    name = os.ttyname(cable.slave)
    os.chmod(name, 0o666)
    async with running(link_to(cable), inlet):
        await inlet.until(lambda: bool(inlet.sessions))
        with as_nobody(), pytest.raises(OSError, match="busy"):
            os.open(name, os.O_RDONLY | os.O_NOCTTY)
    with as_nobody():
        os.close(os.open(name, os.O_RDONLY | os.O_NOCTTY))


async def test_two_sources_never_share_a_port(cable: Cable) -> None:
    first, second = FakeInlet(), FakeInlet()
    async with running(link_to(cable), first):
        await first.until(lambda: bool(first.sessions))
        async with running(link_to(cable), second):
            await second.until(lambda: "serial.in_use" in second.raised)
            assert not second.sessions


async def test_eight_ports_at_once(tmp_path: Path) -> None:
    cables = [Cable(tmp_path / f"tty{each}") for each in range(8)]
    inlets = [FakeInlet() for _ in cables]
    sent = [payload(100_000, each) for each in range(8)]
    tasks = [asyncio.create_task(link_to(cable).run(inlet)) for cable, inlet in zip(cables, inlets, strict=True)]
    await asyncio.gather(*(cable.send(data) for cable, data in zip(cables, sent, strict=True)))
    for inlet, data in zip(inlets, sent, strict=True):
        await inlet.captured(data)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for cable in cables:
        cable.unplug()


async def test_a_bug_in_the_session_reaches_whoever_runs_the_link(cable: Cable) -> None:
    inlet = FakeInlet()
    inlet.bug = OSError("no space left, and nobody caught it")
    await cable.send(b"ticket")
    with pytest.raises(OSError, match="no space"):
        await asyncio.wait_for(link_to(cable).run(inlet), 10)
    assert not inlet.live


def test_replug_waits_at_most_five_seconds() -> None:
    transport = SerialTransport(SerialLink("/dev/null"), backoff=Backoff(1, 600))
    assert transport._retry._backoff.ceiling_s == REPLUG_CEILING_S == 5.0
