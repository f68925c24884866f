"""Sensitive authentication data: magnetic tracks, card verification codes, PIN blocks (PCI DSS 4.0.1, 3.3.1).

Tracks after ISO/IEC 7813: track 1 `%B<number>^<name>^<YYMM…>?`, track 2 `;<number>=<YYMM…>?`; chip cards and payment
terminals write track 2 with `D` for `=` and without sentinels (EMV tag 57). Codes by the names the brands give them
(CVV, CVV2, CVC, CVC2, CAV2, CID, "security code", "card verification value").
"""

import re
from collections.abc import Iterator

from routerd.tlog.pan import KEEP_FIRST, KEEP_LAST, is_pan

_TRACK_1 = re.compile(
    rb"B([0-9X*][0-9X* ]{10,22})\^([^\^\r\n<>?]{2,26})\^([^?\r\n<>\"]{0,64}(?=\?)|[0-9A-Za-z]*)", re.IGNORECASE
)
_TRACK_2 = re.compile(rb"(;?)(?<![0-9X*])([0-9X*]{12,19})[=Dd]([0-9]{4,}[0-9=Ff]*)(\??)")

_CODE = (
    rb"[\w.-]*(?:cvv2?|cvc2?|cav2)(?:_?(?:code|number|num|no|value|val|data))?|cid"
    rb"|[\w.-]*security_?code|[\w.-]*card_?verification_?(?:value|code|number|data|id)?2?"
)
_PIN = rb"[\w.-]*pin_?block(?:_?(?:data|value))?"
_FIELDS = tuple(
    (re.compile(shape % names, re.IGNORECASE), blank)
    for names, blank in ((_CODE, re.compile(rb"[0-9]+")), (_PIN, re.compile(rb"[0-9A-Za-z+/=]+")))
    for shape in (
        rb"<(?:[\w.-]+:)?(?:%s)(?:\s[^<>]*)?>([^<]{1,128})",
        rb"[\s:](?:%s)\s*=\s*[\"']([^\"'<>]{1,128})",
    )
)
_SPOKEN = (
    re.compile(
        rb"(?<![A-Za-z0-9])(?:(?:cvv2?|cvc2?|cav2)(?:[ _]?(?:code|number|num|no))?|(?:card[ _-]?)?security[ _-]?code"
        rb"|card[ _-]?verification[ _-]?(?:value|code|number))[\"']?\s{0,3}[:=#]?\s{0,3}[\"']?([0-9]{3,4})(?![0-9])",
        re.IGNORECASE,
    ),
    # a bare CID may be a cashier's: only with a separator
    re.compile(rb"(?<![A-Za-z0-9])cid[\"']?\s{0,3}[:=#]\s{0,3}[\"']?([0-9]{3,4})(?![0-9])", re.IGNORECASE),
    re.compile(rb"(?<![A-Za-z0-9])pin[ _-]?block[\"']?\s{0,3}[:=#]?\s{0,3}[\"']?([0-9A-F]{16,32})", re.IGNORECASE),
)

_SIGNS = (b"cvv", b"cvc", b"lecu")  # what `masking.FLAT`, which makes some letters one, leaves of the words above
_ENDS = (b"cvv", b"cid", b"cav", b"cvc", b"fication", b"lock", b"security")  # and what stood there


def suspects_code(data: bytes, flat: bytes) -> bool:
    """Is any word of a code's name there? `flat` is `data` through `masking.FLAT`. Cheap; now and then a false yes."""
    for sign in _SIGNS:
        at = flat.find(sign)
        while at >= 0:
            if data[at : at + 8].lower().startswith(_ENDS):
                return True
            at = flat.find(sign, at + 1)
    return False


def code_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """Every digit of a verification code, every character of a PIN block: in elements, attributes and plain words."""
    for field, blank in _FIELDS:
        for found in field.finditer(data):
            for part in blank.finditer(data, found.start(1), found.end(1)):
                yield part.span()
    for spoken in _SPOKEN:
        for found in spoken.finditer(data):
            yield found.span(1)


def track_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """All of a track but its separators, its sentinels and the number's first six and last four digits.

    Track 2 without a sentinel is one only if its number is a card's: `=` and `D` between digits are common.
    """
    for found in _TRACK_1.finditer(data):
        yield from _number(data, *found.span(1))
        yield found.span(2)
        yield from _between(data, *found.span(3))
    for found in _TRACK_2.finditer(data):
        if found[1] or found[4] or is_pan(found[2]):
            yield from _number(data, *found.span(2))
            yield from _between(data, *found.span(3))


def _number(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = [n for n in range(start, end) if data[n] != 32]
    yield from ((n, n + 1) for n in at[KEEP_FIRST:-KEEP_LAST])


def _between(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    yield from ((n, n + 1) for n in range(start, end) if data[n] not in b"^=?")
