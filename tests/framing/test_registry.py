import pytest

from routerd.errors import ConfigError
from routerd.framing import FRAMERS, Frame, build
from tests.framing.laws import cut, records


@pytest.mark.parametrize("name", FRAMERS)
def test_every_framer_is_built_from_its_defaults(name: str) -> None:
    framer = build(name, {})
    assert framer.feed(b"") == []
    assert framer.close() == []
    assert all(option.meaning and option.allowed for option in FRAMERS[name].options)


def test_an_unknown_framer_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(ConfigError, match=r"framer = 'xlm' is unknown.*xml-element.*length-prefix"):
        build("xlm", {})


def test_an_unknown_option_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(ConfigError, match=r"text: unknown option lines = 'x'; valid options: mode, start, end, line"):
        build("text", {"lines": "x"})
    with pytest.raises(ConfigError, match=r"esc-journal: unknown option line = 'x'; valid options: none"):
        build("esc-journal", {"line": "x"})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("text", {"mode": "etx"}, r"mode = 'etx' is impossible: use one of: lines, stx"),
        ("text", {"line": "hex:2g"}, r"line = 'hex:2g' is impossible: .*hex:220d0a"),
        ("text", {"line": r"\q"}, r"line = '\\\\q' is impossible: unknown escape \\q"),
        ("text", {"line": "\\"}, r"line = .* is impossible: unknown escape"),
        ("text", {"start": "A"}, r"start = 'A' is impossible: .*give end too"),
        ("text", {"mode": "stx", "line": r"\n"}, r"line = .* is impossible: mode = stx"),
        ("vsi-add", {"start": "A"}, r"start = 'A' is impossible: .*give end too"),
        ("length-prefix", {"width": "3"}, r"width = '3' is impossible: use one of: 1, 2, 4"),
        ("escpos", {"cut": "citizen"}, r"cut = 'citizen' is impossible: use one of: epson, star"),
    ],
)
def test_an_impossible_value_is_refused_with_key_value_and_remedy(
    name: str, options: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build(name, options)


def test_delimiters_are_text_with_escapes_or_hexadecimal() -> None:
    assert records(cut(lambda: build("text", {"line": r"\x22\r\n"}), b'a"\r\nb"\r\n')) == [b'a"\r\n', b'b"\r\n']
    assert records(cut(lambda: build("text", {"line": "hex:220d0a"}), b'a"\r\n')) == [b'a"\r\n']
    assert records(cut(lambda: build("text", {"end": r"\e\0\\é"}), b"a\x1b\x00\\\xc3\xa9")) == [b"a\x1b\x00\\\xc3\xa9"]


def test_options_reach_their_framer() -> None:
    assert build("text", {"mode": "stx", "lrc": "no"}).feed(b"\x02a\x03") == [Frame(b"\x02a\x03")]
    assert build("escpos", {"cut": "star"}).feed(b"A\x1bd\x00") == [Frame(b"A\x1bd\x00")]
    assert build("vsi-add", {"start": "A", "end": "Z"}).feed(b"\x1b\x02AZ\n") == [Frame(b"\x1b\x02AZ\n", channel="2")]
    options = {"width": "1", "order": "little", "includes": "yes", "magic": "M"}
    assert build("length-prefix", options).feed(b"M\x02a") == [Frame(b"M\x02a")]
    assert build("xml-element", {}, ("row",)).feed(b"<row/>") == [Frame(b"<row/>")]
