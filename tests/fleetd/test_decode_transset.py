"""What a `<trans>` may hold that no genuine day showed, and the pieces a period's document may be cut into."""

import pytest

from fleetd.decode import decode
from fleetd.decode.amounts import milli, nearest_cents
from fleetd.ledger.base import COMPLETION, PREPAY, REFUND, SUSPENDED, VOID, Event, Marker, Ticket, Totals
from routerd.errors import CorruptError
from routerd.model import DOCUMENT, ENVELOPE, GAP, NOISE, RECORD
from tests.fleetd.decoded import one

NUMBER = "<trTickNum><posNum>101</posNum><trSeq>1010007</trSeq></trTickNum>"
CASHIER = '<cashier sysid="4" empNum="4" posNum="101">Ann</cashier>'
NOBODY = '<cashier sysid="0" empNum="" posNum="901"></cashier>'


def trans(kind: str, total: str = "5.00", *, flags: str = "", header: str = CASHIER, body: str = "") -> bytes:
    value = f"<trValue><trTotWTax>{total}</trTotWTax><trSTotalizer>{total}</trSTotalizer></trValue>" if total else ""
    return f'<trans type="{kind}"{flags}><trHeader>{NUMBER}{header}</trHeader>{value}{body}</trans>'.encode()


def line(inner: str, total: str = "2.49", sign: str = "1.00") -> str:
    body = f"<trlQty>1</trlQty><trlSign>{sign}</trlSign><trlLineTot>{total}</trlLineTot>{inner}"
    return f'<trLines><trLine type="plu">{body}</trLine></trLines>'


@pytest.mark.parametrize(
    ("kind", "flags", "counted"),
    [
        ("sale", "", 500),
        ("network sale", ' recalled="true"', 500),
        ("sale", ' fuelPrepayCompletion="true"', 500),
        ("sale", ' fuelPrepay="true"', 0),
        ("network sale", ' rollback="true"', 0),
        ("sale", ' suspended="true"', 0),
        ("void", "", 0),
        ("void", ' fuelPrepay="true"', 0),
        ("Network Sale", "", 500),
    ],
)
def test_what_does_not_move_the_total_does_not_count(kind: str, flags: str, counted: int) -> None:
    assert one(trans(kind, flags=flags)).counted_cents == counted


def test_a_refund_counts_with_its_own_sign() -> None:
    ticket = one(trans("refund network sale", "-43.59"))
    assert (ticket.kind, ticket.counted_cents, ticket.flags) == ("refund", -4359, {REFUND})


def test_a_kind_nobody_knows_counts_what_its_totalizer_says() -> None:
    value = "<trValue><trTotWTax>9.00</trTotWTax><trSTotalizer>0</trSTotalizer></trValue>"
    assert one(trans("pumptest", "", body=value)).counted_cents == 0
    assert one(trans("pumptest", "9.00")).counted_cents == 900
    assert one(trans("driveoff", "", body=value.replace("<trSTotalizer>0</trSTotalizer>", ""))).counted_cents == 900


def test_other_words_for_void_and_suspended_count_nothing() -> None:
    assert one(trans("void sale")).flags == {VOID}
    assert one(trans("suspended sale")).flags == {SUSPENDED}
    assert one(trans("void sale")).counted_cents == one(trans("suspended sale")).counted_cents == 0


def test_a_no_sale_takes_a_number_and_has_no_total() -> None:
    ticket = one(trans("nosale", ""))
    assert (ticket.kind, ticket.number, ticket.total_cents, ticket.counted_cents) == ("nosale", "1010007", None, 0)


def test_a_sale_without_a_cashier_is_outside_unless_it_completes_a_prepay() -> None:
    original = '<originalCashier sysid="4" empNum="4">Ann</originalCashier>'
    link = "<trOriginalTickNum><posNum>101</posNum><trSeq>1010003</trSeq></trOriginalTickNum>"
    assert one(trans("network sale", header=NOBODY)).is_outside
    done = one(trans("sale", header=NOBODY + original + link, flags=' fuelPrepayCompletion="true"'))
    assert not done.is_outside
    assert (done.flags, done.linked, done.cashier) == ({COMPLETION}, "1010003", "4")
    assert not one(trans("sale", flags=' fuelPrepay="true"')).is_outside
    assert one(trans("sale", flags=' fuelPrepay="true"')).flags == {PREPAY}


