"""The Commander's XML t-log: `<trans>` records on one line without newlines, as a stream or inside a period. Pure.

As measured on genuine periods: `uniqueID` rises with gaps, `trUniqueSN` is on every sale but the rollback copy, which
repeats its prepay's `trSeq` and takes its serial from the pump; a poller's every call leaves a SECURE USER record.
"""

from datetime import datetime, timedelta
from random import Random

from scripts.pos.sale import Sale, Tax, money
from scripts.pos.shop import TAXES, Shop
from scripts.pos.ticket import Ticket, whole
from scripts.pos.transxml import line_xml, payline_xml, text

_GAP_SHARE = 0.07  # of uniqueIDs are followed by a hole, as in three genuine days
_CALLS = ("validate", "vtlogpdlist", "vtransset", "vfuelprices", "vPLUs", "vrubyrept", "releaseCredential")
_NOISE = (
    ("SALES EVENT", "DOB SKIPPED"),
    ("LOGIN/LOGOUT", "ENTER SALES EMPLOYEE# 4 "),
    ("OTHER", "ACTIVE - Price book update 12 of 40"),
    ("DCR EVENT", "** 41 DCR PREAUTH PUMP 5&#xd;** 41 AUTH # 000000&#xd;** 41 STAN # 000000&#xd;"),
)


