"""The demo proves what it says, and would say so if it were not so."""

import asyncio
import json
import socket
import struct
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from scripts.demo.cloud import Cloud
from scripts.demo.compare import Kept, Verdict, compare, percentile, undisturbed, waits
from scripts.demo.ledger import Verdict as Days
from scripts.demo.ledger import judge
from scripts.demo.place import free_port
from scripts.demo.plan import COME_BACK_S, CUT_SHARES, KILL_SHARES, draw
from scripts.demo.recording import read
from scripts.demo.report import Result, document, summary
from scripts.demo.truth import Closed, Sold, Truth
from scripts.demo.view import Picture, Row, lines
from scripts.demo.wan import Wan
from tests.samples import SAMPLES

ROOT = Path(__file__).resolve().parents[2]
REGISTER = SAMPLES / "verifone-serial" / "register.bin"
PAN = "4111111111111111"


def sold(number: int, data: bytes = b"", **more: Any) -> Sold:
    data = data or b"ticket %d" % number
    fields = {"wall_ms": 1000 * number, **more}
    return Sold("till", f"text:0042/01/{number}", sha256(data).hexdigest(), len(data), **fields)


def kept(number: int, data: bytes = b"", **more: Any) -> Kept:
    return Kept("till", f"text:0042/01/{number}", data or b"ticket %d" % number, **more)


THREE = [sold(1), sold(2), sold(3)]


