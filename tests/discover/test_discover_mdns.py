"""Announcements: the helper process hears them without asking, and is gone afterwards."""

import asyncio
import json
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.discover import mdns
from routerd.discover.evidence import HINTED, Evidence, Sighting
from routerd.discover.mdns import Announcements, parse

GROUP, PORT = "224.0.0.251", 5353
INSTANCE, HOST = "TM-T88VI (0A:0B:0C)", "epson0a0b0c"


def name(*labels: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def record(owner: bytes, kind: int, data: bytes) -> bytes:
    return owner + struct.pack(">HHIH", kind, 0x8001, 120, len(data)) + data


def announcement() -> bytes:
    """What a printer says when it is switched on (RFC 6762, 8.3), made here."""
    kind = ("_pdl-datastream", "_tcp", "local")
    txt = b"\x0aty=EPSON X\x05qtot="
    records = [
        record(name(*kind), 12, name(INSTANCE, *kind)),
        record(name(INSTANCE, *kind), 33, struct.pack(">HHH", 0, 0, 9100) + name(HOST, "local")),
        record(name(INSTANCE, *kind), 16, txt),
        record(name(HOST, "local"), 1, socket.inet_aton("192.168.31.40")),
    ]
    return struct.pack(">HHHHHH", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


@contextmanager
def lan() -> Iterator[socket.socket]:
    """A member of the multicast group on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        try:
            sock.bind(("", PORT))
            member = socket.inet_aton(GROUP) + socket.inet_aton("127.0.0.1")
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        except OSError as exc:
            pytest.skip(f"no multicast on loopback: {exc}")
        sock.setblocking(False)
        yield sock


def packets(sock: socket.socket) -> list[bytes]:
    found = []
    while True:
        try:
            found.append(sock.recv(9000))
        except BlockingIOError:
            return found


async def heard(*ask: str) -> tuple[list[Sighting], list[bytes]]:
    """What the helper tells of an announcement, and what it sent itself."""
    told: asyncio.Queue[list[Sighting]] = asyncio.Queue()
    with lan() as sock:
        edge = Announcements(["127.0.0.1"], ask, listen_s=3, rest_s=3600)
        watch = asyncio.create_task(
            edge.run(lambda news: told.put_nowait([n for n in news if isinstance(n, Sighting)]))
        )
        sent: list[bytes] = []
        first = asyncio.create_task(told.get())
        try:
            async with asyncio.timeout(60):
                while not first.done():
                    sock.sendto(announcement(), (GROUP, PORT))
                    await asyncio.wait([first], timeout=0.2)
                    sent += packets(sock)
        finally:
            watch.cancel()
            await asyncio.wait([watch])
        return first.result(), [each for each in sent if each != announcement()]


async def test_an_announcement_is_heard_and_nothing_is_sent() -> None:
    [seen], sent = await heard()
    assert (seen.key, seen.place, seen.strength) == ("", "192.168.31.40", HINTED)
    assert seen.hints == {
        Evidence("mdns", "_pdl-datastream._tcp"),
        Evidence("model", "EPSON X"),
        Evidence("model", INSTANCE),
        Evidence("hostname", HOST),
    }
    assert sent == []


async def test_where_asking_is_allowed_one_packet_asks_for_everything() -> None:
    _, sent = await heard("_ipp._tcp", "_printer._tcp")
    [question] = sent
    assert struct.unpack(">HHHHHH", question[:12])[1:] == (0, 2, 0, 0, 0)


async def test_without_an_approved_interface_nobody_listens() -> None:
    async with asyncio.timeout(5):
        await Announcements([]).run(lambda news: pytest.fail("reported"))


async def test_a_helper_that_cannot_run_is_no_end_of_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdns, "_HELPER", (sys.executable, "-c", "import sys; sys.exit(3)"))
    assert await Announcements(["127.0.0.1"])._listen() == ""


async def test_the_helper_never_outlives_the_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"
    monkeypatch.setattr(mdns, "_HELPER", (sys.executable, "-c", program, str(tmp_path / "pid")))
    monkeypatch.setattr(mdns, "_GRACE_S", 5.0)
    assert await Announcements(["127.0.0.1"], listen_s=0)._listen() == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_lines_of_the_helper_become_hints() -> None:
    row = {"address": "192.168.31.40", "type": "_ipp._tcp", "name": "", "host": "p", "model": 5}
    text = f'{json.dumps(row)}\nnot json\n[]\n{{"address": "nowhere"}}\n{{"address": 7}}\n'
    told = frozenset({Evidence("mdns", "_ipp._tcp"), Evidence("hostname", "p")})
    assert parse(text) == [Sighting("", "192.168.31.40", HINTED, hints=told)]


@given(st.text(max_size=100))
def test_no_output_raises(text: str) -> None:
    parse(text)
    parse(json.dumps({"address": "10.0.0.1", "type": text, "name": text}))
