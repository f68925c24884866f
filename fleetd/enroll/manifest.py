"""The list that an MNSP uploads: which serials to expect, and where. Read strictly, each row judged by itself.

CSV (RFC 4180, UTF-8, a header line): serial, mac, model, store_id, not_after, replaces_serial, note, in any order, the
ones that are not needed left out. A row names a serial, a MAC or both; `mac` may hold several, with blanks between.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from fleetd.refusal import Refusal
from routerd.wire.enrollment import normal_mac, normal_serial

MAX_BYTES = 16 << 20
MAX_ROWS = 50_000
COLUMNS = ("serial", "mac", "model", "store_id", "not_after", "replaces_serial", "note")
CREATED, UPDATED, UNCHANGED, CONFLICT, INVALID = "created", "updated", "unchanged", "conflict", "invalid"
_MAX_MACS = 16
_MAX_NOTE_CHARS = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SPREADSHEET = re.compile(r"[0-9.,]+E\+[0-9]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """A device to come. `macs` sorted; model and store "" where not told; not_after_ms: the end of that day, UTC."""

    serial: str
    macs: tuple[str, ...] = ()
    model: str = ""
    store: str = ""
    not_after_ms: int | None = None
    replaces: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A row and where it stands."""

    no: int
    row: Row


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a line: a result from above, and why when it is CONFLICT or INVALID."""

    no: int
    result: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file as read: lines to take, and those that cannot be."""

    lines: tuple[Line, ...]
    invalid: tuple[Outcome, ...]


class _Unfit(Exception):
    """Why one row is no good."""


def parse(data: bytes) -> Sheet:
    """Raises Refusal 422 `manifest_invalid` when the file as a whole cannot be trusted: not UTF-8, no proper header,
    broken quoting, too long. Otherwise each row stands for itself."""
    lines: list[Line] = []
    invalid: list[Outcome] = []
    taken: dict[str, int] = {}
    for no, values in _rows(_text(data)):
        try:
            row = _row(values)
            _claim_names(row, no, taken)
        except _Unfit as exc:
            invalid.append(Outcome(no, INVALID, str(exc)))
        else:
            lines.append(Line(no, row))
    return Sheet(tuple(lines), tuple(invalid))


def is_name(text: str) -> bool:
    """Whether `text` may name a store, a model, a claim or a tenant."""
    return _NAME.fullmatch(text) is not None


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _refused(f"a manifest has at most {MAX_BYTES} bytes")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _refused("this is UTF-16: save it as CSV UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise _refused(f"line {line} is not UTF-8: save it as CSV UTF-8") from exc
    if "\0" in text:
        raise _refused("there are NUL bytes in it: this is no CSV file")
    return text


def _rows(text: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Each row with the number of its first line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = _header(next(reader, []))
        count, at = 0, reader.line_num + 1
        for cells in reader:
            here, at = at, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            count += 1
            if count > MAX_ROWS:
                raise _refused(f"a manifest has at most {MAX_ROWS} rows")
            yield here, _named(header, cells)
    except csv.Error as exc:
        raise _refused(f"line {reader.line_num}: broken quoting ({exc})") from exc


def _header(cells: list[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    if len(names) == 1 and re.search("[;\t]", names[0]):
        raise _refused("the columns must be separated by commas")
    if unknown := [name for name in names if name not in COLUMNS]:
        raise _refused(f"line 1: no column is called {unknown[0][:32]!r}; there are {', '.join(COLUMNS)}")
    if len(set(names)) != len(names) or not {"serial", "mac"} & set(names):
        raise _refused("line 1 must name each column once, and serial or mac among them")
    return names


def _named(header: list[str], cells: list[str]) -> Mapping[str, str]:
    if len(cells) != len(header):
        return {"": f"{len(cells)} cells under {len(header)} columns"}
    return dict(zip(header, (cell.strip() for cell in cells), strict=True))


def _row(values: Mapping[str, str]) -> Row:
    if miscounted := values.get(""):
        raise _Unfit(miscounted)
    serial, macs = _serial(values, "serial"), _macs(values.get("mac", ""))
    if not serial and not macs:
        raise _Unfit("neither serial nor mac")
    note = values.get("note", "")
    if len(note) > _MAX_NOTE_CHARS or not note.isprintable():
        raise _Unfit(f"note: at most {_MAX_NOTE_CHARS} printable characters")
    names = (_plain_name(values, "model"), _plain_name(values, "store_id"))
    return Row(serial, macs, *names, _end_of_day(values.get("not_after", "")), _serial(values, "replaces_serial"), note)


def _serial(values: Mapping[str, str], column: str) -> str:
    text = values.get(column, "")
    if not text:
        return ""
    if _SPREADSHEET.fullmatch(text):
        raise _Unfit(f"{column}: a spreadsheet has rounded this number; format the column as text")
    if not (serial := normal_serial(text)):
        raise _Unfit(f"{column}: no serial number, or one that many boards share")
    return serial


def _macs(text: str) -> tuple[str, ...]:
    found = {normal_mac(word) for word in text.split()}
    if "" in found or len(found) > _MAX_MACS:
        raise _Unfit("mac: not the hardware address of one device")
    return tuple(sorted(found))


def _plain_name(values: Mapping[str, str], column: str) -> str:
    text = values.get(column, "")
    if text and not is_name(text):
        raise _Unfit(f"{column}: letters, digits, dot, dash and underscore only, at most 64")
    return text


def _end_of_day(text: str) -> int | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as exc:
        raise _Unfit("not_after: a day like 2026-12-31") from exc
    if len(text) != len("2026-12-31"):
        raise _Unfit("not_after: a day like 2026-12-31")
    return int(datetime.combine(day, time.max, UTC).timestamp() * 1000)


def _claim_names(row: Row, no: int, taken: dict[str, int]) -> None:
    """Each device once per file. Raises _Unfit."""
    names = [f"{row.model}/{row.serial}"] if row.serial else []
    names += row.macs
    for name in names:
        if name in taken:
            raise _Unfit(f"{name.rpartition('/')[2]} stands in line {taken[name]} already")
    taken.update(dict.fromkeys(names, no))


def _refused(told: str) -> Refusal:
    return Refusal(422, "manifest_invalid", told)