class Transset:
    """Renders the store's t-log. `noise` is the mean number of journal records per ticket (genuine sites: 6).

    `identified` False is a release of 2018 or before, whose records have no `uniqueID`. `shift` and `daily` number the
    running periods where somebody keeps count; 0 derives them from the date.
    """

    outdoor = True

    def __init__(
        self,
        shop: Shop,
        *,
        installed: datetime,
        site: int = 500000001,
        noise: float = 0.5,
        seed: int = 0,
        identified: bool = True,
    ) -> None:
        self._shop, self._noise, self._site, self._identified = shop, noise, site, identified
        self._rng = Random(seed ^ 0x7105)  # its own, so that noise does not change the sales
        self._prefix = _prefix(installed, site)
        self._unique = self._rng.randrange(1_000, 9_000_000)
        self._unique_sn = self._rng.randrange(1_000, 900_000)
        self._messages: dict[int, int] = {}
        self._restarted = False
        self.shift = self.daily = 0
        hours, minutes = divmod(abs(shop.utc_offset_min), 60)
        self._offset = f"{'-' if shop.utc_offset_min < 0 else '+'}{hours:02d}:{minutes:02d}"

    def render(self, sale: Sale) -> list[Ticket]:
        out = [self.journal(sale.opened) for _ in range(self._noise_count())]
        unique, time = self._next_unique(), self.time(sale.closed)
        word = _word(sale)
        data = (
            f'<trans type="{word}"{_flags(sale)}>{self._header(sale, unique, time)}'
            f"{_value(sale)}{_loyalty(self._shop, sale)}{_network_products(sale)}"
            f"{_lines(sale)}{self._paylines(sale, time)}</trans>"
        )
        total = sale.total_cents if sale.lines else 0
        who = self._identity(unique)
        out.append(Ticket(whole(data.encode()), who, word, total, sale.counts, time, sale.pans, sale.loyalty))
        return out

    def journal(self, at: datetime) -> Ticket:
        """A record of the log about itself: nearly always somebody's call of the CGI."""
        rng = self._rng
        unique = self._next_unique()
        kind, words = (
            "SECURE USER",
            (
                f"USER: backoffice, SEC EMP ID# 8 - {rng.choice(_CALLS)} - PASSED - HTTP REQUEST - Register ID# 0 - "
                f"REMOTE IP# 192.168.31.{rng.randrange(20, 99)} - "
            ),
        )
        if rng.random() < 0.2:
            kind, words = rng.choice(_NOISE)
        return self._journal(at, unique, kind, words)

    def note(self, at: datetime, kind: str, words: str) -> Ticket:
        """A journal record of the controller that says `words`, whose `trjText` is of that kind."""
        return self._journal(at, self._next_unique(), kind, text(words))

    def _journal(self, at: datetime, unique: str, kind: str, words: str) -> Ticket:
        number, time = self._message(0), self.time(at)
        data = (
            f'<trans type="journal"><trHeader><termMsgSN type="JOURNAL" term="0">{number}</termMsgSN>'
            f"{self._periods(at)}<date>{time}</date><duration>0</duration><posNum>0</posNum>"
            f"<storeNumber>{self._shop.number}</storeNumber>{self.unique_tag(unique)}</trHeader>"
            f'<trJournal><trjText type="{kind}">{words}</trjText><marker/></trJournal></trans>'
        )
        return Ticket(whole(data.encode()), self._identity(unique), "journal", pos_time=time)

    def time(self, at: datetime) -> str:
        """POS local time with the shop's offset."""
        return f"{at.isoformat(timespec='seconds')}{self._offset}"

    def next_unique(self) -> str:
        """For the records of a period that no sale makes."""
        return self._next_unique()

    def unique_tag(self, unique: str) -> str:
        """The element that carries a `uniqueID`; nothing in a release that has none."""
        return f"<uniqueID>{unique}</uniqueID>" if self._identified else ""

    def restart(self) -> None:
        """The controller boots: every terminal's serials begin again at 1, the `uniqueID` goes on."""
        self._messages.clear()
        self._restarted = True

    def reinstall(self, at: datetime) -> None:
        """The controller is reloaded from an image: `uniqueID` counts from 1 behind a new prefix."""
        self.restart()
        self._prefix, self._unique = _prefix(at, self._site), 0

    def _identity(self, unique: str) -> str | None:
        return f"transset:{unique}" if self._identified else None

    def _periods(self, at: datetime) -> str:
        day = (at - timedelta(hours=2)).toordinal() % 1000  # a business day starts at 2 a.m.
        return (
            f'<period level="0" seq="{at.hour + 1}" name="HOUR"/>'
            f'<period level="1" seq="{self.shift or day + 80}" name="SHIFT"/>'
            f'<period level="2" seq="{self.daily or day}" name="DAILY"/>'
        )

    def _next_unique(self) -> str:
        self._unique += 1 + (self._rng.random() < _GAP_SHARE)
        return f"{self._prefix}-{self._unique:010d}"

    def _message(self, register: int) -> int:
        first = 0 if self._restarted else register * 1_000_000 + 100_000
        number = self._messages.get(register, first) + 1
        self._messages[register] = number
        return number

    def _noise_count(self) -> int:
        """Geometric, so that some tickets stand alone and others after a burst."""
        count, go_on = 0, self._noise / (1 + self._noise)
        while self._rng.random() < go_on:
            count += 1
        return count

    def _header(self, sale: Sale, unique: str, time: str) -> str:
        serial = ""
        if sale.rollback and sale.original:
            number = self._messages.get(sale.original[0], 0)
        else:
            number = self._message(sale.register)
            if sale.lines:
                self._unique_sn += 1
                serial = f"<trUniqueSN>{self._unique_sn}</trUniqueSN>"
        return (
            f'<trHeader><termMsgSN type="FINANCIAL" term="{sale.register}">{number}</termMsgSN>'
            f"<trTickNum><posNum>{sale.register}</posNum><trSeq>{sale.number}</trSeq></trTickNum>"
            f"{_original(sale)}{serial}{_recall(sale)}{self._periods(sale.closed)}<date>{time}</date>"
            f"<duration>{int(sale.lasted_s)}</duration><till>1</till>{_cashiers(sale)}"
            f"<storeNumber>{self._shop.number}</storeNumber><physicalRegisterID>{sale.register}</physicalRegisterID>"
            f"{self.unique_tag(unique)}</trHeader>"
        )

    def _paylines(self, sale: Sale, time: str) -> str:
        if sale.amount_cents:
            return (
                '<trPaylines><trPayline type="sale" locale="USD"><trpPaycode mop="1" cat="0" nacstendercode="generic" '
                f'nacstendersubcode="generic">CASH</trpPaycode><trpAmt>{money(sale.amount_cents)}</trpAmt>'
                "</trPayline></trPaylines>"
            )
        if not sale.tenders:
            return ""
        lines = "".join(payline_xml(sale, tender, time, self._rng.randrange(10**6)) for tender in sale.tenders)
        return f"<trPaylines>{lines}</trPaylines>"


def _word(sale: Sale) -> str:
    if sale.kind in ("sale", "refund"):
        word = "sale" if sale.kind == "sale" else "refund sale"
        if not sale.network:
            return word
        return "network sale" if sale.kind == "sale" else "refund network sale"
    return "sale" if sale.kind == "suspended" else sale.kind


def _flags(sale: Sale) -> str:
    if not sale.lines:
        return ""
    out = ' suspended="true"' if sale.kind == "suspended" else ""
    out += f' recalled="{"true" if sale.recalled else "false"}"'
    for name, on in (("fuelPrepay", sale.prepay), ("fuelPrepayCompletion", sale.completion)):
        out += f' {name}="true"' if on else ""
    return out + (' rollback="true"' if sale.rollback else "")


