"""fleetctl: what it shows, what it returns, and that it works beside a running fleetd."""

import argparse
import base64
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleetd import cli, server
from fleetd.init import init
from fleetd.sqlite_store import SqliteStore
from routerd.model import RECORD, Draft, Segment, Stream
from tests.fleetd.kit import NOW_MS, Cloud, broken, delivery, device, gap, run_of, sale, sales, segment

Out = pytest.CaptureFixture[str]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    init(tmp_path / "data", [])
    return tmp_path / "data"


def fill(data: Path, *segments: Segment, device_id: str = "r1", at_ms: int = NOW_MS) -> None:
    with SqliteStore(data / "fleet.db") as store:
        if store.device(device_id) is None:
            store.add_device(device(device_id))
        store.commit([delivery(device_id, *segments, at_ms=at_ms)])


def call(data: Path, *words: str) -> int:
    return cli.main(["--data", str(data), *words])


def rows(data: Path, capsys: Out, *words: str) -> Any:
    capsys.readouterr()
    call(data, "--json", *words)
    return json.loads(capsys.readouterr().out)


def test_transactions_as_json_have_the_promised_fields(data: Path, capsys: Out) -> None:
    fill(data, run_of(1, 2), segment(3, [sale(1)]))
    found = rows(data, capsys, "transactions")
    assert found[0] == {
        "device": "r1",
        "source": "pos1",
        "epoch": 7,
        "seq": 1,
        "identity": "transset:1",
        "kind": "sale",
        "pos_time": "2026-07-15T02:05:58-04:00",
        "captured_ms": 1_784_000_000_000,
        "received_ms": NOW_MS,
        "bytes": len(sale(1).data),
        "copies": 1,
        "router": {"boot": "00112233", "mono_ms": 5000, "wall_ms": 1_784_000_000_000},
    }
    assert [row["identity"] for row in found] == ["transset:1", "transset:2"]


def test_json_may_stand_on_either_side_of_the_command(data: Path, capsys: Out) -> None:
    fill(data, run_of(1, 2))
    call(data, "transactions", "--json")
    assert json.loads(capsys.readouterr().out) == rows(data, capsys, "transactions")


@pytest.mark.parametrize("listing", ["transactions", "streams", "gaps", "conflicts", "invalid", "devices"])
def test_an_empty_listing_is_an_empty_array_or_a_sentence(data: Path, capsys: Out, listing: str) -> None:
    assert rows(data, capsys, listing) == []
    assert call(data, listing) == 0
    assert capsys.readouterr().out.count("\n") == 1


def test_filters_reach_the_store(data: Path, capsys: Out) -> None:
    fill(data, run_of(1, 3), run_of(4, 5, Stream("pos2", 7)), at_ms=NOW_MS)
    fill(data, run_of(6, 7), device_id="r2", at_ms=NOW_MS + 60_000)

    def seqs(*words: str) -> list[int]:
        return [row["seq"] for row in rows(data, capsys, "transactions", *words)]

    assert seqs("--device", "r2") == [6, 7]
    assert seqs("--source", "pos2") == [4, 5]
    assert seqs("--limit", "1") == [7]
    assert seqs("--since", "2026-07-14T03:35:30") == [6, 7]
    assert seqs("--since", "2026-07-14T03:35:00+00:00", "--device", "r1", "--source", "pos1") == [1, 2, 3]
    assert seqs("--since", "1s") == []


