"""The Verifone journal on RS-232: an ESC/POS prefix, the register's clock, 40 columns. Pure.

Measured on a genuine register: LF only, no CR; the store/drawer/TRAN# half of the footer, `MANUAL ENTRY OVERRIDE` and
the last `ERROR CORRECT` end without LF, so the next prefix follows at once; a suspended ticket has no footer; a recall
prints the old lines again and then says so. Lines appear as the cashier scans.
"""

from datetime import datetime, timedelta

from scripts.pos.sale import Line, Sale, money
from scripts.pos.shop import Shop
from scripts.pos.ticket import Piece, Ticket, stamp

PREFIX = b"\x1bc0\x01\x1b!\x00"  # ESC c 0 (paper type), ESC ! (print mode): in front of every line
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FLAGS = {"H": "H  ", "L": "L  ", "": "   "}
_OVERRIDE_AGE = 21  # from here on the typed birth date needs the override; lottery asks for the date only


class Journal:
    """Renders one register's journal. Pumps do not appear in it."""

    outdoor = False

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def render(self, sale: Sale) -> list[Ticket]:
        roll = _Roll(sale)
        _print_body(roll, sale)
        end = sale.closed
        time = f"{end:%m/%d/%y %H:%M:%S}"
        if sale.kind == "suspended":
            roll.line(sale.lasted_s, f"TRANSACTION SUSPENDED # {sale.number}")
            identity = f"verifone-journal:{sale.register}/suspended/{sale.number}/{stamp(end)}"
        else:
            roll.line(sale.lasted_s, f"{'ST#1':<23}DR#1 TRAN#{sale.number}", mashed=True)
            roll.line(sale.lasted_s, f"CSH: {sale.cashier.name:<18}{time}")
            identity = f"verifone-journal:{sale.register}/{sale.number}/{stamp(end)}"
        total = 0 if sale.kind in ("void", "suspended") else sale.total_cents
        return [Ticket(tuple(roll.pieces), identity, sale.kind, total, sale.counts, stamp(end))]


class _Roll:
    """The paper: stamps every line with the register's clock."""

    def __init__(self, sale: Sale) -> None:
        self._opened, self._register = sale.opened, sale.register
        self.pieces: list[Piece] = []

    def line(self, at_s: float, text: str, *, mashed: bool = False) -> None:
        at = self._opened + timedelta(seconds=at_s)
        head = f"{at:%m/%d/%y %H:%M:%S} {self._register} "
        body = f"{head}{text}" if mashed else f"{head}{text}\n"
        self.pieces.append(Piece(at_s, PREFIX + body.encode("ascii", "replace")))

    def amount(self, at_s: float, label: str, cents: int) -> None:
        self.line(at_s, f"{label:>27}{money(cents):>12} ")


def _print_body(roll: _Roll, sale: Sale) -> None:
    asked = 0
    if sale.kind == "refund":
        roll.line(0.0, "REFUND".rjust(27))
    for i, line in enumerate(sale.lines):
        age = line.product.department.min_age
        if age > asked and not line.voids:
            _ask_age(roll, sale, line)
            asked = age
        if line.voids:
            _error_correct(roll, line)
        else:
            roll.line(line.at_s, _item(line))
        if i + 1 == sale.recalled_lines and sale.original:
            register, ticket = sale.original
            roll.line(line.at_s, f"TRANSACTION RECALLED #{register}{ticket:04d}")
    if sale.kind in ("nosale", "safedrop", "payout"):
        label = {"nosale": "NO SALE", "safedrop": "SAFE DROP", "payout": "PAY OUT"}[sale.kind]
        roll.amount(0.0, label, sale.amount_cents)
    elif sale.kind == "void":
        roll.line(sale.lasted_s, f"VOID TICKET {sale.number}")
    elif sale.kind != "suspended":
        _print_total(roll, sale)


def _print_total(roll: _Roll, sale: Sale) -> None:
    last = sale.lines[-1].at_s
    roll.amount((last + sale.lasted_s) / 2, "TOTAL", sale.total_cents)
    for tender in sale.tenders:
        roll.amount(sale.lasted_s, "PREAUTH" if tender.pending else tender.kind, tender.cents)


def _ask_age(roll: _Roll, sale: Sale, line: Line) -> None:
    if line.product.department.min_age >= _OVERRIDE_AGE:
        roll.line(line.at_s, f"Trans#{sale.number} MANUAL ENTRY OVERRIDE", mashed=True)
    born = datetime(sale.opened.year - 22 - sale.ticket % 40, 1 + sale.ticket % 12, 1 + sale.ticket % 28)
    day, month = _DAYS[born.weekday()], _MONTHS[born.month - 1]
    roll.line(line.at_s, f"{day} {month} {born.day:02d} 00:00:00 EST {born.year}")


def _error_correct(roll: _Roll, line: Line) -> None:
    roll.line(line.at_s, " ERROR CORRECT ".center(40, "*"))
    roll.line(line.at_s, _item(line))
    roll.line(line.at_s, "ERROR CORRECT", mashed=True)
    roll.line(line.at_s, "*" * 40)


def _item(line: Line) -> str:
    """Tax letter, 20 characters of description, quantity, amount: no UPC and no unit price ever reach this port."""
    flags = "   " if line.fuel else _FLAGS[line.product.department.tax]
    return f"{flags}{line.product.name[:20]:>20}{line.qty:>4}{money(line.net_cents):>12} "
