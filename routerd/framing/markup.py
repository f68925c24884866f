"""The XML lexicon the xml-element framer reads with: which bytes start what, and where a tag ends.

Sources of the record names: Verifone "Site Controller URL Reference Guide" 2.00.01 (transSet, transactionSet), Conexxus
NAXML-POSJournal 3.4 to 3.6, ARTS/NRF POSLog. Of the lexicon: W3C XML 1.0, sections 2.3 (names), 2.5 to 2.7 (comments,
instructions, CDATA), 3.1 (tags: no `<` in a value).
Every token has a longest length, so whether bytes are one never depends on how they arrived.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

NAXML_EVENTS = ("SaleEvent", "RefundEvent", "VoidEvent", "FinancialEvent", "OtherEvent")
FAMILIES = (("trans",), NAXML_EVENTS, ("Transaction",))
NEVER_NEST = frozenset(("trans", *NAXML_EVENTS))  # a second one inside means that an end tag was lost

TOKEN_BYTES = 256  # the longest token: name 128 with its prefix 64, white space 16
TAG_BYTES = 8192  # 16x the longest start tag seen (the root of an NCR POSLog, 500 B)

PREFIX = rb"(?>(?:[A-Za-z_\x80-\xff][\w.\-\x80-\xff]{0,62}:)?)"
_NAME = rb"[A-Za-z_\x80-\xff][\w.:\-\x80-\xff]{0,127}+"
_QUOTED = rb"(?:\"[^\"<]*+\"|'[^'<]*+')"
_SECTION = (
    rb"(?P<instruction>\?[\w.:\-]{1,64}+[\s?])|(?P<comment>!--)|(?P<cdata>!\[CDATA\[)|(?P<declaration>![A-Z]{2,16}\s)"
)
_ENDED = rb"(?=[\s/>])"
_PART_OF_TOKEN = re.compile(rb"<(?:!-|!\[[A-Z]{0,5}+|![A-Z]{0,16}+|\?[\w.:\-]{0,64}+|/?+[\w.:\-\x80-\xff]*+\s{0,16}+)")
_XML_DECLARATION = re.compile(rb"<\?xml\s")

SECTION = re.compile(rb"<(?:" + _SECTION + rb")")
NAME_START = re.compile(rb"<(/?)(" + _NAME + rb")" + _ENDED)
WHOLE_TAG = re.compile(rb"</?" + _NAME + rb"(?>(?:\s+" + _NAME + rb"\s*=\s*" + _QUOTED + rb")*)\s*/?>")
# From behind a tag's `<` to its `>`, to a `<` that proves it broken, or to the end of the data.
TAG_RUN = re.compile(rb"[^<>\"']*+(?>(?:" + _QUOTED + rb"[^<>\"']*+)*)(?>(?:\"[^\"<]*+|'[^'<]*+)?)")


def either(names: Iterable[str]) -> bytes:
    """A pattern for one of these names."""
    return rb"(?:" + b"|".join(re.escape(name.encode()) for name in names) + rb")"


def record_start(names: Iterable[str]) -> re.Pattern[bytes]:
    """The start of a record's start tag; groups: prefix with its colon, local name."""
    return re.compile(rb"<(" + PREFIX + rb")(" + either(names) + rb")" + _ENDED)


def around(names: Iterable[str], root: bytes) -> re.Pattern[bytes]:
    """What matters between records inside `root` (empty: not known): a `record`, the root's `end`, an `again` opened
    root, a section."""
    document = b""
    if root:
        name = re.escape(root)
        document = rb"(?P<end>/" + name + rb"\s{0,16}>)|(?P<again>" + name + _ENDED + rb")|"
    record = rb"(?P<record>" + PREFIX + either(names) + _ENDED + rb")|"
    return re.compile(rb"<(?:" + document + record + _SECTION + rb")")


class Inside:
    """What matters inside a record of one name.

    any: finds the next thing that may matter; its longest match is bounded, and it is fast. token: what that is: the
    record's `end`, another `start`, the `root`'s start or end, a section. end: the end tag as it is nearly always
    written. again: a record of this name that follows at once, with its whole start tag as group 1.
    """

    __slots__ = ("again", "any", "end", "token")

    def __init__(self, qname: bytes, starts: Iterable[bytes], root: bytes) -> None:
        """`starts` are the names, prefix included, of records whose start tag matters inside this one."""
        name = re.escape(qname)
        kin = [re.escape(start) for start in starts]
        document = [re.escape(root)] if root else []
        tags = [b"/" + name] + [start for tag in document for start in (b"/" + tag, tag)] + kin
        self.any = re.compile(b"|".join([b"<" + tag + rb"[\s/>]" for tag in tags] + [b"<!", rb"<\?"]))
        roots = b"".join(rb"(?P<root>/?" + tag + _ENDED + b")|" for tag in document)
        start = rb"(?P<start>(?:" + b"|".join(kin) + b")" + _ENDED + b")|"
        self.token = re.compile(rb"<(?:(?P<end>/" + name + rb"\s{0,16}>)|" + start + roots + _SECTION + b")")
        self.end = b"</" + qname + b">"
        attributes = rb"(?>(?:\s[^<>\"'/]*+(?>(?:\"[^\"<>]*+\"[^<>\"'/]*+)*))?)"
        self.again = re.compile(rb"[ \t\r\n]{0,64}+(<" + name + attributes + b">)")


class Section(NamedTuple):
    """What is skipped as a whole: its `end`, the longest it may be, and what never stands in it (None: all may)."""

    end: bytes
    most_bytes: int
    never: re.Pattern[bytes] | None


def sections(names: Iterable[str]) -> dict[str, Section]:
    """By the groups of SECTION. Noise brings the few bytes that begin one by chance, and the records behind must not
    wait long for an end that never comes."""
    tag = re.compile(rb"<(?:[?!]|" + PREFIX + either(names) + _ENDED + rb")")
    return {
        "instruction": Section(b"?>", 1 << 10, tag),  # 4x the longest there is, a DOCTYPE with two addresses
        "declaration": Section(b">", 1 << 10, tag),
        "comment": Section(b"-->", 16 << 10, re.compile(rb"<!--")),  # a licence, a block that was commented out
        "cdata": Section(b"]]>", 1 << 30, None),  # made for long content: the record's own limit is its limit
    }


def is_undecided(data: bytearray, at: int, stop: int) -> bool:
    """Could the bytes from `at` to `stop`, which are no token, become one with more bytes?"""
    part = _PART_OF_TOKEN.match(data, at, stop)
    return part is not None and part.end() == stop < at + TOKEN_BYTES


def is_xml_declaration(data: bytearray, at: int) -> bool:
    """Does a document begin at `at`?"""
    return _XML_DECLARATION.match(data, at) is not None


def last_token(data: bytearray, start: int, stop: int) -> int:
    """Return where a token that `stop` may have cut off would start, or `stop`; not before `start`."""
    at = data.rfind(b"<", max(start, stop - TOKEN_BYTES), stop)
    return at if at >= 0 else max(start, stop)


def tag_end(data: bytearray, at: int, stop: int) -> int:
    """Return the offset behind the tag that starts at `at`; 0 if more bytes must tell; minus the offset where it
    breaks, if it is broken. Nothing from `stop` on is looked at.
    """
    longest = at + TAG_BYTES
    run = TAG_RUN.match(data, at + 1, min(stop, longest))
    end = run.end() if run else at + 1
    if end >= min(stop, longest):
        return -longest if longest <= stop else 0
    return end + 1 if data[end] == ord(">") else -end
