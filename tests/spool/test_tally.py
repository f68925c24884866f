"""The sum against a model: every record in exactly one place, in whatever order acks and watermarks come."""

from hypothesis import given
from hypothesis import strategies as st

from routerd.model import SegmentInfo, Stream
from routerd.spool.tally import Counts, Tally

STREAM = Stream("till", 3)


def info(first_seq: int, count: int) -> SegmentInfo:
    return SegmentInfo(STREAM, first_seq, count, "raw", 0, 0, 0)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.randoms(), st.lists(st.integers(0, 70), max_size=12))
def test_uploads_and_watermarks_in_any_order_count_each_record_once(
    sizes: list[int], chance: "st.DrawFn", watermarks: list[int]
) -> None:
    tally = Tally()
    segments = []
    first_seq = 1
    for size in sizes:
        segments.append(info(first_seq, size))
        first_seq += size
    tally.capture("till", first_seq - 1, 0)
    chance.shuffle(segments)  # type: ignore[attr-defined]
    steps: list[SegmentInfo | int] = [*segments, *watermarks]
    chance.shuffle(steps)  # type: ignore[attr-defined]
    uploaded: set[int] = set()
    watermark = 0
    for step in steps:
        if isinstance(step, int):
            # the cloud's watermark covers what it holds; before the first ack it says nothing of a stream
            watermark = max(watermark, step) if uploaded else watermark
            tally.process(STREAM, step)
        else:
            tally.upload(step)
            uploaded |= set(range(step.first_seq, step.last_seq + 1))
        queued = first_seq - 1 - len(uploaded)
        counts = tally.counts({"till": queued})["till"]
        assert counts.balances
        assert counts.processed == len({seq for seq in uploaded if seq <= watermark})


def test_quarantine_and_loss_have_their_own_places() -> None:
    tally = Tally()
    tally.capture("till", 10, 500)
    tally.refuse("till", 4)
    tally.lose(info(5, 6))
    assert tally.counts({})["till"] == Counts(10, 0, 0, 0, 4, 6)
    assert tally.captured_bytes("till") == 500


def test_sums_of_sources_add_up() -> None:
    assert Counts(3, 1, 1, 1) + Counts(2, 0, 0, 1, 1, 0) == Counts(5, 1, 1, 2, 1, 0)
