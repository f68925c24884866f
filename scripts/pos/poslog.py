"""A simple ARTS POSLog: one `Transaction` per ticket, on one line as back offices write it. Pure."""

from collections.abc import Sequence

from scripts.pos.naxml import business_day
from scripts.pos.sale import Line, Sale, money
from scripts.pos.shop import Shop
from scripts.pos.ticket import Ticket, stamp, whole
from scripts.pos.transxml import text

_NAMESPACE = "http://www.nrf-arts.org/IXRetail/namespace/"


class Poslog:
    """Renders transactions. Prepays and rollbacks are forecourt matters and do not appear; completions do."""

    outdoor = True

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def render(self, sale: Sale) -> list[Ticket]:
        if sale.prepay or sale.rollback:
            return []
        day, time = business_day(sale.closed), stamp(sale.closed)
        body = self._retail(sale) if sale.lines else _control(sale)
        data = (
            f"<Transaction><RetailStoreID>{self._shop.number}</RetailStoreID><WorkstationID>{sale.register}"
            f"</WorkstationID><SequenceNumber>{sale.ticket}</SequenceNumber><BusinessDayDate>{day}</BusinessDayDate>"
            f"<BeginDateTime>{stamp(sale.opened)}</BeginDateTime><EndDateTime>{time}</EndDateTime>"
            f'<OperatorID OperatorName="{text(sale.cashier.name)}">{sale.cashier.number}</OperatorID>'
            f"<CurrencyCode>USD</CurrencyCode>{body}</Transaction>"
        )
        identity = f"poslog:{self._shop.number}/{sale.register}/{sale.ticket}/{day}"
        total = sale.total_cents if sale.lines else 0
        kind = "retailtransaction" if sale.lines else "controltransaction"
        return [Ticket(whole(data.encode()), identity, kind, total, sale.counts, time, sale.pans, sale.loyalty)]

    def document(self, tickets: Sequence[Ticket]) -> bytes:
        """All of them under one root."""
        head = f'<?xml version="1.0" encoding="UTF-8"?>\n<POSLog xmlns="{_NAMESPACE}" MajorVersion="6">'
        return b"".join((head.encode(), *(ticket.data for ticket in tickets), b"</POSLog>\n"))

    def _retail(self, sale: Sale) -> str:
        status = {"void": "Voided", "suspended": "Suspended"}.get(sale.kind, "Normal")
        items = [_item(line, sale.kind) for line in sale.lines]
        for tax in sale.taxes:
            items.append(f'<Tax TaxType="Sales"><Amount>{money(tax.cents)}</Amount></Tax>')
        for tender in sale.tenders:
            card = ""
            if tender.card:
                account = f"<PrimaryAccountNumber>{tender.card.account}</PrimaryAccountNumber>"
                card = f"<CreditDebit>{account}</CreditDebit>"
            amount = money(tender.cents - tender.change_cents)
            items.append(f'<Tender TenderType="{tender.kind.title()}"><Amount>{amount}</Amount>{card}</Tender>')
        lines = "".join(
            f"<LineItem><SequenceNumber>{i}</SequenceNumber>{item}</LineItem>" for i, item in enumerate(items, 1)
        )
        loyalty = f"<LoyaltyAccount><LoyaltyID>{sale.loyalty}</LoyaltyID></LoyaltyAccount>" if sale.loyalty else ""
        return (
            f'<RetailTransaction Version="2.1" TransactionStatus="{status}">{lines}'
            f'<Total TotalType="TransactionGrandAmount">{money(sale.total_cents)}</Total>'
            f"{loyalty}</RetailTransaction>"
        )


def _control(sale: Sale) -> str:
    tag = {"nosale": "NoSale", "safedrop": "TenderPickup", "payout": "PaidOut"}[sale.kind]
    amount = f"<{tag}><Amount>{money(sale.amount_cents)}</Amount></{tag}>"
    return f'<ControlTransaction Version="2.1">{amount}</ControlTransaction>'


def _item(line: Line, kind: str) -> str:
    tag = "Return" if kind == "refund" else "Sale"
    product = line.product
    void = ' VoidFlag="true"' if line.voids else ""
    code = f"<POSIdentity><POSItemID>{product.upc}</POSItemID></POSIdentity>" if product.upc else ""
    amount = f"<Amount>{money(line.promo_cents)}</Amount>"
    off = f"<RetailPriceModifier>{amount}</RetailPriceModifier>" if line.promotion else ""
    return (
        f"<{tag}{void}>{code}<Description>{text(product.name)}</Description>"
        f"<RegularSalesUnitPrice>{money(line.cents)}</RegularSalesUnitPrice>"
        f"<ExtendedAmount>{money(line.net_cents)}</ExtendedAmount>"
        f"<Quantity>{line.sign * line.qty}</Quantity>{off}</{tag}>"
    )
