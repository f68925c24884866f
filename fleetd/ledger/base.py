"""The nouns of the ledger, shared by what decodes, what keeps and what judges. Pure."""

from dataclasses import dataclass

# What a ticket may be flagged with.
VOID, ROLLBACK, PREPAY, COMPLETION = "void", "rollback", "prepay", "completion"
SUSPENDED, RECALLED, REFUND, OFFLINE = "suspended", "recalled", "refund", "offline"
TRAINING = "training"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a ticket. `kind` is `item`, `department`, `fuel`, `tax`, `promotion`, `loyalty` or `other`.

    number: the POS's or the line's place on the ticket; not unique (a NAXML item and its fee share theirs).
    upc: the item's code as the POS writes it, digits only (14 with leading zeros on a Commander; check digit or none as
        the site is set up; a price look-up number where that was keyed), "" where there is none.
    quantity_milli: thousandths, signed. unit_price_cents: before promotions, unsigned, rounded (fuel's `3.599` is 360).
    amount_cents: what the line adds to its ticket, signed, with all of `promotions` taken off already.
    promotions: (id, kind, cents taken off) each, negative where taken back.
    is_void: the line was taken back on the ticket, or takes one back: a ticket's void lines add up to nothing where the
        POS writes both (Commander, DVR journal); a NAXML POS cancels a line where it stands.
    is_duplicate: the line repeats one of another ticket (a prepay's basket on its completion).
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
    """One transaction of a till, normalised: whatever takes one of the register's running numbers.

    kind: `sale`, `refund`, `void`, `payin`, `payout`, `safedrop`, `safeloan`, `nosale`, else the POS's own word in
        lower case; flags say more (a suspended sale is a `sale`).
    counted_cents: what it adds to the POS's own totals: 0 for one that the POS does not count (void, suspended,
        training; on a Commander also a prepay and its rollback, for the completion counts); total_cents: what stands on
        it, None when it has no total.
    serial: the Commander's store-wide `trUniqueSN`, on every ticket but a rollback. Two measured days have no hole in
        it, nor between them. number: the register's own running number (`trSeq`, TransactionID, TRAN#); as text, ""
        where absent. `trSeq` has no holes on a cashier's register, has some on a pump's, and a rollback repeats its
        prepay's; holes in TRAN# are the numbers of suspended tickets.
    cashier: the number, or the name where there is none; of a completion, the one who took the prepay; "" for nobody.
    business_day: ISO date if the record says it, else "". periods: `daily:311`, `shift:391` … as the record says it.
    pos_time: ISO 8601, as the record says it. linked: the `number` this one completes, refunds or recalls, or "".
    tenders: (kind, cents) each, negative where given back. loyalty: (program, id as masked by the POS) each.
    age_check: how (`skipped`, `manual`, `bypassed` …), or "".
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

    kind: `open`, `close` (a cashier's) or `period`. first, last, count: ticket numbers between, as the POS says (a
        Commander's count was one less than they are; a NAXML shift's is its customers: sales that complete no prepay).
    period: the one that was closed, `daily:311`, `cashier:702`. A Commander's document holds each cashier's opening and
        close twice, and both give the same Marker. total_cents: the sales total the record states, None if none.
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
    """What an envelope says: one end of a period's running totals, and at the start the head's facts.

    side: `start` or `end`. The end stands in an envelope of its own, which names neither store nor period: it belongs
    to the start before it. sums: (name, cents) each (`overallSales`, `insideSales` …), () where there are none (NAXML).
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
    """A record that is neither (a journal line, a price change): kept for its time, register and words only."""

    store: str
    register: str
    kind: str
    pos_time: str = ""
    text: str = ""


Decoded = Ticket | Marker | Totals | Event
