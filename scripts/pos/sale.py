"""One ticket as nouns: what every renderer prints. Amounts are integer cents."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scripts.pos.shop import TAXES, Cashier, Grade, Product, Promotion


@dataclass(frozen=True, slots=True)
class Fuel:
    """Fuel at a pump. A prepaid deposit has no `grade` yet."""

    pump: int
    grade: Grade | None = None
    gallons_milli: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a ticket. `at_s` counts from the ticket's first key; `sign` is -1 where goods come back, by a refund
    or by a void, which then names the 1-based line it takes back in `voids`."""

    product: Product
    cents: int  # unit price
    qty: int = 1
    sign: int = 1
    at_s: float = 0.0
    entry: str = "scanned"
    promotion: Promotion | None = None
    promo_cents: int = 0  # taken off the whole line, as a positive number
    voids: int = 0
    taken_back: bool = False  # a later line voids it
    duplicate: bool = False
    fuel: Fuel | None = None

    @property
    def gross_cents(self) -> int:
        """Sign times quantity times price, before promotions."""
        return self.sign * self.qty * self.cents

    @property
    def net_cents(self) -> int:
        return self.gross_cents - self.promo_cents


@dataclass(frozen=True, slots=True)
class Card:
    """`account` is what the POS prints, nearly always masked; `pan` is the number where the POS leaked it whole."""

    brand: str
    account: str
    entry: str
    pan: str = ""


@dataclass(frozen=True, slots=True)
class Tender:
    kind: str  # CASH, CREDIT or DEBIT
    cents: int
    change_cents: int = 0
    card: Card | None = None
    preauth_cents: int = 0  # what was held for fuel before the pump stopped
    pending: bool = False


@dataclass(frozen=True, slots=True)
class Tax:
    letter: str
    base_cents: int
    cents: int


@dataclass(frozen=True, slots=True)
class Sale:
    """One ticket.

    kind: `sale`, `refund`, `void`, `suspended`, `nosale`, `safedrop` or `payout`.
    opened: the POS's own local time of the first key.
    original: the ticket recalled, or the prepay that this ticket completes or rolls back, as (register, ticket).
    """

    kind: str
    register: int
    ticket: int
    cashier: Cashier
    opened: datetime
    lasted_s: float
    lines: tuple[Line, ...] = ()
    taxes: tuple[Tax, ...] = ()
    tenders: tuple[Tender, ...] = ()
    loyalty: str = ""
    recalled_lines: int = 0  # how many of the first lines come from the suspended ticket `original`
    prepay: bool = False
    completion: bool = False
    rollback: bool = False
    original: tuple[int, int] | None = None
    amount_cents: int = 0  # of a safe drop or a payout

    @property
    def number(self) -> str:
        """Register and running number in one, as the POS prints it: 1028363."""
        return f"{self.register}{self.ticket:04d}"

    @property
    def closed(self) -> datetime:
        return self.opened + timedelta(seconds=self.lasted_s)

    @property
    def net_cents(self) -> int:
        return sum(line.net_cents for line in self.lines)

    @property
    def tax_cents(self) -> int:
        return sum(tax.cents for tax in self.taxes)

    @property
    def total_cents(self) -> int:
        return self.net_cents + self.tax_cents

    @property
    def grand_cents(self) -> int:
        """What the ticket adds to the grand total, which never shrinks: what was voided counts, and counts twice."""
        if self.kind == "suspended":
            return 0
        gross = sum(abs(line.net_cents) for line in self.lines)
        return gross if self.kind == "void" else gross + abs(self.tax_cents)

    @property
    def recalled(self) -> bool:
        return self.recalled_lines > 0

    @property
    def outdoor(self) -> bool:
        return self.register >= 900

    @property
    def network(self) -> bool:
        """Paid over the card network: the POS calls it a `network sale`."""
        return any(tender.card for tender in self.tenders)

    @property
    def counts(self) -> bool:
        """Whether the total is part of the period's overall sales (the rule that balances genuine periods)."""
        return self.kind in ("sale", "refund") and not self.prepay and not self.rollback

    @property
    def pans(self) -> tuple[str, ...]:
        return tuple(tender.card.pan for tender in self.tenders if tender.card and tender.card.pan)


def taxes(lines: tuple[Line, ...]) -> tuple[Tax, ...]:
    """Tax per rate on the sum of its lines, half cents away from zero, as registers do."""
    out = []
    for letter, (_, _, rate) in TAXES.items():
        base = sum(line.net_cents for line in lines if line.product.department.tax == letter)
        if base:
            tax = (abs(base) * rate + 50_000) // 100_000
            out.append(Tax(letter, base, tax if base > 0 else -tax))
    return tuple(out)


def paced(sale: Sale, factor: float) -> Sale:
    """The same ticket keyed in `factor` times the time."""
    if factor == 1.0:
        return sale
    lines = tuple(replace(line, at_s=line.at_s * factor) for line in sale.lines)
    return replace(sale, lines=lines, lasted_s=sale.lasted_s * factor)


def money(cents: int) -> str:
    """-1234 -> "-12.34"."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def milli(value: int) -> str:
    """9197 -> "9.197"."""
    return f"{value // 1000}.{value % 1000:03d}"
