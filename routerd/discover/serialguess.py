"""From what a serial line says at some settings to the settings it was sent with. Pure: nothing is ever sent to ask.

Wrong settings show themselves: a wrong speed breaks stop bits, a wrong parity breaks parity, and what comes through is
no text. Seven bits with parity read as eight without show it in the top bit, so they need no second reading.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from routerd.framing.journal import MARK
from routerd.tlog.registry import sniff


@dataclass(frozen=True, slots=True)
class Settings:
    """How a line is read: `parity` N, E or O."""

    baud: int
    data_bits: int = 8
    parity: str = "N"
    stop_bits: int = 1

    def __str__(self) -> str:
        return f"{self.baud} {self.data_bits}{self.parity}{self.stop_bits}"


# In the order of likelihood: journal ports come set to 9600 8N1; then the speeds POS manuals name.
CANDIDATES = tuple(Settings(baud) for baud in (9600, 19200, 38400, 115200, 4800, 57600, 2400, 1200))
ENOUGH_BYTES = 192  # four journal lines: chance passes for text in less
PLENTY_BYTES = 64  # with a known mark in it
MAX_ERRORS, MIN_TEXT = 0.02, 0.97  # of the bytes: damaged in a good line, text in a good log
_MISFIT_BYTES = 48  # so much nonsense is judged as soon as it is there
_CONTROLS = frozenset(b"\t\n\r\f\x02\x03\x1b\x00\x01\x1d")
_TEXT = frozenset(range(0x20, 0x7F)) | _CONTROLS
_PARITY = bytes(bin(value).count("1") & 1 for value in range(256))
_FRAMERS = {"verifone-journal": "esc-journal", "vsi": "vsi-add", "escpos": "escpos", "text": "text"}
_MARKUP = "xml-element"


@dataclass(frozen=True, slots=True)
class Heard:
    """What one setting gave: the bytes, and how many of them came with a parity or framing error."""

    settings: Settings
    data: bytes
    errors: int


@dataclass(frozen=True, slots=True)
class Guess:
    """Settings that fit, and what to make of the bytes. `why` is in words, for the person who approves."""

    settings: Settings
    framer: str
    dialect: str
    why: str


@dataclass(frozen=True, slots=True)
class Hopeless:
    """Every candidate gave bytes and none fits: `why` says how the best of them failed."""

    why: str


def unmark(raw: bytes) -> tuple[bytes, int, bytes]:
    """(bytes, errors, rest) of a line read with PARMRK (termios(3)): `ff 00 x` is x with an error, `ff ff` is ff.

    rest: the beginning of a mark that the next read completes. Errors keep their byte out of the result.
    """
    data, errors, at = bytearray(), 0, 0
    while (mark := raw.find(b"\xff", at)) >= 0:
        data += raw[at:mark]
        pair = raw[mark + 1 : mark + 2]
        if not pair or (pair == b"\0" and mark + 3 > len(raw)):
            return bytes(data), errors, raw[mark:]
        if pair == b"\0":
            errors, at = errors + 1, mark + 3
        else:
            data += b"\xff"
            at = mark + 2 if pair == b"\xff" else mark + 1
    return bytes(data + raw[at:]), errors, b""


def next_step(heard: Sequence[Heard]) -> Settings | Guess | Hopeless:
    """What to do after `heard`: listen on with these settings, or stop with a guess or without hope.

    Silence is no evidence: with too few bytes the answer is the same settings again.
    """
    by_settings = {each.settings: each for each in heard}
    for candidate in CANDIDATES:
        said = by_settings.get(candidate)
        if said is None or _is_too_little(said):
            return candidate
        if guess := judge(said):
            return guess
    best = min(heard, key=lambda each: (_error_share(each), -_text_share(each.data)))
    return Hopeless(f"best at {best.settings}: {_why(best, best.data)}")


def judge(said: Heard) -> Guess | None:
    """The guess that one setting's bytes allow; None if they are too few or do not fit."""
    if _error_share(said) > MAX_ERRORS:
        return None
    settings, data = said.settings, said.data
    if parity := _hidden_parity(data):
        settings = replace(settings, data_bits=7, parity=parity)
        data = bytes(value & 0x7F for value in data)
    has_mark = MARK in data
    if len(data) < (PLENTY_BYTES if has_mark else ENOUGH_BYTES) or _text_share(data) < MIN_TEXT:
        return None
    dialect = sniff(data) or "text"
    return Guess(settings, _FRAMERS.get(dialect, _MARKUP), dialect, _why(said, data))


def _is_too_little(said: Heard) -> bool:
    count = len(said.data) + said.errors
    if _error_share(said) > MAX_ERRORS or _text_share(_without_parity(said.data)) < MIN_TEXT:
        return count < _MISFIT_BYTES
    return count < ENOUGH_BYTES and judge(said) is None


def _without_parity(data: bytes) -> bytes:
    return bytes(value & 0x7F for value in data) if _hidden_parity(data) else data


def _hidden_parity(data: bytes) -> str:
    """E or O if every byte's top bit is the parity of the seven below it (so all eight have even or odd parity)."""
    if not any(value & 0x80 for value in data):
        return ""  # seven-bit text with a spare bit
    odd = sum(_PARITY[value] for value in data)
    share = odd / len(data)
    return "O" if share >= 1 - MAX_ERRORS else "E" if share <= MAX_ERRORS else ""


def _error_share(said: Heard) -> float:
    count = len(said.data) + said.errors
    return said.errors / count if count else 0.0


def _text_share(data: Iterable[int]) -> float:
    rows = bytes(data)
    return sum(value in _TEXT for value in rows) / len(rows) if rows else 1.0


def _why(said: Heard, data: bytes) -> str:
    parts = [f"{len(data)} bytes", f"{_text_share(data):.0%} text", f"{_error_share(said):.0%} damaged"]
    if MARK in data:
        parts.append("journal lines (ESC c 0)")
    return ", ".join(parts)
