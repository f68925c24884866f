"""Decoding: what a stored record says, as tickets, markers, totals and events with money in whole cents. Pure.

Invariants:

* Only CorruptError is raised, and only for a record that plainly is of a dialect read here and cannot be read as one.
  Its code is stable: `decode.xml` (not well-formed, or declares a document type), `decode.amount` (money that is no
  decimal number, or finer than a cent), `decode.missing` (a sale without a total). No message repeats a record's bytes.
* Money goes from text to cents exactly. Unit prices and quantities are rounded (`amounts`).
* Where a dialect writes its taxes, a ticket's lines add up to its total: that is how each reading was checked.
* Every module of a dialect says what it counts, and whether that was measured or inferred.
"""

import re

from fleetd.decode import journal, naxml, period, poslog, transset
from fleetd.decode.markup import parse
from fleetd.ledger.base import Decoded
from routerd.model import ENVELOPE, RECORD
from routerd.tlog import DIALECTS
from routerd.tlog.element import start_tag

__all__ = ["decode"]

_READERS = {"transset": transset.read, "naxml": naxml.read, "poslog": poslog.read}
_DIALECT_OF = {name.encode(): dialect for dialect in _READERS for name in DIALECTS[dialect].elements}
_JOURNAL = re.compile(rb"(?:\s*\x1bc0\x01(?:\x1b!.)?)*\s*\d\d/\d\d/\d\d \d\d?:\d\d:\d\d(?: ?[AP]M)? +\d+ ", re.DOTALL)
_LEADING = b"\xef\xbb\xbf \t\r\n"


def decode(kind: int, data: bytes, pos_kind: str = "") -> tuple[Decoded, ...]:
    """What one stored record says: kind as in `routerd.model`, data masked. `pos_kind` is the router's word for the
    record; every dialect read so far says it itself.

    An envelope can say several things, in their order. Noise, gaps, documents and records of other dialects say
    nothing. Raises CorruptError, as the package's docstring says.
    """
    if kind not in (RECORD, ENVELOPE):
        return ()
    data = data.lstrip(_LEADING)
    if _JOURNAL.match(data):
        return journal.read(data)
    if kind == ENVELOPE:
        return period.read(data)
    dialect = _DIALECT_OF.get(start_tag(data)[0])
    if dialect is None:
        return ()
    facts = DIALECTS[dialect].describe(data)
    return _READERS[dialect](parse(data), facts.pos_time or "")
