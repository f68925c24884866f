"""The stream of tickets of one shop: who comes when, what is suspended, which pump still runs. Pure."""

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from scripts.pos.basket import apply_promotions, draw_card, draw_lines, draw_loyalty, draw_tender, gap_s
from scripts.pos.sale import Fuel, Line, Sale, Tender, taxes
from scripts.pos.shop import DEPOSIT, GRADES, Cashier, PosClock, Product, Shop

_HOUR_WEIGHT = (2, 1, 1, 1, 2, 5, 11, 16, 15, 10, 9, 11, 15, 13, 10, 11, 15, 18, 16, 12, 9, 7, 5, 3)  # two rushes
_KINDS = ("sale", "prepay", "suspended", "void", "refund", "nosale", "safedrop", "payout", "pump")
_SHARES = (76, 9, 3, 2, 1.5, 1.5, 1, 1, 25)  # `pump` only where outdoor sales reach the log
_NOBODY = Cashier(0, "")


def arrivals(rng: Random, start: datetime, per_hour: float) -> Iterator[datetime]:
    """Customers from `start` on: Poisson, `per_hour` on average over a day, busier at breakfast and after work."""
    mean = sum(_HOUR_WEIGHT) / 24
    at = start
    while True:
        at += timedelta(seconds=rng.expovariate(per_hour * _HOUR_WEIGHT[at.hour] / mean / 3600))
        yield at


