"""The local socket and the status document."""

import asyncio
import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from routerd.cli import show
from routerd.conditions import Conditions
from routerd.control import status
from routerd.control.server import Control
from routerd.errors import PermanentError
from routerd.spool.tally import Counts
from tests.fakes.clock import FakeClock


@dataclass(frozen=True, slots=True)
class Source:
    name: str
    state: str = "up"
    link: str = "tcp on 127.0.0.1:1"
    trouble: str = ""
    last_record_s: float | None = 3.0


SPOOL = {
    "in_flight": 1,
    "hot_segments": 1,
    "cold_segments": 0,
    "oldest_waiting_s": 1.0,
    "ring_rows": 10,
    "ring_free_rows": 4,
    "flash_bytes": 4096,
    "incidents": [],
}
PARTS = status.Parts(
    version="1.2.3",
    device="store-7",
    uptime_s=75.0,
    counts={"till": Counts(5, 1, 1, 1, 1, 1), "gone": Counts(2, 0, 0, 2)},
    no_counts=Counts(),
    sources=[Source("till"), Source("new")],
    spool=SPOOL,
    forward={"state": "online", "failures": 0, "last_ack_s": 0.4, "latency_p50_ms": 260, "latency_p99_ms": 300},
    conditions=[],
    now_ns=0,
)


def test_the_sum_is_over_all_sources_also_those_no_longer_configured() -> None:
    document = status.status(PARTS)
    assert document["sum"]["captured"] == 7
    assert document["sum"]["balances"]
    assert [row["name"] for row in document["sources"]] == ["till", "new", "gone"]
    assert document["sources"][2]["state"] == "removed"
    json.dumps(document)


def test_a_sum_that_does_not_hold_is_shown_as_such() -> None:
    document = status.status(replace(PARTS, counts={"till": Counts(5, 1)}))
    assert not document["sum"]["balances"]
    assert "DOES NOT BALANCE" in show.status(document)


@pytest.mark.parametrize(
    ("states", "troubled", "expected"),
    [
        (["up", "waiting"], False, "ok"),
        (["up", "down"], True, "degraded"),
        (["down", "down"], True, "down"),
        ([], False, "ok"),
    ],
)
def test_the_state_is_the_worst_that_is_true(states: list[str], troubled: bool, expected: str) -> None:
    conditions = Conditions(FakeClock())
    if troubled:
        conditions.raise_("tcp.lost", "till", "plug it in")
    sources = [Source(str(number), state) for number, state in enumerate(states)]
    parts = replace(PARTS, sources=sources, conditions=conditions.snapshot(), counts={})
    assert status.status(parts)["state"] == expected


def test_people_read_the_sum_the_sources_and_what_to_do() -> None:
    conditions = Conditions(FakeClock())
    conditions.raise_("tcp.lost", "till", "plug it in")
    text = show.status(status.status(replace(PARTS, conditions=conditions.snapshot())))
    assert "captured 7 = processed 1 + uploaded 1 + queued 3 + quarantined 1 + gaps 1" in text
    assert "plug it in" in text
    assert "6 of 10 pages" in text
    assert "\x1b" not in text


def test_people_read_what_was_lost_and_what_is_still_to_be_read() -> None:
    lost = {"cause": "spool.full", "subject": "till", "times": 2, "records": 70, "bytes": 5000}
    document = status.status(replace(PARTS, spool={**SPOOL, "incidents": [{**lost, "last_wall_ms": 0}]}))
    document["sources"][0]["waiting_documents"] = [f"daily/2026-07-{day}.{day}" for day in range(10, 16)]
    text = show.status(document)
    assert "spool.full till: 2 times, 70 records (5.0 KB), last 1970-01-01 00:00 UTC by this router's clock" in text
    assert "till still has to read: daily/2026-07-10.10, " in text
    assert text.count("daily/") == 4
    assert "2 more" in text


async def talk(path: Path, line: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_the_socket_is_ours_alone_and_survives_any_line(ram_dir: Path) -> None:
    path = ram_dir / "run" / "control.sock"
    server = await Control(path, {"status": lambda: {"state": "ok"}}).listen()
    async with server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(await talk(path, b'{"ask": "status"}\n')) == {"answer": {"state": "ok"}}
        for line in (b"", b"\n", b"[]\n", b'{"ask": 5}\n', b'{"ask": "shutdown"}\n', b"\xff\xfe\n", b"null\n"):
            assert "error" in json.loads(await talk(path, line))
        assert await talk(path, b"x" * 200_000 + b"\n") == b""
        assert json.loads(await talk(path, b'{"ask": "status"}\n')) == {"answer": {"state": "ok"}}


async def test_a_wish_is_answered_or_refused_with_its_reason(ram_dir: Path) -> None:
    async def backfill(request: Mapping[str, Any]) -> Any:
        if request["first"] == "1999-01-01":
            raise PermanentError("backfill.beyond_window", "the oldest day the POS has is 2026-07-01")
        return {"queued": [request["first"]], "held": [], "absent": []}

    path = ram_dir / "run" / "control.sock"
    server = await Control(path, {}, {"backfill": backfill}).listen()
    async with server:
        wish = {"ask": "backfill", "first": "2026-07-16"}
        assert json.loads(await talk(path, json.dumps(wish).encode()))["answer"]["queued"] == ["2026-07-16"]
        refused = json.loads(await talk(path, b'{"ask": "backfill", "first": "1999-01-01"}'))
        assert refused == {"error": "the oldest day the POS has is 2026-07-01", "code": "backfill.beyond_window"}
        assert "ask for one of backfill" in json.loads(await talk(path, b'{"ask": "wipe"}'))["error"]


async def test_a_socket_that_cannot_be_made_says_what_to_set() -> None:
    with pytest.raises(PermanentError, match=r"\[control\] socket"):
        await Control(Path("/proc/none/control.sock"), {}).listen()
