"""Text tickets: delimited as DVR text outputs are, or framed STX … ETX LRC. Pure."""

from scripts.pos.sale import Line, Sale, milli, money
from scripts.pos.shop import Shop
from scripts.pos.ticket import Ticket, stamp, whole

STX, ETX = b"\x02", b"\x03"
START, END, EOL = "*** TICKET START ***", "*** TICKET END ***", "\r\n"


def lrc(data: bytes) -> int:
    """The XOR of all bytes: over everything after STX up to and including ETX."""
    value = 0
    for byte in data:
        value ^= byte
    return value


class Text:
    """Tickets between a start and an end string; both stand on lines of their own."""

    outdoor = False

    def __init__(self, shop: Shop, *, start: str = START, end: str = END, eol: str = EOL) -> None:
        self._shop, self._start, self._end, self._eol = shop, start, end, eol

    def render(self, sale: Sale) -> list[Ticket]:
        body = self._eol.join([self._start, *_body(self._shop, sale), self._end]) + self._eol
        return [_ticket(self._shop, sale, body.encode("ascii", "replace"))]


class Stx:
    """The same tickets, framed."""

    outdoor = False

    def __init__(self, shop: Shop, *, eol: str = EOL) -> None:
        self._shop, self._eol = shop, eol

    def render(self, sale: Sale) -> list[Ticket]:
        text = "".join(line + self._eol for line in _body(self._shop, sale)).encode("ascii", "replace") + ETX
        return [_ticket(self._shop, sale, STX + text + bytes([lrc(text)]))]


def _ticket(shop: Shop, sale: Sale, data: bytes) -> Ticket:
    time = stamp(sale.closed)
    identity = f"text:{shop.number}/{_register(sale)}/{_number(sale)}/{time}"
    return Ticket(whole(data), identity, sale.kind, sale.total_cents, sale.counts, time, sale.pans, sale.loyalty)


def _register(sale: Sale) -> str:
    return f"{sale.register % 100:02d}"


def _number(sale: Sale) -> str:
    return f"{sale.ticket:07d}"


def _body(shop: Shop, sale: Sale) -> list[str]:
    end = sale.closed
    lines = [
        shop.name,
        f"STORE {shop.number} REG {_register(sale)} TICKET {_number(sale)}",
        f"DATE {end:%Y-%m-%d} TIME {end:%H:%M:%S}",
        f"CASHIER {sale.cashier.name}",
    ]
    if sale.kind != "sale":
        lines.append(f"*{sale.kind.upper()}*")
    for line in sale.lines:
        lines.extend(_item(line))
    if sale.amount_cents:
        lines.append(f"{'AMOUNT':<28}{money(sale.amount_cents):>10}")
    if sale.lines:
        lines.extend(f"{'TAX ' + tax.letter:<28}{money(tax.cents):>10}" for tax in sale.taxes)
        lines.append(f"{'TOTAL':<28}{money(sale.total_cents):>10}")
    lines.extend(_tenders(sale))
    if sale.loyalty:
        lines.append(f"LOYALTY ID {sale.loyalty}")
    return lines


def _item(line: Line) -> list[str]:
    tag = "VOID " if line.voids else ""
    first = f"{(tag + line.product.name)[:26]:<26}{line.qty:>2}{money(line.gross_cents):>10}"
    out = [first]
    if line.product.upc:
        out.append(f"  UPC {line.product.upc}")
    if line.promotion:
        out.append(f"  {line.promotion.name[:24]:<26}{money(-line.promo_cents):>10}")
    if line.fuel and line.fuel.grade:
        out.append(f"  {milli(line.fuel.gallons_milli)} GAL")
    return out


def _tenders(sale: Sale) -> list[str]:
    out = []
    for tender in sale.tenders:
        out.append(f"{tender.kind:<28}{money(tender.cents):>10}")
        if tender.card:
            out.append(f"  {tender.card.brand} {tender.card.account} {tender.card.entry.upper()}")
        if tender.change_cents:
            out.append(f"{'CHANGE':<28}{money(tender.change_cents):>10}")
    return out
