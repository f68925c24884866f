"""Reading single fields out of the head of an XML record without parsing it, and making a name of them.

A record of 200 KB names itself in its first kilobyte, so `bytes.find` on the element's name beats any parser. Matching
is on local names: every POS family writes its own namespace prefix, or none.
"""

import hashlib
import re

from routerd.tlog.masking import mask

MAX_IDENTITY_CHARS = 200  # the contract of `Facts.identity`
HEAD_BYTES = 4096  # the deepest identity field seen stands at byte 847 of its record

_REST_OF_TAG = re.compile(rb"(?:\s[^<>]*)?(?<!/)>\s*([^<]*)")
_START_TAG = re.compile(rb"\s*<(?:[\w.-]+:)?([\w.-]+)([^<>]*)>")
_ISO_TIME = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
)


def start_tag(data: bytes) -> tuple[bytes, bytes]:
    """The local name and the raw attributes of the record's own element; empty when `data` starts otherwise."""
    found = _START_TAG.match(data)
    return (found[1], found[2]) if found else (b"", b"")


def text_of(data: bytes, name: bytes, start: int = 0, end: int = HEAD_BYTES) -> bytes:
    """The stripped text of the first element with local name `name` that starts in `data[start:end]`.

    Empty when there is none, when it is empty, and when it holds elements instead of text.
    """
    at = data.find(name, start, end)
    while at > 0:
        if _opens(data, at):
            found = _REST_OF_TAG.match(data, at + len(name))
            if found:
                return found[1].strip()
        at = data.find(name, at + 1, end)
    return b""


def _opens(data: bytes, at: int) -> bool:
    """Is the name at `at` that of an opening tag, with or without a prefix?"""
    before = data[at - 1 : at]
    if before == b"<":
        return True
    if before != b":":
        return False
    tag = data.rfind(b"<", max(0, at - 64), at)
    return tag >= 0 and data[tag + 1 : at - 1].replace(b"-", b"").replace(b".", b"").isalnum()


def identity(dialect: str, *parts: bytes) -> str:
    """`dialect:part/part/…`: an absent part is `-`, a slash inside a part is escaped, so no two tuples look alike.

    What would pass 200 characters ends in a digest of all of it instead of being cut.
    """
    texts = (part.decode("utf-8", "backslashreplace") or "-" for part in parts)
    whole = f"{dialect}:" + "/".join(text.replace("%", "%25").replace("/", "%2F") for text in texts)
    if len(whole) <= MAX_IDENTITY_CHARS:
        return whole
    return f"{whole[: MAX_IDENTITY_CHARS - 33]}~{hashlib.sha256(whole.encode()).hexdigest()[:32]}"


def digest(data: bytes, dialect: str) -> bytes:
    """16 hex digits of the SHA-256 of the record without the white space around it, for identities of last resort.

    Taken of the masked record: the same before and after masking, and never a hash of a card number.
    """
    return hashlib.sha256(mask(data.strip(), dialect)[0]).hexdigest()[:16].encode()


def iso_time(text: bytes) -> str | None:
    """`text` as ISO 8601 if it is a possible date with a time, else None. Nothing is converted."""
    shown = text.decode("ascii", "replace")
    return shown if _ISO_TIME.fullmatch(shown) else None
