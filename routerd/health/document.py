"""Facts become a health document. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routerd.wire import health

EVERY_S = 300.0
MAX_DOCUMENT_BYTES = 12 << 10  # a poll has 16 KiB, and carries results too
_SPREAD = 0.1  # so that a fleet does not fall into step


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong now or lately; the document holds one row per code. Times are trusted milliseconds."""

    code: str
    message: str
    first_ms: int | None
    last_ms: int | None
    count: int = 1


def document(
    facts: Mapping[str, Any], pos: Sequence[Mapping[str, Any]], troubles: Iterable[Trouble], missed: Sequence[str]
) -> dict[str, Any]:
    """A whole document: what `facts` (by the names of `health.SHAPE`) does not say, or says in another type, is None.

    `missed` names the probes that did not answer in time, whose facts are therefore old or missing. A document that is
    too large for a poll loses its last POS devices, and names `pos` there too.
    """
    said = {**facts, "v": 1, "errors": [_row(trouble) for trouble in _by_code(troubles)]}
    names, rows = sorted(set(missed)), list(pos[: health.MAX_POS])
    while True:
        whole, _ = health.read({**said, "pos": rows, "partial": names})
        if not rows or len(json.dumps(whole, separators=(",", ":"))) <= MAX_DOCUMENT_BYTES:
            return whole
        rows, names = rows[:-1], sorted({*missed, "pos"})


def is_due(sent_s: float, now_s: float, chance: float) -> bool:
    """Whether a document goes with the next poll though nothing changed. Times are monotonic seconds."""
    return now_s - sent_s >= EVERY_S * (1 - _SPREAD + 2 * _SPREAD * chance)


def status(whole: Mapping[str, Any]) -> tuple[object, ...]:
    """What of a document makes it worth sending at once when it changes: links, path, states, which errors."""
    links = tuple((row["id"], row["link"]) for row in whole["pos"])
    codes = tuple(row["code"] for row in whole["errors"])
    return links, whole["path"], whole["wan"]["up"], whole["auth"]["state"], codes


def _by_code(troubles: Iterable[Trouble]) -> list[Trouble]:
    """One per code, the newest ten by their last time."""
    merged: dict[str, Trouble] = {}
    for trouble in troubles:
        held = merged.get(trouble.code)
        merged[trouble.code] = _merge(held, trouble) if held else trouble
    return sorted(merged.values(), key=lambda found: found.last_ms or 0, reverse=True)[: health.MAX_ERRORS]


def _merge(held: Trouble, other: Trouble) -> Trouble:
    newest = max(held, other, key=lambda found: found.last_ms or 0)
    firsts = [found for found in (held.first_ms, other.first_ms) if found is not None]
    return Trouble(held.code, newest.message, min(firsts, default=None), newest.last_ms, held.count + other.count)


def _row(trouble: Trouble) -> dict[str, Any]:
    text = "".join(char if char.isprintable() else " " for char in trouble.message)
    times = {"first_ms": trouble.first_ms, "last_ms": trouble.last_ms, "count": trouble.count}
    return {"code": trouble.code, "msg": text[: health.MAX_MESSAGE_CHARS], **times}
