"""The ledger in a running fleetd: real processes, real TLS, and fleetctl beside them."""

import csv
import io
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from fleetd import cli
from routerd.model import RECORD, Draft, Stream
from tests.fleetd.kit import Cloud, gap, run_of, segment
from tests.fleetd.ledger_kit import COMMANDER, DAILY_311, delivered, document, frames_of, genuine, segments

Out = pytest.CaptureFixture[str]


def call(cloud: Cloud, *words: str) -> int:
    return cli.main(["--data", str(cloud.data), *words])


def told(cloud: Cloud, capsys: Out, *words: str) -> Any:
    capsys.readouterr()
    call(cloud, "--json", *words)
    return json.loads(capsys.readouterr().out)


async def test_a_genuine_day_goes_from_short_to_complete_before_a_supporters_eyes(tmp_path: Path, capsys: Out) -> None:
    cloud = Cloud.prepare(tmp_path)
    made = genuine(DAILY_311)
    at = next(n for n in range(len(made) // 2, len(made)) if made[n].pos_kind == "network sale")
    end = segment(len(made) + 1, [document(DAILY_311, frames_of(made))], COMMANDER)
    with cloud.running():
        async with cloud.session as session:
            for one in [*segments(made[:at]), *segments(made[at + 1 :], at + 2), end]:
                await cloud.send(session, "r1", one)
            await cloud.until_processed(session, "r1", {COMMANDER: at})
            lost = segment(1, [gap(at + 1, at + 1, COMMANDER)], Stream("commander", 8))
            await cloud.send(session, "r1", lost)
            await cloud.until_processed(session, "r1", {COMMANDER: len(made) + 1})
            assert call(cloud, "ledger", "--from", "2026-07-01") == 1
            out = capsys.readouterr().out
            assert "short" in out
            assert "spool.full" in out
            [day] = told(cloud, capsys, "ledger", "--from", "2026-07-01")["days"]
            assert day["difference_cents"] < 0
            await cloud.send(session, "r1", segment(at + 1, [made[at]], COMMANDER))
            while told(cloud, capsys, "ledger", "--from", "2026-07-01")["days"][0]["status"] != "complete":
                await cloud.send(session, "r1")
            assert call(cloud, "ledger", "--from", "2026-07-01") == 0
            assert "ok" in capsys.readouterr().out


async def test_a_kill_in_the_middle_of_following_loses_nothing_of_the_book(tmp_path: Path, capsys: Out) -> None:
    cloud = Cloud.prepare(tmp_path)
    with cloud.running():
        async with cloud.session as session:
            for one in delivered(DAILY_311):
                await cloud.send(session, "r1", one)
        assert cloud.process is not None
        cloud.process.send_signal(signal.SIGKILL)
    with cloud.running():
        async with cloud.session as session:
            await cloud.until_processed(session, "r1", {COMMANDER: len(genuine(DAILY_311)) + 1})
        [day] = told(cloud, capsys, "ledger", "--from", "2026-07-01")["days"]
    assert (day["status"], day["ledger_cents"]) == ("complete", 1_198_858)


async def test_the_book_can_be_written_anew_while_fleetd_runs(tmp_path: Path, capsys: Out) -> None:
    cloud = Cloud.prepare(tmp_path)
    with cloud.running():
        async with cloud.session as session:
            await cloud.send(session, "r1", run_of(1, 3), segment(4, [Draft(RECORD, b"<trans type='sale'><bro", "x")]))
            await cloud.until_processed(session, "r1", {Stream("pos1", 7): 4})
            [aside] = told(cloud, capsys, "undecodable")
            assert (aside["seq"], aside["code"]) == (4, "decode.xml")
            changed = told(cloud, capsys, "reprocess", "--all")
            assert changed["records"] <= 4, "fleetd may read some of them"
            assert changed["before"] == changed["after"]
            await cloud.send(session, "r1", run_of(5, 6))
            await cloud.until_processed(session, "r1", {Stream("pos1", 7): 6})
    assert call(cloud, "reprocess") == 1, "it is still set aside"
    assert "set aside 1: r1 pos1 7 4: decode.xml" in capsys.readouterr().err


async def test_a_deleted_book_is_there_again_after_the_next_start(tmp_path: Path, capsys: Out) -> None:
    cloud = Cloud.prepare(tmp_path)
    with cloud.running():
        async with cloud.session as session:
            await cloud.send(session, "r1", run_of(1, 3))
    for path in cloud.data.glob("ledger.db*"):
        path.unlink()
    assert call(cloud, "ledger") == 2
    assert "fleetd writes it, or `fleetctl reprocess`" in capsys.readouterr().err
    with cloud.running():
        async with cloud.session as session:
            await cloud.until_processed(session, "r1", {Stream("pos1", 7): 3})
    assert (cloud.data / "ledger.db").stat().st_mode & 0o777 == 0o600


async def test_support_can_order_a_day_and_the_router_is_asked_for_it(tmp_path: Path, capsys: Out) -> None:
    cloud = Cloud.prepare(tmp_path)
    with cloud.running():
        async with cloud.session as session:
            for one in delivered(DAILY_311):
                await cloud.send(session, "r1", one)
            await cloud.until_processed(session, "r1", {COMMANDER: len(genuine(DAILY_311)) + 1})
            words = ["backfill", "--device", "r1", "--source", "commander", "--from", "2026-07-16"]
            order = told(cloud, capsys, *words)["id"]
            answer = await cloud.send(session, "r1")
            assert [(one.id, one.source, one.first_day, one.last_day, one.anew) for one in answer.orders] == [
                (order, "commander", "2026-07-16", "2026-07-16", True)
            ]
            assert (await cloud.send(session, "r1")).orders == ()
            assert [one["reason"] for one in told(cloud, capsys, "orders")] == ["support"]
    assert call(cloud, "backfill", "--device", "r1", "--source", "serial", "--from", "2026-07-16") == 2
    assert "never gave a document" in capsys.readouterr().err


async def test_tickets_reach_the_data_team_whole(tmp_path: Path, capsys: Out) -> None:
    cloud = Cloud.prepare(tmp_path)
    with cloud.running():
        async with cloud.session as session:
            for one in delivered(DAILY_311):
                await cloud.send(session, "r1", one)
            await cloud.until_processed(session, "r1", {COMMANDER: len(genuine(DAILY_311)) + 1})
    sold = told(cloud, capsys, "tickets")
    assert sum(one["counted_cents"] for one in sold) == 1_198_858
    assert call(cloud, "tickets", "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == sum(max(1, len(one["lines"])) for one in sold)
    assert {row["identity"] for row in rows} == {one["identity"] for one in sold}
    amounts = [int(row["line_amount_cents"]) for row in rows if row["line_amount_cents"]]
    assert sum(amounts) == sum(line["amount_cents"] for one in sold for line in one["lines"])
    assert told(cloud, capsys, "tickets", "--store", "other") == []
    assert told(cloud, capsys, "tickets", "--from", "2027-01-01") == []
    assert len(told(cloud, capsys, "tickets", "--limit", "2")) == 2


@pytest.mark.parametrize("words", [["clocks"], ["orders"], ["risk"], ["witness"], ["undecodable"], ["tickets"]])
async def test_an_empty_ledger_is_told_in_words_and_in_json(tmp_path: Path, capsys: Out, words: list[str]) -> None:
    cloud = Cloud.prepare(tmp_path)
    assert call(cloud, "reprocess") == 0
    capsys.readouterr()
    assert call(cloud, *words) == 0
    assert capsys.readouterr().out.strip()
    told(cloud, capsys, *words)