def demo(*words: str) -> tuple[int, dict[str, Any], str]:
    """Run it as `make demo` does: exit status, the JSON of the last line, everything it said."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.demo", *words], cwd=ROOT, capture_output=True, text=True, timeout=160
    )
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


@pytest.mark.timeout(180)
def test_every_ticket_survives_a_cut_line_and_a_killed_daemon() -> None:
    code, told, said = demo("--seconds", "12", "--seed", "7")
    assert code == 0, said
    assert told["missing"] == told["doubled"] == told["foreign"] == told["altered"] == 0
    assert told["in_cloud"] == told["sold"] > 80
    assert told["captured"] >= told["sold"]
    assert told["latency_p50_ms"] <= told["latency_p99_ms"] <= told["latency_worst_ms"]
    assert 0 < told["flash_ratio"] < 1
    assert 0 < told["wire_ratio"] < 1
    assert told["ledger"] == {"status": "complete", "difference": "0.00"}
    for happened in ("the WAN is cut", "the WAN is back", "is killed with SIGKILL", "reads every line again"):
        assert happened in said
    assert "the Commander has closed its day" in said
    for name in ("serial-1", "xml-tcp-2", "text-tcp-3", "stx-tcp-4", "commander-5", "passport-6"):
        shown = next(line.split() for line in said.splitlines() if line.startswith(f"  {name} "))
        assert int(shown[1]) == int(shown[2]) > 5, f"{name} sold {shown[1]}, in the cloud are {shown[2]}"


@pytest.mark.timeout(180)
def test_a_recorded_journal_arrives_byte_for_byte_with_its_109_tickets() -> None:
    code, told, said = demo("--seconds", "12", "--seed", "8", "--tlog", str(REGISTER))
    assert code == 0, said
    assert told["sold"] == told["in_cloud"] == 109
    assert told["missing"] == told["doubled"] == told["copies"] == 0
    assert told["captured_bytes"] == REGISTER.stat().st_size
    assert told["ledger"] is None


def test_a_recording_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    words = ["-m", "scripts.demo", "--tlog", str(tmp_path / "none.bin")]
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "none.bin is no file" in done.stderr


def test_each_ticket_once_is_the_only_thing_that_holds() -> None:
    assert compare(THREE, [kept(1), kept(2), kept(3)]).holds


def test_a_missing_ticket_is_named() -> None:
    assert compare(THREE, [kept(1), kept(3)]) == Verdict(missing=["till text:0042/01/2"])


def test_a_doubled_ticket_is_named() -> None:
    assert compare(THREE, [kept(1), kept(2), kept(2), kept(3)]) == Verdict(doubled=["till text:0042/01/2"])


def test_a_foreign_ticket_is_named() -> None:
    assert compare(THREE, [kept(n) for n in (1, 2, 3, 4)]) == Verdict(foreign=["till text:0042/01/4"])


def test_a_ticket_with_other_content_is_named() -> None:
    verdict = compare(THREE, [kept(1), kept(2, b"ticket 2, cheaper"), kept(3)])
    assert verdict == Verdict(altered=["till text:0042/01/2"])


def test_what_the_pos_sent_again_is_no_second_ticket() -> None:
    assert compare([*THREE, sold(2)], [kept(1), kept(2, copies=1), kept(3)]).holds


def test_records_without_a_name_count_by_their_content() -> None:
    nameless = [replace(sold(1), identity=None)] * 2
    there = replace(kept(1), identity=None)
    assert compare(nameless, [there, there]).holds
    assert len(compare(nameless, [there]).missing) == 1
    assert len(compare(nameless, [there, there, there]).doubled) == 1


def test_what_the_pos_does_not_name_counts_by_its_content_whatever_the_cloud_calls_it() -> None:
    nameless = replace(sold(1), identity=None)
    assert compare([nameless], [replace(kept(1), identity="transset:0042//digest")]).holds
    assert compare([nameless], [replace(kept(2), identity="transset:0042//digest")]).missing


def test_what_stands_in_an_open_period_may_be_there_once_and_may_be_missing() -> None:
    truth = [*THREE, sold(4, due=False)]
    assert compare(truth, [kept(1), kept(2), kept(3)]).holds
    assert compare(truth, [kept(n) for n in (1, 2, 3, 4)]).holds
    assert compare(truth, [kept(n) for n in (1, 2, 3, 4, 4)]).doubled == ["till text:0042/01/4"]


@pytest.mark.parametrize("in_file", [True, False])
def test_white_space_around_a_record_is_a_difference_only_outside_of_files(in_file: bool) -> None:
    assert compare([sold(1, in_file=in_file)], [kept(1, b"\n\t\tticket 1")]).holds is in_file
    assert compare([sold(1, in_file=in_file)], [kept(1, b"ticket  1")]).altered


@pytest.mark.parametrize(
    ("data", "faithful"),
    [
        (b"VISA 411111******1111", True),
        (b"VISA 4111111111111111", False),
        (b"VISA 411111***1111", False),
        (b"VISA ****************", False),
    ],
)
def test_a_ticket_with_a_card_number_must_arrive_masked_and_as_long(data: bytes, faithful: bool) -> None:
    card = sold(1, b"VISA " + PAN.encode(), masked=True, pans=(PAN,))
    assert compare([card], [kept(1, data)]).holds is faithful


def test_a_wait_counts_from_the_sale_and_only_outside_the_trouble() -> None:
    found = waits(THREE, [kept(n, received_ms=1000 * n + 300 * n) for n in (1, 2, 3)])
    assert [wait.ms for wait in found] == [300, 600, 900]
    assert [wait.ms for wait in undisturbed(found, [(1500, 2500)])] == [300, 900]


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([], 0.5) is None
    assert percentile([5], 0.99) == 5
    assert percentile(range(1, 101), 0.99) == 100
    assert percentile([3, 1, 2], 0.5) == 2


def result(verdict: Verdict, **cloud: Any) -> Result:
    fields: dict[str, Any] = {"kept": [kept(1)], "streams": [], "conflicts": 0, "invalid": 0, "gaps": 0, "captured": {}}
    return Result(
        plan=draw(1, 45.0, 2.5),
        sources={"till": "a till"},
        truth=[sold(1)],
        cloud=Cloud(**{**fields, **cloud}),
        verdict=verdict,
        doubts=[],
        windows=[],
        events=[],
        resent=0,
        flash_bytes=0,
        device_bytes=0,
        up_bytes=0,
        down_bytes=0,
        seconds=60.0,
        lines=frozenset(["till"]),
        ledger=None,
    )


def test_a_perfect_run_is_ok() -> None:
    assert document(result(Verdict()))["ok"]


@pytest.mark.parametrize(
    "faulty",
    [
        result(Verdict(missing=["till 2"])),
        result(Verdict(doubled=["till 2"])),
        result(Verdict(foreign=["till 2"])),
        result(Verdict(altered=["till 2"])),
        result(Verdict(), streams=[{"source": "till", "records": 2, "copies": 0, "missing": 1}]),
        result(Verdict(), gaps=1),
        result(Verdict(), invalid=1),
        replace(result(Verdict()), truth=[]),
        replace(result(Verdict()), doubts=["the bytes differ"]),
        replace(result(Verdict()), ledger=Days("short", 100, 99, 1)),
        replace(result(Verdict()), ledger=Days("complete", 100, 101, 1)),
    ],
)
def test_any_fault_makes_the_demo_fail_and_is_told(faulty: Result) -> None:
    assert document(faulty)["ok"] is False
    assert "FAILED:" in summary(faulty)


def test_the_latency_is_that_of_lines_and_not_of_documents_that_wait_to_be_asked_for() -> None:
    read = replace(sold(2), source="site")
    run = replace(
        result(Verdict(), kept=[kept(1, received_ms=1300), kept(2, received_ms=60_000)]), truth=[sold(1), read]
    )
    run = replace(run, cloud=replace(run.cloud, kept=[run.cloud.kept[0], replace(run.cloud.kept[1], source="site")]))
    assert (document(run)["latency_worst_ms"], document(run)["in_cloud"]) == (300, 2)
    assert document(replace(run, lines=frozenset(["site"])))["latency_worst_ms"] == 58_000


DAY = Closed("site", "2026-11-22.311", 186_088)


def day(status: str = "complete", cents: int = 186_088, **more: str) -> dict[str, Any]:
    row = {"source": "site", "business_day": "2026-11-22", "period": "daily:311", "status": status}
    return {**row, "ledger_cents": cents, **more}


@pytest.mark.parametrize(
    ("days", "status", "difference_cents"),
    [
        ([day()], "complete", 0),
        ([day(source="till", status="open", cents=1), day()], "complete", 0),
        ([day("short", 186_087)], "short", -1),
        ([day(cents=186_089)], "complete", 1),  # the ledger agrees with itself, but not with the truth
        ([], "absent", -186_088),
        ([day(period="shift:311")], "absent", -186_088),
        ([day(source="till")], "absent", -186_088),
    ],
)
def test_a_closed_day_is_judged_by_its_own_row_against_the_truth(
    days: list[dict[str, Any]], status: str, difference_cents: int
) -> None:
    found = judge([DAY], days)
    assert (found.status, found.difference_cents) == (status, difference_cents)
    assert found.is_complete is (status == "complete" and difference_cents == 0)


def test_a_store_that_closed_no_day_has_proven_nothing() -> None:
    assert not judge([], [day()]).is_complete
    assert judge([DAY, replace(DAY, file_name="2026-11-23.312")], [day()]).status == "absent"


def test_what_is_written_behind_the_close_belongs_to_a_period_that_is_still_open(tmp_path: Path) -> None:
    ticket: dict[str, Any] = {
        "type": "ticket",
        "source": "site",
        "sha256": "0",
        "bytes": 1,
        "sold": True,
        "kind": "sale",
    }
    ticket |= {"masked_expected": False, "wall_ms": 1}
    close = {"type": "period", "source": "site", "filename": "2026-11-22.311", "sales_cents": 186_088}
    lines = [{**ticket, "identity": "1"}, close, {**ticket, "identity": "2"}]
    lines.append({**ticket, "identity": "3", "source": "files", "file": "PJR1.xml"})
    path = tmp_path / "truth.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    truth = Truth(path)
    truth.read()
    assert [(one.identity, one.due, one.in_file) for one in truth.records] == [
        *(("1", True, False), ("2", False, False)),
        ("3", True, True),
    ]
    assert truth.closed == [DAY]


def test_a_seed_makes_one_plan_with_room_to_recover() -> None:
    plans = [draw(seed, 40.0, 1.0) for seed in range(50)]
    assert plans == [draw(seed, 40.0, 1.0) for seed in range(50)]
    assert len({plan.kill_s for plan in plans}) > 25
    for plan in plans:
        assert plan.kill_s is not None
        assert KILL_SHARES[0] * 40 - 0.1 <= plan.kill_s <= 40 - COME_BACK_S
        assert plan.cut_s == (CUT_SHARES[0] * 40, CUT_SHARES[1] * 40)


def test_a_suspended_ticket_of_a_journal_is_no_ticket(tmp_path: Path) -> None:
    line: dict[str, Any] = {"type": "ticket", "source": "serial-1", "sha256": "0", "bytes": 1, "sold": True}
    line |= {"masked_expected": False, "wall_ms": 1}
    sale = json.dumps({**line, "identity": "verifone-journal:101/1/t", "kind": "sale"})
    suspended = json.dumps({**line, "identity": "verifone-journal:101/suspended/2/t", "kind": "suspended"})
    path = tmp_path / "truth.jsonl"
    truth = Truth(path)
    truth.read()
    for part in (f"{sale}\n{suspended[:20]}", f'{suspended[20:]}\n{{"type": "end"}}\n'):
        with path.open("a") as file:
            file.write(part)
        truth.read()
    assert truth.tickets == {"serial-1": 1}
    assert (len(truth.records), len(truth.suspended), truth.ended) == (1, 1, True)


def test_a_recording_names_what_the_cloud_must_hold() -> None:
    recording = read(REGISTER)
    assert (recording.framer, recording.dialect, recording.identities) == ("esc-journal", "verifone-journal", 109)
    assert len(recording.masked) == recording.size
    assert recording.conflicts == 0


@pytest.mark.parametrize(("width", "height"), [(200, 60), (120, 40), (80, 24), (40, 12), (20, 5)])
def test_the_view_fits_any_terminal(width: int, height: int) -> None:
    rows = [
        Row(f"source-{n}", "serial, ESC journal", 9999, 9999, 9999, 9999, 9999, "serial.unplugged") for n in range(4)
    ]
    facts = [("sum", "captured 1 = " + " + ".join(f"processed {n}" for n in range(30)))]
    picture = Picture(
        "routerd demo", "selling", 100.0, 57.0, rows, facts, ["some.condition " * 20], ["event " * 40] * 30
    )
    drawn = lines(picture, width, height, colour=False)
    assert len(drawn) <= height
    assert max(map(len, drawn)) <= width
    assert "selling" in drawn[1]


async def test_a_cut_line_resets_what_stands_refuses_what_is_new_and_comes_back() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(100):
            writer.write(chunk)
        writer.close()

    async def dial() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", wan.port)

    cloud = await asyncio.start_server(echo, "127.0.0.1", 0)
    wan = Wan(free_port(), cloud.sockets[0].getsockname()[1])
    async with asyncio.timeout(20):
        await wan.restore()
        reader, writer = await dial()
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
        wan.cut()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        with pytest.raises(ConnectionRefusedError):
            await dial()
        wan.cut()
        await wan.restore()
        again, second = await dial()
        second.write(b"pong!")
        second.write_eof()
        assert await again.read() == b"pong!"
    assert (wan.up_bytes, wan.down_bytes, wan.connections) == (9, 9, 2)
    wan.cut()
    for end in (writer, second):
        end.close()
    cloud.close()


async def test_what_breaks_at_the_store_breaks_at_the_cloud() -> None:
    broken = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"here")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        broken.set()

    cloud = await asyncio.start_server(wait, "127.0.0.1", 0)
    wan = Wan(free_port(), cloud.sockets[0].getsockname()[1])
    async with asyncio.timeout(20):
        await wan.restore()
        reader, writer = await asyncio.open_connection("127.0.0.1", wan.port)
        await reader.readexactly(4)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        await broken.wait()
    wan.cut()
    cloud.close()
