"""W1: bytes sent ÷ bytes captured, by codec and dictionary, beside gzip of each ticket and of the whole day.

Sent is what a batch holds for its segments, heads and checksums included; TLS is not (see `latency`). Captured is the
records as they stood on the wire.
"""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from random import Random

import zstandard

from routerd.model import Draft, Stamp, Stream
from routerd.spool.keeper import DENSE_RAW_BYTES
from routerd.wire import batch, body, codec, dictionaries
from scripts.bench import recordings
from scripts.bench.cases import Run
from scripts.bench.recordings import COMMANDER, JOURNAL, NAXML, Reading
from scripts.bench.table import AT_MOST, Beside, Row, Target, missing

_LIVE, _BACKLOG = Target("W1", AT_MOST, 0.10), Target("W1", AT_MOST, 0.04)
_GENUINE = Path("../shared/tlogs/verifone-commander")  # anonymised days of one site; not part of the project
_DAYS = ("daily-2026-07-16.311.xml", "daily-2026-07-17.312.xml")
_DICTIONARY_BYTES = 32 << 10  # deflate's window
POLL_S = 300  # CommanderLink.poll_s
_PUSHED = 3.0  # records of one POS second: fewer than a poll ever brings
_BOOT = "0f0e0d0c"
_MONO_NS, _WALL_MS, _DAY_S = 10**12, 1_790_000_000_000, 86400
_STREAM = Stream("till", 1_790_000_000_000)


@dataclass(frozen=True, slots=True)
class Day:
    """A day to measure and the day before it to train on, each as drafts in order."""

    name: str
    shipped: str
    before: list[Draft]
    drafts: list[Draft]
    genuine: bool = False

    @property
    def captured(self) -> int:
        return sum(len(draft.data) for draft in self.drafts)


def measure(run: Run) -> list[Row]:
    size = int(run.scaled(1e6, 150e3))
    rows: list[Row] = []
    for kind, dictionary, reading in (
        ("transset-stream", "transset", COMMANDER),
        ("naxml", "naxml", NAXML),
        ("journal", "journal", JOURNAL),
    ):
        before, drafts = (_drafts(recordings.stream(kind, size, seed), reading) for seed in (11, 12))
        rows += _day(Day(f"generated {dictionary}", dictionary, before, drafts))
    if not all((_GENUINE / name).exists() for name in _DAYS):
        why = f"the genuine days are not at {_GENUINE}"
        return [*rows, missing("wire genuine Commander, live", why, _LIVE), missing("… backlog", why, _BACKLOG)]
    before, drafts = (_drafts((_GENUINE / name).read_bytes(), COMMANDER) for name in _DAYS)
    return [*rows, *_day(Day("genuine Commander", "transset", before, drafts, genuine=True))]


def _drafts(data: bytes, reading: Reading) -> list[Draft]:
    return [recordings.draft(frame, reading) for frame in recordings.frames(data, reading)]


def _day(day: Day) -> Iterator[Row]:
    """Live and backlog for each codec: measured is the trained dictionary, the others and gzip stand beside it."""
    singles = [[draft] for draft in day.drafts]
    moments = [list(group) for _, group in groupby(day.drafts, key=lambda draft: draft.pos_time)]
    polls = list(_polls(day.drafts))
    trained = _train(day.before)
    gzip_each = sum(len(gzip.compress(draft.data)) for draft in day.drafts) / day.captured
    yield _shares(day, trained)
    gzip_day = len(gzip.compress(b"".join(draft.data for draft in day.drafts))) / day.captured
    cases = [("live, singles", singles, None), ("live, pushed", moments, None), ("backlog", moments, _BACKLOG)]
    if day.shipped == "transset":
        cases.insert(2, ("live, polled", polls, _LIVE))
    for what, groups, target in cases:
        for name in (codec.ZLIB, codec.ZSTD):
            dense = what == "backlog"
            sent = [_sent(day, groups, name, known, dense) for known in (trained, dictionaries.load(day.shipped), b"")]
            own, shipped, none = (each / day.captured for each in sent)
            beside = (Beside("gzip of the day", gzip_day), Beside("gzip per ticket", gzip_each))
            beside = beside if dense else beside[::-1]
            others = (Beside("shipped dictionary", shipped), Beside("none", none))
            note = _note(day, groups, dense) if name == codec.ZLIB else ""
            asked = target if day.genuine else None
            yield Row(f"wire {day.name}, {what}, {name}, trained", own, "B/B", (*beside, *others), asked, note)


