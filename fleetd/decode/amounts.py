"""Numbers from the text of a record, exactly: money in cents, quantities in thousandths. Pure."""

import re

from routerd.errors import CorruptError

_NUMBER = re.compile(r"([+-]?)([0-9]{0,12})(?:\.([0-9]{0,12}))?")  # 12 digits: more than any store turns over
_COUNT = re.compile(r"[0-9]{1,9}")


def cents(text: str) -> int:
    """`text` as cents: `-12.3` is -1230. Digits behind the second decimal must be zeros (ROQQIO writes `1.290`).

    Raises CorruptError `decode.amount` for anything else; the message never repeats the text.
    """
    value, rest = _scaled(text, 2)
    if rest.strip("0"):
        raise CorruptError("decode.amount", "an amount has more than two decimals")
    return value


def nearest_cents(text: str) -> int:
    """A unit price in cents, half a cent away from zero: fuel's `3.599` is 360. Raises as `cents` for no number."""
    return _nearest(text, 2)


def milli(text: str) -> int:
    """A quantity in thousandths: `9.551` is 9551; a fourth decimal is rounded. Raises as `cents` for no number."""
    return _nearest(text, 3)


def count(text: str) -> int | None:
    """A number of things; None where `text` is none of up to nine digits."""
    return int(text) if _COUNT.fullmatch(text) else None


def _nearest(text: str, places: int) -> int:
    value, rest = _scaled(text, places)
    if rest < "5":
        return value
    return value - 1 if text.strip().startswith("-") else value + 1


def _scaled(text: str, places: int) -> tuple[int, str]:
    """The number times 10 ** places, cut off, and the digits cut off."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None or not (found[2] or found[3]):
        raise CorruptError("decode.amount", "an amount is no decimal number")
    digits = found[3] or ""
    value = int(f"{found[2] or '0'}{digits[:places]:0<{places}}")
    return (-value if found[1] == "-" else value), digits[places:]
