"""The inner elements of a Commander `trans`: lines and paylines. Pure."""

from functools import lru_cache
from xml.sax.saxutils import escape

from scripts.pos.sale import Card, Line, Sale, Tender, milli, money
from scripts.pos.shop import TAXES, Product

_MOP = {"CASH": (1, 0), "CREDIT": (3, 1), "DEBIT": (4, 2)}
_SHORT = {"VISA": "V", "MC": "M", "AMEX": "AX", "DISC": "DC"}


@lru_cache(maxsize=512)
def text(value: str) -> str:
    """Character data: & < > escaped."""
    return escape(value)


def line_xml(sale: Sale, line: Line) -> str:
    product = line.product
    kind = _kind(line)
    tags = ' duplicate="true"' if line.duplicate else ""
    if kind == "preFuel" and sale.kind == "void":
        tags = ' unsettled="true"'
    void = f"<trlVoidLineIx>{line.voids}</trlVoidLineIx>" if line.voids else ""
    sold_by = "<trlSellUnit>1.000</trlSellUnit>" if product.upc else ""
    quantity = milli(line.fuel.gallons_milli) if line.fuel and line.fuel.grade else str(line.qty)
    codes = (
        f'<trlUPC>{product.upc}</trlUPC><trlModifier>000</trlModifier><trlUPCEntry type="{line.entry}"/>'
        if product.upc
        else ""
    )
    return (
        f'<trLine{tags} type="{kind}">{_tax(line)}{_flags(line)}{_department(product)}'
        f"<trlQty>{quantity}</trlQty><trlSign>{line.sign}.00</trlSign>{sold_by}{void}"
        f"<trlUnitPrice>{_unit_price(line)}</trlUnitPrice><trlLineTot>{money(line.gross_cents)}</trlLineTot>"
        f"{_fuel(sale, line)}<trlDesc>{text(product.name)}</trlDesc>{codes}{_mix_match(line)}</trLine>"
    )


def _kind(line: Line) -> str:
    if line.fuel:
        return "postFuel" if line.fuel.grade else "preFuel"
    kind = "plu" if line.product.upc else "dept"
    return f"void {kind}" if line.voids else kind


def _unit_price(line: Line) -> str:
    if not line.fuel:
        return money(line.cents)
    return milli(line.fuel.grade.mills) if line.fuel.grade else "0.00"


@lru_cache(maxsize=512)
def _department(product: Product) -> str:
    dept = product.department
    kind = "fuel" if dept.name.endswith(("FUEL", "DEPOSIT")) else "norm"
    return (
        f'<trlDept number="{dept.number}" type="{kind}">{text(dept.name)}</trlDept>'
        f'<trlCat number="{dept.category}">{text(dept.category_name)}</trlCat>'
        f"<trlNetwCode>{dept.network_code}</trlNetwCode>"
    )


def _tax(line: Line) -> str:
    letter = line.product.department.tax
    if not letter:
        return "<trlTaxes/>"
    number, name, rate = TAXES[letter]
    return (
        f'<trlTaxes><trlTax sysid="{number}" cat="{name}" reverse="0">{money(line.net_cents)}</trlTax>'
        f'<trlRate sysid="{number}" cat="{name}">{rate / 1000:.3f}</trlRate></trlTaxes>'
    )


def _flags(line: Line) -> str:
    dept = line.product.department
    out = "<trlBdayVerif/>" if dept.min_age else ""
    out += "<trlPLU/><trlUpdPluCust/>" if line.product.upc else ""
    out += "<trlUpdDepCust/><trlCatCust/>"
    out += "<trlNetVoid/>" if line.voids or line.taken_back else ""
    out += "<trlMatch/>" if line.promotion else ""
    out += "<trlFuelSale/>" if line.fuel else ""
    return f"<trlFlags>{out}</trlFlags>"


