"""Genuine days and folders through the real links, with real processes: to the cent, whatever happens on the way."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.samples import SAMPLES

ROOT = Path(__file__).resolve().parents[2]
DAYS = SAMPLES / "verifone-commander"
DAY_311, DAY_312, SHIFT_392 = (
    str(DAYS / name) for name in ("daily-2026-07-16.311.xml", "daily-2026-07-17.312.xml", "shift-2026-07-17.392.xml")
)


def prove(*words: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.proof", *words], cwd=ROOT, capture_output=True, text=True, timeout=500
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_a_day_comes_out_to_the_cent_through_cuts_a_kill_and_1970() -> None:
    code, told, said = prove("day", DAY_312, SHIFT_392, "--cut", "2", "--kill", "2", "--year", "1970")
    assert (told["pos_total"], told["ledger_total"], told["difference"]) == ("11511.69", "11511.69", "0.00")
    assert told["records"] == 2 * 4182
    assert told["status"] == "complete"
    assert code == 0
    assert said.count("SIGKILL") == 2


def test_a_sale_the_pos_left_out_makes_the_day_short_until_it_is_read_again() -> None:
    code, told, said = prove("day", DAY_311, "--hide", "1")
    assert "daily:311 of 2026-07-16: short -" in said
    assert (told["records"], told["unique"], told["difference"]) == (4133, 4133, "0.00")
    assert (told["status"], code) == ("complete", 0)


@pytest.mark.parametrize(
    ("folder", "events", "unique"), [("naxml-bulloch", 148, 147), ("poslog-roqqio", 6, 6), ("poslog-ncr", 2, 2)]
)
def test_every_event_of_a_folder_is_in_the_cloud_once(folder: str, events: int, unique: int) -> None:
    code, told, _ = prove("folder", str(SAMPLES / folder))
    assert (told["records"], told["unique"], told["in_cloud"]) == (events, unique, unique)
    assert (told["status"], code) == ("complete", 0)


def test_what_is_no_period_is_refused_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "list.xml").write_bytes(b"<periodList/>")
    code, told, _ = prove("day", str(tmp_path / "list.xml"))
    assert code == 1
    assert "no closed transSet" in told["error"]
