"""Bytes that nobody sent on purpose, into everything that reads bytes from outside: the laws must hold all the same.

An input is a seed of the corpus with some of its bytes changed, cut out, doubled or joined with another's. Inputs that
break something are printed; mended ones join the corpus.
"""

import gzip
import random
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from fleetd.decode import decode
from fleetd.judge import judge
from routerd.capture.commander import cgi, periods
from routerd.capture.commander.inflate import Inflater
from routerd.errors import RouterdError
from routerd.framing.registry import build
from routerd.model import RECORD, Stream
from routerd.spool import page
from routerd.spool.journal import _read_blocks
from routerd.tlog.masking import mask
from routerd.tlog.registry import DIALECTS, sniff
from routerd.wire import batch, body, enrollment, polling, trust
from routerd.wire.codec import Codebook

CORPUS = Path(__file__).resolve().parents[2] / "tests" / "faults" / "corpus"
SLOW_S = 2.0  # for one input of some kilobytes, on a busy machine
MOST_BYTES = 32 << 10
_SHOWN = 200
_BOOK = Codebook({})
_STREAM = Stream("till", 1)
Target = Callable[[bytes, random.Random], None]
_FRAMERS: tuple[tuple[str, dict[str, str], tuple[str, ...]], ...] = (
    ("xml-element", {}, DIALECTS["transset"].elements),
    ("xml-element", {}, DIALECTS["naxml"].elements),
    ("xml-element", {}, DIALECTS["poslog"].elements),
    ("esc-journal", {}, ()),
    ("text", {}, ()),
    ("text", {"start": "STORE", "end": "THANK"}, ()),
    ("text", {"mode": "stx"}, ()),
    ("escpos", {}, ()),
    ("vsi-add", {}, ()),
    ("length-prefix", {"width": "2"}, ()),
)


def corpus() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(CORPUS.iterdir())}


def frames(data: bytes, chance: random.Random) -> None:
    """Frames, noise and pending are what went in, wherever it was cut."""
    name, options, elements = chance.choice(_FRAMERS)
    whole, cut = build(name, options, elements), build(name, options, elements)
    expected = [*whole.feed(data), *whole.close()]
    pieces, at = [], 0
    while at < len(data):
        size = chance.choice((1, 2, 7, 50, 1000))
        pieces += cut.feed(data[at : at + size])
        at += size
    pieces += cut.close()
    assert pieces == expected, f"{name}: another cut, other frames"
    made = b"".join(piece.data for piece in pieces)
    assert made == data or (name == "vsi-add" and sorted(made) == sorted(data)), f"{name}: bytes are missing"


def dialects(data: bytes, chance: random.Random) -> None:
    """Every record is described and masked, at equal length, and masked no further the second time."""
    name = chance.choice(sorted(DIALECTS))
    DIALECTS[name].describe(data)
    sniff(data)
    masked, _ = mask(data, name)
    assert len(masked) == len(data), name
    assert mask(masked, name)[0] == masked, f"{name}: masked twice"


def wire(data: bytes, chance: random.Random) -> None:
    """What does not decode says so, in our own words."""
    readers: tuple[Callable[[bytes], object], ...] = (
        batch.unpack_batch,
        batch.unpack_segments,
        batch.unpack_answer,
        body.unpack_gap,
        body.unpack_document,
        body.whole_items,
        lambda each: list(body.records(each, _STREAM, 1)),
        polling.read_poll,
        polling.read_poll_answer,
        enrollment.read_enroll,
        enrollment.read_answer,
        enrollment.read_key_change,
        enrollment.read_farewell,
        trust.read_bundle,
        trust.read_chain,
    )
    for reader in readers:
        _answered(reader, data)
    for name in _BOOK.codecs:
        _answered(lambda each, name=name: _BOOK.decompress(each, name, 0, chance.choice((0, 10, 1 << 20))), data)


def cloud(data: bytes, chance: random.Random) -> None:
    """fleetd judges each segment of a request, and reads each record, whatever is in it."""
    try:
        for segment in batch.unpack_batch(data):
            judge(segment, _BOOK)
    except RouterdError:
        segment = batch.seal(_STREAM, 1, chance.choice((1, 3, 1000)), data, ("raw", 0, data))
        judge(segment, _BOOK)
    _answered(lambda each: decode(RECORD, each), data)


