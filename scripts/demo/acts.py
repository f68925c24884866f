"""What the POS does in the demo: sell on four tills, or play a recording. One shape for both."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from routerd.framing import Frame, build
from scripts.demo import place as places
from scripts.demo import recording as recordings
from scripts.demo.cloud import Cloud
from scripts.demo.place import Place
from scripts.demo.plan import READ, SOURCES, Plan
from scripts.demo.processes import Child
from scripts.demo.recording import Recording
from scripts.demo.truth import Closed, Sold, Truth

PLAY_SLACK_S = 30.0  # a recording may wait for routerd to come back; longer, and nobody reads the line


class Act(Protocol):
    """`sources` maps names to what they are, of which `lines` speak by themselves; `words` start the simulator, `site`
    the POSes that are read (nothing: there are none), `sections` configure routerd for all of them."""

    sources: dict[str, str]
    lines: frozenset[str]
    sections: list[str]
    words: tuple[str, ...]
    site: tuple[str, ...]
    ring_mb: int

    def sold(self) -> Mapping[str, int]:
        """By source, so far."""
        ...

    async def finish(self, pos: Child) -> None:
        """The time is over: bring the POS to its end."""
        ...

    def truth(self) -> Sequence[Sold]: ...

    def closed(self) -> Sequence[Closed]:
        """The business days that a POS has closed."""
        ...

    def resent(self) -> int: ...

    def doubts(self, cloud: Cloud) -> list[str]:
        """What speaks against the cloud besides the comparison, a line each."""
        ...


class Selling:
    def __init__(self, plan: Plan, place: Place) -> None:
        self.sources = {source.name: source.says for source in (*SOURCES, *READ)}
        self.lines = frozenset(source.name for source in SOURCES)
        self.ring_mb = places.RING_MB
        self.sections: list[str] = []
        targets: list[str] = []
        for source in SOURCES:
            section, words = places.till(source, place)
            self.sections.append(section)
            targets += words
        # No housekeeping records between the tickets: then sold, captured and processed are one number to the eye.
        self.words: tuple[str, ...] = (
            *("scripts.pos", "sell", *targets, "--truth", str(place.truth), "--seed", str(plan.seed)),
            *("--rate", str(plan.rate), "--resend-s", str(places.RESEND_S), "--noise", "0"),
        )
        self.site = self._site(plan, place)
        self._truth, self._kept = Truth(place.truth), Truth(place.site_truth)

    def _site(self, plan: Plan, place: Place) -> tuple[str, ...]:
        port, (controller, files) = places.free_port(), READ
        self.sections += [places.commander(controller, place, port), places.folder(files, place)]
        return (
            *("scripts.demo.site", "--port", str(port), "--folder", str(place.boxout)),
            *("--truth", str(place.site_truth), "--rate", str(plan.rate), "--seed", str(plan.seed)),
        )

    def sold(self) -> Mapping[str, int]:
        self._truth.read()
        self._kept.read()
        return self._truth.tickets + self._kept.tickets

    async def finish(self, pos: Child) -> None:
        await pos.stop()

    def truth(self) -> Sequence[Sold]:
        self._truth.read()
        self._kept.read()
        return [*self._truth.records, *self._kept.records]

    def closed(self) -> Sequence[Closed]:
        self._kept.read()
        return self._kept.closed

    def resent(self) -> int:
        return self._truth.resent.total()

    def doubts(self, cloud: Cloud) -> list[str]:
        doubts = []
        if not (self._truth.ended and self._kept.ended):
            doubts.append("a truth file has no end: the simulator was cut off")
        if cloud.conflicts:
            doubts.append(f"{cloud.conflicts} records contradict a ticket that arrived before: see fleetctl conflicts")
        lost = [one.identity for one in self._truth.suspended if one.sha256 not in _envelopes(cloud, one.source)]
        return [*doubts, *(f"{identity} is not among the captured bytes" for identity in lost)]


class Playing:
    def __init__(self, plan: Plan, place: Place, recording: Recording) -> None:
        self._recording, self._seconds = recording, plan.seconds
        self.lines, self.site = frozenset([recording.source]), ()
        self.sources = {recording.source: f"{recording.path.name}: {recording.framer}, {recording.dialect}"}
        self.sections = [places.player(recording, place)]
        pace = recordings.pace(recording, plan.seconds)
        file = str(recording.path.resolve())
        self.words: tuple[str, ...] = ("scripts.pos", "replay", file, "--serial", str(place.pty), *pace)
        self.ring_mb = places.RING_MB + 2 * (recording.size >> 20)  # the whole file must fit while the WAN is away

    def sold(self) -> Mapping[str, int]:
        return {self._recording.source: self._recording.identities}

    async def finish(self, pos: Child) -> None:
        await pos.finish(self._seconds + PLAY_SLACK_S)

    def truth(self) -> Sequence[Sold]:
        return self._recording.records

    def closed(self) -> Sequence[Closed]:
        return ()

    def resent(self) -> int:
        return 0

    def doubts(self, cloud: Cloud) -> list[str]:
        recording = self._recording
        doubts = []
        captured = cloud.captured.get(recording.source, b"")
        if captured != recording.masked:
            at = next((i for i, (a, b) in enumerate(zip(captured, recording.masked, strict=False)) if a != b), None)
            where = f"at byte {at}" if at is not None else "in its length only"
            told = f"fleetctl reconstruct gives {len(captured)} bytes, the masked file has {len(recording.masked)}"
            doubts.append(f"{told}: they differ {where}")
        if cloud.conflicts != recording.conflicts:
            doubts.append(f"{cloud.conflicts} conflicts in the cloud, {recording.conflicts} in the file")
        return doubts


def _envelopes(cloud: Cloud, source: str) -> set[str]:
    """Digests of a journal's suspended tickets: captured and kept, but no transactions."""
    pieces = build("esc-journal", {}).feed(cloud.captured.get(source, b""))
    return {sha256(piece.data).hexdigest() for piece in pieces if isinstance(piece, Frame) and piece.envelope}


def act(plan: Plan, place: Place) -> Act:
    """Raises OSError and ConfigError for a recording that cannot be read."""
    return Playing(plan, place, recordings.read(Path(plan.tlog))) if plan.tlog else Selling(plan, place)
