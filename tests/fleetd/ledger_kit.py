"""Period files as a router delivers them, and a book that follows a store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from fleetd import sqlite_schema
from fleetd.decode import decode
from fleetd.ledger import verdicts
from fleetd.ledger.follower import Follower
from fleetd.ledger.reading import Decode
from fleetd.ledger.schema import open_book
from fleetd.ledger.verdict import DayVerdict
from fleetd.sqlite_store import SqliteStore
from routerd.framing import Frame
from routerd.framing.xml import XmlElement
from routerd.model import ENVELOPE, NOISE, RECORD, Document, Draft, Run, Segment, Stamp, Stream
from routerd.tlog import DIALECTS, mask
from routerd.wire import batch, body
from routerd.wire.body import document_draft
from tests.fleetd.kit import BOOK, NOW_MS, delivery, device, packed_body, segment
from tests.samples import sample

COMMANDER = Stream("commander", 7)
DAILY_311, DAILY_312, SHIFT_392 = "daily/2026-07-16.311", "daily/2026-07-17.312", "shift/2026-07-17.392"
PER_SEGMENT = 500


@cache
def genuine(document: str) -> tuple[Draft, ...]:
    """The records of a genuine Commander document, as capture describes them."""
    kind, _, rest = document.partition("/")
    return tuple(drafts(sample("verifone-commander", f"{kind}-{rest}.xml")))


def drafts(data: bytes, dialect: str = "transset") -> list[Draft]:
    framer, known = XmlElement(DIALECTS[dialect].elements), DIALECTS[dialect]
    made = []
    for piece in [*framer.feed(data), *framer.close()]:
        masked = mask(piece.data, dialect)[0]
        if not isinstance(piece, Frame):
            made.append(Draft(NOISE, masked))
        elif piece.envelope:
            made.append(Draft(ENVELOPE, masked))
        else:
            facts = known.describe(masked)
            made.append(Draft(RECORD, masked, facts.identity, facts.pos_time, facts.kind))
    return made


def document(name: str, runs: Sequence[Run]) -> Draft:
    return document_draft(Document(name, sum(run.last - run.first + 1 for run in runs), tuple(runs)))


def frames_of(made: Sequence[Draft], first: int = 1, epoch: int = 7) -> list[Run]:
    """The runs of a document whose drafts were stored from `first` on: noise is part of none."""
    numbers = [at for at, draft in enumerate(made, first) if draft.kind != NOISE]
    runs: list[Run] = []
    for number in numbers:
        if runs and runs[-1].last + 1 == number:
            runs[-1] = Run(epoch, runs[-1].first, number)
        else:
            runs.append(Run(epoch, number, number))
    return runs


def segments(made: Sequence[Draft], first: int = 1, stream: Stream = COMMANDER) -> list[Segment]:
    starts = range(0, len(made), PER_SEGMENT)
    return [segment(first + at, made[at : at + PER_SEGMENT], stream) for at in starts]


def delivered(name: str) -> list[Segment]:
    """A genuine document and, behind its records, what says that it was taken whole."""
    made = genuine(name)
    return [*segments(made), segment(len(made) + 1, [document(name, frames_of(made))], COMMANDER)]


@dataclass
class House:
    """A store with its book, and a clock that stands where it is put."""

    root: Path
    decoder: Decode = decode
    now_ms: int = NOW_MS
    devices: Sequence[str] = ("r1",)
    store: SqliteStore = field(init=False)
    follower: Follower = field(init=False)

    def __post_init__(self) -> None:
        sqlite_schema.create(self.root / "fleet.db")
        self.store = SqliteStore(self.root / "fleet.db")
        for name in self.devices:
            if self.store.device(name) is None:
                self.store.add_device(device(name))
        self.book = open_book(self.root / "ledger.db")
        self.follower = Follower(
            self.book, self.store, lambda kind, data, pos_kind: self.decoder(kind, data, pos_kind), lambda: self.now_ms
        )

    def take(self, *sent: Segment, device_id: str = "r1", at_ms: int = 0) -> None:
        """Deliver and follow."""
        receipts = self.store.commit([delivery(device_id, *sent, at_ms=at_ms or self.now_ms)])
        assert {ack.status for receipt in receipts for ack in receipt.acks} <= {"stored", "duplicate"}
        self.follow()

    def follow(self) -> None:
        while self.follower.step():
            pass

    def verdict(self, name: str, device_no: int = 1) -> DayVerdict:
        [found] = [one for one in verdicts.judged(self.book, device_no) if one.name == name]
        return found.verdict

    def close(self) -> None:
        self.book.close()
        self.store.close()


MakeHouse = Callable[..., House]


def stamped(made: Segment, stamp: Stamp) -> Segment:
    """The same records, captured at another time."""
    info = made.info
    content = BOOK.decompress(made.payload, info.codec, info.dict_id, info.raw_bytes)
    again = [record.draft for record in body.records(content, info.stream, info.first_seq)]
    packed = packed_body(again, stamp)
    return batch.seal(
        info.stream, info.first_seq, info.count, packed, (info.codec, 0, BOOK.compress(packed, info.codec))
    )
