"""ARTS/NRF (OMG) POSLog: NCR ACS (2.x), ROQQIO/Futura4Retail (6.0).

Source: ARTS POSLog names a transaction by RetailStoreID, WorkstationID, SequenceNumber and BusinessDayDate; version 6
calls the store BusinessUnit/UnitID. Measured: that key is unique over 51 transactions; line items repeat
`SequenceNumber`, and a return's TransactionLink repeats all four, so only what stands before the transaction's body
counts.
"""

import re

from routerd.tlog.base import Facts
from routerd.tlog.element import HEAD_BYTES, digest, identity, iso_time, start_tag, text_of

_BODY = re.compile(rb"<(?:[\w.-]+:)?(\w+Transaction)[\s/>]")


class Poslog:
    """One `<Transaction>` is one record: `poslog:<store>/<workstation>/<sequence>/<business day>`.

    Where the record does not begin with all of the standard's key (ROQQIO gives POSLogDateTime, and the business day
    only after the body) a digest of the masked record is added (`fallback`): two of ROQQIO's documents agree in the
    four values, to the millisecond, and are different sales.
    """

    name = "poslog"
    elements: tuple[str, ...] = ("Transaction",)

    def describe(self, data: bytes) -> Facts:
        """Read one `<Transaction>`; anything else is answered with empty facts."""
        if start_tag(data)[0] != b"Transaction":
            return Facts()
        body = _BODY.search(data, 0, HEAD_BYTES)
        end = body.start() if body else HEAD_BYTES
        sequence = text_of(data, b"SequenceNumber", 0, end)
        day = text_of(data, b"BusinessDayDate", 0, end)
        weak = not (sequence and day)
        return Facts(
            identity=identity(
                self.name,
                text_of(data, b"RetailStoreID", 0, end) or text_of(data, b"UnitID", 0, end),
                text_of(data, b"WorkstationID", 0, end),
                sequence,
                day or text_of(data, b"POSLogDateTime", 0, end),
                *((digest(data, self.name),) if weak else ()),
            ),
            fallback=weak,
            pos_time=_pos_time(data, end),
            kind=body[1].decode("ascii", "replace").lower() if body else "",
        )


def _pos_time(data: bytes, end: int) -> str | None:
    for name in (b"EndDateTime", b"POSLogDateTime", b"ReceiptDateTime", b"BeginDateTime"):
        time = iso_time(text_of(data, name, 0, end))
        if time:
            return time
    return None
