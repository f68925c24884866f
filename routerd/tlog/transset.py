"""Verifone Commander, Ruby2 and Sapphire: the `transSet` document of the site controller.

Sources: Verifone "Site Controller URL Reference Guide" 2.00.01 (transset.xsd), and three measured days of one site:
`uniqueID` was unique over 11,398 records, `trSeq` repeats between a prepay and its rollback, `termMsgSN` restarts at 1
with the controller. Some openCashier, closeCashier and fuelpriceChange records, and all of 2018, have no `uniqueID`.
"""

import re

from routerd.tlog.base import Facts
from routerd.tlog.element import digest, identity, iso_time, start_tag, text_of

_TYPE = re.compile(rb"(?<![\w:.-])type\s*=\s*[\"']([^\"']*)")
_TERM = re.compile(rb"(?<![\w:.-])term\s*=\s*[\"']([^\"']*)")
_SERIAL_TAG = re.compile(rb"<(?:[\w.-]+:)?termMsgSN\b([^<>]*)>")


class Transset:
    """One `<trans>` is one record: `transset:<uniqueID>`.

    Without a `uniqueID` the identity is (store, terminal, serial's type, serial, ticket, date) and 16 hex digits of the
    SHA-256 of the masked record without the white space around it (`element.digest`).
    """

    name = "transset"
    elements: tuple[str, ...] = ("trans",)

    def describe(self, data: bytes) -> Facts:
        """Read one `<trans>` record; anything else is answered with empty facts."""
        name, attributes = start_tag(data)
        if name != b"trans":
            return Facts()
        kind = _TYPE.search(attributes)
        end = _header_end(data)
        time = text_of(data, b"date", 0, end) or text_of(data, b"cCloseTime") or text_of(data, b"cOpenTime")
        unique = text_of(data, b"uniqueID", 0, end)
        return Facts(
            identity=identity(self.name, unique) if unique else self._fallback(data, end),
            fallback=not unique,
            pos_time=iso_time(time),
            kind=kind[1].decode("utf-8", "replace").lower() if kind else "",
        )

    def _fallback(self, data: bytes, end: int) -> str:
        tag = _SERIAL_TAG.search(data, 0, end)
        attributes = tag[1] if tag else b""
        term, kind = _TERM.search(attributes), _TYPE.search(attributes)
        return identity(
            self.name,
            text_of(data, b"storeNumber", 0, end),
            term[1] if term else b"",
            kind[1] if kind else b"",
            text_of(data, b"termMsgSN", 0, end),
            text_of(data, b"trSeq", 0, end),
            text_of(data, b"date", 0, end),
            digest(data, self.name),
        )


def _header_end(data: bytes) -> int:
    """Where `trHeader` ends: a `uniqueID` or `date` further down would be another thing's."""
    begin = data.find(b"trHeader")
    end = data.find(b"trHeader>", begin + 9) if begin >= 0 else -1
    return end if end >= 0 else len(data)
