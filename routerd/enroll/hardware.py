"""Which box this is, and whether an identity was made on it. Pure."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from routerd.wire.enrollment import normal_mac, normal_serial, serial_of_mac


@dataclass(frozen=True, slots=True)
class Hardware:
    """`serial` in the form both sides compare, empty if the board has none; `macs` permanent and sorted."""

    serial: str
    macs: tuple[str, ...]
    board: str

    @property
    def name(self) -> str:
        """What the box is enrolled under: its serial, else its lowest MAC; empty if it has neither."""
        return self.serial or (serial_of_mac(self.macs[0]) if self.macs else "")


def hardware(serials: Iterable[str], macs: Iterable[str], board: str) -> Hardware:
    """The first serial that is none of the placeholders makers leave, and every address of one device."""
    serial = next((found for text in serials if (found := normal_serial(text))), "")
    known = sorted({mac for text in macs if (mac := normal_mac(text))})
    return Hardware(serial, tuple(known[:16]), board)


def fingerprint(box: Hardware) -> str:
    """SHA-256 of serial, board and addresses, as hex."""
    return hashlib.sha256("\n".join([box.serial, box.board, *box.macs]).encode("utf-8")).hexdigest()


def is_same_box(held: Hardware, found: Hardware) -> bool:
    """Whether an identity made on `held` may speak from `found`.

    Two serials decide. Without both, one address in common does. Without addresses on either side nothing speaks
    against it: a probe that failed must not cost a device its identity. A swapped USB adapter changes nothing.
    """
    if held.serial and found.serial:
        return held.serial == found.serial
    return not held.macs or not found.macs or not set(held.macs).isdisjoint(found.macs)
