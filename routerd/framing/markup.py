"""The XML lexicon the xml-element framer reads with: which bytes start what, and where a tag ends.

Source: W3C XML 1.0, sections 2.3 (names), 2.5 to 2.7 (comments, instructions, CDATA), 3.1 (tags: no `<` in a value).
Every token has a longest length, so whether bytes are one never depends on how they arrived.
"""

import re
from collections.abc import Iterable

TOKEN_BYTES = 256  # the longest token: name 128 with its prefix 64, white space 16
TAG_BYTES = 8192  # 16x the longest start tag seen (the root of an NCR POSLog, 500 B)
SECTION_ENDS = {"instruction": b"?>", "comment": b"-->", "cdata": b"]]>", "declaration": b">"}

PREFIX = rb"(?:[A-Za-z_\x80-\xff][\w.\-\x80-\xff]{0,62}:)?+"
_NAME = rb"[A-Za-z_\x80-\xff][\w.:\-\x80-\xff]{0,127}+"
_QUOTED = rb"(?:\"[^\"<]*+\"|'[^'<]*+')"
_SECTION = (
    rb"(?P<instruction>\?[\w.:\-]{1,64}+[\s?])|(?P<comment>!--)|(?P<cdata>!\[CDATA\[)|(?P<declaration>![A-Z]{2,16}\s)"
)
_ENDED = rb"(?=[\s/>])"
_XML_DECLARATION = re.compile(rb"<\?xml\s")

SECTION = re.compile(rb"<(?:" + _SECTION + rb")")
NAME_START = re.compile(rb"<(/?)(" + _NAME + rb")" + _ENDED)
WHOLE_TAG = re.compile(rb"</?" + _NAME + rb"(?:\s+" + _NAME + rb"\s*=\s*" + _QUOTED + rb")*+\s*/?>")
# From behind a tag's `<` to its `>`, to a `<` that proves it broken, or to the end of the data.
TAG_RUN = re.compile(rb"[^<>\"']*+(?:" + _QUOTED + rb"[^<>\"']*+)*+(?:\"[^\"<]*+|'[^'<]*+)?+")


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


def inside(qname: bytes, starts: bytes, root: bytes) -> re.Pattern[bytes]:
    """What matters inside a record: its `end`, another `start`, the `root`'s start or end, a section."""
    document = rb"(?P<root>/?" + re.escape(root) + _ENDED + rb")|" if root else b""
    end = rb"(?P<end>/" + re.escape(qname) + rb"\s{0,16}>)|"
    return re.compile(rb"<(?:" + end + rb"(?P<start>" + starts + _ENDED + rb")|" + document + _SECTION + rb")")


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
