"""What masking takes, what it leaves, and that it can be trusted with anything. All numbers are public test numbers."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from routerd.tlog import mask
from routerd.tlog.pan import luhn

CARDS = {
    "visa": "4111111111111111 4012888888881881 4222222222222 4000000000000000006",
    "mastercard": "5555555555554444 5105105105105100 2223003122003222 2720990000000007",
    "american express": "378282246310005 371449635398431 340000000000009",
    "discover": "6011111111111117 6011000990139424 6445644564456445 6500000000000002 6011000000000000003",
    "diners": "30569309025904 38520000023237 36227206271667 3056930009020004",
    "jcb": "3530111333300000 3566002020360505",
    "unionpay": "6200000000000005 6205500000000000004 6250947000000014",
    "maestro": "6759649826438453 6304000000000000 5018000000000009",
    "wex": "6900460420006149231 7071380100000000008",
    "voyager": "708885000000002",
}


def last_digit(stem: str) -> str:
    """`stem` with its last digit made right by Luhn."""
    return next(stem[:-1] + digit for digit in "0123456789" if luhn((stem[:-1] + digit).encode()))


PANS = [last_digit(number) for numbers in CARDS.values() for number in numbers.split()]
LONG_PANS = [number for number in PANS if len(number) > 13]  # known without a word that calls them cards


def masked(number: str) -> bytes:
    return (number[:6] + "X" * (len(number) - 10) + number[-4:]).encode()


def grouped(number: str, sizes: tuple[int, ...], separator: str) -> str:
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    return separator.join(number[end - size : end] for end, size in zip(ends, sizes, strict=True))


@pytest.mark.parametrize("brand", CARDS)
def test_every_brand_is_recognised(brand: str) -> None:
    for number in CARDS[brand].split():
        assert mask(b"CARD " + last_digit(number).encode() + b" B") == (
            b"CARD " + masked(last_digit(number)) + b" B",
            len(number) - 10,
        )


@pytest.mark.parametrize("before", [b"", b" ", b"\n", b"#", b"\x1b!\x00", b"A", b"<a>", b'x="', b"-", b"."])
@pytest.mark.parametrize("after", [b"", b" ", b"\r\n", b"A", b"</a>", b'"', b"-", b".", b"\x00"])
def test_a_card_number_is_found_between_anything_but_digits(before: bytes, after: bytes) -> None:
    assert mask(before + b"4111111111111111" + after)[0] == before + b"411111XXXXXX1111" + after


@pytest.mark.parametrize("separator", [" ", "-"])
@pytest.mark.parametrize(
    ("number", "sizes"),
    [
        ("4111111111111111", (4, 4, 4, 4)),
        ("4000000000000000006", (4, 4, 4, 4, 3)),
        ("378282246310005", (4, 6, 5)),
        ("30569309025904", (4, 6, 4)),
    ],
)
def test_the_groups_of_a_printed_card_are_seen_through(number: str, sizes: tuple[int, ...], separator: str) -> None:
    text = grouped(number, sizes, separator)
    expected = list(text)
    for at in [n for n, char in enumerate(text) if char.isdigit()][6:-4]:
        expected[at] = "X"
    for around in (b"%b", b"CARD %b 12.00", b"12 %b", b"%b 12", b"<a>%b</a>"):
        assert mask(around % text.encode()) == (around % "".join(expected).encode(), len(number) - 10)


@pytest.mark.parametrize(
    "text",
    [
        b"4111111111111112",  # check digit
        b"1111111111111117",  # no such issuer
        b"41111111111111116",  # 17 digits are no Visa
        b"94111111111111111",
        b"411111111111111100000",
        b"0000000000000000",
        b"2026-07-16T02:05:57-04:00",
        b"1700000000000-100000001-0003969664",
        b"4111 1111 1111 11112",
        b"54111 1111 1111 1111",
        b"4111   1111   1111   1111",
        b"4111:1111:1111:1111",
        b"549983FFFFFF0031",
        b"XXXX XXXX XXXX 1111",
        b"************4222",
        b"222100999999999",
        b"6900470420006149231",
    ],
)
def test_what_is_no_card_number_stays(text: bytes) -> None:
    for around in (b"%b", b"CARD %b APPROVED\n", b"<x>%b</x>"):
        data = around % text
        assert mask(data)[0] is data
        assert mask(data)[1] == 0


OTHER_FIELDS = [
    *("trlUPC", "POSCode", "POSItemID", "ItemID", "InventoryItemID", "ScanCode", "UPC", "GTIN", "PLU", "SKU"),
    *("trloAccount", "LoyaltyID", "LoyaltyAccount", "LoyaltyAccountID", "acs:LoyaltyID", "acs:MembershipID"),
    *("HouseholdID", "CustomerID", "PhoneNumber", "uniqueID", "TransactionID", "LoyaltyTransactionID"),
    *("EventSequenceID", "termMsgSN", "trpcRefNum", "ReferenceNumber", "ReceiptNumber", "ApprovalReferenceCode"),
    *("AuthorizationResponseCode", "PromotionID", "trlPromotionID", "Item_Number"),
]
LOOKALIKES = ["4111111111111111", "6011000990139424", "4000000000000000006", "4222222222222", "30569309025904"]


@pytest.mark.parametrize("name", OTHER_FIELDS)
def test_a_field_of_something_else_keeps_its_digits(name: str) -> None:
    for digits in LOOKALIKES:
        for form in (
            f"<{name}>{digits}</{name}>",
            f"<{name} a='b'>\r\n {digits} </{name}>",
            f"<x {name.split(':')[-1]}='{digits}'/>",
        ):
            assert mask(form.encode()) == (form.encode(), 0)


@pytest.mark.parametrize(
    "form",
    [
        b"<Loyalty><AccountInfo><AccountID>%b</AccountID></AccountInfo></Loyalty>",
        b"<trLoyalty><a:trLoyaltyProgram programID='1'><x>%b</x></a:trLoyaltyProgram></trLoyalty>",
        b"<LoyaltyAccount><CustomerID>1</CustomerID><LoyaltyCard><PrimaryAccountNumber>%b</PrimaryAccountNumber>",
        b"<TenderInfo><CardInfo/></TenderInfo><Loyalty><AccountID>%b</AccountID></Loyalty>",
        b"<ItemCode><OtherCode>%b</OtherCode></ItemCode>",
        b"<LoyaltyCard number='%b'/>",
        b"<UPC value='%b'/>",
    ],
)
def test_what_stands_in_a_loyalty_or_item_group_stays(form: bytes) -> None:
    data = form % b"4111111111111111"
    assert mask(data) == (data, 0)


@pytest.mark.parametrize(
    "form",
    [
        b"<trpcAccount>%b</trpcAccount>",
        b"<v:trpcAccount type='x'> %b </v:trpcAccount>",
        b"<PrimaryAccountNumber>%b</PrimaryAccountNumber>",
        b"<CardInfo><EntryMethod method='swipe'/><AccountID>%b</AccountID></CardInfo>",
        b"<Loyalty><AccountID>77</AccountID></Loyalty><CardInfo><AccountID>%b</AccountID></CardInfo>",
        b"<CreditDebit CardType='Debit'><AccountNumber>%b</AccountNumber></CreditDebit>",
        b"<Tender cardNumber='%b'/>",
        b"<CardNumber value='%b'/>",
    ],
)
def test_a_cards_own_field_loses_any_number_of_a_cards_length(form: bytes) -> None:
    for digits in ("9999888877776666", "600649000000", "1234567890123456789"):
        assert mask(form % digits.encode())[0] == form % masked(digits)
    for digits in (b"12345678901", b"12345678901234567890"):
        assert mask(form % digits)[1] == 0


@pytest.mark.parametrize("name", [b"trjText", b"Description", b"AccountID", b"account", b"Note", b"acs:Value"])
def test_a_card_number_in_a_field_of_no_meaning_is_masked(name: bytes) -> None:
    assert mask(b"<%b>4111111111111111</%b>" % (name, name))[1] == 6


@pytest.mark.parametrize(
    "line",
    [
        b"UPC 4222222222222 GUM",
        b"EAN13: 4222222222222",
        b"GTIN-14 30569309025904",
        b"PLU#4222222222222",
        b"SKU 4222222222222",
        b"4222222222222 1 ITEM 2.00",
        b"BAR CODE 4222222222222",
        b"LOYALTY 4111111111111111",
        b"FUEL REWARDS CARD NO 4111111111111111",
        b"MEMBER ID: 6011000990139424",
        b"ALT ID 4111111111111111",
        b"PHONE 4222222222222",
        b"VISA 1.00 MEMBER 4111111111111111",
        b"<trjText>PLU 4222222222222 NOT FOUND</trjText>",
        b"\x1dk\x02" + b"4222222222222" + b"\x00",
        b"\x1dk\x43\x0d" + b"4222222222222",
    ],
)
def test_words_and_bar_codes_spare_item_and_loyalty_numbers(line: bytes) -> None:
    for data in (line, b"TOTAL 5.00\r\n" + line + b"\r\nTHANK YOU"):
        assert mask(data) == (data, 0)


@pytest.mark.parametrize(
    "line",
    [
        b"VISA 4222222222222",
        b"30569309025904",
        b"ITEM 1\nCARD 4222222222222",
        b"ITEMS 3 VISA 4222222222222",
        b"REWARDS VISA 4111111111111111",
        b"MEMBER 77 CREDIT 4111111111111111",
        b"UPC 4111111111111111",  # no item code has 16 digits
        b"PLUS VISA 4222222222222",
        b"4111111111111111 VISA",
    ],
)
def test_no_word_spares_a_card(line: bytes) -> None:
    assert mask(line)[1] in (3, 4, 6)


@pytest.mark.parametrize(
    ("track", "expected"),
    [
        (
            b"%B4111111111111111^DOE/JOHN Q^25121011234000000?",
            b"%B411111XXXXXX1111^XXXXXXXXXX^XXXXXXXXXXXXXXXXX?",
        ),
        (b"B378282246310005^A/B^2512101 77 0?", b"B378282XXXXX0005^XXX^XXXXXXXXXXXX?"),
        (b"%B3782 822463 10005^A/B^25?", b"%B3782 82XXXX X0005^XXX^XX?"),
        (b"B4111111111111111^DOE/JOHN^2512101 APPROVED", b"B411111XXXXXX1111^XXXXXXXX^XXXXXXX APPROVED"),
        (b";4111111111111111=25121011234567890?", b";411111XXXXXX1111=XXXXXXXXXXXXXXXXX?"),
        (b";9999888877776666=2512?", b";999988XXXXXX6666=XXXX?"),
        (b"4111111111111111=2512101123", b"411111XXXXXX1111=XXXXXXXXXX"),
        (b"4111111111111111D25121011234567F", b"411111XXXXXX1111DXXXXXXXXXXXXXXX"),
        (b"<Track2Data>4111111111111111D2512101</Track2Data>", b"<Track2Data>411111XXXXXX1111DXXXXXXX</Track2Data>"),
    ],
)
def test_of_a_track_only_ten_digits_and_the_separators_stay(track: bytes, expected: bytes) -> None:
    assert mask(b"a " + track + b" b")[0] == b"a " + expected + b" b"


@pytest.mark.parametrize("text", [b"1234567890123=5", b"9999888877776666=25121010", b"a^b^c", b"B1^A/B^2?", b"x;12=3?"])
def test_what_is_no_track_stays(text: bytes) -> None:
    assert mask(text) == (text, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"CVV: 123", b"CVV: XXX"),
        (b"cvv2=1234", b"cvv2=XXXX"),
        (b"CVC2 123 OK", b"CVC2 XXX OK"),
        (b"CAV2: 123", b"CAV2: XXX"),
        (b"CID: 1234", b"CID: XXXX"),
        (b"Security Code: 123", b"Security Code: XXX"),
        (b"CARD VERIFICATION VALUE 123", b"CARD VERIFICATION VALUE XXX"),
        (b'{"cvv":"123"}', b'{"cvv":"XXX"}'),
        (b"<CVV>123</CVV>", b"<CVV>XXX</CVV>"),
        (b"<t:trpcCVV2 p='1'> 123 </t:trpcCVV2>", b"<t:trpcCVV2 p='1'> XXX </t:trpcCVV2>"),
        (b"<CardVerificationValue>123</CardVerificationValue>", b"<CardVerificationValue>XXX</CardVerificationValue>"),
        (b"<Card SecurityCode = '1234' n='7'/>", b"<Card SecurityCode = 'XXXX' n='7'/>"),
        (b"<PINBlock>0A1B2C3D4E5F6071</PINBlock>", b"<PINBlock>XXXXXXXXXXXXXXXX</PINBlock>"),
        (b"PIN BLOCK: 0A1B2C3D4E5F6071", b"PIN BLOCK: XXXXXXXXXXXXXXXX"),
    ],
)
def test_verification_codes_and_pin_blocks_go_whole(text: bytes, expected: bytes) -> None:
    assert mask(b"a " + text + b" b")[0] == b"a " + expected + b" b"


@pytest.mark.parametrize(
    "text",
    [
        b"CIDER 123",
        b"CID 123",
        b"CVV MATCH",
        b"PIN OK 1234",
        b"<CVVResult>1</CVVResult>",
        b"SECURITY GUARD 123",
        b"BLOCK 7",
    ],
)
def test_what_is_no_code_stays(text: bytes) -> None:
    assert mask(text) == (text, 0)


HEADER = b"\x22\x00:\x00\x42:\x00\x07:\x26\x11\x22\x14\x03:\x00:\xf8:\x77\x06:%b:\x55\x48"
SIGN_ON = (
    b"\x22\x20:\x00\x01\x22:\x22\x00\x01\x22:\x22\x10\x10\x15\x14\x16\x22:\x22\x11\x22:\x22\xf1\x22:\x221\x22:"
    b"\x22%b\x22:\x22%b\x22:\x22\x22\r\n"
)


def test_a_4690_operators_passwords_go() -> None:
    before = HEADER + b"\x22,\x22\x01:\x12\x34\x22\r\n" + SIGN_ON
    clear = before % (b"\x76\x22\x59\x85", b"4711", b"815")
    assert mask(clear, "ibm4690") == (before % (b"\xff" * 4, b"XXXX", b"XXX"), 11)
    assert mask(clear, "") == (clear, 0)
    assert mask(clear, "no such dialect") == (clear, 0)


def test_a_4690_password_is_found_only_at_the_head_of_a_record() -> None:
    inside = b"\x22\x01:\x05" + HEADER % b"\x76" + b"\x22\r\n"
    assert mask(inside, "ibm4690") == (inside, 0)
    second = b"\x22\x01:\x05\x22\r\n" + HEADER % b"\x76" + b"\x22\r\n"
    assert mask(second, "ibm4690")[1] == 1


def test_a_4690_card_number_in_packed_digits_goes() -> None:
    line = b"\x22\x11:\xbb:%b:\x00\x22\r\n"
    for packed, expected in (
        (bytes.fromhex("4111111111111111"), bytes.fromhex("411111ffffff1111")),
        (bytes.fromhex("f378282246310005"), bytes.fromhex("f37828ffffff0005")),
    ):
        assert mask(line % packed, "ibm4690")[0] == line % expected
        assert mask(line % packed, "")[1] == 0
    for other in (bytes.fromhex("4111111111111112"), b"55512347", bytes.fromhex("41111111111111")):
        assert mask(line % other, "ibm4690")[1] == 0


@given(st.binary(max_size=400), st.sampled_from(["", "transset", "ibm4690", "escpos"]))
@example(b"REWARDS ;4111111111111111=2512 CARD 6011000990139424", "")
def test_length_and_framing_hold_and_twice_is_once(data: bytes, dialect: str) -> None:
    out, changed = mask(data, dialect)
    assert len(out) == len(data)
    assert changed == sum(a != b for a, b in zip(data, out, strict=True))
    assert (out is data) == (changed == 0)
    assert mask(out, dialect) == (out, 0)


WORDS = b"UPC LOYALTY CARD MEMBER VISA CVV: 123 CID 1234 %B ^DOE/JOHN^ =2512 =25121010 ? ; D2512101 X 4111 1111 1111"
TAGS = b'<AccountID> </AccountID> <Loyalty> <trlUPC> <trpcAccount> </a> < > pinblock=" " - :'
PIECES = [
    *(number.encode() for number in LOOKALIKES),
    *WORDS.split(),
    *TAGS.split(),
    b" ",
    b"\n",
    b"\x22\r\n\x22\x00:aa:bb:ccccc:d:",
    b"\x41\x11\x11\x11\x11\x11\x11\x11",
    b"\x1dk\x02",
]


@given(st.lists(st.sampled_from(PIECES), max_size=14))
def test_twice_is_once_on_anything_that_looks_like_card_data(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    out, changed = mask(data, "ibm4690")
    assert len(out) == len(data)
    assert mask(out, "ibm4690") == (out, 0)
    assert (out is data) == (changed == 0)


PLAIN_TEXT = st.text(alphabet="abcdefghijklmnoqrstuwyz ,.:;!?()<>=/\"'&\n\r\t", max_size=80)


@given(PLAIN_TEXT, st.sampled_from(LONG_PANS), PLAIN_TEXT, st.integers(0, 3))
def test_no_card_number_survives_in_text(before: str, number: str, after: str, form: int) -> None:
    shapes = {16: (4, 4, 4, 4), 19: (4, 4, 4, 4, 3), 15: (4, 6, 5), 14: (4, 6, 4)}
    shown = number
    if form and len(number) in shapes:
        shown = grouped(number, shapes[len(number)], " -"[form % 2])
    data = f"{before} {shown} {after}".encode()
    out, changed = mask(data)
    assert shown.encode() not in out
    assert changed >= len(number) - 10


NAMES = st.sampled_from(["trans", "trLine", "trpAmt", "Note", "v:trjText", "Tender", "CardInfo", "Description"])


@given(st.lists(NAMES, min_size=1, max_size=5), st.sampled_from(LONG_PANS), st.text(alphabet="ab 01.", max_size=20))
def test_no_card_number_survives_in_xml(path: list[str], number: str, text: str) -> None:
    opened = "".join(f"<{name} n='1'>" for name in path)
    closed = "".join(f"</{name}>" for name in reversed(path))
    out, changed = mask(f"{opened}{text} {number}{closed}".encode())
    assert number.encode() not in out
    assert changed == len(number) - 10
    assert re.sub(rb"X+", b"", out).startswith(opened.encode())


@given(st.sampled_from(OTHER_FIELDS), st.from_regex(r"[2-7][0-9]{11,18}", fullmatch=True), PLAIN_TEXT)
def test_every_field_of_something_else_survives(name: str, stem: str, text: str) -> None:
    digits = last_digit(stem)
    data = f"{text}<trLine><{name}>{digits}</{name}></trLine>".encode()
    assert mask(data) == (data, 0)