def flash(data: bytes, chance: random.Random) -> None:
    """Pages and blocks of a flash that went bad."""
    assembler = page.Assembler()
    for at in range(0, len(data), page.PAGE_BYTES):
        intact = page.unpack_page(data[at : at + page.PAGE_BYTES])
        frame = assembler.add(1 + at // page.PAGE_BYTES, intact) if intact else None
        if frame:
            _answered(batch.unpack_segments, frame.segments)
    entries, good_bytes, _ = _read_blocks(data)
    assert good_bytes <= len(data)
    assert len(entries) % 12 == 0


def commander(data: bytes, chance: random.Random) -> None:
    """A site controller's answers: documents, faults, pages, lists, gzip."""
    for reader in (cgi.root, cgi.asks_for_login, cgi.cookie, cgi.fault, cgi.head, periods.listed):
        _answered(reader, data)
    inflater = Inflater()
    sent = chance.choice((data, gzip.compress(data), gzip.compress(data)[: len(data) // 2]))
    out = []
    try:
        for at in range(0, len(sent), 1000):
            inflater.give(sent[at : at + 1000])
            while piece := inflater.take():
                out.append(piece)
        out.append(inflater.end())
    except RouterdError:
        return
    assert sent.startswith(b"\x1f\x8b") or b"".join(out) == sent, "plain bytes come out as they went in"


TARGETS: dict[str, Target] = {
    "frames": frames,
    "dialects": dialects,
    "wire": wire,
    "cloud": cloud,
    "flash": flash,
    "commander": commander,
}


def run(seconds: float, seed: int | None) -> dict[str, object]:
    """Try inputs for that long; without a seed others each time. `failed` names target and seed of each."""
    first = seed if seed is not None else random.randrange(1 << 32)
    seeds = corpus()
    give_up = time.monotonic() + seconds
    failed: list[str] = []
    tried = dict.fromkeys(TARGETS, 0)
    slowest_s = 0.0
    number = first
    while time.monotonic() < give_up:
        for name in TARGETS:
            started = time.monotonic()
            if why := attempt(name, number, seeds):
                failed.append(f"{name} {number}: {why}")
                print(failed[-1], file=sys.stderr, flush=True)
            slowest_s = max(slowest_s, time.monotonic() - started)
            tried[name] += 1
        number += 1
    ok = not failed and min(tried.values()) > 0
    return {"ok": ok, "first_seed": first, "tried": tried, "slowest_ms": int(slowest_s * 1000), "failed": failed}


def attempt(name: str, number: int, seeds: dict[str, bytes]) -> str:
    """Why this input broke something; "" if it did not."""
    chance = random.Random(number)
    data = changed(seeds, chance)
    started = time.monotonic()
    try:
        TARGETS[name](data, chance)
    except Exception as exc:
        where = traceback.extract_tb(exc.__traceback__)[-1]
        return f"{exc!r} at {where.name}:{where.lineno}, input {data[:_SHOWN]!r}"
    if time.monotonic() - started > SLOW_S:
        return f"{time.monotonic() - started:.1f} s for {len(data)} bytes"
    return ""


def changed(seeds: dict[str, bytes], chance: random.Random) -> bytes:
    """A seed with a few things done to it."""
    names = sorted(seeds)
    data = bytearray(seeds[chance.choice(names)])
    for _ in range(chance.choice((0, 1, 2, 4, 16))):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + chance.choice((1, 2, 8, 100, 2000)))
        other = seeds[chance.choice(names)]
        start = chance.randrange(len(other) + 1)
        match chance.randrange(6):
            case 0:
                data[at:end] = chance.randbytes(end - at)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end] * chance.choice((1, 2, 20))
            case 3:
                data[at:at] = other[start : start + chance.choice((4, 40, 400))]
            case 4:
                data[at:end] = bytes([chance.choice((0, 0x1B, 0x22, 0x2F, 0x3C, 0x3E, 0x7F, 0xFF))]) * (end - at)
            case _:
                data[at:end] = bytes(byte ^ 1 << chance.randrange(8) for byte in data[at:end])
    return bytes(data[:MOST_BYTES])


def _answered(reader: Callable[[bytes], object], data: bytes) -> None:
    try:
        reader(data)
    except RouterdError:
        return
