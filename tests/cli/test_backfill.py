"""`routerctl backfill` and `trust` against a daemon's socket: what is said to it, and what a person reads."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from routerd.cli.main import main
from tests.cli.socket_daemon import Daemon

PLAN = {"queued": ["daily/2026-07-17.312"], "held": ["daily/2026-07-16.311"], "absent": ["2026-07-18"]}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path / "control.sock")
    yield made
    made.close()


def run(monkeypatch: pytest.MonkeyPatch, daemon: Daemon, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["routerctl", "backfill", "--socket", str(daemon.path), "--source", "site", *words])
    return main()


def test_the_plan_is_shown_document_by_document(
    monkeypatch: pytest.MonkeyPatch, daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.replies = [{"answer": PLAN}]
    assert run(monkeypatch, daemon, "--from", "2026-07-16", "--to", "2026-07-18") == 0
    wish = {"ask": "backfill", "source": "site", "first": "2026-07-16", "last": "2026-07-18", "anew": False}
    assert daemon.asked == [wish]
    text = capsys.readouterr().out
    assert text.splitlines()[0] == "1 to fetch, 1 held already, 1 days absent"
    assert "absent   2026-07-18" in text


def test_waiting_ends_when_the_last_document_is_fetched(
    monkeypatch: pytest.MonkeyPatch, daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("routerd.cli.backfill._LOOK_S", 0.0)
    row = {"name": "site", "waiting_documents": PLAN["queued"]}
    daemon.replies = [{"answer": PLAN}, {"answer": [row]}, {"answer": [{**row, "waiting_documents": []}]}]
    assert run(monkeypatch, daemon, "--from", "2026-07-17", "--wait", "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == PLAN
    assert "1 of 1 fetched" in captured.err


def test_beyond_the_window_the_reason_is_told_and_nothing_is_queued(
    monkeypatch: pytest.MonkeyPatch, daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.replies = [{"error": "the oldest day the POS has is 2026-07-01", "code": "backfill.beyond_window"}]
    assert run(monkeypatch, daemon, "--from", "1999-01-01") == 2
    assert capsys.readouterr().err == "routerctl: the oldest day the POS has is 2026-07-01\n"


def test_a_day_that_is_none_is_refused_before_anybody_is_asked(
    monkeypatch: pytest.MonkeyPatch, daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run(monkeypatch, daemon, "--from", "yesterday")
    assert caught.value.code == 2
    assert "yesterday is no day" in capsys.readouterr().err
    assert not daemon.asked


def test_a_new_certificate_is_accepted_by_name(
    monkeypatch: pytest.MonkeyPatch, daemon: Daemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.replies = [{"answer": "site: the certificate shown at the next poll is the right one"}]
    monkeypatch.setattr("sys.argv", ["routerctl", "trust", "--socket", str(daemon.path), "--source", "site"])
    assert main() == 0
    assert daemon.asked == [{"ask": "trust", "source": "site"}]
    assert "is the right one" in capsys.readouterr().out
