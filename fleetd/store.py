"""What the cloud keeps, as an interface: the nouns, and promises that `tests/fleetd/test_fleetd_store.py` holds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from routerd.model import Gap, Record, Segment, SegmentInfo, Stream
from routerd.wire.batch import Ack

ACTIVE, DISABLED = "active", "disabled"


@dataclass(frozen=True, slots=True)
class Item:
    """A record with the digest of its content, and the gap it declares if it is of kind GAP."""

    record: Record
    digest: bytes
    gap: Gap | None = None


@dataclass(frozen=True, slots=True)
class Usable:
    """A segment that decoded: `items` are its `info.count` records, in order."""

    segment: Segment
    items: tuple[Item, ...]

    @property
    def info(self) -> SegmentInfo:
        return self.segment.info


@dataclass(frozen=True, slots=True)
class Unusable:
    """A segment that did not, with the stable code of the reason and a line for a person."""

    segment: Segment
    code: str
    reason: str

    @property
    def info(self) -> SegmentInfo:
        return self.segment.info


@dataclass(frozen=True, slots=True)
class Delivery:
    """One request of one device, judged and not yet stored."""

    device: str
    received_ms: int
    segments: tuple[Usable | Unusable, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a delivery: an ack for each segment, and the watermark of every stream it touched."""

    acks: tuple[Ack, ...]
    processed: tuple[tuple[Stream, int], ...]


@dataclass(frozen=True, slots=True)
class Device:
    """A registered device. `secret_sha256` is all that is kept of its secret.

    store: whose sales it carries; several devices may carry those of one store. timezone: IANA name, "" if not told.
    """

    id: str
    status: str
    created_ms: int
    secret_sha256: bytes
    store: str
    timezone: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """A filter for everything that can be listed; None and "" mean any. `limit` keeps the latest, still oldest first.

    `since_ms` counts from when the cloud received it: a router's own clock may say 1970.
    """

    device: str = ""
    source: str = ""
    since_ms: int | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Transaction:
    """A POS transaction, or a conflicting version of one. `copies` counts further deliveries under other numbers."""

    device: str
    source: str
    epoch: int
    seq: int
    identity: str | None
    kind: str
    pos_time: str | None
    router_ms: int  # what the router's clock said; when it was is for the ledger to tell
    received_ms: int
    size: int  # of the record's data, in bytes
    copies: int
    boot: bytes
    mono_ms: int
    raw: bytes = b""  # only where it was asked for


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it is kept, for what reads all of them in order. `no` counts arrivals and is never used twice.

    copy_of: the record that keeps the same content of the same identity; `raw` is that one's then.
    """

    no: int
    device: str
    record: Record
    received_ms: int
    copy_of: int | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """A record with the identity of `transaction` and other content. It is kept whole and counts as no transaction."""

    record: Transaction
    transaction: tuple[str, int, int]  # source, epoch, seq


@dataclass(frozen=True, slots=True)
class StreamState:
    """The continuity of a stream. `holes` are ranges up to `highest` neither stored nor declared lost."""

    device: str
    source: str
    epoch: int
    records: int
    copies: int
    watermark: int
    highest: int
    holes: tuple[tuple[int, int], ...]
    received_ms: int

    @property
    def missing(self) -> int:
        return sum(last - first + 1 for first, last in self.holes)


@dataclass(frozen=True, slots=True)
class DeclaredGap:
    """A loss a router declared. `arrived` counts the records of the range that came after all."""

    device: str
    gap: Gap
    arrived: int
    received_ms: int


@dataclass(frozen=True, slots=True)
class InvalidSegment:
    """A segment that was refused, how often, and its first bytes. `size` is its whole length as packed. is_superseded:
    everything it should have held is stored or declared lost since."""

    device: str
    source: str
    epoch: int
    first_seq: int
    count: int
    code: str
    reason: str
    times: int
    first_ms: int
    last_ms: int
    size: int
    is_superseded: bool


class Store(Protocol):
    """One engine. Methods block; an instance belongs to one thread at a time. Every method may raise TransientError
    (`store.unavailable`) when the engine has trouble: nothing of that call is stored then."""

    def commit(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """Store all deliveries in one durable step, in order, and say what became of each.

        When this returns, everything acked survives kill -9 and power loss. Per segment: `stored` if a record was
        new, `duplicate` if none was, `invalid` if it was unusable or if a record differs from the one already kept
        under its number; of an invalid segment nothing is stored but its autopsy. Per device, the first record of
        an identity is the transaction; the same content again is a copy (kept for continuity and reconstruction),
        other content a conflict. Watermarks in the receipts are those after the commit.
        Raises PermanentError (`device.unknown`) for a device that is not registered.
        """
        ...

    def add_device(self, device: Device) -> None:
        """Raises PermanentError (`device.exists`)."""
        ...

    def set_status(self, device_id: str, status: str) -> None:
        """ACTIVE or DISABLED. Raises PermanentError (`device.unknown`)."""
        ...

    def set_store(self, device_id: str, store: str, timezone: str) -> None:
        """Raises PermanentError (`device.unknown`)."""
        ...

    def device(self, device_id: str) -> Device | None: ...

    def devices(self) -> list[Device]:
        """All, by id."""
        ...

    def transactions(self, query: Query, *, raw: bool = False) -> Iterator[Transaction]:
        """In order of arrival, each once."""
        ...

    def conflicts(self, query: Query) -> Iterator[Conflict]:
        """In order of arrival."""
        ...

    def streams(self, query: Query) -> Iterator[StreamState]:
        """By device, source and epoch."""
        ...

    def gaps(self, query: Query) -> Iterator[DeclaredGap]:
        """In order of arrival."""
        ...

    def invalid(self, query: Query) -> Iterator[InvalidSegment]:
        """In order of first arrival; the oldest of a device are forgotten beyond a bound."""
        ...

    def records_after(self, no: int) -> Iterator[StoredRecord]:
        """Every record with a higher number, of any kind, in order of arrival. Numbers ascend; one that was passed is
        never filled in later."""
        ...

    def last_record(self) -> int:
        """The highest number there is; 0 without records."""
        ...

    def captured(self, device: str, source: str, epoch: int | None = None) -> Iterator[bytes]:
        """The data of every record of a source but gaps, exactly as captured, in order of (epoch, seq)."""
        ...

    def close(self) -> None: ...
