"""The shipped dictionaries, one per record format, made by `make dictionaries` from generated t-logs.

A dictionary is data: a better one, trained in the cloud on a store's own stream, comes down like any document.
"""

NAMES = ("transset", "naxml", "poslog", "journal", "text")
_BY_DIALECT = {"verifone-journal": "journal", "escpos": "text", "vsi": "text"}


def for_source(framer: str, dialect: str) -> str:
    """The dictionary's name for a source; XML that names no dialect is most often a Commander's."""
    name = _BY_DIALECT.get(dialect, dialect)
    if name in NAMES:
        return name
    return "transset" if framer == "xml-element" else "text"


def load(name: str) -> bytes:
    """The content of a shipped dictionary (at most 32 KiB: deflate's window)."""
    with open(f"{__path__[0]}/{name}.bin", "rb") as file:
        return file.read()
