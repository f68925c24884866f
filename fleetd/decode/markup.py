"""One record's XML as elements with local names. Pure.

Records are cut out of their document, so a prefix (`nax:`, `acs:`) may stand undeclared: expat reads without
namespaces, and the prefix is dropped. Nothing but elements, attributes and text is accepted: a document type is
refused before an entity can be declared.
"""

from functools import lru_cache
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from fleetd.decode.amounts import cents
from routerd.errors import CorruptError


def parse(data: bytes) -> Element:
    """The tree of one whole element. Bytes that are not UTF-8 are ISO-8859-1, as Passport declares in its head.

    Raises CorruptError `decode.xml` for anything that is not well-formed.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate("utf-8" if _is_utf8(data) else "iso-8859-1")
    parser.buffer_text = True

    def start(tag: str, attributes: dict[str, str]) -> None:
        if attributes and ":" in "".join(attributes):
            attributes = {_local(name): value for name, value in attributes.items()}
        builder.start(_local(tag), attributes)

    parser.StartElementHandler = start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise CorruptError("decode.xml", f"not well-formed at byte {parser.ErrorByteIndex}") from error
    return builder.close()


def text(element: Element, path: str) -> str:
    """The stripped text of the first element at `path`; "" where there is none."""
    return (element.findtext(path) or "").strip()


def flagged(element: Element, path: str) -> bool:
    """Does the NAXML flag at `path` say `value="yes"`?"""
    found = element.find(path)
    return found is not None and found.get("value", "").lower() == "yes"


def money(element: Element, path: str) -> int | None:
    """The cents at `path`; None where the element is absent or empty. Raises CorruptError `decode.amount`."""
    written = text(element, path)
    return cents(written) if written else None


def digits(written: str) -> str:
    """The digits of an item code."""
    return written if written.isdecimal() and written.isascii() else "".join(c for c in written if c in "0123456789")


@lru_cache(maxsize=1024)  # a dialect has some hundred names
def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _refuse(*_: object) -> None:
    raise CorruptError("decode.xml", "a record declares a document type")
