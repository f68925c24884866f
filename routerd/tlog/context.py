"""Where a digit run stands, and what that says about it: a card's field, a field of something else, or nothing.

One GTIN in ten passes Luhn, so a check digit alone would eat bar codes and loyalty ids. What a run is called decides
first; only where it is called nothing do its prefix, length and check digit decide.

* `keep`: the field holds something else (item codes, loyalty, references, ids), whatever the digits look like.
* `card`: the field holds the account of a card. Every run of 12-19 digits goes, right check digit or not: fleet,
  private-label and gift cards follow no public prefix table and need not pass Luhn, and no scan-data programme asks for
  the number of a card.
* `hint`: a card's word or group is near, without saying that this is its number.
* `look`: nothing is known; a card number is recognised by itself.
"""

import re
from typing import Final, Literal

WINDOW_BYTES = 512  # how far back a tag, a group or the start of a line is looked for

Verdict = Literal["keep", "card", "hint", "look"]
"""What the place of a digit run says about it."""
KEEP: Final = "keep"
CARD: Final = "card"
HINT: Final = "hint"
LOOK: Final = "look"

CARD_FIELDS = frozenset(
    b"trpcaccount trpcaccountnumber primaryaccountnumber cardnumber cardno cardnum cardaccount cardaccountnumber"
    b" cardaccountid creditcardnumber debitcardnumber fleetcardnumber ccnumber ccnum pan".split()
)
_ACCOUNT_FIELDS = frozenset(b"account accountid accountnumber accountno acct acctno acctnum acctnumber".split())
_OTHER_FIELDS = re.compile(
    rb"""
      \w*upc | \w*gtin | ean(?:13|8)? | plu(?:num(?:ber)?|code)? | \w*sku | scan(?:code|data) | \w*bar_?code
    | poscode(?:modifier)? | positemid | pos_?id | item(?:id|code|number)? | item_number | \w+itemid | trlupc
    | product(?:id|code|group) | coupon\w* | \w*promo\w* | \w*offerid | \w*dealid | dealgroup
    | trlo\w+ | \w*loyal\w* | member(?:ship)?(?:id|no|number)? | household(?:id)? | reward\w* | alt(?:ernate)?id
    | (?:customer|consumer|shopper)(?:id|no|number)? | \w*phone\w* | mobile(?:no|number)?
    | uniqueid | \w*uuid | guid | \w*transactionid | \w*sequence(?:id|number|nr|no)? | \w*seq(?:nr|no|num)? | trseq
    | truniquesn | termmsgsn | \w*ref(?:erence)?(?:num(?:ber)?|nr|no|code|id) | trpcticket | \w*receiptnumber
    | \w*invoicenumber | \w*authori[sz]ation(?:response)?code | \w*auth(?:code|num) | \w*approval\w*code
    | \w*response_?code | \w*merch(?:ant)?id | \w*term(?:inal)?id | \w*batchnr | \w*hash(?:code)?
    | \w*(?:date|time|timestamp) | stan | rrn | traceid | \w*serial(?:no|number)?
    """,
    re.VERBOSE,
)
_CARD_GROUPS = frozenset(
    b"cardinfo trpcardinfo card cardinformation cardaccount creditdebit credit debit creditcard debitcard fleetcard"
    b" giftcard paymentcard fleetchargeaccountinformation".split()
)
_OTHER_GROUPS = re.compile(rb"\w*loyal\w*|rewards?|\w*membership|frequentshopper|itemcode|\w*posidentity")

_HINTS = re.compile(rb"card|credit|debit|visa|maestro|account|acct")

_TAG = re.compile(rb"<(/?)(?:[\w.-]+:)?([\w.-]+)(?:\s[^<>]*?)?(/?)>")
_NAME = re.compile(rb"</?(?:[\w.-]+:)?([\w.-]*)")
_ATTRIBUTE = re.compile(rb"([\w.-]+)\s*=\s*[\"'][^\"'<>]*\Z")

# The nearest word before the number names it. A loyalty word takes a following CARD, ACCOUNT or NO with it; a card's
# brand does not let itself be taken: REWARDS VISA 4111… is a card.
_WORD = re.compile(rb"[A-Za-z]+")
_ITEM_WORDS = frozenset(b"UPC EAN GTIN PLU SKU ITEM ITEMS BARCODE".split())
_LOYALTY_WORDS = frozenset(b"LOYALTY REWARD REWARDS MEMBER MEMBERSHIP ALTID PHONE".split())
_CARD_WORDS = frozenset(
    b"VISA MASTERCARD MASTER MC AMEX EXPRESS DISCOVER DINERS JCB UNIONPAY MAESTRO DEBIT CREDIT PAN WEX VOYAGER FLEET"
    b" CARD ACCOUNT ACCT".split()
) | {field.upper() for field in CARD_FIELDS}
_TAKEN_WORDS = frozenset(b"CARD ACCOUNT ACCT ID NO NUM NUMBER".split())
LINE_BYTES = 160  # twice the width of the widest receipt
MAX_ITEM_DIGITS = 14  # GTIN-14 is the longest item code; what is longer beside the word ITEM is no item


