"""Which settings a serial line has, from its bytes alone; and a port that is only ever listened to."""

import asyncio
import os
import pty
import termios
import threading
import tty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.discover import serialear
from routerd.discover.serialear import Consent, Port, Silent, listen, tune
from routerd.discover.serialguess import CANDIDATES, Guess, Heard, Hopeless, Settings, judge, next_step, unmark
from routerd.errors import PermanentError, TransientError
from tests.discover.uart import received

JOURNAL = b"".join(
    b"\x1bc0\x01\x1b!\x0007/11/25 03:%02d:29  COFFEE LARGE %d            1 @ 2.19\n" % (n % 60, n) for n in range(12)
)
PLAIN = b"".join(b"%04d MILK 1 GAL      3.49 T\r\n" % n for n in range(30))
SPEEDS = [each.baud for each in CANDIDATES]
SENT = [Settings(9600), Settings(9600, 7, "E"), Settings(9600, 7, "O"), Settings(19200), Settings(38400, 7, "E")]
CONSENT = Consent("Ann", 1)


def heard(data: bytes, sent: Settings, read: Settings) -> Heard:
    whole, errors, rest = unmark(received(data, sent, read))
    assert rest == b""
    return Heard(read, whole, errors)


def guessed(data: bytes, sent: Settings) -> tuple[Guess | Hopeless, list[Settings]]:
    """Listen as the guesser asks, to a line of these settings."""
    said: list[Heard] = []
    while isinstance(step := next_step(said), Settings):
        assert step not in [each.settings for each in said], "enough was heard"
        said.append(heard(data, sent, step))
    return step, [each.settings for each in said]


@pytest.mark.parametrize("sent", [*SENT, *(Settings(baud) for baud in SPEEDS[2:])], ids=str)
@pytest.mark.parametrize(("data", "framer"), [(JOURNAL, "esc-journal"), (PLAIN * 2, "text")], ids=["journal", "text"])
def test_settings_are_found_by_listening_alone(data: bytes, framer: str, sent: Settings) -> None:
    found, tried = guessed(data, sent)
    assert isinstance(found, Guess), found
    assert (found.settings, found.framer) == (sent, framer)
    assert len(tried) == SPEEDS.index(sent.baud) + 1


@pytest.mark.parametrize("sent", SENT, ids=str)
@pytest.mark.parametrize("read", CANDIDATES, ids=str)
def test_a_wrong_speed_is_never_taken_for_the_right_one(sent: Settings, read: Settings) -> None:
    if read.baud != sent.baud:
        assert judge(heard(JOURNAL, sent, read)) is None


def test_silence_and_a_few_bytes_change_nothing() -> None:
    assert next_step([]) == Settings(9600)
    assert next_step([Heard(Settings(9600), b"", 0)]) == Settings(9600)
    assert next_step([Heard(Settings(9600), PLAIN[:100], 0)]) == Settings(9600)
    assert next_step([Heard(Settings(9600), b"\x80" * 30, 10)]) == Settings(9600)


def test_a_known_mark_needs_less_evidence_than_plain_text() -> None:
    assert isinstance(next_step([Heard(Settings(9600), JOURNAL[:80], 0)]), Guess)
    assert next_step([Heard(Settings(9600), PLAIN[:80], 0)]) == Settings(9600)


def test_a_line_that_fits_nothing_is_told_so() -> None:
    noise = bytes(range(128, 250)) * 2
    step = next_step([Heard(settings, noise, 40) for settings in CANDIDATES])
    assert isinstance(step, Hopeless)
    assert "best at" in step.why


def test_registers_on_one_line_are_recognised() -> None:
    data = b"".join(b"\x1b%cTOTAL     %d.00\r\n" % (1 + n % 2, n) for n in range(30))
    found = judge(Heard(Settings(9600), data, 0))
    assert found is not None
    assert (found.framer, found.dialect) == ("vsi-add", "vsi")


def test_xml_on_a_line_is_recognised() -> None:
    data = b"<NAXML-POSJournal><JournalReport>" + b"<SaleEvent><a>1</a></SaleEvent>" * 12
    found = judge(Heard(Settings(9600), data, 0))
    assert found is not None
    assert (found.framer, found.dialect) == ("xml-element", "naxml")


