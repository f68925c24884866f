"""The sum everybody can read: captured = processed + uploaded + queued + quarantined + gaps. Pure counting.

`queued` is not kept here: it is counted from what the spool really holds, so that the sum can be wrong if we are.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from routerd.model import SegmentInfo, Stream


@dataclass(frozen=True, slots=True)
class Counts:
    """Records of one source since the daemon started; what a start recovers counts as captured."""

    captured: int = 0
    processed: int = 0
    uploaded: int = 0
    queued: int = 0
    quarantined: int = 0
    gaps: int = 0

    @property
    def balances(self) -> bool:
        return self.captured == self.processed + self.uploaded + self.queued + self.quarantined + self.gaps

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.captured + other.captured,
            self.processed + other.processed,
            self.uploaded + other.uploaded,
            self.queued + other.queued,
            self.quarantined + other.quarantined,
            self.gaps + other.gaps,
        )


@dataclass(slots=True)
class _Source:
    captured: int = 0
    processed: int = 0
    uploaded: int = 0
    quarantined: int = 0
    gaps: int = 0
    captured_bytes: int = 0


@dataclass(slots=True)
class _Uploads:
    """A stream's acknowledged ranges above the processed watermark."""

    watermark: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)


class Tally:
    def __init__(self) -> None:
        self._sources: dict[str, _Source] = defaultdict(_Source)
        self._streams: dict[Stream, _Uploads] = defaultdict(_Uploads)

    def capture(self, source: str, records: int, record_bytes: int) -> None:
        self._sources[source].captured += records
        self._sources[source].captured_bytes += record_bytes

    def upload(self, info: SegmentInfo) -> None:
        """The cloud holds this segment. Call once per segment."""
        ranges = self._streams[info.stream].ranges
        if ranges and ranges[-1][1] + 1 == info.first_seq:
            ranges[-1] = (ranges[-1][0], info.last_seq)  # the usual case, so that the list stays short
        else:
            ranges.append((info.first_seq, info.last_seq))
        self._sources[info.stream.source].uploaded += info.count
        if info.first_seq <= self._streams[info.stream].watermark:
            self.process(info.stream, 0)

    def process(self, stream: Stream, watermark: int) -> None:
        """The cloud has used everything of `stream` up to `watermark` (it never goes back)."""
        if stream not in self._streams:
            return
        uploads = self._streams[stream]
        uploads.watermark = max(uploads.watermark, watermark)
        kept = []
        done = 0
        for first, last in uploads.ranges:
            done += max(0, min(last, uploads.watermark) - first + 1)
            if last > uploads.watermark:
                kept.append((max(first, uploads.watermark + 1), last))
        uploads.ranges = kept
        self._sources[stream.source].uploaded -= done
        self._sources[stream.source].processed += done

    def refuse(self, source: str, records: int) -> None:
        """These records were kept aside, because the cloud refuses them."""
        self._sources[source].quarantined += records

    def unheard(self) -> bool:
        """Whether the cloud holds records whose use it has not confirmed."""
        return any(source.uploaded for source in self._sources.values())

    def lose(self, info: SegmentInfo) -> None:
        """The segment was given up and a gap stands for it."""
        self._sources[info.stream.source].gaps += info.count

    def captured_bytes(self, source: str) -> int:
        return self._sources[source].captured_bytes

    def counts(self, queued: dict[str, int]) -> dict[str, Counts]:
        """The sum of each source; `queued` is the spool's own count of what it holds."""
        names = sorted({*self._sources, *queued})
        return {name: self._counts(self._sources[name], queued.get(name, 0)) for name in names}

    @staticmethod
    def _counts(held: _Source, queued: int) -> Counts:
        return Counts(held.captured, held.processed, held.uploaded, queued, held.quarantined, held.gaps)
