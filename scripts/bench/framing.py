"""T2: each framer beside the plainest way to cut the same bytes, and what becomes of a record after it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from routerd import framing, tlog
from routerd.framing import Frame
from routerd.model import RECORD, Draft
from routerd.tlog import mask
from routerd.wire import body
from scripts.bench import recordings
from scripts.bench.cases import Run
from scripts.bench.table import AT_LEAST, Beside, Row, Target
from scripts.pos.textpos import END

_MOST_TURNS, _LEAST_TURNS, _ENOUGH_S = 7, 3, 1.0  # of each subject: slow ones get fewer turns
_T2 = Target("T2", AT_LEAST, 0.5, on_ratio=True)
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Subject:
    """A recording, its framer, and the delimiter that `bytes.split` is given. `judged`: a framer that looks for
    delimiters and nothing else, so that the bound is one."""

    name: str
    data: bytes
    framer: str
    options: dict[str, str]
    dialect: str
    delimiter: bytes
    judged: bool = False


def measure(run: Run) -> list[Row]:
    size = int(run.scaled(2 << 20, 128 << 10))
    rows = [_framing(subject) for subject in _subjects(size)]
    for name, kind, reading in (
        ("transset", "transset-stream", recordings.COMMANDER),
        ("naxml", "naxml", recordings.NAXML),
        ("journal", "journal", recordings.JOURNAL),
        ("text", "text", recordings.TEXT),
    ):
        rows += _record(name, recordings.frames(recordings.stream(kind, size), reading), reading)
    return rows


def _subjects(size: int) -> list[Subject]:
    text, stx = recordings.stream("text", size), recordings.stream("stx", size)
    commander = recordings.stream("transset-stream", size)
    naxml = recordings.stream("naxml", size)
    spans = recordings.TEXT_OPTIONS
    lines, ticket_end, line_end = text.splitlines(keepends=True), f"{END}\r\n".encode(), b"\r\n"
    return [
        Subject("text, lines CRLF", text, "text", {"line": r"\r\n"}, "text", line_end, judged=True),
        Subject("text, start and end", text, "text", spans, "text", ticket_end, judged=True),
        Subject("text, STX ETX LRC", stx, "text", {"mode": "stx"}, "text", b"\x03", judged=True),
        Subject("xml-element, transset", commander, "xml-element", {}, "transset", b"</trans>"),
        Subject("xml-element, naxml", naxml, "xml-element", {}, "naxml", b"</SaleEvent>"),
        Subject("esc-journal", recordings.stream("journal", size), "esc-journal", {}, "verifone-journal", b"CSH:"),
        Subject("escpos", _printed(lines, ticket_end), "escpos", {}, "escpos", b"\x1dV\x00"),
        Subject("vsi-add, lines", _addressed(lines), "vsi-add", {"line": r"\r\n"}, "vsi", line_end),
        Subject("length-prefix", _prefixed(text.split(ticket_end)), "length-prefix", {}, "text", ticket_end[-4:]),
    ]


def _printed(lines: list[bytes], ticket_end: bytes) -> bytes:
    """Receipts as a printer gets them: initialised, some lines emphasised, cut at the end."""
    out = [b"\x1b@"]
    for line in lines:
        out.append(b"\x1bE\x01" + line + b"\x1bE\x00" if line.startswith(b"TOTAL") else line)
        if line == ticket_end:
            out.append(b"\x1dV\x00\x1b@")
    return b"".join(out)


def _addressed(lines: list[bytes]) -> bytes:
    """The lines of four registers in turn, each behind its address."""
    return b"".join(b"\x1b" + bytes([1 + at % 4]) + line for at, line in enumerate(lines))


def _prefixed(tickets: list[bytes]) -> bytes:
    return b"".join(len(ticket).to_bytes(2, "big") + ticket for ticket in tickets if ticket)


def _framing(subject: Subject) -> Row:
    chunks = recordings.chunks(subject.data)
    elements = tlog.dialect(subject.dialect).elements

    def frame() -> None:
        framer = framing.build(subject.framer, subject.options, elements)
        for chunk in chunks:
            framer.feed(chunk)

    def split() -> None:
        rest = b""
        for chunk in chunks:
            rest = (rest + chunk).split(subject.delimiter)[-1]

    def split_to_frames() -> None:
        rest = b""
        for chunk in chunks:
            *parts, rest = (rest + chunk).split(subject.delimiter)
            for part in parts:
                Frame(part)

    framed, bound, shaped = _speeds(len(subject.data), frame, split, split_to_frames)
    return Row(
        f"framing {subject.name}",
        framed,
        "MB/s",
        (Beside("bytes.split", bound), Beside("bytes.split and a Frame for each part", shaped)),
        _T2 if subject.judged else None,
        "" if subject.judged else "looks at more than a delimiter: the bound is shown, not asked for",
    )


def _record(name: str, frames: list[bytes], reading: recordings.Reading) -> list[Row]:
    size = sum(map(len, frames))
    describe = tlog.dialect(reading.dialect).describe

    def masking() -> None:
        for frame in frames:
            mask(frame, reading.dialect)

    def whole() -> None:
        for frame in frames:
            masked, _ = mask(frame, reading.dialect)
            facts = describe(masked)
            body.pack_record(Draft(RECORD, masked, facts.identity, facts.pos_time, facts.kind), 0)

    def translate() -> None:
        for frame in frames:
            frame.translate(_SAME)

    masked, whole_speed, bound = _speeds(size, masking, whole, translate)
    each_us = size / whole_speed / len(frames)
    beside = (Beside("bytes.translate", bound),)
    return [
        Row(f"masking {name}", masked, "MB/s", beside, note=f"{size // len(frames)} B a record"),
        Row(f"mask + describe + pack {name}", each_us, "us a record"),
    ]


_SAME = bytes(range(256))


def _speeds(size: int, *works: Callable[[], None]) -> list[float]:
    """MB per CPU-second of each work, the median of several turns; they take turns, so noise meets all alike."""
    times: list[list[float]] = [[] for _ in works]
    for turn in range(_MOST_TURNS):
        if turn >= _LEAST_TURNS and sum(map(sum, times)) > _ENOUGH_S:
            break
        for work, spent in zip(works, times, strict=True):
            before = time.thread_time()
            work()
            spent.append(time.thread_time() - before)
    return [size / _MB / max(median(spent), 1e-9) for spent in times]
