"""The bench tells the truth about targets, keeps its two faces in step, and fails only when a measurement breaks."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from routerd.capture.commander.controller import LoopPace
from scripts.bench import __main__ as bench
from scripts.bench import blockdev, cases, minutes, naive, ownclock, process, pull, recordings, stack
from scripts.bench.cases import Case, Run
from scripts.bench.proxy import CountingProxy
from scripts.bench.table import (
    AT_LEAST,
    AT_MOST,
    BELOW,
    MET,
    MISSED,
    MISSING,
    OPEN,
    Beside,
    Result,
    Row,
    Target,
    document,
    missing,
    number,
    render,
    verdict,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("sense", "measured", "judged"),
    [
        (AT_LEAST, 15.0, MET),
        (AT_LEAST, 14.999, MISSED),
        (AT_MOST, 15.0, MET),
        (AT_MOST, 15.001, MISSED),
        (BELOW, 14.999, MET),
        (BELOW, 15.0, MISSED),
    ],
)
def test_a_target_is_judged_at_its_limit_and_past_it(sense: str, measured: float, judged: str) -> None:
    assert verdict(Row("x", measured, target=Target("T", sense, 15))) == judged


@pytest.mark.parametrize(("measured", "judged"), [(1.15, MET), (1.16, MISSED), (0.5, MET)])
def test_a_target_on_the_ratio_looks_at_the_first_bound_only(measured: float, judged: str) -> None:
    target = Target("F2", AT_MOST, 1.15, on_ratio=True)
    row = Row("x", measured, beside=(Beside("bound", 1.0), Beside("peer", 100.0)), target=target)
    assert verdict(row) == judged


def test_a_row_without_a_target_is_open_and_one_that_could_not_be_measured_is_never_met() -> None:
    target = Target("F2", AT_MOST, 1.15, on_ratio=True)
    assert verdict(Row("x", 1.0)) == OPEN
    assert verdict(missing("x", "no root", target)) == MISSING
    assert verdict(Row("x", 1.0, target=target)) == MISSING  # a ratio was asked for, and there is no bound
    assert verdict(Row("x", 1.0, beside=(Beside("bound", 0.0),), target=target)) == MISSING


def test_the_table_shows_every_row_its_peers_its_note_and_what_is_missing() -> None:
    row = Row("speed", 20.0, "MB", (Beside("bound", 40.0), Beside("peer", 4.0)), Target("T1", AT_LEAST, 15), "at noon")
    results = [Result("fast", 1.0, (row, missing("flash", "needs root"))), Result("bad", 0.1, error="it fell over")]
    lines = render(results).splitlines()
    assert lines[0].startswith("what ")
    assert lines[2].split() == ["speed", "20", "MB", "bound", "40", "0.500", "T1", ">=", "15", "yes"]
    assert [line.strip() for line in lines[3:5]] == ["peer 4", "at noon"]
    assert "not measured" in lines[5]
    assert lines[6].strip() == "needs root"
    assert lines[7].split() == ["bad", "BROKEN"]
    assert lines[8].strip() == "it fell over"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (1234567.0, "1,234,567"), (99.94, "99.9"), (1.234, "1.23"), (0.0174, "0.017"), (0.00174, "0.00174")],
)
def test_numbers_are_shown_with_the_digits_that_matter(value: float, shown: str) -> None:
    assert number(value) == shown


def test_the_document_says_all_the_table_says() -> None:
    row = Row("speed", 20.0, "MB", (Beside("bound", 40.0),), Target("T1", AT_LEAST, 15), "at noon")
    results = [Result("fast", 1.26, (row, missing("flash", "needs root"))), Result("bad", 0.1, error="it fell over")]
    made = json.loads(json.dumps(document(results, {"quick": True})))
    assert made["quick"] is True
    assert made["broken"] == {"bad": "it fell over"}
    assert made["seconds"] == {"fast": 1.3, "bad": 0.1}
    assert made["rows"][0] == {
        "case": "fast",
        "what": "speed",
        "measured": 20.0,
        "unit": "MB",
        "beside": [{"name": "bound", "value": 40.0}],
        "ratio": 0.5,
        "target": {"id": "T1", "sense": ">=", "limit": 15, "on_ratio": False},
        "met": True,
        "note": "at noon",
        "missing": "",
    }
    assert (made["rows"][1]["met"], made["rows"][1]["measured"], made["rows"][1]["missing"]) == (
        None,
        None,
        "needs root",
    )


def test_every_case_is_there(tmp_path: Path) -> None:
    for case in cases.CASES:
        assert (ROOT / "scripts" / "bench" / f"{case.name}.py").exists()


def test_a_real_quick_measurement_end_to_end(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "bench.json"
    command = [sys.executable, "-m", "scripts.bench", "--quick", "--only", "framing", "--json", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert str(out) in done.stdout
    rows = json.loads(out.read_text())["rows"]
    assert {row["target"]["id"] for row in rows if row["target"]} == {"T2"}
    assert all(row["measured"] > 0 for row in rows)
    assert all(row["what"] in done.stdout for row in rows)


@pytest.fixture
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench, "compiled", lambda folder: None)  # it changes the environment of this process
    return tmp_path


def test_a_measurement_that_breaks_is_named_and_gives_exit_1(
    quiet: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "CASES", (Case("absent", "nobody wrote it"),))
    assert bench.main([]) == 1
    assert "BROKEN" in capsys.readouterr().out
    assert "ModuleNotFoundError" in json.loads((quiet / "out" / "bench.json").read_text())["broken"]["absent"]
    assert [path.name for path in (quiet / "out").iterdir()] == ["bench.json"]  # nothing of the run is left


def test_a_target_that_is_missed_or_cannot_be_measured_is_no_failure(
    quiet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (Row("slow", 1.0, target=Target("T1", AT_LEAST, 15)), missing("flash", "needs root"))
    monkeypatch.setattr(bench, "measure", lambda case, run: Result(case.name, 0.0, rows))
    assert bench.main(["--only", "framing"]) == 0


def test_usage_errors_are_exit_2(quiet: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench.main(["--only", "nothing"])


def test_one_broken_measurement_harms_no_other(tmp_path: Path) -> None:
    run = Run(quick=True, scratch=tmp_path)
    broken = cases.measure(Case("nowhere", ""), run)
    assert "ModuleNotFoundError" in broken.error
    assert not broken.rows


def test_frames_of_a_recording_are_all_of_it() -> None:
    data = recordings.stream("transset-stream", 50_000)
    assert b"".join(recordings.frames(data, recordings.COMMANDER)) == data


def test_receipts_joined_to_longer_ones_are_frames_of_that_length() -> None:
    joined = recordings.receipts(recordings.stream("text", 60_000), 8000)
    frames = recordings.frames(joined, recordings.TEXT)
    assert len(frames) >= 6
    assert min(map(len, frames)) >= 8000


def test_a_process_of_ours_has_memory_cpu_and_wakeups() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        stack.until(lambda: process.memory_mib(child.pid)[1] > 1, 10, "it never grew")
        resident, private = process.memory_mib(child.pid)
        assert resident > private > 0
        assert process.cpu_s(child.pid) >= 0
        assert process.wakeups(child.pid) >= 0
        assert not process.is_traced(child.pid)
        child.communicate(b"\n")


async def _day(folder: Path, outage: tuple[float, float]) -> ownclock.Day:
    drafts = [recordings.draft(frame, recordings.TEXT) for frame in _receipts()]
    plan = ownclock.Plan([(at * 60.0, draft) for at, draft in enumerate(drafts)], "text", outage)
    ring = folder / "ring.db"
    witness = ownclock.Witness(lambda: None, lambda: ring.stat().st_mtime_ns)
    return await ownclock.live(folder, plan, ownclock.Timers(ring, 0.0, None), witness)


def _receipts() -> list[bytes]:
    return recordings.frames(recordings.stream("text", 5000), recordings.TEXT)


async def test_a_day_on_its_own_clock_writes_nothing_online_and_each_ticket_offline(tmp_path: Path) -> None:
    count, size = len(_receipts()), sum(map(len, _receipts()))
    online = await _day(tmp_path / "online", (0.0, 0.0))
    offline = await _day(tmp_path / "offline", ownclock.OFFLINE)
    assert (online.captured, online.commits_s, online.ring_writes, online.lost) == (size, [], 0, 0)
    assert (offline.captured, offline.ring_writes, offline.lost) == (size, count, 0)
    assert len(offline.commits_s) == count


async def test_a_day_with_an_outage_writes_what_waited_and_one_watermark(tmp_path: Path) -> None:
    day = await _day(tmp_path / "spool", (30.0, 150.0))  # the tickets at 60 and 120 s
    assert [round(at_s / 60) for at_s in day.commits_s] == [1, 2, 3]
    assert day.ring_writes == 3


def test_a_relay_counts_both_ways() -> None:
    with socket.create_server(("127.0.0.1", 0)) as far, CountingProxy(far.getsockname()[1]) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as near:
            near.sendall(b"12345")
            answering, _ = far.accept()
            with answering:
                assert answering.recv(100) == b"12345"
                answering.sendall(b"123")
                assert near.recv(100) == b"123"
        assert (proxy.up, proxy.down, proxy.connections) == (5, 3, 1)


def _poll(peak: float, rest: float, began_cpu_s: float = 0.0) -> pull.Poll:
    return pull.Poll(began_cpu_s, (peak + 20, peak), (rest + 20, rest))


def test_a_polled_day_is_flat_only_if_no_peak_after_the_warm_up_rises_above_what_it_left() -> None:
    warm = [_poll(20.0, 19.0), *[_poll(23.0, 22.0)] * 5]
    level = pull._memory([*warm, *[_poll(22.5, 22.0)] * 3], "")
    rising = pull._memory([*warm, _poll(22.5, 22.0), _poll(24.0, 22.0), _poll(22.5, 23.0), _poll(30.0, 30.0)], "")
    assert [row.measured for row in level] == [0.5, 0.0, 4.0, 3.0]
    assert [row.measured for row in rising] == [2.0, 1.0, 4.0, 3.0]  # the last poll only ends the one before it
    assert [verdict(row) for row in level] == [MET, OPEN, MET, MET]
    assert verdict(rising[0]) == MISSED


def test_the_cpu_of_a_poll_is_measured_after_the_warm_up() -> None:
    polls = [_poll(1, 1, at) for at in (0.0, 9.0, 10.0, 11.0, 12.0, 13.0, 20.0, 20.5, 21.5)]
    assert pull._cpu(polls, b"<trans/>" * 1000).measured == 0.75


async def test_a_minute_of_the_polled_day_passes_at_once_and_counts_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minutes, "REST_S", 0.0)
    pace = minutes.Minutes()
    await pace.sleep(60.0)
    await pace.sleep(60.0)
    assert pace.now_s() == 120.0
    assert {name for name in vars(LoopPace) if name[0] != "_"} <= set(dir(pace))


async def test_a_naive_client_costs_three_requests_and_the_whole_day_each_time() -> None:
    shop = pull.Shop()
    async with shop.pos:
        client = naive.Naive(shop.pos)
        await client.poll()
        first = client.cost
        shop.clock.advance(36_000.0)
        await client.poll()
    assert (first.requests, client.cost.requests) == (3, 6)
    assert client.cost.up_bytes - first.up_bytes > 10 * first.up_bytes > 0
    assert (shop.pos.counters.logins, shop.pos.counters.releases) == (2, 2)


def test_without_root_no_device_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockdev.os, "geteuid", lambda: 1000)
    assert "root" in blockdev.unusable()
