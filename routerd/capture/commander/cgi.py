"""What a Verifone site controller answers, told apart. Pure.

Documents, faults and the login page all come with HTTP 200, so an answer is what was asked for only if its root element
says so. Names are compared without their namespace prefix, which differs between releases.
Sources: "Site Controller URL Reference Guide" 2.00.01 (Verifone, 2016) for commands and roots; the fault envelope
(`Response/Fault/faultCode, faultString, message`) and its codes as several integrators report them.
"""

import html
import re
from dataclasses import dataclass
from enum import Enum, auto

CREDENTIAL, PERIOD_LIST, DOCUMENT = "credential", "periodList", "transSet"  # roots
_PROLOGUE = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:\s+|<\?[^>]*>|<!--.*?-->|<![A-Za-z][^>]*>)*", re.S)
_ROOT = re.compile(rb"<(?:[\w.-]+:)?([\w.-]+)[\s/>]")
_COOKIE = re.compile(rb"<(?:[\w.-]+:)?cookie\b[^<>]*>\s{0,64}([^\s<>][^<>\x00-\x1f]{0,511})\s{0,64}<")
_TOLD = re.compile(rb"<(?:[\w.-]+:)?(faultCode|faultString|message)\b[^<>]*>([^<]*)", re.I)
_NUMBER = re.compile(rb"""\bshortId\s*=\s*["'](\d{1,9})["']""")
_OPENED = re.compile(rb"<(?:[\w.-]+:)?openedTime\b[^<>]*>([^<]{0,64})")
_SUBSET = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:\s+|<\?[^>]*>|<!--.*?-->)*<!doctype[^<>\[]*\[", re.S | re.I)
_ASKS_FOR_LOGIN = re.compile(rb"passw|log.?(?:in|on)|sign.?in", re.I)
_MAX_WORDS_CHARS = 1000
_NO_ATTEMPT = re.compile(
    r"controller is busy|maximum (?:number of )?(?:cookies|credentials|sessions) (?:are )?in use", re.I
)
_ABOUT_LOGIN = re.compile(
    r"fail|invalid|incorrect|wrong|lock|attempt|passw|\bpin\b|otp|user|authent|denied|refuse|reject", re.I
)


class Meaning(Enum):
    """What a fault says, and so who must act."""

    REFUSED = auto()  # this login, or the account: a person
    EXPIRED = auto()  # the controller does not know the cookie: log in once more
    DOUBTED = auto()  # the cookie, it seems, and it may still count as in use: give it back, log in once more
    CONTENDED = auto()  # every cookie is in use: somebody else must release one
    BUSY = auto()  # wait
    UNKNOWN = auto()  # the controller has no such command
    DENIED = auto()  # the account may not use the command
    ABSENT = auto()  # no such period
    OTHER = auto()


# In this order: "Maximum failed attempts reached" is a lock-out, "Maximum number of credentials in use" is not, and the
# code InternalError says nothing.
_MEANINGS = [
    (Meaning.EXPIRED, r"loginrequired"),
    (Meaning.REFUSED, r"lock(?:ed|out)|attempts"),
    (Meaning.CONTENDED, r"\b(?:maximum|too many|limit|all)\b.*(?:cookie|credential|session)|cookies? .*in use"),
    (Meaning.REFUSED, r"authentication|\b(?:user ?id|pin)\b|otp|one.?time|passw|credentials|user.?name|login failed"),
    (Meaning.DOUBTED, r"login required|(?:session|cookie|credential)s? .*(?:expired|timed out|invalid|unknown)"),
    (Meaning.DENIED, r"denied|permission|not (?:authori|permitted|allowed)"),
    (Meaning.DOUBTED, r"log ?in|session|cookie|credential"),
    (Meaning.BUSY, r"busy|try again|not ready|unavailable|not available|starting"),
    (Meaning.UNKNOWN, r"commandnotfound|invalidcommand|(?:unknown|invalid|unsupported|no such) (?:command|function)"),
    (Meaning.ABSENT, r"not ?found|no such|does not exist|invalid ?(?:param|file|period)|no data"),
]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: what it means, and the controller's words in one short line."""

    meaning: Meaning
    words: str


@dataclass(frozen=True, slots=True)
class Head:
    """Which period an open document is: `number` is its shortId, None where it has none; `opened` the POS's text."""

    number: int | None
    opened: str


def root(data: bytes) -> str:
    """The local name of the first element, "" while its start tag is not complete or where there is none."""
    prologue = _PROLOGUE.match(data)
    found = _ROOT.match(data, prologue.end() if prologue else 0)
    return found[1].decode("ascii", "replace") if found else ""


def is_page(root_name: str) -> bool:
    return root_name.lower() == "html"


def asks_for_login(page: bytes) -> bool:
    """Whether a page is the one a browser without a login gets, not that of some other machine."""
    return bool(_ASKS_FOR_LOGIN.search(page))


def cookie(body: bytes) -> str:
    """The cookie in a credential, or in any answer that renews it; "" without one."""
    found = _COOKIE.search(body)
    return html.unescape(found[1].decode("ascii", "replace")).strip() if found else ""


def declares_types(data: bytes) -> bool:
    """Whether it begins with a document type declaration that has an internal subset."""
    return bool(_SUBSET.match(data))


def fault(body: bytes) -> Fault | None:
    """The fault in an answer, None where it holds none."""
    told = [text.decode("utf-8", "replace").strip() for _, text in _TOLD.findall(body)]
    if not told:
        return None
    said = " ".join(word for word in " ".join(told).split() if word.isprintable())
    return Fault(_meaning(said.lower()), said[:_MAX_WORDS_CHARS])


def is_no_attempt(fault: Fault) -> bool:
    """Whether a login got this fault before anybody looked at it: in known words only, and in none about the login."""
    is_known = fault.meaning in (Meaning.BUSY, Meaning.CONTENDED) and bool(_NO_ATTEMPT.search(fault.words))
    return is_known and not _ABOUT_LOGIN.search(fault.words)


def head(data: bytes) -> Head:
    """From a document's first kilobyte."""
    number, opened = _NUMBER.search(data), _OPENED.search(data)
    return Head(int(number[1]) if number else None, opened[1].decode("ascii", "replace") if opened else "")


def _meaning(said: str) -> Meaning:
    return next((meaning for meaning, pattern in _MEANINGS if re.search(pattern, said)), Meaning.OTHER)
