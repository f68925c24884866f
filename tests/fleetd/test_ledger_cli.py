"""What `fleetctl` says of days, and how it ends when nobody reads on."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from fleetd import cli
from tests.fleetd.ledger_kit import DAILY_311, DAILY_312, House, delivered

Out = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"), devices=("r1", "store-1042-cedar-falls"))
    made.take(*delivered(DAILY_311))
    made.take(*delivered(DAILY_312), device_id="store-1042-cedar-falls")
    yield made
    made.close()


def told(house: House, capsys: Out, *words: str) -> Any:
    capsys.readouterr()
    assert cli.main(["--data", str(house.root), "--json", *words]) == 0
    return json.loads(capsys.readouterr().out)


def shown(house: House, capsys: Out, *words: str) -> list[str]:
    capsys.readouterr()
    assert cli.main(["--data", str(house.root), *words]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    "words", [["--json", "tickets"], ["tickets", "--csv"], ["--json", "transactions"], ["transactions", "--raw"]]
)
def test_a_reader_that_has_seen_enough_ends_it_in_silence(house: House, words: list[str]) -> None:
    command = [sys.executable, "-m", "fleetd.cli", "--data", str(house.root), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline()
        run.stdout.close()
        assert run.stderr.read() == b""
    assert run.returncode == 0


def test_a_store_that_all_days_shown_passed_by_is_told_with_the_days_that_are_known(house: House, capsys: Out) -> None:
    lines = shown(house, capsys, "ledger")
    assert lines == [
        "nothing is known of these days",
        "r1: nothing of these days; known are 2026-07-15 to 2026-07-16: `fleetctl ledger --store r1 --from 2026-07-15`",
        "store-1042-cedar-falls: nothing of these days; known are 2026-07-16 to 2026-07-17:"
        " `fleetctl ledger --store store-1042-cedar-falls --from 2026-07-16`",
    ]
    assert told(house, capsys, "ledger")["known"][0] == {"store": "r1", "first": "2026-07-15", "last": "2026-07-16"}
    lines = shown(house, capsys, "ledger", "--from", "2026-07-17")
    assert any("ok" in line for line in lines)
    assert any(line.startswith("r1: nothing of these days") for line in lines), "silent beside one that is not"
    lines = shown(house, capsys, "ledger", "--from", "2026-07-01")
    assert not [line for line in lines if "nothing of these days" in line]


def test_a_stores_name_is_shown_whole(house: House, capsys: Out) -> None:
    lines = shown(house, capsys, "ledger", "--from", "2026-07-01")
    [week] = [line for line in lines if line.startswith("store-1042-cedar-falls ")]
    assert week.split()[1:] == ["2026-07-13", ".", ".", ".", ".", "ok", ".", "."]
    assert max(map(len, lines)) <= 100


def test_json_names_the_document_a_day_was_proven_by(house: House, capsys: Out) -> None:
    days = told(house, capsys, "ledger", "--from", "2026-07-01")["days"]
    assert [(one["document"], one["period"]) for one in days] == [(DAILY_311, "daily:311"), (DAILY_312, "daily:312")]


@pytest.mark.parametrize(
    "words",
    [
        ["ledger", "--store", "nope"],
        ["ledger", "--device", "nope"],
        ["risk", "--store", "nope"],
        ["witness", "--store", "nope"],
        ["ledger", "--from", "2026-07-17", "--to", "2026-07-16"],
        ["witness", "--from", "2026-07-17", "--to", "2026-07-16"],
    ],
)
def test_a_store_that_is_not_known_and_impossible_days_are_refused(house: House, capsys: Out, words: list[str]) -> None:
    assert cli.main(["--data", str(house.root), *words]) == 2
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
