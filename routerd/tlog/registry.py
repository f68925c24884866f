"""Dialects by name, and the guess at one."""

import re

from routerd.errors import ConfigError
from routerd.tlog.base import Dialect
from routerd.tlog.ibm4690 import Ibm4690
from routerd.tlog.journal import VerifoneJournal
from routerd.tlog.naxml import Naxml
from routerd.tlog.poslog import Poslog
from routerd.tlog.text import Text
from routerd.tlog.transset import Transset

DIALECTS: dict[str, Dialect] = {
    known.name: known
    for known in (
        Transset(),
        Naxml(),
        Poslog(),
        VerifoneJournal(),
        Text("vsi"),
        Text("text"),
        Ibm4690(),
        Text("escpos"),
    )
}

FOR_FRAMER = {"esc-journal": "verifone-journal", "escpos": "escpos", "vsi-add": "vsi", "text": "text"}
"""The dialect of a framer's frames when the source names none; XML and telegrams are recognised by content."""

SNIFF_BYTES = 8192  # more than any envelope or first ticket seen

_SIGNS: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("naxml", re.compile(rb"<(?:[\w.-]+:)?(?:NAXML-POSJournal|(?:Sale|Refund|Void|Financial|Other)Event)[\s>]")),
    ("transset", re.compile(rb"<(?:[\w.-]+:)?(?:transSet|transactionSet|trans|trHeader)[\s>]")),
    ("poslog", re.compile(rb"<(?:[\w.-]+:)?(?:POSLog|RetailTransaction|WorkstationID)[\s>]")),
    ("verifone-journal", re.compile(rb"\x1bc0\x01(?:\x1b!.?)?\d\d/\d\d/\d\d \d\d?:\d\d:\d\d", re.DOTALL)),
    ("ibm4690", re.compile(rb"\A\x22(?:\x00:..:..:|\x20:..\x22:\x22)", re.DOTALL)),
    ("ibm4690", re.compile(rb"\x22\r\n\x22(?:\x00:..:..:|\x20:..\x22:\x22)", re.DOTALL)),
    # AVE VSI-ADD: ESC and the register's address 01-10h before text. Seen twice, it is no accident.
    ("vsi", re.compile(rb"\x1b[\x01-\x10][ -~][^\x1b]*\x1b[\x01-\x10][ -~]")),
    ("escpos", re.compile(rb"\x1b[@!aEdtJM]|\x1d[VvkLB!h(w]")),
)
_UNPRINTABLE = bytes({*range(256)} - {*range(32, 256)} - set(b"\t\n\r\f\x02\x03"))


def dialect(name: str) -> Dialect:
    """The dialect called `name`. Raises ConfigError, naming the ones there are, for any other name."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise ConfigError(f"unknown dialect {name!r}: use one of {', '.join(sorted(DIALECTS))}") from None


def sniff(data: bytes) -> str:
    """The best guess at the dialect of a recording, from its first kilobytes; "" when it is like none.

    The recording may begin anywhere in the stream. Text is the last guess: lines of printable characters.
    """
    head = data[:SNIFF_BYTES]
    for name, sign in _SIGNS:
        if sign.search(head):
            return name
    printable = len(head.translate(None, _UNPRINTABLE)) == len(head)
    lines = b"\n" in head or b"\r" in head
    markup = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<", b"{", b"["))
    return "text" if printable and lines and not markup else ""