@pytest.mark.parametrize(("sign", "total", "left", "off"), [("1.00", "2.49", 200, 49), ("-1.00", "-2.49", -200, -49)])
def test_a_promotion_is_taken_off_the_line_in_its_direction(sign: str, total: str, left: int, off: int) -> None:
    match = (
        "<trlMixMatches><trlMatchLine><trlPromoAmount>0.49</trlPromoAmount>"
        '<trlPromotionID promotype="combinationOffer">10</trlPromotionID></trlMatchLine></trlMixMatches>'
    )
    [read] = one(trans("sale", body=line(match, total, sign))).lines
    assert (read.amount_cents, read.promotions) == (left, (("10", "combinationOffer", off),))


def test_a_car_washs_promotion_is_named_and_already_off() -> None:
    [read] = one(trans("sale", body=line('<trlCw><trlCwPromo type="fixed">2.00</trlCwPromo></trlCw>'))).lines
    assert (read.amount_cents, read.promotions) == (249, (("", "car wash", 200),))


def test_a_line_taken_back_is_void_on_both_sides() -> None:
    lines = (
        '<trLines><trLine type="plu"><trlFlags><trlNetVoid/></trlFlags><trlLineTot>1.00</trlLineTot></trLine>'
        '<trLine type="void plu"><trlSign>-1.00</trlSign><trlLineTot>-1.00</trlLineTot></trLine>'
        '<trLine type="dept"><trlLineTot>3.00</trlLineTot></trLine></trLines>'
    )
    read = one(trans("sale", body=lines)).lines
    assert [(item.kind, item.is_void, item.amount_cents) for item in read] == [
        ("item", True, 100), ("item", True, -100), ("department", False, 300),
    ]  # fmt: skip


@pytest.mark.parametrize("written", ["1.005", "12,50", "1e3", "NaN", "0x10", "--1", ".", "1" * 13, "٣.00"])
def test_money_that_is_none_sets_the_record_aside_and_is_not_repeated(written: str) -> None:
    with pytest.raises(CorruptError) as caught:
        decode(RECORD, trans("sale", written))
    assert caught.value.code == "decode.amount"
    assert written not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "cents"), [("1", 100), ("1.5", 150), ("-0.05", -5), (" 2.50 ", 250), (".5", 50), ("1.290", 129)]
)
def test_money_is_read_exactly(written: str, cents: int) -> None:
    assert one(trans("sale", written)).total_cents == cents


def test_a_sale_without_a_number_still_counts() -> None:
    assert one(trans("sale").replace(NUMBER.encode(), b"")).counted_cents == 500
    with pytest.raises(CorruptError) as caught:
        decode(RECORD, b"<trans type='sale'><trValue><trTotWTax>1.00</trTotWTax></trValue></trans>")
    assert caught.value.code == "decode.missing"


def test_prices_and_quantities_are_rounded_away_from_zero() -> None:
    assert [nearest_cents(text) for text in ("3.599", "3.594", "3.595", "-3.595", "2")] == [360, 359, 360, -360, 200]
    assert [milli(text) for text in ("9.551", "0.0005", "-0.0005", "-2", "1.0000")] == [9551, 1, -1, -2000, 1000]
    with pytest.raises(CorruptError):
        milli("many")


def test_a_sale_without_a_total_is_set_aside() -> None:
    with pytest.raises(CorruptError) as caught:
        decode(RECORD, trans("network sale", ""))
    assert caught.value.code == "decode.missing"


@pytest.mark.parametrize(
    "record",
    [
        b"<trans type='sale'><trHeader>",
        b"<trans type='sale'><trHeader></trans>",
        b"<trans type='sale'>&nbsp;</trans>",
        b"<trans type='sale'>\x00</trans>",
        b"<trans type='sale'/><trans type='sale'/>",
    ],
)
def test_a_trans_that_is_not_well_formed_is_set_aside(record: bytes) -> None:
    with pytest.raises(CorruptError) as caught:
        decode(RECORD, record)
    assert caught.value.code == "decode.xml"


def test_undeclared_prefixes_and_leading_white_space_do_no_harm() -> None:
    record = trans("sale").replace(b"<tr", b"<vs:tr").replace(b"</tr", b"</vs:tr").replace(b" type=", b" vs:type=")
    assert one(b"\xef\xbb\xbf\r\n\t" + record) == one(trans("sale"))


def test_bytes_that_are_no_utf8_are_latin() -> None:
    record = trans("sale", body=line("<trlDesc>Br\xf6tchen</trlDesc>")).decode().encode("latin-1")
    assert one(record).lines[0].description == "Brötchen"


