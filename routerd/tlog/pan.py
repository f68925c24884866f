"""What a card number looks like: issuer prefix, length, check digit.

Sources, all public:

* ISO/IEC 7812-1: structure of the number, up to 19 digits; annex B: the Luhn check digit.
* Issuer prefixes and lengths of the bank cards: the brands' published ranges as collected under "Payment card number"
  (Wikipedia): Visa 4; Mastercard 51-55 and 2221-2720; American Express 34, 37; Discover 6011, 644-649, 65; Diners Club
  300-305, 309, 36, 38, 39; JCB 3528-3589; UnionPay 62; Maestro 5018, 5020, 5038, 5893, 6304, 6759, 6761-6763.
* Maestro's lesser prefixes (5612, 5641, 6390, 6799): braintree/credit-card-type and durango/go-credit-card#13.
* Fleet cards: WEX 690046 and 707138, Voyager 70888 followed by 5-9: Global Payments' SDK (`CardUtils`).

Discover's 622126-622925 lies inside UnionPay's 62.
"""

import re

PAN_LENGTHS = range(12, 20)
ITEM_LENGTHS = range(12, 14)  # UPC-A and EAN-13: one in a hundred would pass for a Visa or Maestro of their length
FIRST_DIGITS = b"234567"  # of every prefix below; anything else needs no second look
KEEP_FIRST, KEEP_LAST = 6, 4  # PCI DSS 4.0.1, 3.4.1: at most the BIN and the last four may be shown

_PREFIX_AND_LENGTH = re.compile(
    rb"""
      4 (?: [0-9]{12} | [0-9]{15} | [0-9]{18} )                                # Visa
    | 5[1-5] [0-9]{14}                                                        # Mastercard
    | 2 (?: 22[1-9] | 2[3-9][0-9] | [3-6][0-9]{2} | 7[01][0-9] | 720 ) [0-9]{12}  # Mastercard's newer range
    | 3[47] [0-9]{13}                                                         # American Express
    | (?: 6011 | 64[4-9][0-9] | 65[0-9]{2} ) [0-9]{12,15}                     # Discover
    | (?: 30[0-59] | 36[0-9] | 3[89][0-9] ) [0-9]{11,16}                      # Diners Club
    | 35 (?: 2[89] | [3-8][0-9] ) [0-9]{12,15}                                # JCB
    | 62 [0-9]{14,17}                                                         # UnionPay
    | (?: 5018 | 5020 | 5038 | 5612 | 5641 | 5893 | 6304 | 6390 | 6759 | 676[1-3] | 6799 ) [0-9]{8,15}  # Maestro
    | (?: 690046 | 707138 ) [0-9]{10,13}                                      # WEX
    | 70888[5-9] [0-9]{9,10}                                                  # Voyager
    """,
    re.VERBOSE,
)
_DOUBLED = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
_SINGLE = bytes.maketrans(b"0123456789", bytes(range(10)))


def is_pan(digits: bytes) -> bool:
    """Do these ASCII digits have the prefix and length of a card, and a right check digit?"""
    return _PREFIX_AND_LENGTH.fullmatch(digits) is not None and luhn(digits)


def luhn(digits: bytes) -> bool:
    """ISO/IEC 7812-1 annex B: from the right, every second digit doubled, its digits summed, the total ends in 0."""
    return (sum(digits[-1::-2].translate(_SINGLE)) + sum(digits[-2::-2].translate(_DOUBLED))) % 10 == 0
