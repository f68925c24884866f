"""What a renderer makes of a sale: bytes, when each of them appears, and what the truth file will say about them."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol

from scripts.pos.sale import Sale

HOUSEKEEPING = frozenset({"journal", "opencashier", "closecashier", "periodclose"})


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes that leave the POS in one go, `at_s` seconds after the ticket's first."""

    at_s: float
    data: bytes


@dataclass(frozen=True, slots=True)
class Ticket:
    """One record on the wire.

    identity: as `routerd.tlog` names it, or None where the format names none.
    kind: the POS's word for it in lower case; `HOUSEKEEPING` kinds are not tickets.
    counts: whether `total_cents` is part of the period's overall sales.
    pans: whole test card numbers in the bytes, which must not survive masking; `loyalty`: an id that must.
    """

    pieces: tuple[Piece, ...]
    identity: str | None
    kind: str
    total_cents: int = 0
    counts: bool = False
    pos_time: str = ""
    pans: tuple[str, ...] = ()
    loyalty: str = ""

    @property
    def data(self) -> bytes:
        return self.pieces[0].data if len(self.pieces) == 1 else b"".join(piece.data for piece in self.pieces)

    @property
    def sold(self) -> bool:
        """Whether a customer or the cashier made this record, rather than the POS's own housekeeping."""
        return self.kind not in HOUSEKEEPING


class Format(Protocol):
    """A renderer: pure, with the counters a POS keeps."""

    outdoor: bool
    """Whether this log shows what happens on the pumps' registers."""

    def render(self, sale: Sale) -> list[Ticket]:
        """Every record the sale leaves, noise included, in wire order."""
        ...


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def whole(data: bytes) -> tuple[Piece, ...]:
    """A record that leaves in one send."""
    return (Piece(0.0, data),)


def stamp(at: datetime) -> str:
    """Whole seconds, as every POS prints them."""
    return at.isoformat(timespec="seconds")
