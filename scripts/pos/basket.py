"""What one customer buys and pays with, drawn from a `random.Random`. Pure."""

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from scripts.pos.sale import Card, Line, Tender, taxes
from scripts.pos.shop import AGED, KEYS, PROMOTIONS, SHELF, Promotion

SCAN_GAP_S = 3.3  # the median between two lines of a genuine serial journal
SCAN_GAP_MAX_S = 90.0
AGED_SHARE = 0.5  # genuine: 48 % of tickets hold an age-restricted item keyed past the check

TEST_PANS = {  # numbers the card schemes and processors publish for testing; no account is behind them
    "VISA": ("4111111111111111", "4012888888881881"),
    "MC": ("5555555555554444", "5105105105105100"),
    "AMEX": ("378282246310005", "371449635398431"),
    "DISC": ("6011111111111117", "6011000990139424"),
}
_BRANDS = ("VISA", "VISA", "VISA", "MC", "MC", "AMEX", "DISC")
_MASKS = ("XXXX XXXX XXXX {}", "XXXX XXXX XXXX {}", "XXXXXXXXXXXX{}", "XXXX XXXXXX X{}")  # as genuine POSs space it
_NOTES_CENTS = (100, 500, 1000, 2000, 5000)


def draw_lines(rng: Random) -> list[Line]:
    """One to eight lines with their times; about every second basket holds tobacco or beer, promotions applied."""
    count = min(8, 1 + int(rng.expovariate(0.55)))
    lines = [_shelf_line(rng) for _ in range(count)]
    if rng.random() < AGED_SHARE:
        aged = rng.choice(AGED)
        copies = rng.choice((1, 1, 1, 2, 2, 3)) if aged.upc else 1
        lines[rng.randrange(count)] = Line(aged, aged.cents)
        lines.extend(Line(aged, aged.cents, entry="manual") for _ in range(copies - 1))
    if rng.random() < 0.06:
        _take_back(rng, lines)
    return _timed(rng, apply_promotions(lines))


def _shelf_line(rng: Random) -> Line:
    if rng.random() < 0.22:
        key = rng.choice(KEYS)
        return Line(key, key.cents * rng.choice((1, 1, 1, 2, 4)), entry="key")
    product = rng.choice(SHELF)
    return Line(product, product.cents, qty=rng.choice((1, 1, 1, 1, 1, 2)))


def _take_back(rng: Random, lines: list[Line]) -> None:
    at = rng.randrange(len(lines))
    wrong = lines[at]
    lines[at] = replace(wrong, taken_back=True)
    lines.append(replace(wrong, entry="manual", sign=-1, voids=at + 1))


def _timed(rng: Random, lines: list[Line]) -> list[Line]:
    at_s, out = 0.0, []
    for line in lines:
        out.append(replace(line, at_s=at_s))
        at_s += gap_s(rng)
    return out


def gap_s(rng: Random) -> float:
    """The time between two keys of a cashier."""
    return min(SCAN_GAP_MAX_S, rng.lognormvariate(math.log(SCAN_GAP_S), 0.9))


def apply_promotions(lines: Sequence[Line]) -> list[Line]:
    """Take every promotion's cents off the units that earn it; what was voided earns nothing."""
    out = list(lines)
    for promotion in PROMOTIONS:
        eligible = [
            [i for i, line in enumerate(out) if line.product.group == group and not line.voids and not line.taken_back]
            for group in promotion.groups
        ]
        units = [sum(out[i].qty for i in members) for members in eligible]
        earned = min(count // promotion.need for count in units) * promotion.need
        for members in eligible:
            _discount(out, members, promotion, earned)
    return out


def _discount(lines: list[Line], members: list[int], promotion: Promotion, units: int) -> None:
    for i in members:
        taken = min(units, lines[i].qty)
        if taken and lines[i].promotion is None:
            lines[i] = replace(lines[i], promotion=promotion, promo_cents=taken * promotion.off_cents)
        units -= taken


def draw_tender(rng: Random, lines: Sequence[Line], *, pan_rate: float) -> Tender:
    """How the basket is paid; `pan_rate` of the cards show their whole (test) number, as a misconfigured POS does."""
    total = sum(line.net_cents for line in lines) + sum(tax.cents for tax in taxes(tuple(lines)))
    kind = rng.choices(("CASH", "CREDIT", "DEBIT"), (38, 38, 24))[0]
    if kind != "CASH":
        return Tender(kind, total, card=draw_card(rng, pan_rate))
    given = total
    if rng.random() < 0.8:
        note = rng.choice(_NOTES_CENTS)
        given = -(-total // note) * note
    return Tender("CASH", given, change_cents=given - total)


def draw_card(rng: Random, pan_rate: float) -> Card:
    brand = rng.choice(_BRANDS)
    entry = rng.choice(("Swipe", "Chip", "Contactless"))
    if rng.random() < pan_rate:
        pan = rng.choice(TEST_PANS[brand])
        return Card(brand, pan, entry, pan)
    return Card(brand, rng.choice(_MASKS).format(f"{rng.randrange(10_000):04d}"), entry)


def draw_loyalty(rng: Random) -> str:
    """A loyalty id: a 555-01xx phone number, or a programme's 16 digits, which no card issuer's prefix begins."""
    if rng.random() < 0.6:
        return f"{rng.choice(('206', '312', '512', '614'))}55501{rng.randrange(100):02d}"
    return f"98{rng.randrange(10**14):014d}"
