"""A recorded t-log: how it is read, and what the cloud must hold once it was played. Pure but for reading the file."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from routerd import tlog
from routerd.cli.frame import guess
from routerd.framing import Noise, Piece, build
from scripts.demo.truth import Sold
from scripts.pos.replay import timing

SOURCE = "recording"
CHUNK_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Recording:
    """`records` are the frames as the cloud must hold them, masked; `masked` is the whole file so."""

    path: Path
    source: str
    framer: str
    dialect: str
    options: Mapping[str, str]
    size: int
    masked: bytes
    records: tuple[Sold, ...]
    noise_bytes: int

    @property
    def identities(self) -> int:
        """Records by name: unique identities, and every frame that names none."""
        named = {record.identity for record in self.records if record.identity}
        return len(named) + sum(record.identity is None for record in self.records)

    @property
    def conflicts(self) -> int:
        """Further contents under an identity that the file itself holds: kept by the cloud as conflicts."""
        versions = {(record.identity, record.sha256) for record in self.records if record.identity}
        return len(versions) - len({identity for identity, _ in versions})


def read(path: Path) -> Recording:
    """Raises OSError, and ConfigError for bytes nothing can be guessed of."""
    content = path.read_bytes()
    framer, dialect, options = guess(content)
    dialect = dialect or "text"  # of what looks like nothing, lines are made
    reader = build(framer, options, tlog.DIALECTS[dialect].elements)
    pieces: list[Piece] = []
    for at in range(0, len(content), CHUNK_BYTES):
        pieces += reader.feed(content[at : at + CHUNK_BYTES])
    pieces += reader.close()
    records, masked, noise = [], [], 0
    for piece in pieces:
        data, _ = tlog.mask(piece.data, dialect)
        masked.append(data)
        if isinstance(piece, Noise):
            noise += len(data)
        elif not piece.envelope:
            records.append(_record(data, dialect))
    whole = b"".join(masked)
    return Recording(path, SOURCE, framer, dialect, options, len(content), whole, tuple(records), noise)


def _record(data: bytes, dialect: str) -> Sold:
    facts = tlog.DIALECTS[dialect].describe(data)
    return Sold(SOURCE, facts.identity, sha256(data).hexdigest(), len(data))


def pace(recording: Recording, seconds: float) -> tuple[str, ...]:
    """The simulator's words that make the file take `seconds`: its own timing, scaled, where one was recorded."""
    beside = recording.path.with_name(f"{recording.path.stem}-timing.csv")
    if beside.exists():
        reads = timing(beside.read_text().splitlines())
        lasted_s = reads[-1].at_s if reads else 0.0
        if lasted_s > 0:
            return ("--timing", str(beside), "--speed", f"{lasted_s / seconds:.6f}")
    return ("--bytes-per-s", f"{max(1.0, recording.size / seconds):.1f}")
