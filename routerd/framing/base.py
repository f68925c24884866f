"""The shapes every framer shares."""

from typing import NamedTuple, Protocol

MAX_FRAME_BYTES = 1 << 20  # 4x the longest POSLog transaction seen (222 KB)
MAX_NOISE_BYTES = 4096  # noise is emitted in pieces of this size, so a dead line costs no memory


class Frame(NamedTuple):  # a frozen dataclass costs twice as much to make, and this is made per record
    """One whole record, or an `envelope`: what stands around records and is needed to check them.

    `data` is every raw byte, delimiters included; `channel` names the register on a shared line (vsi-add).
    """

    data: bytes
    envelope: bool = False
    channel: str = ""


class Noise(NamedTuple):
    """Bytes no frame could be made of. `reason` is one of: `unframed`, `oversize`, `truncated`, `checksum`."""

    data: bytes
    reason: str


Piece = Frame | Noise


class Framer(Protocol):
    """Feed bytes, take pieces."""

    def feed(self, chunk: bytes) -> list[Piece]:
        """Take any bytes (also none) and return what they completed, in order."""
        ...

    def close(self) -> list[Piece]:
        """The input ended: return all that is pending, as a last frame where the format allows it, else noise.

        Afterwards `pending` is empty and the framer is ready for a new connection.
        """
        ...

    @property
    def pending(self) -> bytes:
        """The bytes fed and not yet returned; feeding them to a fresh framer restores this state."""
        ...
