"""Python 3.11.0 to 3.11.4 match a possessive group wrongly where its body fails half-way: they go on behind what the
failed try had read. Debian 12 ships 3.11.2. `(?>(?:…)*)` means the same and is right everywhere."""

import re
from pathlib import Path

ROUTERD = Path(__file__).resolve().parents[2] / "routerd"
POSSESSIVE_GROUP = re.compile(r"(?<!\\)\)(?:[*+?]|\{\d*,?\d*\})\+(?!\+)")


def test_no_pattern_repeats_a_group_possessively() -> None:
    found = [
        f"{path.relative_to(ROUTERD)}:{number}"
        for path in sorted(ROUTERD.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if 'rb"' in line and POSSESSIVE_GROUP.search(line)
    ]
    assert found == []


def test_the_search_finds_what_it_looks_for() -> None:
    assert POSSESSIVE_GROUP.search(r'rb"<(?:[a-z]+:)?+trans"')
    assert POSSESSIVE_GROUP.search(r'rb"(?:a|b){2,5}+c"')
    assert not POSSESSIVE_GROUP.search(r'rb"\)++[a-z]*+(?>(?:a|b)*)"')
