"""The truth against the cloud, ticket by ticket. Pure functions on lists."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from scripts.demo.truth import Sold

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """One transaction in the cloud. `copies` counts its further deliveries; they are no transactions."""

    source: str
    identity: str | None
    data: bytes
    copies: int = 0
    captured_ms: int = 0
    received_ms: int = 0

    @property
    def sha256(self) -> str:
        return sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a ticket took into the cloud: from its last byte's leaving the POS, or, where nobody noted that, from
    its last byte's reading."""

    source: str
    since_ms: int
    ms: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Names of tickets, one for each that is missing, there once too often, never sold, or not as it was sold."""

    missing: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not (self.missing or self.doubled or self.foreign or self.altered)


def compare(truth: Iterable[Sold], cloud: Iterable[Kept]) -> Verdict:
    """Each identity once, however often it was handed over; a record without one as often as it was handed over. What
    is not due may be missing."""
    sold: dict[Key, list[Sold]] = defaultdict(list)
    for record in truth:
        sold[key(record)].append(record)
    nameless = {
        (record.source, record.sha256) for records in sold.values() for record in records if not record.identity
    }
    kept: dict[Key, list[Kept]] = defaultdict(list)
    for transaction in cloud:
        is_nameless = (transaction.source, transaction.sha256) in nameless  # what the POS names not, the dialect may
        kept[key(replace(transaction, identity=None) if is_nameless else transaction)].append(transaction)
    wanted = Counter({name: 1 if records[0].identity else len(records) for name, records in sold.items()})
    due = Counter({name: count for name, count in wanted.items() if any(record.due for record in sold[name])})
    found = Counter({name: len(transactions) for name, transactions in kept.items()})
    return Verdict(
        missing=_names(due - found),
        doubled=_names(Counter({name: n for name, n in (found - wanted).items() if name in wanted})),
        foreign=_names(Counter({name: n for name, n in found.items() if name not in wanted})),
        altered=_names(
            Counter({name: n for name in sold.keys() & kept.keys() if (n := _altered(sold[name], kept[name]))})
        ),
    )


def key(record: Sold | Kept) -> Key:
    """A record's name within the store: its source and the POS's identity, or else its content."""
    return record.source, record.identity or f"content {record.sha256[:16]}"


def _altered(sold: Sequence[Sold], kept: Sequence[Kept]) -> int:
    return sum(not any(is_faithful(record, transaction.data) for record in sold) for transaction in kept)


def is_faithful(record: Sold, data: bytes) -> bool:
    """Whether `data` is what was handed over: to the bit, but for white space around it in its file; or, where it held
    a card number whole, as long and without it, its first six and last four digits left standing."""
    if record.in_file:
        data = data.strip()
    if not record.masked:
        return sha256(data).hexdigest() == record.sha256
    if len(data) != record.size:
        return False
    return all(pan.encode() not in data and pan[:6].encode() in data for pan in record.pans)


def waits(truth: Iterable[Sold], cloud: Iterable[Kept]) -> list[Wait]:
    """One for each ticket in the cloud."""
    sold = {key(record): record for record in truth if record.sold}
    return [
        Wait(record.source, since_ms, transaction.received_ms - since_ms)
        for transaction in cloud
        if (record := sold.get(key(transaction))) and (since_ms := record.wall_ms or transaction.captured_ms)
    ]


def undisturbed(found: Iterable[Wait], windows: Collection[tuple[int, int]]) -> list[Wait]:
    """Those that began outside the windows, which are (from, until) in wall milliseconds."""
    return [wait for wait in found if not any(first <= wait.since_ms <= last for first, last in windows)]


def percentile(values: Iterable[int], share: float) -> int | None:
    """The value that `share` of them do not exceed; None of nothing."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else None


def _names(counted: Counter[Key]) -> list[str]:
    return sorted(f"{source} {name}" for source, name in counted.elements())