class Trade:
    """Sells. The same shop, seed and times give the same tickets.

    `outdoor` is whether the log shows what happens on the pumps' registers: a Commander's t-log does, a register's
    own journal does not. `at_end` is whether the time given to `serve` is that of the ticket's end rather than of its
    first key: a log that writes a ticket when it is paid, fed by a wall clock, needs the former.
    """

    def __init__(
        self,
        shop: Shop,
        clock: PosClock,
        *,
        seed: int,
        outdoor: bool = True,
        at_end: bool = False,
        pan_rate: float = 0.04,
    ) -> None:
        self._shop, self._clock, self._outdoor, self._pan_rate = shop, clock, outdoor, pan_rate
        self._rng, self._at_end = Random(seed), at_end
        self._tickets: dict[int, int] = {}
        self._suspended: list[Sale] = []
        self._pumping: list[Sale] = []

    def serve(self, at: datetime) -> tuple[Sale, ...]:
        """What the customer who comes at `at` (true local time) leaves in the log: one ticket, or a settled prepay."""
        rng, opened = self._rng, self._clock.read(at)
        if self._suspended and rng.random() < 0.5:
            return (self._recall(opened),)
        if self._pumping and rng.random() < 0.3:
            return self._settle(opened)
        kind = rng.choices(_KINDS[: 9 if self._outdoor else 8], _SHARES[: 9 if self._outdoor else 8])[0]
        if kind == "pump":
            return (self._pay_at_pump(opened),)
        if kind in ("nosale", "safedrop", "payout"):
            amount = 0 if kind == "nosale" else rng.randrange(1, 20) * 1000
            sale = self._blank(kind, opened, gap_s(rng))
            return (replace(sale, amount_cents=amount),)
        return (self._basket(kind, opened),)

    def _basket(self, kind: str, opened: datetime) -> Sale:
        rng = self._rng
        lines = draw_lines(rng)
        if kind == "refund":
            lines = [_returned(lines[0])]
        if kind == "prepay":
            lines = _with_deposit(rng, lines[: rng.choice((0, 0, 1, 2))], self._shop.pumps)
        sale = self._blank("sale" if kind == "prepay" else kind, opened, lines[-1].at_s + gap_s(rng))
        sale = replace(sale, lines=tuple(lines), taxes=taxes(tuple(lines)), prepay=kind == "prepay")
        if kind == "suspended":
            self._suspended.append(sale)
        if kind in ("suspended", "void"):
            return sale
        loyalty = draw_loyalty(rng) if rng.random() < 0.18 else ""
        sale = replace(sale, loyalty=loyalty, tenders=(draw_tender(rng, lines, pan_rate=self._pan_rate),))
        if sale.prepay:
            sale = _held(sale)
            if self._outdoor:
                self._pumping.append(sale)
        return sale

    def _recall(self, opened: datetime) -> Sale:
        held = self._suspended.pop(0)
        rng = self._rng
        more = [replace(line, at_s=line.at_s + 1.0) for line in draw_lines(rng)[:2] if not line.voids]
        both = [replace(line, at_s=0.0) for line in held.lines] + [replace(x, taken_back=False) for x in more]
        plain = [replace(line, promotion=None, promo_cents=0) for line in both]
        lines = tuple(apply_promotions(plain))
        sale = self._blank("sale", opened, lines[-1].at_s + gap_s(rng), held.register)
        tender = draw_tender(rng, lines, pan_rate=self._pan_rate)
        return replace(
            sale, lines=lines, taxes=taxes(lines), tenders=(tender,), recalled_lines=len(held.lines),
            original=(held.register, held.ticket),
        )  # fmt: skip

    def _settle(self, opened: datetime) -> tuple[Sale, ...]:
        """The pump stopped: the completion on its register, and the rollback copy of the prepay beside it."""
        prepay = self._pumping.pop(0)
        deposit = next(line for line in prepay.lines if line.fuel)
        assert deposit.fuel is not None
        pump = 900 + deposit.fuel.pump
        tender = prepay.tenders[0]
        spent = deposit.cents
        if tender.card and self._rng.random() < 0.4:
            spent -= self._rng.randrange(0, spent * 7 // 10)
        basket = tuple(replace(line, duplicate=True) for line in prepay.lines if not line.fuel)
        lines = (*basket, _fuel_line(self._rng, deposit.fuel.pump, spent))
        saved = deposit.cents - spent
        paid = replace(tender, pending=False, cents=tender.cents - saved, preauth_cents=tender.cents if saved else 0)
        who = (prepay.register, prepay.ticket)
        completion = replace(
            prepay, register=pump, ticket=self._number(pump), lines=lines,
            opened=self._first_key(opened, prepay.lasted_s),
            taxes=taxes(lines), tenders=(paid,), prepay=False, completion=True, original=who,
        )  # fmt: skip
        early = prepay.lasted_s - 1.0 if prepay.lasted_s > 1.0 else 0.0
        rollback = replace(prepay, prepay=False, rollback=True, lasted_s=early, original=(pump, completion.ticket))
        return completion, rollback

    def _pay_at_pump(self, opened: datetime) -> Sale:
        rng = self._rng
        pump = rng.randrange(1, self._shop.pumps + 1)
        cents = rng.randrange(500, 9000)
        line = _fuel_line(rng, pump, cents)
        tender = Tender(rng.choice(("CREDIT", "DEBIT")), cents, card=draw_card(rng, self._pan_rate))
        sale = self._blank("sale", opened, 40 + cents / 50, 900 + pump)
        loyalty = draw_loyalty(rng) if rng.random() < 0.25 else ""
        return replace(sale, cashier=_NOBODY, lines=(line,), tenders=(tender,), loyalty=loyalty)

    def _blank(self, kind: str, opened: datetime, lasted_s: float, register: int = 0) -> Sale:
        register = register or self._rng.choice(self._shop.registers)
        cashier = self._shop.cashiers[register % len(self._shop.cashiers)]
        return Sale(kind, register, self._number(register), cashier, self._first_key(opened, lasted_s), lasted_s)

    def _first_key(self, at: datetime, lasted_s: float) -> datetime:
        return at - timedelta(seconds=lasted_s) if self._at_end else at

    def _number(self, register: int) -> int:
        last = self._tickets.get(register) or self._rng.randrange(1, 8000)
        self._tickets[register] = last % 9999 + 1  # four digits on the ticket, as on genuine ones
        return self._tickets[register]


def _returned(line: Line) -> Line:
    return replace(line, sign=-1, promotion=None, promo_cents=0, taken_back=False)


def _held(sale: Sale) -> Sale:
    """On a prepay a card is only authorised; the sale follows when the pump stops."""
    return replace(sale, tenders=tuple(replace(t, pending=bool(t.card)) for t in sale.tenders))


def _with_deposit(rng: Random, lines: list[Line], pumps: int) -> list[Line]:
    pump = rng.randrange(1, pumps + 1)
    product = Product(f"PREPAY CA #{pump:02d}", DEPOSIT, rng.choice((1000, 1500, 2000, 3000, 4000)))
    basket = [replace(line, promotion=None, promo_cents=0, taken_back=False) for line in lines if not line.voids]
    at_s = basket[-1].at_s + gap_s(rng) if basket else 0.0
    return [*basket, Line(product, product.cents, at_s=at_s, fuel=Fuel(pump))]


def _fuel_line(rng: Random, pump: int, cents: int) -> Line:
    grade = rng.choice(GRADES)
    product = Product(f"{grade.number:04d} CA #{pump:02d}", grade.department, cents)
    return Line(product, cents, fuel=Fuel(pump, grade, math.floor(cents * 10_000 / grade.mills + 0.5)))
