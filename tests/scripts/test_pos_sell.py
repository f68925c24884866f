"""Selling over a line: at the rate asked, with a truth file that says exactly what was handed over."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pos_fakes import AnnouncedPty, AnnouncedTcp

from scripts.pos.cli import main
from scripts.pos.formats import Settings
from scripts.pos.lines import tcp
from scripts.pos.sell import Pace, Source, sell
from scripts.pos.serial import PtyLine
from scripts.pos.truth import Truth

ROOT = Path(__file__).resolve().parents[2]
TICKET = re.compile(rb"(?s)\*\*\* TICKET START \*\*\*\r\n.*?\*\*\* TICKET END \*\*\*\r\n")


def told(path: Path, kind: str = "ticket") -> list[dict[str, Any]]:
    return [line for line in map(json.loads, path.read_text().splitlines()) if line["type"] == kind]


class Till:
    """One text till on a listening line, and a reader that keeps what each connection brought."""

    def __init__(self, tmp_path: Path, pace: Pace, known: str = "text", **settings: Any) -> None:
        self.path = tmp_path / "truth.jsonl"
        self.truth = Truth(str(self.path))
        self.line = AnnouncedTcp()
        self.line.on_resend = partial(self.truth.resent, "till")
        self.source = Source("till", Settings(known, **settings), self.line, pace, self.truth)
        self.stop = asyncio.Event()
        self.got: list[bytes] = []

    async def run(self, *, connections: int = 1) -> None:
        selling = asyncio.create_task(sell([self.source], self.stop))
        async with asyncio.timeout(15):
            for _ in range(connections):
                self.got.append(await self._read())
            await selling
        self.truth.end()

    async def _read(self) -> bytes:
        await self.line.opened.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.line.port)
        out = b""
        try:
            while chunk := await reader.read(65536):
                out += chunk
        except ConnectionError:
            pass
        writer.close()
        return out


async def test_the_truth_names_exactly_what_arrived_in_order(tmp_path: Path) -> None:
    till = Till(tmp_path, Pace(rate=2000, tickets=300))
    await till.run()
    arrived = TICKET.findall(till.got[0])
    assert b"".join(arrived) == till.got[0]
    lines = told(till.path)
    assert [line["sha256"] for line in lines] == [sha256(ticket).hexdigest() for ticket in arrived]
    assert [line["bytes"] for line in lines] == [len(ticket) for ticket in arrived]
    assert len(lines) == 300
    (end,) = told(till.path, "end")
    assert end["sources"]["till"]["tickets"] == 300
    assert end["sources"]["till"]["bytes"] == len(till.got[0])
    assert end["sources"]["till"]["sales_cents"] == sum(line["total_cents"] for line in lines if line["counts"])
    times = [line["mono_ns"] for line in lines]
    assert times == sorted(times)


async def test_two_hundred_tickets_a_second_are_two_hundred_a_second(tmp_path: Path) -> None:
    till = Till(tmp_path, Pace(rate=200, tickets=200), known="transset")
    began = time.monotonic()
    await till.run()
    assert 0.9 < time.monotonic() - began < 3.0
    assert sum(line["sold"] for line in told(till.path)) == 200


async def test_seconds_end_a_sale_as_tickets_do(tmp_path: Path) -> None:
    till = Till(tmp_path, Pace(rate=100, seconds=0.5, poisson=True))
    await till.run()
    assert 20 < len(told(till.path)) < 90


async def test_a_fixed_start_gives_the_same_bytes_whenever_it_runs(tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        till = Till(tmp_path / name, Pace(rate=1000, tickets=50, fixed_clock=True), known="transset")
        await till.run()
        runs.append(till.got[0])
    assert runs[0] == runs[1]


async def test_two_live_runs_of_one_seed_share_no_identity(tmp_path: Path) -> None:
    seen: list[set[str]] = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        till = Till(tmp_path / name, Pace(rate=1000, tickets=20), known="transset")
        await till.run()
        seen.append({line["identity"] for line in told(till.path)})
    assert not seen[0] & seen[1]


async def test_a_live_ticket_bears_the_time_of_its_end_and_the_clocks_skew(tmp_path: Path) -> None:
    till = Till(tmp_path, Pace(rate=500, tickets=100), utc_offset_min=0, skew_s=3600.0)
    await till.run()
    for line in told(till.path):
        pos = datetime.fromisoformat(line["pos_time"] + "+00:00").timestamp()
        assert 3597 <= pos - line["wall_ms"] / 1000 <= 3601, line


async def test_after_an_unplugged_link_every_ticket_has_arrived_and_repeats_are_told(tmp_path: Path) -> None:
    till = Till(tmp_path, Pace(rate=200, tickets=150, unplug_every_s=0.5, unplug_for_s=0.01))
    await till.run(connections=2)
    arrived = TICKET.findall(b"".join(till.got))
    assert {line["sha256"] for line in told(till.path)} == {sha256(ticket).hexdigest() for ticket in arrived}
    again = told(till.path, "resend")
    assert len(again) == len(arrived) - 150 > 0
    assert b"".join(TICKET.findall(till.got[1])) == till.got[1], "starts with a whole ticket"


async def test_a_journal_trickles_and_its_lines_are_stamped_when_they_leave(tmp_path: Path) -> None:
    truth = Truth(str(tmp_path / "truth.jsonl"))
    path = tmp_path / "pos"
    line = AnnouncedPty(str(path))
    source = Source("till", Settings("journal", utc_offset_min=0), line, Pace(rate=8, tickets=10), truth)
    selling = asyncio.create_task(sell([source], asyncio.Event()))
    await line.opened.wait()
    fd = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    reads: list[tuple[float, bytes]] = []
    loop = asyncio.get_running_loop()
    loop.add_reader(fd, lambda: reads.append((time.time(), os.read(fd, 65536))))
    async with asyncio.timeout(15):
        await selling
    loop.remove_reader(fd)
    os.close(fd)
    truth.end()
    data = b"".join(chunk for _, chunk in reads)
    lines = told(tmp_path / "truth.jsonl")
    assert len(data) == sum(line["bytes"] for line in lines)
    assert len(reads) > 2 * len(lines), "line by line, not ticket by ticket"
    offset = 0
    for said in lines:
        ticket, offset = data[offset : offset + said["bytes"]], offset + said["bytes"]
        assert sha256(ticket).hexdigest() == said["sha256"]
    for stamp in re.finditer(rb"\d\d/\d\d/\d\d \d\d:\d\d:\d\d (?=101 )", data):
        printed = datetime.strptime(stamp[0].decode() + "+0000", "%m/%d/%y %H:%M:%S %z").timestamp()
        assert -1.5 < _read_at(reads, stamp.start()) - printed < 2.0


def _read_at(reads: list[tuple[float, bytes]], offset: int) -> float:
    """When the byte at `offset` of everything read was read."""
    for at, chunk in reads:
        offset -= len(chunk)
        if offset < 0:
            return at
    raise AssertionError(offset)


async def test_a_stop_in_the_middle_of_a_ticket_finishes_it_at_once(tmp_path: Path) -> None:
    till = Till(tmp_path, Pace(rate=0.01, speed=0.1), known="journal")  # a cashier ten times slower than a human
    selling = asyncio.create_task(sell([till.source], till.stop))
    async with asyncio.timeout(10):
        await till.line.opened.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", till.line.port)
        got = await reader.readuntil(b"\n")
        till.stop.set()
        got += await reader.read(-1)
        await selling
    writer.close()
    till.truth.end()
    (only,) = told(till.path)
    assert only["sha256"] == sha256(got).hexdigest()


async def test_a_stop_ends_a_till_nobody_listens_to(tmp_path: Path) -> None:
    till = Till(tmp_path, Pace(rate=10))
    pty = Source("serial", Settings("journal"), PtyLine(str(tmp_path / "pos")), Pace(rate=10), till.truth)
    selling = asyncio.create_task(sell([till.source, pty], till.stop))
    till.stop.set()
    async with asyncio.timeout(5):
        await selling
    till.truth.end()
    assert told(till.path, "end")
    assert not (tmp_path / "pos").is_symlink()


async def test_a_port_that_is_taken_ends_the_sale_with_an_error(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = tcp(f"listen:{port}", resend_s=0.0)
    source = Source("till", Settings("text"), line, Pace(), Truth())
    with pytest.raises(OSError, match="in use"):
        await sell([source], asyncio.Event())
    server.close()


@contextmanager
def simulator(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "scripts.pos", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_terminated_simulator_ends_between_tickets_with_its_truth_complete(tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    with simulator("sell", "--text-tcp", "listen:0", "--rate", "300", "--truth", str(truth)) as process:
        assert process.stderr
        port = int(process.stderr.readline().rpartition(":")[2])
        got = asyncio.run(_read_and_terminate(port, process))
        assert process.wait(10) == 0
    arrived = TICKET.findall(got)
    assert b"".join(arrived) == got
    assert [line["sha256"] for line in told(truth)] == [sha256(ticket).hexdigest() for ticket in arrived]
    assert told(truth, "end")


async def _read_and_terminate(port: int, process: subprocess.Popen[str]) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = await reader.readuntil(b"END")
    process.send_signal(signal.SIGTERM)
    got += await reader.read(-1)
    writer.close()
    return got


def test_generate_writes_the_recording_and_its_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, truth = tmp_path / "journal.bin", tmp_path / "truth.jsonl"
    assert main(["generate", "journal", "--tickets", "50", "--out", str(out), "--truth", str(truth)]) == 0
    assert out.stat().st_size == sum(line["bytes"] for line in told(truth))
    assert len(told(truth)) == 50
    assert any(line["kind"] == "suspended" for line in told(truth))
    assert "50 tickets" in capsys.readouterr().err


def test_every_option_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("sell", "replay", "generate"):
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert "python -m scripts.pos" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["sell"], ["sell", "--xml-tcp", "here"], ["sell", "--serial", "x", "--rate", "0"]])
def test_a_command_that_cannot_be_is_refused_with_the_reason(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("pos: ")
