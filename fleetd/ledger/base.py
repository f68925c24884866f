"""The nouns of the ledger, shared by what decodes, what keeps and what judges. Pure."""

from dataclasses import dataclass

# What a ticket may be flagged with.
VOID, ROLLBACK, PREPAY, COMPLETION = "void", "rollback", "prepay", "completion"
SUSPENDED, RECALLED, REFUND, OFFLINE = "suspended", "recalled", "refund", "offline"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a ticket. `kind` is `item`, `department`, `fuel`, `tax`, `promotion`, `loyalty` or `other`.

    upc: as the POS writes it, digits only (14 with leading zeros on a Commander), "" where there is none.
    quantity_milli: thousandths, signed; amount_cents, unit_price_cents: signed as on the ticket.
    promotions: (id, kind, cents taken off) each. is_void: the line was taken back on the ticket; is_duplicate: the
    line repeats one of another ticket (a prepay's basket on its completion).
    """

    number: int
    kind: str
    description: str = ""
    upc: str = ""
    upc_modifier: str = ""
    entry: str = ""  # scanned, manual, key …
    department: str = ""
    quantity_milli: int = 1000
    unit_price_cents: int = 0
    amount_cents: int = 0
    promotions: tuple[tuple[str, str, int], ...] = ()
    is_void: bool = False
    is_duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Ticket:
    """One transaction of a till, normalised.

    counted_cents: what it adds to the POS's own totals: 0 for one that the POS does not count (void, rollback,
        suspended, the prepaid half of a prepay); total_cents: what stands on it, None when it has no total.
    serial: the POS's number of counted tickets where it has one (Commander `trUniqueSN`), number: the register's own
        running number (`trSeq`, TransactionID, TRAN#); both as text, "" where absent.
    business_day: ISO date if the record says it, else "". period: `daily:311`, `shift:391` … as the record says it.
    pos_time: ISO 8601, as the record says it. linked: the ticket this one completes, refunds or recalls, or "".
    tenders: (kind, cents) each. loyalty: (program, id as masked by the POS) each. age_check: how, or "".
    """

    store: str
    register: str
    number: str
    kind: str
    serial: str = ""
    cashier: str = ""
    business_day: str = ""
    periods: tuple[str, ...] = ()
    pos_time: str = ""
    flags: frozenset[str] = frozenset()
    total_cents: int | None = None
    counted_cents: int = 0
    is_outside: bool = False  # paid at the pump
    linked: str = ""
    lines: tuple[Line, ...] = ()
    tenders: tuple[tuple[str, int], ...] = ()
    loyalty: tuple[tuple[str, str], ...] = ()
    age_check: str = ""


@dataclass(frozen=True, slots=True)
class Marker:
    """A record that sells nothing but says where a count stands: a cashier's or a period's close.

    kind: `open`, `close` (a cashier's) or `period`. first, last, count: ticket numbers between, as the POS says.
    total_cents: the sales total the record states, None if it states none.
    """

    store: str
    register: str
    kind: str
    pos_time: str = ""
    business_day: str = ""
    period: str = ""  # `daily:311`
    first: str = ""
    last: str = ""
    count: int | None = None
    total_cents: int | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """What an envelope says: one end of a period's running totals, or both ends' head facts.

    side: `start` or `end`. sums: name -> cents (`overallSales`, `insideSales` …).
    """

    side: str
    store: str = ""
    period: str = ""  # `daily:311`
    business_day: str = ""
    opened: str = ""  # ISO 8601 with offset
    closed: str = ""
    sums: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """A record that is neither (a journal line, a price change, a no-sale): kept for its time and register only."""

    store: str
    register: str
    kind: str
    pos_time: str = ""
    text: str = ""


Decoded = Ticket | Marker | Totals | Event
