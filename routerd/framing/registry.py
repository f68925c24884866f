"""The framers by the names the configuration uses."""

from collections.abc import Mapping

from routerd.errors import ConfigError
from routerd.framing.base import Framer
from routerd.framing.escpos import EscPos
from routerd.framing.journal import EscJournal
from routerd.framing.length import LengthPrefix
from routerd.framing.options import Builder, Option, Settings
from routerd.framing.text import Lines, Spans, StxEtx
from routerd.framing.vsi import VsiAdd
from routerd.framing.xml import XmlElement

_YES_NO = ("yes", "no")


def _xml_element(settings: Settings, elements: tuple[str, ...]) -> Framer:
    return XmlElement(elements)


def _esc_journal(settings: Settings, elements: tuple[str, ...]) -> Framer:
    return EscJournal()


def _text(settings: Settings, elements: tuple[str, ...]) -> Framer:
    start, end, line = (settings.delimiter(key) for key in ("start", "end", "line"))
    if settings.text("mode") == "stx":
        for key in ("start", "end", "line"):
            if settings.text(key):
                raise settings.refused(key, settings.text(key), "mode = stx has its own delimiters; remove it")
        return StxEtx(settings.flag("lrc"))
    if start and not end:
        raise settings.refused("start", settings.text("start"), "a start needs an end; give end too, or only line")
    return Spans(start, end, line) if end else Lines(line)


def _escpos(settings: Settings, elements: tuple[str, ...]) -> Framer:
    return EscPos(settings.text("cut") == "star")


def _vsi_add(settings: Settings, elements: tuple[str, ...]) -> Framer:
    start, end, line = (settings.delimiter(key) for key in ("start", "end", "line"))
    if start and not end:
        raise settings.refused("start", settings.text("start"), "a start needs an end; give end too, or neither")
    return VsiAdd(line, start, end)


def _length_prefix(settings: Settings, elements: tuple[str, ...]) -> Framer:
    return LengthPrefix(
        int(settings.text("width")),
        "big" if settings.text("order") == "big" else "little",
        includes=settings.flag("includes"),
        magic=settings.delimiter("magic"),
    )


_LINE = Option("line", "what ends a line; empty: CR, LF or CRLF")

FRAMERS: dict[str, Builder] = {
    "xml-element": Builder("XML cut into record elements (transSet, NAXML, POSLog)", (), _xml_element),
    "esc-journal": Builder("Verifone DVR journal cut into tickets", (), _esc_journal),
    "text": Builder(
        "lines, tickets between two strings, or STX/ETX telegrams",
        (
            Option("mode", "delimited text, or STX … ETX telegrams", "lines", ("lines", "stx")),
            Option("start", "what begins a ticket; empty: a ticket begins where the last one ended"),
            Option("end", "what ends a ticket; empty: every line is a frame"),
            _LINE,
            Option("lrc", "a check byte follows ETX (mode stx)", "yes", _YES_NO),
        ),
        _text,
    ),
    "escpos": Builder(
        "ESC/POS printer stream cut into receipts",
        (
            Option(
                "cut",
                "the printer: on a Star ESC d n cuts, on an Epson it feeds",
                "epson",
                ("epson", "star"),
            ),
        ),
        _escpos,
    ),
    "vsi-add": Builder(
        "AVE VSI-ADD: the lines or tickets of up to 16 registers on one line",
        (
            _LINE,
            Option("start", "a ticket's first line holds it; empty: a ticket begins where the last one ended"),
            Option("end", "a ticket's last line holds it; empty: every line is a frame"),
        ),
        _vsi_add,
    ),
    "length-prefix": Builder(
        "frames that begin with their length",
        (
            Option("width", "bytes of the length", "2", ("1", "2", "4")),
            Option("order", "byte order of the length", "big", ("big", "little")),
            Option("includes", "the length counts its own bytes", "no", _YES_NO),
            Option("magic", "bytes before every length, to find the next frame after damage"),
        ),
        _length_prefix,
    ),
}


def build(name: str, options: Mapping[str, str], elements: tuple[str, ...] = ()) -> Framer:
    """Return a fresh framer.

    name: a key of FRAMERS. options: text from the configuration, as that framer declares. elements: local names of
    the dialect's records, for the framers that cut by them.
    Raises ConfigError naming the key, the value and the valid ones.
    """
    if name not in FRAMERS:
        raise ConfigError(f"framer = {name!r} is unknown; use one of: {', '.join(FRAMERS)}")
    builder = FRAMERS[name]
    return builder.make(Settings(name, builder.options, options), elements)
