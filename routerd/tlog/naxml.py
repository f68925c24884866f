"""NAXML-POSJournal (Conexxus, 3.4-3.6): Bulloch BT9000, Gilbarco Passport PJR, Radiant, Verifone `vposjournal`.

Sources: measured Bulloch files; the vendor pairs on help.petrosoftinc.com (empty `EventSequenceID`, dates written
`2021-05-28T`, times with an offset); a public Passport 22/23 parser's account of 17,723 PJR files (no
`StoreHierarchyID`, no `EventEndDate`).
"""

from routerd.tlog.base import Facts
from routerd.tlog.element import HEAD_BYTES, digest, identity, iso_time, start_tag, text_of


class Naxml:
    """One event is one record: `naxml:<store>/<register>/<event>/<TransactionID>/<EventSequenceID>/<day>/<end>`.

    Every part stands inside the event, so the file of one sale and the shift's roll-up give the same identity. The
    store is the event's `StoreHierarchyID`; where a POS names its store in the document's head only (Passport; the
    shift-close event of Bulloch) the part is `-`, and the identity holds within the store whose router sent it. The
    event's end (or receipt, or start) keeps apart the shift closes of one day, which all are TransactionID 0 and carry
    a date as their EventSequenceID. An event with no number at all, or number 0 and no time, adds a digest
    (`fallback`).
    """

    name = "naxml"
    elements: tuple[str, ...] = ("SaleEvent", "RefundEvent", "VoidEvent", "FinancialEvent", "OtherEvent")

    def describe(self, data: bytes) -> Facts:
        """Read one event; an envelope or anything else is answered with empty facts."""
        event = start_tag(data)[0].decode("ascii", "replace")
        if event not in self.elements:
            return Facts()
        end = _head_end(data)
        time = _event_time(data, end)
        number = text_of(data, b"TransactionID", 0, end)
        sequence = text_of(data, b"EventSequenceID", 0, end)
        weak = not (number or sequence) or (not number.strip(b"0") and not time)
        return Facts(
            identity=identity(
                self.name,
                text_of(data, b"StoreHierarchyID", 0, end),
                text_of(data, b"RegisterID", 0, end),
                event.lower().encode(),
                number,
                sequence,
                text_of(data, b"BusinessDate", 0, end)[:10],
                time,
                *((digest(data, self.name),) if weak else ()),
            ),
            fallback=weak,
            pos_time=iso_time(time),
            kind=event.lower(),
        )


def _head_end(data: bytes) -> int:
    """Where the event's own fields end: at its first `…Detail`: TransactionDetailGroup, ShiftDetail, NosaleDetail."""
    end = data.find(b"Detail", 0, HEAD_BYTES)
    return end if end >= 0 else HEAD_BYTES


def _event_time(data: bytes, end: int) -> bytes:
    for moment in (b"EventEnd", b"Receipt", b"EventStart"):
        day = text_of(data, moment + b"Date", 0, end)
        clock = text_of(data, moment + b"Time", 0, end)
        if day and clock:
            return day[:10] + b"T" + clock.lstrip(b"T")
    return b""