def test_raw_writes_the_records_themselves(data: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    fill(data, segment(1, [sale(1), Draft(RECORD, b"\xff\x00 no newline", "transset:2")]))
    assert call(data, "transactions", "--raw") == 0
    assert capsysbinary.readouterr().out == sale(1).data + b"\xff\x00 no newline\n"
    assert call(data, "transactions", "--raw", "--json", "--limit", "1") == 0
    (row,) = json.loads(capsysbinary.readouterr().out)
    assert base64.b64decode(row["raw"]) == b"\xff\x00 no newline"


def test_streams_show_holes_and_return_1_until_they_are_closed(data: Path, capsys: Out) -> None:
    fill(data, run_of(1, 3), run_of(7, 8), segment(9, [sale(1)]))
    assert call(data, "streams") == 1
    header, line = capsys.readouterr().out.splitlines()
    assert header.split()[:6] == ["device", "source", "epoch", "records", "watermark", "highest"]
    assert header.split()[6:] == ["missing", "holes", "copies", "received"]
    assert line.split()[:9] == ["r1", "pos1", "7", "6", "3", "9", "3", "4-6", "1"]
    fill(data, segment(1, [gap(4, 6)], Stream("pos1", 8)))
    assert call(data, "streams") == 0
    (state, _) = rows(data, capsys, "streams")
    assert (state["watermark"], state["holes"], state["missing"]) == (9, [], 0)


def test_streams_return_1_while_there_are_invalid_segments(data: Path, capsys: Out) -> None:
    fill(data, run_of(1, 3), broken(run_of(4, 5)))
    assert call(data, "streams", "--json") == 1
    assert "1 invalid segments: see `fleetctl invalid`" in capsys.readouterr().err
    (refused,) = rows(data, capsys, "invalid")
    assert (refused["code"], refused["first"], refused["count"], refused["times"]) == ("segment.crc", 4, 2, 1)
    assert call(data, "streams", "--device", "other") == 0


def test_gaps_and_conflicts_name_what_they_concern(data: Path, capsys: Out) -> None:
    fill(data, run_of(1, 2), segment(3, [gap(0, 0), gap(1, 2), Draft(RECORD, b"other", "transset:2")]))
    before, declared = rows(data, capsys, "gaps")
    assert (before["first"], before["count"], before["cause"]) == (0, 0, "spool.full")
    assert (declared["first"], declared["last"], declared["count"], declared["arrived"]) == (1, 2, 2, 2)
    (conflict,) = rows(data, capsys, "conflicts")
    assert (conflict["seq"], conflict["transaction"]) == (5, {"source": "pos1", "epoch": 7, "seq": 2})
    call(data, "conflicts")
    assert "pos1/7/2" in capsys.readouterr().out


def test_reconstruct_writes_the_bytes_as_captured(data: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    fill(data, run_of(3, 4, Stream("pos1", 9)), run_of(1, 2), segment(3, [sale(1)]))
    words = ["reconstruct", "--device", "r1", "--source", "pos1"]
    assert call(data, *words) == 1, "epoch 9 lacks its first two records"
    captured = capsysbinary.readouterr()
    assert captured.out == b"".join(one.data for one in [*sales(1, 2), sale(1), *sales(3, 4)])
    assert captured.err == b"fleetctl: 2 records are missing: see `fleetctl streams`\n"
    assert call(data, *words, "--epoch", "7") == 0
    assert capsysbinary.readouterr().out == b"".join(one.data for one in [*sales(1, 2), sale(1)])


def test_reconstruct_of_an_unknown_source_says_so(data: Path, capsys: Out) -> None:
    assert call(data, "reconstruct", "--device", "r1", "--source", "nothing") == 2
    assert capsys.readouterr().err == "fleetctl: nothing of this source is stored: see `fleetctl streams`\n"


def test_what_a_pos_says_cannot_move_the_cursor(data: Path, capsys: Out) -> None:
    fill(data, segment(1, [Draft(RECORD, b"x", "\x1b[2Jid\nnext", "\x07", "k" * 300)], Stream("p\x9bos", 1)))
    call(data, "transactions")
    out = capsys.readouterr().out
    assert out.count("\n") == 2
    assert "\\x1b[2Jid\\nnext" in out
    assert all(letter.isprintable() for letter in out.replace("\n", ""))


def test_a_time_no_calendar_has_is_still_shown(data: Path, capsys: Out) -> None:
    fill(data, run_of(1, 1), at_ms=1 << 62)
    call(data, "transactions")
    assert f"{1 << 62} ms" in capsys.readouterr().out


def test_device_add_writes_a_private_key_file_and_prints_no_secret(data: Path, tmp_path: Path, capsys: Out) -> None:
    key_file = tmp_path / "key"
    assert call(data, "device", "add", "store-1042.r1", "--key-file", str(key_file)) == 0
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    device_id, _, secret = key_file.read_text().rstrip("\n").rpartition(".")
    assert (device_id, len(secret)) == ("store-1042.r1", 43)
    captured = capsys.readouterr()
    assert secret not in captured.out + captured.err
    assert secret.encode() not in (data / "fleet.db").read_bytes()
    assert [row["id"] for row in rows(data, capsys, "device", "list")] == ["store-1042.r1"]


def test_device_add_overwrites_neither_key_file_nor_device(data: Path, tmp_path: Path, capsys: Out) -> None:
    key_file, other = tmp_path / "key", tmp_path / "other"
    key_file.write_text("precious")
    assert call(data, "device", "add", "r1", "--key-file", str(key_file)) == 2
    assert key_file.read_text() == "precious"
    assert rows(data, capsys, "devices") == []
    assert call(data, "device", "add", "r1", "--key-file", str(other)) == 0
    assert call(data, "device", "add", "r1", "--key-file", str(tmp_path / "third")) == 2
    assert not (tmp_path / "third").exists()


def test_device_status_changes_and_is_listed(data: Path, capsys: Out) -> None:
    fill(data)
    assert call(data, "device", "disable", "r1") == 0
    assert rows(data, capsys, "devices") == [
        {"id": "r1", "status": "disabled", "store": "r1", "timezone": "", "created_ms": NOW_MS}
    ]
    assert rows(data, capsys, "device", "enable", "r1")["id"] == "r1"
    assert rows(data, capsys, "devices", "--device", "r1")[0]["status"] == "active"


@pytest.mark.parametrize(
    "words",
    [
        ["device", "disable", "nobody"],
        ["device", "add", "../etc", "--key-file", "/nonexistent/key"],
        ["device", "add", "r1", "--key-file", "/nonexistent/key"],
    ],
)
def test_a_refused_command_says_why_in_one_line(data: Path, capsys: Out, words: list[str]) -> None:
    assert call(data, *words) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.count("\n")) == ("", 1)
    assert captured.err.startswith("fleetctl: ")


def test_without_a_database_it_says_which_command_makes_one(tmp_path: Path, capsys: Out) -> None:
    assert call(tmp_path, "streams") == 2
    assert f"run `fleetd init --data {tmp_path}` first" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [[], ["nothing"], ["transactions", "--since", "yesterday"], ["streams", "--limit", "0"], ["device"]]
)
def test_wrong_usage_returns_2(data: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        call(data, *words)
    assert caught.value.code == 2


async def test_it_reads_while_fleetd_runs(cloud: Cloud, capsys: Out) -> None:
    async with cloud.session as session:
        for number in range(1, 4):
            await cloud.send(session, "live", run_of(number, number))
            assert len(rows(cloud.data, capsys, "transactions", "--device", "live")) == number


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from parsers(one)


@pytest.mark.parametrize("parser", [cli._parser(), server._parser()], ids=["fleetctl", "fleetd"])
def test_every_option_says_what_it_does(parser: argparse.ArgumentParser) -> None:
    for one in parsers(parser):
        for action in one._actions:
            assert action.help or isinstance(action, argparse._SubParsersAction), f"{one.prog}: {action.dest}"


def test_a_refused_segment_that_was_sent_right_later_is_no_trouble(data: Path, capsys: Out) -> None:
    fill(data, run_of(1, 3), broken(run_of(4, 5)))
    fill(data, run_of(4, 5))
    assert call(data, "streams") == 0
    assert rows(data, capsys, "invalid")[0]["superseded"] == "yes"


def test_a_segment_that_contradicts_what_is_kept_stays_trouble(data: Path, capsys: Out) -> None:
    fill(data, run_of(1, 3), segment(3, [sale(99)]))
    assert call(data, "streams") == 1
    assert rows(data, capsys, "invalid")[0]["superseded"] == "no"


def test_several_routers_may_carry_one_store(data: Path, tmp_path: Path, capsys: Out) -> None:
    words = ["--store", "1042", "--timezone", "America/New_York"]
    assert call(data, "device", "add", "r1", "--key-file", str(tmp_path / "1"), *words) == 0
    assert call(data, "device", "add", "r2", "--key-file", str(tmp_path / "2")) == 0
    assert call(data, "device", "set", "r2", "--store", "1042") == 0
    found = [(row["id"], row["store"], row["timezone"]) for row in rows(data, capsys, "devices")]
    assert found == [("r1", "1042", "America/New_York"), ("r2", "1042", "")]
    with pytest.raises(SystemExit):
        call(data, "device", "set", "r2", "--store", "1042", "--timezone", "Mars/Olympus")
