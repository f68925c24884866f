"""Masking: no card number, track, security code or password reaches a record.

PCI DSS 4.0.1, 3.3.1 (track data, card verification codes and PIN blocks are never kept) and 3.4.1 (of a card number at
most the first six and the last four digits). Masked bytes become `X`: the length stays, so offsets and framing hold,
and XML and text stay what they were.

It runs over every byte a store ever sends, on a router. So the whole record is translated once, digits to `0`, and the
shapes of card data are looked for with `bytes.find`; regular expressions see only what that turns up.
"""

from collections.abc import Iterator

from routerd.tlog.context import CARD, KEEP, LOOK, MAX_ITEM_DIGITS, in_card_field, verdict
from routerd.tlog.groups import group_spans, suspects_groups
from routerd.tlog.packed import card_spans, header_password_spans, string_password_spans
from routerd.tlog.pan import FIRST_DIGITS, ITEM_LENGTHS, KEEP_FIRST, KEEP_LAST, PAN_LENGTHS, is_pan
from routerd.tlog.sensitive import code_spans, suspects_code, track_spans
from routerd.tlog.wide import suspects_wide, wide_texts

Span = tuple[int, int]
"""Bytes `[start, end)` to be blanked."""

_FLAT = bytearray(range(256))
for _upper in range(65, 91):
    _FLAT[_upper] = _upper + 32
for _digit in range(48, 58):
    _FLAT[_digit] = 48
# So that few searches find many words: CVV, CID, CAV2 read `cvv`, CVC and veriFICation `cvc`, bLOCK and SECUrity `lecu`
for _letters, _as in ((b"adivADIV", b"v"), (b"cfCF", b"c"), (b"slSL", b"l"), (b"oeOE", b"e"), (b"kuKU", b"u")):
    for _letter in _letters:
        _FLAT[_letter] = _as[0]
for _separator in b"\t-.\xa0\xc2":  # they group digits as a space does; C2 A0 is a no-break space in UTF-8
    _FLAT[_separator] = 32
FLAT = bytes(_FLAT)
"""The table of the translation: letters lower and some made one, digits `0`, what groups digits a space."""

_RUN = b"0" * PAN_LENGTHS[0]
_TRACK_SEPARATORS = b"=^v"  # after a card number; `v` is the D of a chip card's track 2
# The ends of the tags before most digit runs of a t-log, 8 bytes each: known at a glance, no further look taken
_GLANCE_BYTES = 8
_OTHER_TAGS = frozenset(
    (b"<" + name + b">")[-_GLANCE_BYTES:] for name in (b"uniqueID", b"trlUPC", b"trpcRefNum", b"POSCode", b"POSItemID")
)


def mask(data: bytes, dialect: str = "") -> tuple[bytes, int]:
    """`data` with its card data blanked, at equal length, and how many bytes that changed.

    Card numbers are known by issuer prefix, length and Luhn (`pan`), in one run or in a card's grouping, and keep their
    first six and last four digits; where they stand can spare them or condemn other digits (`context`), and a run as
    short as an item code is one only where a word or a field calls it a card. Of track data only those ten digits and
    the separators stay, of card verification codes and PIN blocks nothing. UTF-16 text is read as what it says.
    `dialect` `ibm4690` adds the operator's passwords and packed card numbers of that binary log; any other name adds
    nothing.

    Returns the same object when nothing changed. Masking what is masked changes nothing. Never raises.
    """
    out = _pass(data, dialect)
    if out is data:
        return data, 0
    while (again := _pass(out, dialect)) is not out:  # a blanked word may have spared its neighbour
        out = again
    difference = int.from_bytes(data, "big") ^ int.from_bytes(out, "big")
    return out, len(data) - difference.to_bytes(len(data), "big").count(0)


def _pass(data: bytes, dialect: str) -> bytes:
    """Look once, and blank what was found: `X`, in packed fields FF, which reads as no digits at all."""
    flat = data.translate(FLAT)
    spans, beside_track = _runs(data, flat)
    if suspects_groups(flat):
        spans.extend(group_spans(data, flat))
        beside_track = beside_track or b"^" in data
    if beside_track:
        spans.extend(track_spans(data))
    if suspects_code(data, flat):
        spans.extend(code_spans(data))
    if suspects_wide(data, flat):
        spans.extend(_wide_spans(data))
    packed: list[Span] = []
    if dialect == "ibm4690":
        spans.extend(string_password_spans(data))
        packed = [*header_password_spans(data), *card_spans(data)]
    if not spans and not packed:
        return data
    out = bytearray(data)
    for fill, places in ((b"X", spans), (b"\xff", packed)):
        for start, end in places:
            out[start:end] = fill * (end - start)
    return data if out == data else bytes(out)


def _runs(data: bytes, flat: bytes) -> tuple[list[Span], bool]:
    """Card numbers written as one run of digits; and does a separator of tracks follow any run?"""
    spans: list[Span] = []
    beside_track = False
    at = flat.find(_RUN)
    while at >= 0:
        start, at = at, flat.find(_RUN, at + len(_RUN))
        if data[start - _GLANCE_BYTES : start] in _OTHER_TAGS:
            continue
        rest = flat[start + len(_RUN) : start + PAN_LENGTHS[-1] + 1]
        end = start + len(_RUN) + len(rest) - len(rest.lstrip(b"0"))
        if end - start not in PAN_LENGTHS or flat[start - 1 : start] == b"0":
            continue  # a longer run, or its second dozen
        if flat[end : end + 1] in _TRACK_SEPARATORS:  # true at the end of the data too, which is no matter
            beside_track = True
        if data[start] in FIRST_DIGITS and is_pan(data[start:end]):
            place = verdict(data, start, end)
            if place == LOOK and end - start in ITEM_LENGTHS:
                continue  # an item's bar code passes for a card too often
            if place != KEEP and not _is_bar_code(data, start, end):
                spans.append((start + KEEP_FIRST, end - KEEP_LAST))
        elif in_card_field(data, start) and verdict(data, start, end) == CARD:
            spans.append((start + KEEP_FIRST, end - KEEP_LAST))
    return spans, beside_track


def _wide_spans(data: bytes) -> Iterator[Span]:
    """What is to be blanked in text of two bytes a character."""
    for start, text in wide_texts(data):
        out = _pass(text, "")
        yield from ((start + 2 * n, start + 2 * n + 1) for n in range(len(text)) if out[n] != text[n])


def _is_bar_code(data: bytes, start: int, end: int) -> bool:
    """Does the run belong to a printer's bar code command, `GS k m` or `GS k m n`, and is it no longer than a GTIN?"""
    return end - start <= MAX_ITEM_DIGITS and b"\x1dk" in (data[start - 3 : start - 1], data[start - 4 : start - 2])
