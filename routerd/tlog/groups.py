"""Card numbers in the groups they are printed in, whatever separates them: `4012.8888.8888.1881`, `3782 822463 10005`.

A group of four comes first. What separates the groups is the same mark each time, or white space of one or two
bytes (tabs and no-break spaces, in Latin-1 and UTF-8, are some). Numbers of 12 and 13 digits have the length of
item codes and of three or four columns of a table: without a word that calls them a card, only one in tight groups
that no further column follows is taken for one.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from routerd.tlog.context import CARD, KEEP, LOOK, in_card_field, verdict
from routerd.tlog.pan import ITEM_LENGTHS, KEEP_FIRST, KEEP_LAST, is_pan

_SHAPES = frozenset(
    (
        *((4, 4, 4, 4), (4, 4, 4, 4, 1), (4, 4, 4, 4, 2), (4, 4, 4, 4, 3)),
        *((4, 4, 4), (4, 4, 4, 1), (4, 4, 4, 2), (4, 4, 4, 3), (4, 4, 5), (4, 3, 3, 3)),
        *((4, 6, 4), (4, 6, 5)),
    )
)
_MAX_GROUPS = 5

# On the translated bytes, where every separator is made of spaces. Literals come first: those a search finds fast
_INNER_GROUP = re.compile(rb"0000 000(?:0(?:00)?)?(?= {1,2}0)")
_WIDE_SPACE = b"000  000"
_SECOND_GROUP = re.compile(rb"0000(?<!00000) {1,2}000(?:0(?:00)?)?(?= {1,2}0)")
_GROUP = re.compile(rb" {1,2}(0+)")

_SPACE = re.compile(rb"[ \t\xa0]{1,2}|\xc2\xa0")
_MARK = re.compile(rb"[-.]")
_TIGHT = frozenset((b" ", b"\xa0", b"\xc2\xa0", b"-", b"."))


def suspects_groups(flat: bytes) -> bool:
    """Do groups of digits follow each other? `flat` is the data through `masking.FLAT`. Cheap, for every record."""
    return _INNER_GROUP.search(flat) is not None or _WIDE_SPACE in flat


def group_spans(data: bytes, flat: bytes) -> Iterator[tuple[int, int]]:
    """The digits to blank of every grouped card number."""
    at = 0
    while found := _SECOND_GROUP.search(flat, at):
        at = found.start() + 4
        yield from _spans(data, _groups(flat, found.start()))


def _spans(data: bytes, groups: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """A long number may hold a shorter one that is right, too: of both nothing but what both may show stays."""
    for count in range(len(groups), 2, -1):
        if tuple(end - start for start, end in groups[:count]) in _SHAPES and _is_card(data, groups[:count]):
            digits = [n for start, end in groups[:count] for n in range(start, end)]
            yield from ((n, n + 1) for n in digits[KEEP_FIRST:-KEEP_LAST])


def _groups(flat: bytes, start: int) -> list[tuple[int, int]]:
    """Where the group of four at `start` and those behind it stand."""
    end = start + 4
    groups = [(start, end)]
    while len(groups) < _MAX_GROUPS and (found := _GROUP.match(flat, end)):
        groups.append(found.span(1))
        end = found.end()
    return groups


def _is_card(data: bytes, groups: list[tuple[int, int]]) -> bool:
    separators = {data[end:start] for (_, end), (start, _) in pairwise(groups)}
    is_mark = len(separators) == 1 and _MARK.fullmatch(min(separators))
    if not is_mark and not all(map(_SPACE.fullmatch, separators)):
        return False
    start, end = groups[0][0], groups[-1][1]
    digits = b"".join(data[first:last] for first, last in groups)
    if not is_pan(digits):
        return in_card_field(data, start) and verdict(data, start, end) == CARD
    place = verdict(data, start, end)
    if place == LOOK and len(digits) in ITEM_LENGTHS:
        return len(separators) == 1 and _stands_alone(data, start, end, min(separators))
    return place != KEEP


def _stands_alone(data: bytes, start: int, end: int, separator: bytes) -> bool:
    """Are the groups tight, and does no further one go before or follow?"""
    size = len(separator)
    before, after = data[max(0, start - size - 1) : start], data[end : end + size + 1]
    neighbours = [before[:1] if before.endswith(separator) else b"", after[-1:] if after.startswith(separator) else b""]
    goes_on = bytes.isalnum if separator in (b"-", b".") else bytes.isdigit
    return separator in _TIGHT and not any(map(goes_on, neighbours))