def _prefix(installed: datetime, site: int) -> str:
    millis = int((installed - datetime(1970, 1, 1)).total_seconds() * 1000)
    return f"{millis}-{site:09d}"


def _original(sale: Sale) -> str:
    if not (sale.completion and sale.original):
        return ""
    register, ticket = sale.original
    number = f"{register}{ticket:04d}"
    return f"<trOriginalTickNum><posNum>{register}</posNum><trSeq>{number}</trSeq></trOriginalTickNum>"


def _recall(sale: Sale) -> str:
    if not (sale.recalled and sale.original):
        return ""
    register, ticket = sale.original
    return f'<trRecall transType="sale"><posNum>{register}</posNum><trSeq>{register}{ticket:04d}</trSeq></trRecall>'


def _cashiers(sale: Sale) -> str:
    if sale.outdoor:
        nobody = f'<cashier sysid="0" empNum="" posNum="{sale.register}" period="0" drawer="1"></cashier>'
        if not (sale.completion and sale.original):
            return nobody
        return nobody + _cashier(sale, sale.original[0], "originalCashier")
    return _cashier(sale, sale.register, "cashier")


def _cashier(sale: Sale, register: int, tag: str) -> str:
    number = sale.cashier.number
    return (
        f'<{tag} sysid="{number}" empNum="{number}" posNum="{register}" period="{400 + number}" drawer="1">'
        f"{text(sale.cashier.name)}</{tag}>"
    )


def _value(sale: Sale) -> str:
    if not sale.lines:
        return f'<trValue><trCurrTot locale="USD">{money(sale.amount_cents)}</trCurrTot></trValue>'
    total, dead = money(sale.total_cents), sale.kind in ("void", "suspended")
    age = max(line.product.department.min_age for line in sale.lines)
    dob = f'<custDOB dobEntryMeth="Skipped" minAge="{age}" custAge="{age}" dob="010100">SKIPID</custDOB>' if age else ""
    return (
        f"<trValue><trTotNoTax>{money(sale.net_cents)}</trTotNoTax><trTotWTax>{total}</trTotWTax>"
        f"<trTotTax>{money(sale.tax_cents)}</trTotTax>{_taxes(sale.taxes)}"
        f'<trCurrTot locale="USD">{total}</trCurrTot><trSTotalizer>{"0" if dead else total}</trSTotalizer>'
        f"<trGTotalizer>{money(sale.grand_cents)}</trGTotalizer>{dob}</trValue>"
    )


def _taxes(taxes: tuple[Tax, ...]) -> str:
    if not taxes:
        return "<trTax/>"
    out = []
    for tax in taxes:
        number, name, rate = TAXES[tax.letter]
        tags = f'sysid="{number}" cat="{name}"'
        out.append(
            f"<taxAmt {tags}>{money(tax.base_cents)}</taxAmt><taxRate {tags}>{rate / 1000:.3f}</taxRate>"
            f"<taxNet {tags}>{money(tax.cents)}</taxNet><taxAttribute {tags}>0</taxAttribute>"
        )
    return f"<trTax><taxAmts>{''.join(out)}</taxAmts></trTax>"


def _loyalty(shop: Shop, sale: Sale) -> str:
    if not sale.loyalty:
        return ""
    return (
        f'<trLoyalty><trLoyaltyProgram programID="{shop.program}"><trloSubTotal>{money(sale.total_cents)}'
        "</trloSubTotal><trloAutoDisc>0.00</trloAutoDisc><trloCustDisc>0.00</trloCustDisc>"
        f"<trloAccount>{sale.loyalty}</trloAccount><trloEntryMeth>Keyboard</trloEntryMeth>"
        "<trloAuthReply> </trloAuthReply></trLoyaltyProgram></trLoyalty>"
    )


def _network_products(sale: Sale) -> str:
    if not (sale.network and sale.tax_cents):
        return ""
    return (
        f"<trExNetProds><trExNetProd><trENPPcode>950</trENPPcode><trENPAmount>{money(sale.tax_cents)}</trENPAmount>"
        "<trENPItemCnt>1</trENPItemCnt></trExNetProd></trExNetProds>"
    )


def _lines(sale: Sale) -> str:
    if not sale.lines:
        return ""
    return f"<trLines>{''.join(line_xml(sale, line) for line in sale.lines)}</trLines>"
