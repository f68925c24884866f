"""Generated t-logs to measure with: the same bytes in every run."""

import functools
from dataclasses import dataclass

from routerd import framing, tlog
from routerd.framing import Frame
from routerd.model import RECORD, Draft
from routerd.tlog import mask
from scripts.pos.formats import Settings, tickets
from scripts.pos.generate import settings_for
from scripts.pos.textpos import END, START

TEXT_OPTIONS = {"start": START, "end": END}
CHUNK_BYTES = 64 << 10
_NOISE = Settings("transset").noise  # the simulator's own


@dataclass(frozen=True, slots=True)
class Reading:
    """How a t-log is read: what the configuration of its source would say."""

    framer: str
    dialect: str
    options: tuple[tuple[str, str], ...] = ()


COMMANDER = Reading("xml-element", "transset")
NAXML = Reading("xml-element", "naxml")
JOURNAL = Reading("esc-journal", "verifone-journal")
TEXT = Reading("text", "text", tuple(TEXT_OPTIONS.items()))


@functools.lru_cache(maxsize=8)
def stream(kind: str, size: int, seed: int = 1, noise: float = _NOISE) -> bytes:
    """At least `size` bytes of whole tickets of a simulator's format, as they follow each other on a line; `noise` is
    the share of housekeeping records among XML tickets."""
    settings = settings_for(kind, Settings(format=kind, seed=seed, noise=noise))
    out = bytearray()
    for ticket in tickets(settings, 1 << 30):
        out += ticket.data
        if len(out) >= size:
            break
    return bytes(out)


def chunks(data: bytes, size: int = CHUNK_BYTES) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def frames(data: bytes, reading: Reading) -> list[bytes]:
    """The records of a recording, in order, without envelopes."""
    framer = framing.build(reading.framer, dict(reading.options), tlog.dialect(reading.dialect).elements)
    pieces = [piece for chunk in chunks(data) for piece in framer.feed(chunk)] + framer.close()
    return [piece.data for piece in pieces if isinstance(piece, Frame) and not piece.envelope]


def draft(frame: bytes, reading: Reading) -> Draft:
    """A frame as capture would hand it to the spool: masked and described."""
    masked, _ = mask(frame, reading.dialect)
    facts = tlog.dialect(reading.dialect).describe(masked)
    return Draft(RECORD, masked, facts.identity, facts.pos_time, facts.kind)


def receipts(text: bytes, record_bytes: int) -> bytes:
    """The tickets of a `text` stream joined to longer ones of about `record_bytes`, still no two alike."""
    head, end = f"{START}\r\n".encode(), f"{END}\r\n".encode()
    out, joined = bytearray(), bytearray()
    for ticket in text.split(end)[:-1]:
        joined += ticket.removeprefix(head)
        if len(joined) + len(head) + len(end) >= record_bytes:
            out += head + joined + end
            joined.clear()
    return bytes(out)