@given(st.lists(st.tuples(st.integers(0, 255), st.booleans()), max_size=60), st.integers(1, 7))
def test_marks_are_undone_however_the_reads_cut_them(values: list[tuple[int, bool]], size: int) -> None:
    raw = b"".join(
        bytes([0xFF, 0, value]) if bad else b"\xff\xff" if value == 0xFF else bytes([value]) for value, bad in values
    )
    data, errors, rest = b"", 0, b""
    for at in range(0, len(raw), size):
        more, bad, rest = unmark(rest + raw[at : at + size])
        data, errors = data + more, errors + bad
    assert rest == b""
    assert data == bytes(value for value, bad in values if not bad)
    assert errors == sum(bad for _, bad in values)


@given(st.binary(max_size=300), st.integers(0, 50))
def test_no_bytes_raise(data: bytes, errors: int) -> None:
    for settings in (CANDIDATES[0], CANDIDATES[-1]):
        judge(Heard(settings, data, errors))
        next_step([Heard(settings, data, errors)])


class Pty:
    """A serial line with a POS at the other end, opened as ports are: read-only, raw, not blocking."""

    def __init__(self) -> None:
        self.pos, router = pty.openpty()
        tty.setraw(router)
        self.path = os.ttyname(router)
        self.keep = router
        self.opened: list[Settings] = []
        self.closed = 0

    def open(self, settings: Settings) -> Port:
        self.opened.append(settings)
        self._fd = os.open(self.path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        return self

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        self.closed += 1
        os.close(self._fd)

    def end(self) -> None:
        os.close(self.pos)
        os.close(self.keep)


async def test_a_port_is_opened_once_and_never_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Pty()
    tuned: list[Settings] = []

    def tune_and_sell(fd: int, settings: Settings) -> None:
        tune(fd, settings)
        tuned.append(settings)
        os.write(line.pos, bytes(range(128, 200)) if settings.baud == 9600 else JOURNAL)

    monkeypatch.setattr(serialear, "tune", tune_and_sell)
    try:
        found = await listen(line.open, CONSENT, 30)
        assert isinstance(found, Guess)
        assert found.settings == Settings(19200)
        assert [each.baud for each in tuned] == [9600, 19200]
        assert line.opened == [Settings(9600)]
        assert line.closed == 1
        os.set_blocking(line.pos, False)
        with pytest.raises(BlockingIOError):
            os.read(line.pos, 1)  # nothing came back to the POS
    finally:
        line.end()


async def test_silence_ends_with_the_deadline_and_closes_the_port() -> None:
    line = Pty()
    try:
        assert await listen(line.open, CONSENT, 0.05) == Silent(0)
        assert line.closed == 1
    finally:
        line.end()


async def test_no_port_is_opened_that_nobody_approved() -> None:
    line = Pty()
    try:
        with pytest.raises(PermanentError) as caught:
            await listen(line.open, Consent(" ", 0), 1)
        assert caught.value.code == "serial.no_consent"
        assert line.opened == []
    finally:
        line.end()


def test_tuning_keeps_the_lines_where_they_are_and_marks_damage() -> None:
    line = Pty()
    try:
        mode = termios.tcgetattr(line.keep)
        mode[2] |= termios.HUPCL
        termios.tcsetattr(line.keep, termios.TCSANOW, mode)
        for settings in (Settings(1200), Settings(19200, 7, "E"), Settings(38400, 8, "O", 2)):
            tune(line.keep, settings)
            mode = termios.tcgetattr(line.keep)
            assert mode[4] == mode[5] == getattr(termios, f"B{settings.baud}")
            assert mode[0] & termios.PARMRK
            assert mode[0] & termios.INPCK
            assert not mode[2] & termios.HUPCL
            assert bool(mode[2] & termios.PARODD) is (settings.parity == "O")
            assert bool(mode[2] & termios.CSTOPB) is (settings.stop_bits == 2)
    finally:
        line.end()


async def test_a_port_that_is_pulled_out_is_told() -> None:
    line, opened = Pty(), threading.Event()

    def open_port(settings: Settings) -> Port:
        port = line.open(settings)
        opened.set()
        return port

    waiting = asyncio.create_task(listen(open_port, CONSENT, 30))
    await asyncio.to_thread(opened.wait, 20)
    os.close(line.pos)
    with pytest.raises(TransientError) as caught:
        await waiting
    assert caught.value.code == "serial.absent"
    os.close(line.keep)
    assert line.closed == 1
