"""The technician's bench tool: the same answer for any chunking, for people and for programs."""

import json
from pathlib import Path

import pytest

from routerd.cli.main import main
from tests.samples import SAMPLES


def frame(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    monkeypatch.setattr("sys.argv", ["routerctl", "frame", *words])
    status = main()
    return status, capsys.readouterr().out


CASES = [
    ("verifone-serial/register.bin", "esc-journal", 109, 109),
    ("verifone-commander/daily-2026-07-16.311.xml", "xml-element", 4133, 4133),
    ("verifone-commander/daily-2026-07-17.312.xml", "xml-element", 4182, 4182),
    ("naxml-bulloch/naxml-posjournal_20837_2.xml", "xml-element", 146, 146),
    ("poslog-ncr/SMALL.xml", "xml-element", 2, 2),
]


@pytest.mark.parametrize("chunk", ["4096", "random", "61"])
@pytest.mark.parametrize(("name", "framer", "frames", "unique"), CASES)
def test_genuine_recordings_give_their_counts_under_any_chunking(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    framer: str,
    frames: int,
    unique: int,
    chunk: str,
) -> None:
    path = str(SAMPLES / name)
    status, out = frame(monkeypatch, capsys, "--framer", framer, "--chunk", chunk, "--json", path)
    found = json.loads(out)
    assert status == 0
    assert (found["frames"], found["unique_identities"]) == (frames, unique)
    assert (found["noise_bytes"], found["pending_bytes"], found["masked_bytes"]) == (0, 0, 0)
    assert found["bytes"] == Path(path).stat().st_size


def test_people_see_counts_and_the_first_frames(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = frame(monkeypatch, capsys, "--show", "1", str(SAMPLES / "verifone-serial/register.bin"))
    assert status == 0
    assert "109 frames (108 sale, 1 void)" in out
    assert "frame 1, 489 bytes" in out
    assert all(character.isprintable() or character == "\n" for character in out)


def test_noise_and_an_unfinished_rest_are_counted_and_exit_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "recording"
    path.write_bytes(b"noise BEGIN one END more noise BEGIN tw")
    words = ["--framer", "text", "--option", "start=BEGIN", "--option", "end=END", "--json", str(path)]
    status, out = frame(monkeypatch, capsys, *words)
    found = json.loads(out)
    assert status == 1
    assert found["frames"] == 1
    accounted = found["noise_bytes"] + found["pending_bytes"] + len(b"BEGIN one END")
    assert accounted == found["bytes"]


HEAD = b'<?xml version="1.0"?>\n'


@pytest.mark.parametrize(
    ("content", "framer", "said"),
    [
        (HEAD + b"<d:periodList xmlns:d='urn:x'><periodInfo/></d:periodList>", "xml-element", "list of its periods"),
        (b"<Transactions><Transaction><a>1</a></Transaction></Transactions>", "xml-element", "4690 log taken apart"),
        (
            HEAD + b"<report><line/></report>",
            "xml-element",
            "root <report>: no record in it is one of trans, ",
        ),
        (b'{"sales": [1, 2]}\n', "text", "JSON"),
        (bytes(range(128, 256)) * 20, "text", "no format known here: pass --framer and --dialect"),
    ],
)
def test_what_is_no_log_is_named_and_what_to_pass_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    content: bytes,
    framer: str,
    said: str,
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    _, out = frame(monkeypatch, capsys, str(path))
    assert f"framer {framer}" in out
    assert said in out
    assert "--framer" in out
    _, out = frame(monkeypatch, capsys, "--json", str(path))
    assert said in json.loads(out)["hint"]


def test_a_log_needs_no_hint(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _, out = frame(monkeypatch, capsys, "--json", str(SAMPLES / "poslog-ncr/SMALL.xml"))
    assert json.loads(out)["hint"] == ""
    _, out = frame(monkeypatch, capsys, str(SAMPLES / "verifone-serial/register.bin"))
    assert "looks like" not in out


def test_every_option_says_what_it_is_and_every_exit_status_what_it_means(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["routerctl", "frame", "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().out
    listed = [line for line in said.split("options:")[1].splitlines() if line.startswith("  -")]
    assert len(listed) == 8
    assert all(len(line.split("  ", 2)[2].split()) >= 4 for line in listed if "{" not in line)
    assert all(f"{status} " in said.split("Exit status:")[1] for status in (0, 1, 2))


@pytest.mark.parametrize("words", [["--chunk", "0"], ["--option", "start"], ["--framer", "text", "--option", "x=1"]])
def test_impossible_words_are_one_line_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "file").write_bytes(b"x\n")
    monkeypatch.setattr("sys.argv", ["routerctl", "frame", *words, str(tmp_path / "file")])
    assert main() == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_nobody_at_the_socket_is_down(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.argv", ["routerctl", "status", "--socket", str(tmp_path / "absent")])
    assert main() == 2
    assert "is it running" in capsys.readouterr().err