def verdict(data: bytes, start: int, end: int) -> Verdict:
    """What the place of `data[start:end]`, a run of 12-19 digits, says about it."""
    floor = max(0, start - WINDOW_BYTES)
    tag = data.rfind(b"<", floor, start)
    if tag < 0:
        return _line(data, floor, start, end)
    close = data.find(b">", tag, start)
    if close < 0:  # inside a tag; or in CDATA, or behind a stray `<` in plain text
        attribute = _ATTRIBUTE.search(data, tag, start)
        if attribute:
            return _named(data, tag, attribute[1].lower(), _name(data, tag))
        return _line(data, tag + 1, start, end)
    place: Verdict = LOOK
    if data[tag + 1 : tag + 2] != b"/":
        place = _named(data, tag, _name(data, tag))
    if place == LOOK:
        return _line(data, close + 1, start, end)
    return KEEP if place == HINT and _line(data, close + 1, start, end) == KEEP else place


def in_card_field(data: bytes, start: int) -> bool:
    """A cheap first look: does the run follow the tag of an element that may hold a card's account?"""
    tag = data.rfind(b"<", max(0, start - 48), start)
    if tag < 0:
        return b"=" in data[max(0, start - 4) : start]
    name = _name(data, tag)
    return name in CARD_FIELDS or name in _ACCOUNT_FIELDS or data.find(b">", tag, start) < 0


def _name(data: bytes, tag: int) -> bytes:
    found = _NAME.match(data, tag)
    return found[1].lower() if found else b""


def _named(data: bytes, tag: int, *names: bytes) -> Verdict:
    """What the names of attribute and element say, the nearer first, and then the elements around them."""
    for name in names:
        if name in CARD_FIELDS or name in _ACCOUNT_FIELDS:
            return _group(data, tag, name)
        if _OTHER_FIELDS.fullmatch(name):
            return KEEP
    place = _group(data, tag, b"")
    return HINT if place == LOOK and any(map(_HINTS.search, names)) else place


def _group(data: bytes, tag: int, name: bytes) -> Verdict:
    """What the nearest telling element around the tag says: the innermost first."""
    open_names: list[bytes] = []
    for found in _TAG.finditer(data, max(0, tag - 2 * WINDOW_BYTES), tag):
        inner = found[2].lower()
        if found[1]:
            if inner in open_names:
                del open_names[len(open_names) - 1 - open_names[::-1].index(inner) :]
        elif not found[3]:
            open_names.append(inner)
    own = _name(data, tag)
    for group in [own, *reversed(open_names)] if own != name else reversed(open_names):
        if _OTHER_GROUPS.fullmatch(group):
            return KEEP
        if group in _CARD_GROUPS:
            return CARD if name else HINT
    if name in CARD_FIELDS:
        return CARD
    return HINT if name else LOOK


def _line(data: bytes, floor: int, start: int, end: int) -> Verdict:
    """What the words on the run's own line say: the last before it, else the first after it.

    A run that is alone on its line may stand under the name of its card.
    """
    floor = max(floor, start - LINE_BYTES)
    line = _line_start(data, floor, start)
    before, after = _words(data[line:start]), _words(data[end : _line_end(data, end)])
    kind = _telling(before, last=True) or _telling(after, last=False)
    if kind is _ITEM_WORDS:
        return KEEP if _digits(data, start, end) <= MAX_ITEM_DIGITS else LOOK
    if kind is _LOYALTY_WORDS:
        return KEEP
    if not before and not after and line > floor:
        above = line - 2 if data[line - 2 : line] == b"\r\n" else line - 1
        kind = _telling(_words(data[_line_start(data, floor, above) : above]), last=True)
    return HINT if kind is _CARD_WORDS else LOOK


def _telling(words: list[bytes], last: bool) -> frozenset[bytes] | None:
    """The set that the first or the last telling word of a line belongs to."""
    kind: frozenset[bytes] | None = None
    taken = False
    for n, word in enumerate(words):
        if word in _LOYALTY_WORDS or (word == b"ALT" and words[n + 1 : n + 2] == [b"ID"]):
            kind, taken = _LOYALTY_WORDS, True
        elif word in _ITEM_WORDS or (word == b"BAR" and words[n + 1 : n + 2] == [b"CODE"]):
            kind, taken = _ITEM_WORDS, False
        elif word in _CARD_WORDS and not (taken and word in _TAKEN_WORDS):
            kind, taken = _CARD_WORDS, False
        else:
            taken = taken and word in _TAKEN_WORDS
        if kind and not last:
            return kind
    return kind


def _digits(data: bytes, start: int, end: int) -> int:
    return sum(48 <= byte <= 57 for byte in data[start:end])


def _words(data: bytes) -> list[bytes]:
    return _WORD.findall(data.upper())


def _line_start(data: bytes, floor: int, start: int) -> int:
    return max(data.rfind(b"\n", floor, start), data.rfind(b"\r", floor, start), floor - 1) + 1


def _line_end(data: bytes, end: int) -> int:
    ceiling = min(len(data), end + 80)
    ends = (data.find(mark, end, ceiling) for mark in (b"\n", b"\r", b"<"))
    return min((found for found in ends if found >= 0), default=ceiling)
