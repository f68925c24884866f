"""The audit as a chain: each entry's hash covers the one before, so nothing is altered, removed or moved unseen."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

START = bytes(32)


@dataclass(frozen=True, slots=True)
class Entry:
    """Who did what to what. `at_ms` is the cloud's time, `document` JSON as it was written."""

    no: int
    at_ms: int
    actor: str
    kind: str
    subject: str
    document: str


def link(before: bytes, entry: Entry) -> bytes:
    """The hash of an entry, given the hash of the one before it (START for the first)."""
    parts = (str(entry.no), str(entry.at_ms), entry.actor, entry.kind, entry.subject, entry.document)
    digest = hashlib.sha256(before)
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(4, "big") + data)  # lengths, so that no two entries read alike
    return digest.digest()


def broken_at(entries: Iterable[tuple[Entry, bytes]]) -> int | None:
    """The number of the first entry that does not follow from those before it; None when the chain holds.

    What was cut off at the end cannot be seen from inside: keep the head elsewhere and compare.
    """
    head, expected = START, 1
    for entry, claimed in entries:
        head = link(head, entry)
        if entry.no != expected or head != claimed:
            return entry.no
        expected += 1
    return None
