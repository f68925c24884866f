"""The shapes every dialect shares."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Facts:
    """What one frame says about itself.

    identity: POS identity for de-duplication, prefixed by the dialect's name (`transset:1700…-0003965255`), at most
        200 characters; None where the format names none (two equal receipts may be two sales).
    fallback: the identity was made from a tuple and a digest because the POS gave no id of its own.
    pos_time: POS local time as ISO 8601, with offset where the POS says it (`2026-07-15T02:05:58-04:00`), or None.
    kind: the POS's own word in lower case (`sale`, `network sale`, `journal`, `saleevent`, `refund` …), or "".
    """

    identity: str | None = None
    fallback: bool = False
    pos_time: str | None = None
    kind: str = ""


class Dialect(Protocol):
    """How one POS family speaks."""

    name: str
    elements: tuple[str, ...]
    """Local names of the record elements, for the xml-element framer; empty for others."""

    def describe(self, data: bytes) -> Facts:
        """Read one record frame (masked or not). Never raises; what cannot be read is absent from the answer."""
        ...
