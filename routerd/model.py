"""The nouns that cross between rooms: frozen, slotted, without behaviour beyond arithmetic on themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Record kinds on the wire. A kind is one small number for ever; tests/vectors/ holds them.
RECORD, ENVELOPE, NOISE, GAP, DOCUMENT = 0, 1, 2, 3, 4
KIND_NAMES = {RECORD: "record", ENVELOPE: "envelope", NOISE: "noise", GAP: "gap", DOCUMENT: "document"}


@dataclass(frozen=True, slots=True)
class SerialLink:
    """A tty. `port` is a device path, or `usb:` and pyserial's location (`usb:1-1.2`), which survives re-plugging."""

    port: str
    baud: int = 9600  # what DVR journal ports default to
    data_bits: int = 8
    parity: str = "N"
    stop_bits: int = 1


@dataclass(frozen=True, slots=True)
class TcpConnectLink:
    """The router dials the POS."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class TcpListenLink:
    """The POS dials the router. `allow` holds addresses or networks in CIDR form; empty means nobody."""

    bind: str
    port: int
    allow: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommanderLink:
    """The period files of a Verifone site controller, fetched over HTTPS.

    `login_file` holds `user`, `password` and, where the release asks for one, a one-time password, a line each.
    Each request leaves records in the controller's own log, so `poll_s` has a floor.
    """

    host: str
    login_file: Path
    port: int = 443
    poll_s: float = 300.0  # a busy hour has 55 tickets: five of them wait together, and cost one upload
    periods: tuple[str, ...] = ("daily",)  # a shift's file repeats what the day's holds
    catch_up_days: int = 7  # closed days fetched by itself after a first start or a long silence
    pull_gap_s: float = 300.0  # between two closed days: a small CPU makes up megabytes for each


@dataclass(frozen=True, slots=True)
class FolderLink:
    """Files that a POS drops into a directory (PJR*.xml): read, never deleted, never locked."""

    path: Path
    pattern: str = "*.xml"  # of file names, shell style, without regard to case
    poll_s: float = 10.0
    settle_s: float = 5.0  # a file is read once its size and time have not changed for this long


Link = SerialLink | TcpConnectLink | TcpListenLink  # bytes come once
PullLink = CommanderLink | FolderLink  # documents stay for a while and can be read again


@dataclass(frozen=True, slots=True)
class Source:
    """One byte stream or document feed of a POS, as data: a link, a framer and a dialect. `name` outlives the rest."""

    name: str
    link: Link | PullLink
    framer: str
    dialect: str = ""
    framer_options: Mapping[str, str] = field(default_factory=dict)
    idle_close_s: float = 0.0  # a silence that ends a frame (printers); 0 means silence never does


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """One source during one run of the daemon. Sequence numbers start at 1 and have no holes."""

    source: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Stamp:
    """When something was captured. Nothing is refused or reordered for its date: a router boots in 1970.

    boot_id: the first eight hex digits of the kernel's boot id; monotonic times compare within one boot only.
    """

    boot_id: str
    mono_ns: int
    wall_ms: int
    synced: bool


@dataclass(frozen=True, slots=True)
class Draft:
    """A record before the spool gives it its sequence number: masked, described, not yet stored."""

    kind: int
    data: bytes
    identity: str | None = None
    pos_time: str | None = None
    pos_kind: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A draft with its place in a stream and the time its last byte was read."""

    stream: Stream
    seq: int
    stamp: Stamp
    draft: Draft


@dataclass(frozen=True, slots=True)
class Gap:
    """A loss that was noticed. It travels as a record of kind GAP in the source's running stream.

    `stream` with `first`..`last` names the sequence numbers lost; `first` 0 means the loss happened before numbering
    (a cable out, a line too noisy), with as many bytes as are known to be lost.
    """

    stream: Stream
    first: int
    last: int
    cause: str
    lost_bytes: int = 0
    from_wall_ms: int = 0
    to_wall_ms: int = 0

    @property
    def count(self) -> int:
        return self.last - self.first + 1 if self.first else 0


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive records of one epoch of a source."""

    epoch: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Document:
    """A closed document (a period of a Commander, a file of a folder) that was taken whole.

    It travels as a record of kind DOCUMENT behind the last of its records. `name` is the POS's own for it
    (`daily/2026-07-16.311`, a file's name). `runs` say, in the document's order, under which numbers of this source
    each of its frames was stored, now or earlier (from another document, before a restart). `frames` counts them.
    """

    name: str
    frames: int
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """Consecutive records of a stream, compressed once: everything about them but the bytes."""

    stream: Stream
    first_seq: int
    count: int
    codec: str
    dict_id: int
    raw_bytes: int
    crc: int

    @property
    def last_seq(self) -> int:
        return self.first_seq + self.count - 1


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment with its bytes, exactly as stored, sent and acknowledged."""

    info: SegmentInfo
    payload: bytes
