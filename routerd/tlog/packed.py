"""What the IBM 4690 TLOG holds in packed bytes and must not leave the store: passwords and card numbers.

Source: DFDLSchemas/IBM4690-TLOG (TlogSA.xsd, TlogAce.xsd). Record 00 carries the operator's `Password` (packed) as its
eighth field, record 20/11 (manager override) `Password1` and `Password2` (ASCII) as its eighth and ninth. Records
11/BB, 20/04 and 80 carry account numbers as packed decimals, two digits a byte, an odd first digit behind an F.

Record 00 separates its fields with `3A`. A packed byte is made of digits and F, so it is never `3A`; record 20 uses
`22 3A 22`. A record begins a line (`22` after the start or `0D 0A`) or follows `22 2C`; no packed number holds either.
"""

import re
from collections.abc import Iterator

from routerd.tlog.pan import is_pan

_HEADER_PASSWORD = re.compile(
    rb"(?:\A|\r\n|\x22,)\x22\x00:[^:]{2}:[^:]{2}:[^:]{5}:[^:]:[^:]{0,8}:[^:]{0,12}:([^:]{1,12}?)(?=:|\x22\r|\x22,)"
)
_FIELD = rb"(?:(?!\x22:\x22|\x22\r\n).){0,24}\x22:\x22"
_STRING_PASSWORDS = re.compile(
    rb"(?:\A|\r\n)\x22\x20:..\x22:\x22..\x22:\x22.{5}\x22:\x22\x11\x22:\x22" + _FIELD + _FIELD + rb"([^\x22\r\n]*)\x22"
    rb"(?::\x22([^\x22\r\n]*)\x22)?",
    re.DOTALL,
)
_DIGIT_PAIR = rb"[" + b"".join(rb"\x%x0-\x%x9" % (tens, tens) for tens in range(10)) + rb"]"
# 15 digits and more, in whole bytes: shorter packed numbers are item codes and amounts
_LONG_NUMBER = re.compile(rb"(?<=:)((?:[\xf0-\xf9]%s{7,9}|%s{8,9}))(?=[:\x22])" % (_DIGIT_PAIR, _DIGIT_PAIR))


def header_password_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """The packed password of every record 00."""
    return (found.span(1) for found in _HEADER_PASSWORD.finditer(data))


def string_password_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """The two ASCII passwords of every record 20/11."""
    for found in _STRING_PASSWORDS.finditer(data):
        yield from (found.span(n) for n in (1, 2) if found[n])


def card_spans(data: bytes) -> Iterator[tuple[int, int]]:
    """The middle of every packed card number: whole bytes, so that no more than six and four digits stay."""
    for found in _LONG_NUMBER.finditer(data):
        start, end = found.span(1)
        is_text = found[1].isdigit()  # ASCII digits are digit pairs too: 30 to 39
        if not is_text and is_pan(found[1].hex().lstrip("f").encode()):
            yield start + 3, end - 2
