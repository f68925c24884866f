"""Text in UTF-16 among other bytes: read as the narrow text it stands for."""

import re
from collections.abc import Iterator

# Three digits with a zero byte between them, as `masking.FLAT` leaves them: card data has that much in a row
_DIGITS = b"0\x000\x000"
_TEXT = re.compile(rb"[^\x00]?(?:\x00[^\x00]){8,}")


def suspects_wide(data: bytes, flat: bytes) -> bool:
    return 0 in data and _DIGITS in flat


def wide_texts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Where the first character's own byte stands, and the characters a byte each; the next stands two bytes on.

    Either byte order, which only shows at the ends: a strange byte there may be taken for one more character.
    """
    for found in _TEXT.finditer(data):
        offset = int(not found[0][0])
        yield found.start() + offset, found[0][offset::2]
