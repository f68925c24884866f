"""Text receipts: DVR text ports (`text`, `vsi`) and what is sent to a receipt printer (`escpos`).

No standard stands behind these; each site's receipts look as its POS was set up. So an identity is claimed only where
the receipt says all of store, register, number, date and time in so many words, e.g.

    STORE 0042 REG 02 TICKET 0001234
    DATE 2026-11-22 TIME 14:03:09

and nothing is guessed: two equal receipts may be two sales.
"""

import re

from routerd.tlog.base import Facts
from routerd.tlog.element import identity, iso_time

_LABEL = rb"\s*[#:.]?\s*#?\s*"
_TICKET = re.compile(
    rb"\bSTORE" + _LABEL + rb"(\d{1,10})\s+REG(?:ISTER)?" + _LABEL + rb"(\d{1,6})\s+"
    rb"(?:TRAN(?:S|SACTION)?|TICKET|CHECK|INVOICE)" + _LABEL + rb"(\d{1,12})\b",
    re.IGNORECASE,
)
_MOMENT = re.compile(
    rb"\b(?:DATE" + _LABEL + rb")?(?:(\d{4})-(\d\d)-(\d\d)|(\d\d?)/(\d\d?)/(\d{4}|\d\d))\s+(?:TIME" + _LABEL + rb")?"
    rb"(\d\d?):(\d\d)(?::(\d\d))?(?:\s?([AP])M)?\b",
    re.IGNORECASE,
)
# ESC/POS commands without a payload, one or two bytes after ESC or GS, as they stand between words of a line
_PRINTER_COMMAND = re.compile(rb"\x1b@|\x1b[ -~].|\x1d[!-~].", re.DOTALL)
MAX_RECEIPT_BYTES = 65536  # a longer frame is a picture, not a receipt


class Text:
    """One receipt is one record: `<dialect>:<store>/<register>/<number>/<date>T<time>`, or no identity.

    A frame that names two different tickets claims none, for it would hide one of them.
    """

    elements: tuple[str, ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def describe(self, data: bytes) -> Facts:
        """Read one receipt. `kind` stays empty: the words on a receipt are the shop's own."""
        shown = _PRINTER_COMMAND.sub(b"", data[:MAX_RECEIPT_BYTES]) if b"\x1b" in data or b"\x1d" in data else data
        tickets = _tickets(shown)
        if len(tickets) != 1:
            return Facts()
        ((ticket, end),) = tickets.items()
        moment = _MOMENT.search(shown, end) or _MOMENT.search(shown)
        time = iso_time(_stamp(moment)) if moment else None
        if time is None:
            return Facts()
        return Facts(identity=identity(self.name, *ticket, time.encode()), pos_time=time)


def _tickets(shown: bytes) -> dict[tuple[bytes, ...], int]:
    """What tickets a receipt names, and where each name ends. The word is found first: a pattern that ignores case
    has no letters to search for, and would be tried at every byte.
    """
    found: dict[tuple[bytes, ...], int] = {}
    upper = shown[:MAX_RECEIPT_BYTES].upper()
    at = upper.find(b"STORE")
    while at >= 0:
        ticket = _TICKET.match(shown, at, MAX_RECEIPT_BYTES)
        if ticket:
            found[ticket.groups()] = ticket.end()
        at = upper.find(b"STORE", at + 1)
    return found


def _stamp(moment: re.Match[bytes]) -> bytes:
    year, month, day = moment.group(1, 2, 3) if moment[1] else moment.group(6, 4, 5)
    hour = int(moment[7])
    if moment[10]:
        hour = hour % 12 + (12 if moment[10] in b"Pp" else 0)
    century = b"20" if len(year) == 2 else b""
    seconds = b":" + moment[9] if moment[9] else b""
    return b"%s%s-%02d-%02dT%02d:%s%s" % (century, year, int(month), int(day), hour, moment[8], seconds)
