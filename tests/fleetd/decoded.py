"""What a whole document says, cut and decoded as a router and the cloud do it."""

from fleetd.decode import decode
from fleetd.ledger.base import Decoded, Ticket
from routerd.framing import Frame, build
from routerd.model import ENVELOPE, RECORD
from tests.framing.laws import cut


def said(data: bytes, framer: str = "xml-element") -> list[Decoded]:
    """Everything the frames of `data` say, in order."""
    frames = [piece for piece in cut(lambda: build(framer, {}), data) if isinstance(piece, Frame)]
    return [thing for frame in frames for thing in decode(ENVELOPE if frame.envelope else RECORD, frame.data)]


def tickets(data: bytes, framer: str = "xml-element") -> list[Ticket]:
    return [thing for thing in said(data, framer) if isinstance(thing, Ticket)]


def one(data: bytes) -> Ticket:
    """The only thing a record says, which must be a ticket."""
    [thing] = decode(RECORD, data)
    assert isinstance(thing, Ticket)
    return thing


def lines_cents(ticket: Ticket, *, voids: bool = True) -> int:
    return sum(line.amount_cents for line in ticket.lines if voids or not line.is_void)