def _fuel(sale: Sale, line: Line) -> str:
    if not (line.fuel and line.fuel.grade):
        return ""
    fuel, grade = line.fuel, line.fuel.grade
    method = sale.tenders[0].kind
    return (
        f'<trlFuel type="norm"><trlFuelSeq>{1000 + sale.ticket}</trlFuelSeq><fuelPosition>{fuel.pump}</fuelPosition>'
        f"<trlFuelDepst>{money(line.gross_cents) if sale.completion else '0.00'}</trlFuelDepst>"
        f'<fuelProd sysid="{grade.number}" NAXMLFuelGradeID="{grade.number}">{grade.number:04d}</fuelProd>'
        f'<fuelSvcMode sysid="1">SELF</fuelSvcMode><fuelMOP sysid="{_MOP[method][0]}">{method}</fuelMOP>'
        f"<fuelVolume>{milli(fuel.gallons_milli)}</fuelVolume><basePrice>{milli(grade.mills)}</basePrice></trlFuel>"
    )


def _mix_match(line: Line) -> str:
    promotion = line.promotion
    if not promotion:
        return ""
    return (
        f"<trlMixMatches><trlMatchLine><trlMatchName>{text(promotion.name)}</trlMatchName>"
        f"<trlMatchQuantity>{line.qty}</trlMatchQuantity>"
        f"<trlMatchPrice>{money(line.cents - promotion.off_cents)}</trlMatchPrice><trlMatchMixes>100</trlMatchMixes>"
        f"<trlPromoAmount>{money(line.promo_cents)}</trlPromoAmount>"
        f'<trlPromotionID promotype="{promotion.kind}">{promotion.number}</trlPromotionID>'
        "</trlMatchLine></trlMixMatches>"
    )


def payline_xml(sale: Sale, tender: Tender, time: str, number: int) -> str:
    """One tender, and the change as a negative one."""
    tags = ' pending="true"' if tender.pending else ""
    if tender.preauth_cents:
        tags = f' originalPreauth="{money(tender.preauth_cents)}"'
    elif sale.completion and not tender.card:
        tags = ' duplicate="true"'
    kind, amount = ("cancel", -tender.cents) if sale.kind == "refund" else ("sale", tender.cents)
    card = _card(tender.card, sale, time, number) if tender.card else ""
    out = _payline(kind, tags, tender.kind, tender.kind, amount, card)
    if tender.change_cents:
        out += _payline(kind, tags, "CASH", "Change", -tender.change_cents, "")
    return out


def _payline(kind: str, tags: str, mop: str, name: str, cents: int, card: str) -> str:
    number, category = _MOP[mop]
    return (
        f'<trPayline type="{kind}" sysid="1" locale="DOLLAR"{tags}><trpPaycode mop="{number}" cat="{category}" '
        f'nacstendercode="generic" nacstendersubcode="generic">{name}</trpPaycode><trpAmt>{money(cents)}</trpAmt>'
        f"{card}</trPayline>"
    )


def _card(card: Card, sale: Sale, time: str, number: int) -> str:
    terminal = sale.register % 1000
    return (
        f'<trpCardInfo isAboveSite="false"><trpcAccount>{card.account}</trpcAccount>'
        f'<trpcCCName sysid="0">{_SHORT[card.brand]}</trpcCCName><trpcHostID>CreekPay</trpcHostID>'
        f"<trpcAuthCode>{number:06d}</trpcAuthCode><trpcAuthSrc></trpcAuthSrc><trpcTicket>{sale.number}</trpcTicket>"
        f"<trpcEntryMeth>{card.entry}</trpcEntryMeth><trpcBatchNr>{terminal}</trpcBatchNr>"
        f"<trpcSeqNr>{number:06d}</trpcSeqNr><trpcAuthDateTime>{time}</trpcAuthDateTime>"
        f"<trpcRefNum>R{sale.register}{number:06d}</trpcRefNum><trpcMerchInfo><trpcmMerchID>DEMO0000001</trpcmMerchID>"
        f"<trpcmTermID>{terminal:03d}</trpcmTermID></trpcMerchInfo></trpCardInfo>"
    )
