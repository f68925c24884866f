"""The Verifone DVR journal: 40-column ticket lines behind the prefix `1B 63 30 01 1B 21 00`, on RS-232 or TCP.

Sources: docs.verifone.com "Digital Video Recorder (DVR)"; 109 measured tickets. Each line is `MM/DD/YY HH:MM:SS TTT `
(TTT = register) and text; a ticket ends with `ST#s DR#d TRAN#n` and `CSH: name MM/DD/YY HH:MM:SS`, or, suspended, with
`TRANSACTION SUSPENDED # n` and no footer. Lines run into each other without a line feed. The clock has no zone, and
nothing on the line names the store. A public reader shows a variant with an AM/PM clock.
"""

import re

from routerd.tlog.base import Facts
from routerd.tlog.element import identity, iso_time

_STAMP = rb"(\d\d)/(\d\d)/(\d\d) (\d\d?):(\d\d):(\d\d)(?: ?([AP])M)?"
_FOOTER = re.compile(_STAMP + rb" +(\d+) +ST#\s*(\d+)\s+DR#\s*(\d+)\s+TRAN#\s*(\d+)")
_CASHIER = re.compile(rb"CSH:[^\n\x1b]*?" + _STAMP)
_SUSPENDED = re.compile(_STAMP + rb" +(\d+) +TRANSACTION SUSPENDED\s*#\s*(\d+)")
_KIND = re.compile(rb"\d +(VOID TICKET|NO ?SALE|REFUND|SAFE DROP|PA(?:Y|ID) ?OUT|PA(?:Y|ID) ?IN)\b")
_KINDS = {
    b"VO": "void",
    b"NO": "nosale",
    b"RE": "refund",
    b"SA": "safedrop",
}


class VerifoneJournal:
    """One ticket is one record: `verifone-journal:<register>/<TRAN#>/<footer time>`.

    A suspended ticket is `verifone-journal:<register>/suspended/<number>/<time>`; when it is recalled its lines come
    again inside a ticket of its own. A frame that holds two tickets claims no identity, for it would hide one of them.
    """

    name = "verifone-journal"
    elements: tuple[str, ...] = ()

    def describe(self, data: bytes) -> Facts:
        """Read one ticket; lines without a footer are answered with empty facts."""
        footers = list(_FOOTER.finditer(data)) if b"TRAN#" in data else []
        suspensions = list(_SUSPENDED.finditer(data)) if b"SUSPENDED" in data else []
        if len(footers) == 1 and not suspensions:
            footer = footers[0]
            time = _stamp(_CASHIER.search(data, footer.end()) or footer)
            name = identity(self.name, footer[8], footer[11], time)
            return Facts(identity=name, pos_time=iso_time(time), kind=_kind(_KIND.search(data)))
        if len(suspensions) == 1 and not footers:
            last = suspensions[0]
            time = _stamp(last)
            name = identity(self.name, last[8], b"suspended", last[9], time)
            return Facts(identity=name, pos_time=iso_time(time), kind="suspended")
        return Facts()


def _kind(found: re.Match[bytes] | None) -> str:
    if not found:
        return "sale"
    word = found[1]
    return _KINDS.get(word[:2]) or ("payout" if word.endswith(b"OUT") else "payin")


def _stamp(stamp: re.Match[bytes]) -> bytes:
    """The stamp's first six groups as ISO 8601. A two-digit year is of this century: the format is younger than it."""
    month, day, year, hour, minute, second = (int(stamp[n]) for n in range(1, 7))
    if stamp[7]:
        hour = hour % 12 + (12 if stamp[7] == b"P" else 0)
    return b"20%02d-%02d-%02dT%02d:%02d:%02d" % (year, month, day, hour, minute, second)