def _polls(drafts: Sequence[Draft]) -> Iterator[list[Draft]]:
    """As the Commander link brings them: what was sold since the last poll is one upload (in document order)."""
    group: list[Draft] = []
    end_s = 0.0
    for draft in drafts:
        at_s = datetime.fromisoformat(draft.pos_time).timestamp() if draft.pos_time else end_s - POLL_S
        if group and at_s >= end_s:
            yield group
            group = []
        if not group:
            end_s = at_s + POLL_S
        group.append(draft)
    if group:
        yield group


def _shares(day: Day, trained: bytes) -> Row:
    """Where the bytes of a live single go: its data, compressed alone with a dictionary of such data, is the floor."""
    plain = _dictionary([draft.data for draft in day.before])
    alone, fields, heads = (
        sum(len(_compressed(each, known)) for each in contents) / len(day.drafts)
        for known, contents in (
            (plain, [draft.data for draft in day.drafts]),
            (trained, [body.pack_record(draft, 7) for draft in day.drafts]),
            (trained, list(_bodies([[draft] for draft in day.drafts]))),
        )
    )
    whole = _sent(day, [[draft] for draft in day.drafts], codec.ZLIB, trained, False) / len(day.drafts)
    parts = (
        f"record fields {fields - alone:.0f}, clock head {heads - fields:.0f}, segment and batch {whole - heads:.0f}"
    )
    return Row(f"wire {day.name}, a live single, zlib", whole, "B", (Beside("its data alone", alone),), note=parts)


def _compressed(content: bytes, dictionary: bytes) -> bytes:
    dict_id = codec.dictionary_id(dictionary)
    return codec.Codebook({dict_id: dictionary}).compress(content, codec.ZLIB, dict_id)


def _note(day: Day, groups: Sequence[Sequence[Draft]], dense: bool) -> str:
    size = day.captured // len(day.drafts)
    if dense:
        return f"dense segments of {DENSE_RAW_BYTES >> 10} KiB; {len(day.drafts)} records of {size} B"
    per = len(day.drafts) / len(groups)
    if len(groups) == len(day.drafts):
        return f"{len(groups)} segments of one record of {size} B, each in a batch of its own"
    if per > _PUSHED:
        return f"{len(groups)} segments of {per:.1f} records: what one poll of the Commander link brings ({POLL_S} s)"
    return f"{len(groups)} segments of {per:.2f} records: those of one POS second travel together"


def _train(drafts: list[Draft]) -> bytes:
    return _dictionary([body.pack_record(draft, 0) for draft in drafts])


def _dictionary(samples: list[bytes]) -> bytes:
    return zstandard.train_dictionary(_DICTIONARY_BYTES, [*samples]).as_bytes()


def _sent(day: Day, groups: Sequence[Sequence[Draft]], name: str, dictionary: bytes, dense: bool) -> int:
    dict_id = codec.dictionary_id(dictionary)
    book = codec.Codebook({dict_id: dictionary})
    contents = [(len(group), content) for group, content in zip(groups, _bodies(groups), strict=True)]
    if dense:
        contents = list(_joined(contents))
    seq, packed = 1, []
    for count, content in contents:
        payload = book.compress(content, name, dict_id, dense=dense)
        segment = batch.seal(_STREAM, seq, count, content, (name, dict_id, payload))
        packed.append(batch.pack_segment(segment))
        seq += count
    return sum(map(len, packed)) + len(batch.pack_batch([])) * (1 if dense else len(packed))


def _bodies(groups: Sequence[Sequence[Draft]]) -> Iterator[bytes]:
    """Segments' contents, captured at random moments of a day: equal clock heads would compress to nothing."""
    chance = Random(1)
    at_s = 0.0
    for group in groups:
        at_s += chance.expovariate(len(groups) / _DAY_S)
        stamp = Stamp(_BOOT, _MONO_NS + int(at_s * 1e9), _WALL_MS + int(at_s * 1e3), True)
        yield body.pack_head(stamp) + b"".join(body.pack_record(draft, 7) for draft in group)


def _joined(contents: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """As the spool merges what waited on flash: contents one behind the other, up to its limit."""
    count, joined = 0, b""
    for number, content in contents:
        if joined and len(joined) + len(content) > DENSE_RAW_BYTES:
            yield count, joined
            count, joined = 0, b""
        count, joined = count + number, joined + content
    yield count, joined
