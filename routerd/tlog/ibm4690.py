"""IBM/Toshiba 4690 TLOG: Supermarket Application and SurePOS ACE, binary lines `22 … 22 0D 0A`.

Source: DFDLSchemas/IBM4690-TLOG (TlogSA.xsd, TlogAce.xsd). A transaction starts with record 00: type, terminal (2 bytes
packed), transaction number (2, wraps at 9999), `YYMMDDhhmm` (5), transaction type (1), number of strings, operator,
password …, separated by `3A`. Packed bytes hold digits and F, so `3A` never occurs inside these fields; `22` does.
"""

import re

from routerd.tlog.base import Facts
from routerd.tlog.element import identity, iso_time

_HEADER = re.compile(rb"[\r\n]*\x22\x00:(..):(..):(.{5}):(.)", re.DOTALL)
_STRING_20 = re.compile(rb"[\r\n]*\x22\x20:(?:..)\x22:\x22(?:..)\x22:\x22(.{5})\x22", re.DOTALL)


class Ibm4690:
    """One line is one record: `ibm4690:<terminal>/<number>/<YYMMDDhhmm>/<type>` for a transaction.

    Type 20 lines (what the operator did) have no number of their own and repeat byte for byte when the operator does
    the same twice in a minute, so they claim no identity. `kind` is the type's two digits: the format has no words.
    """

    name = "ibm4690"
    elements: tuple[str, ...] = ()

    def describe(self, data: bytes) -> Facts:
        """Read one line; one that starts with neither record 00 nor 20 is answered with empty facts."""
        header = _HEADER.match(data)
        if header:
            parts = tuple(field.hex().encode() for field in header.groups())
            return Facts(identity=identity(self.name, *parts), pos_time=_iso(header[3]), kind=header[4].hex())
        string = _STRING_20.match(data)
        return Facts(pos_time=_iso(string[1]), kind="20") if string else Facts()


def _iso(packed: bytes) -> str | None:
    year, month, day, hour, minute = (packed[n : n + 1].hex() for n in range(5))
    return iso_time(f"20{year}-{month}-{day}T{hour}:{minute}".encode())