def test_other_kinds_of_record_say_nothing() -> None:
    for kind in (NOISE, GAP, DOCUMENT):
        assert decode(kind, trans("sale")) == ()


@pytest.mark.parametrize(
    "data",
    [b"", b" ", b"<", b"<a/>", b"<Transaction/>", b"TOTAL 1.00\n", b"\x1bc0\x01\x1b!\x00", b"\x1b@\x1dVA", b"{}"],
)
def test_what_is_of_no_dialect_says_nothing(data: bytes) -> None:
    assert decode(RECORD, data) == decode(ENVELOPE, data) == ()


HEAD = (
    b'<?xml version="1.0"?>\n<transSet periodID="2" periodname="Day" longId="2026-07-16" shortId="311" site="7">'
    b"<openedTime>2026-07-15T02:05:06-04:00</openedTime><closedTime>2026-07-16T02:05:06-04:00</closedTime>"
)
START = b"<startTotals>\n<insideSales>1.00</insideSales><overallSales>1.00</overallSales></startTotals>"
END = b"<endTotals><insideSales>3.50</insideSales><overallSales>3.50</overallSales></endTotals>"
OPEN = b"<openCashier><posNum>101</posNum><cOpenTime>2026-07-15T06:06:15-04:00</cOpenTime></openCashier>"
DAY = Totals(
    "start",
    "7",
    "daily:311",
    "2026-07-16",
    "2026-07-15T02:05:06-04:00",
    "2026-07-16T02:05:06-04:00",
    (("insideSales", 100), ("overallSales", 100)),
)
LAST = (("insideSales", 350), ("overallSales", 350))


def test_a_documents_head_and_what_follows_it_come_in_order() -> None:
    opened = Marker("", "101", "open", "2026-07-15T06:06:15-04:00")
    assert decode(ENVELOPE, HEAD + START + OPEN) == (DAY, opened)
    assert decode(ENVELOPE, END + b"\n</transSet>\n") == (Totals("end", sums=LAST),)
    assert decode(ENVELOPE, OPEN) == (opened,)


def test_an_end_in_the_same_envelope_knows_its_head() -> None:
    start, end, again = decode(ENVELOPE, HEAD + START + END + b"</transSet>" + HEAD)
    assert (start, again) == (DAY, Totals("start", *again_without_sums(DAY)))
    assert end == Totals("end", *again_without_sums(DAY), sums=LAST)


def again_without_sums(totals: Totals) -> tuple[str, ...]:
    return totals.store, totals.period, totals.business_day, totals.opened, totals.closed


def test_totals_without_their_head_are_kept() -> None:
    assert decode(ENVELOPE, START) == (Totals("start", sums=DAY.sums),)
    assert decode(ENVELOPE, b"</transSet>") == ()


def test_a_comment_around_the_records_says_nothing() -> None:
    assert decode(ENVELOPE, b"<!-- " + START + b" -->" + END) == (Totals("end", sums=LAST),)


def test_totals_cut_short_are_set_aside() -> None:
    with pytest.raises(CorruptError) as caught:
        decode(ENVELOPE, HEAD + START[:-8])
    assert caught.value.code == "decode.xml"


def test_a_period_of_another_level_keeps_its_own_name() -> None:
    close = b"<trans type='periodClose'><trHeader><periodName>MONTH</periodName><periodType>3</periodType><periodSeq>7"
    assert decode(RECORD, close + b"</periodSeq></trHeader></trans>") == (Marker("", "", "period", period="month:7"),)


def test_a_price_change_says_how_many_prices() -> None:
    change = b"<trans type='fuelpriceChange'><trHeader/><trPriceChange><priceChangeInfo/><priceChangeInfo/>"
    assert decode(RECORD, change + b"</trPriceChange></trans>") == (Event("", "", "fuelpricechange", text="2 prices"),)


def test_the_tenders_of_a_ticket_are_signed() -> None:
    paid = (
        '<trPaylines><trPayline type="sale"><trpPaycode>CASH</trpPaycode><trpAmt>10.00</trpAmt></trPayline>'
        '<trPayline type="sale"><trpPaycode>Change</trpPaycode><trpAmt>-5.00</trpAmt></trPayline>'
        '<trPayline type="cancel"><trpPaycode>CREDIT</trpPaycode><trpAmt>1.00</trpAmt></trPayline></trPaylines>'
    )
    ticket: Ticket = one(trans("sale", body=paid))
    assert ticket.tenders == (("CASH", 1000), ("Change", -500), ("CREDIT", -100))
