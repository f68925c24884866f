"""From evidence to a class of device. Pure; makes and models come as rules.

Each kind of evidence that fits a class adds its weight once, whatever else fits and in whatever order it came; sums are
in whole hundredths, so they are exact. Below the threshold a device is `unknown`, with its evidence told all the same.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from typing import Any

from routerd.discover.evidence import (
    ADDRESS,
    BANNER,
    HOSTNAME,
    KINDS,
    MDNS,
    MODEL,
    OPT55,
    OPT60,
    OUI,
    USB,
    Evidence,
    is_randomised,
)
from routerd.errors import ConfigError

UNKNOWN = "unknown"
CANDIDATE = 0.3  # from here a class is worth naming beside the verdict, and a host may be asked about (product 1.2)
_VERSION = 1
_CONFIDENCES = ("high", "medium", "low")
_PREFIX_DIGITS = (9, 7, 6)  # MA-S, MA-M, MA-L: the longest registration owns the address
_KINDS_SEEN_AS = {
    OUI: "MAC registered to {what}",
    ADDRESS: "address {what}",
    HOSTNAME: "host name {what}",
    MDNS: "announces {what}",
    OPT60: "DHCP vendor class {what}",
    OPT55: "DHCP option list {what}",
    USB: "USB {what}",
    MODEL: "calls itself {what}",
    BANNER: "web page {what}",
}


@dataclass(frozen=True, slots=True)
class Clue:
    """One pattern of a class. `points` are hundredths: the kind's weight, less for what is little verified."""

    kind: str
    fits: Callable[[str], object]
    points: int


@dataclass(frozen=True, slots=True)
class DeviceClass:
    """A class of devices: `kind` is what it is for (`site_controller`), `name` what a person reads."""

    id: str
    kind: str
    name: str
    clues: tuple[Clue, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """The fingerprints. `makers` maps a prefix of 6, 7 or 9 hex digits to its registrant and the classes it is of."""

    classes: tuple[DeviceClass, ...]
    makers: Mapping[str, tuple[str, tuple[str, ...]]]
    points: Mapping[str, int]
    threshold: int
    cap: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A class that something speaks for."""

    class_id: str
    kind: str
    score: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a device is. `score` 0 to 0.99; `evidence` in words; `candidates`: all with some support, best first."""

    class_id: str
    kind: str
    name: str
    score: float
    evidence: tuple[str, ...]
    candidates: tuple[Candidate, ...]

    @property
    def is_known(self) -> bool:
        return self.class_id != UNKNOWN

    def support(self, class_ids: Iterable[str]) -> float:
        """The best score among these classes, 0 if nothing speaks for any."""
        wanted = set(class_ids)
        return max((each.score for each in self.candidates if each.class_id in wanted), default=0.0)


def classify(evidence: Iterable[Evidence], rules: Rules) -> Verdict:
    """The class with the most support, or `unknown` below the threshold."""
    facts = sorted(set(evidence))
    best: dict[str, dict[str, int]] = {}
    for fact in facts:
        for class_id, points in _support(fact, rules):
            kinds = best.setdefault(class_id, {})
            kinds[fact.kind] = max(points, kinds.get(fact.kind, 0))
    totals = {class_id: min(rules.cap, sum(kinds.values())) for class_id, kinds in best.items()}
    ranked = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    classes = {each.id: each for each in rules.classes}
    candidates = tuple(Candidate(class_id, classes[class_id].kind, points / 100) for class_id, points in ranked)
    if not ranked or ranked[0][1] < rules.threshold:
        words = tuple(_words(fact, rules) for fact in facts)
        score = candidates[0].score if candidates else 0.0
        return Verdict(UNKNOWN, UNKNOWN, "unknown device", score, words, candidates)
    winner = classes[ranked[0][0]]
    counted = tuple(
        f"{_words(fact, rules)} (+{points / 100:.2f})"
        for fact in facts
        for class_id, points in _support(fact, rules)
        if class_id == winner.id
    )
    return Verdict(winner.id, winner.kind, winner.name, candidates[0].score, counted, candidates)


def _support(fact: Evidence, rules: Rules) -> list[tuple[str, int]]:
    """(class, points) for each class that one fact speaks for."""
    if fact.kind == OUI:
        return [(class_id, rules.points[OUI]) for class_id in maker(fact.value, rules)[1]]
    found = []
    for each in rules.classes:
        fitting = [clue.points for clue in each.clues if clue.kind == fact.kind and clue.fits(fact.value)]
        if fitting:
            found.append((each.id, max(fitting)))
    return found


def maker(mac: str, rules: Rules) -> tuple[str, tuple[str, ...]]:
    """(registrant, classes) of a MAC, by the longest registered prefix; ("", ()) for unknown and randomised ones."""
    if is_randomised(mac):
        return "", ()
    digits = mac.replace(":", "").upper()
    for length in _PREFIX_DIGITS:
        if found := rules.makers.get(digits[:length]):
            return found
    return "", ()


def _words(fact: Evidence, rules: Rules) -> str:
    what = fact.value if fact.kind != OUI else maker(fact.value, rules)[0] or "nobody known"
    return _KINDS_SEEN_AS[fact.kind].format(what=what)


def rules_from(document: Any, origin: str) -> Rules:
    """The rules of `board/fingerprints.json`, parsed. ConfigError names `origin`, the key and the remedy."""
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        raise ConfigError(f"{origin}: version must be {_VERSION}: install the fingerprints of this release")
    try:
        points = {kind: round(document["weights"][kind] * 100) for kind in KINDS}
        factors = {name: document["confidence"][name] for name in _CONFIDENCES}
        classes = tuple(_class(row, points, factors, origin) for row in document["classes"])
        makers: dict[str, tuple[str, tuple[str, ...]]] = {}
        for prefix, row in document["makers"].items():
            makers[prefix] = (row["name"], tuple(row["classes"]))
        rules = Rules(classes, makers, points, round(document["threshold"] * 100), round(document["cap"] * 100))
    except (KeyError, TypeError, AttributeError, re.error) as exc:
        raise ConfigError(f"{origin}: {exc!r}: mend that key or install the file again") from exc
    known = {each.id for each in classes}
    for prefix, (_, named) in makers.items():
        if len(prefix) not in _PREFIX_DIGITS or not set(named) <= known:
            raise ConfigError(f"{origin}: makers {prefix}: use 6, 7 or 9 hex digits and classes that the file has")
    return rules


def _class(row: Any, points: dict[str, int], factors: dict[str, float], origin: str) -> DeviceClass:
    clues = []
    for kind in KINDS:
        for entry in row.get(kind, []):
            table = entry if isinstance(entry, dict) else {"match": entry}
            factor = factors[table.get("confidence", row["confidence"])]
            clues.append(Clue(kind, _matcher(kind, table["match"]), round(points[kind] * factor)))
    if not row["source"]:
        raise ConfigError(f"{origin}: class {row['id']} names no source: say where its facts come from")
    return DeviceClass(row["id"], row["kind"], row["name"], tuple(clues))


def _matcher(kind: str, pattern: str) -> Callable[[str], object]:
    """Option 60 by regular expression, names and USB ids by shell pattern, pages by a part, the rest whole."""
    if kind == OPT60:
        return re.compile(pattern).search
    if kind in (HOSTNAME, MODEL, USB):
        return re.compile(translate(pattern), re.IGNORECASE).match
    if kind == BANNER:
        return lambda value: pattern in value
    return pattern.__eq__
