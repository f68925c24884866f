"""The promises of a store, for every engine."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetd.store import ACTIVE, DISABLED, Query, Store
from routerd.errors import PermanentError
from routerd.model import ENVELOPE, NOISE, RECORD, Draft, Stream
from routerd.wire.batch import DUPLICATE, INVALID, STORED
from tests.fleetd.kit import NOW_MS, POS1, broken, delivery, device, gap, run_of, sale, sales, segment

ALL = Query()
OpenStore = Callable[[], Store]


def statuses(store: Store, *segments: object, device_id: str = "r1") -> list[str]:
    receipt = store.commit([delivery(device_id, *segments)])[0]  # type: ignore[arg-type]
    return [ack.status for ack in receipt.acks]


def watermarks(store: Store, *segments: object) -> dict[Stream, int]:
    return dict(store.commit([delivery("r1", *segments)])[0].processed)  # type: ignore[arg-type]


def identities(store: Store, query: Query = ALL) -> list[str | None]:
    return [one.identity for one in store.transactions(query)]


def numbers(first: int, last: int) -> list[str | None]:
    return [f"transset:{number}" for number in range(first, last + 1)]


def rebuilt(store: Store, source: str = "pos1", device_id: str = "r1") -> bytes:
    return b"".join(store.captured(device_id, source))


def test_a_replay_is_a_duplicate_and_stores_nothing(store: Store) -> None:
    assert statuses(store, run_of(1, 10)) == [STORED]
    assert statuses(store, run_of(1, 10), run_of(3, 4)) == [DUPLICATE, DUPLICATE]
    assert identities(store) == numbers(1, 10)


def test_overlapping_ranges_store_each_record_once(store: Store) -> None:
    assert statuses(store, run_of(1, 10), run_of(5, 20), run_of(1, 30)) == [STORED, STORED, STORED]
    assert identities(store) == numbers(1, 30)
    assert rebuilt(store) == b"".join(draft.data for draft in sales(1, 30))


def test_a_dense_segment_fills_what_lay_between(store: Store) -> None:
    statuses(store, run_of(1, 3), run_of(7, 9), run_of(13, 15))
    assert statuses(store, run_of(2, 14)) == [STORED]
    (state,) = store.streams(ALL)
    assert (state.records, state.watermark, state.highest, state.holes) == (15, 15, 15, ())
    assert rebuilt(store) == b"".join(draft.data for draft in sales(1, 15))


def test_the_watermark_waits_for_what_is_missing(store: Store) -> None:
    assert watermarks(store, run_of(4, 6)) == {POS1: 0}
    assert watermarks(store, run_of(10, 12)) == {POS1: 0}
    assert watermarks(store, run_of(1, 3)) == {POS1: 6}
    (state,) = store.streams(ALL)
    assert (state.records, state.highest, state.holes, state.missing) == (9, 12, ((7, 9),), 3)
    assert watermarks(store, run_of(7, 9)) == {POS1: 12}


def test_a_declared_gap_closes_its_hole_also_in_an_older_stream(store: Store) -> None:
    newer = Stream("pos1", 8)
    statuses(store, run_of(1, 4), run_of(8, 9))
    assert watermarks(store, segment(1, [gap(5, 7)], newer)) == {newer: 1, POS1: 9}
    assert watermarks(store, segment(1, [gap(5, 7)], newer)) == {newer: 1, POS1: 9}, "a lost answer is given again"
    (declared,) = store.gaps(ALL)
    assert (declared.device, declared.gap.stream, declared.gap.first, declared.gap.last) == ("r1", POS1, 5, 7)
    assert (declared.gap.cause, declared.gap.lost_bytes, declared.arrived) == ("spool.full", 100, 0)
    assert [state.holes for state in store.streams(ALL)] == [(), ()]


def test_a_gap_before_numbering_is_listed_and_closes_nothing(store: Store) -> None:
    statuses(store, run_of(1, 2), run_of(5, 5))
    assert watermarks(store, segment(6, [gap(0, 0, cause="serial.unplugged")])) == {POS1: 2}
    assert [one.gap.cause for one in store.gaps(ALL)] == ["serial.unplugged"]


def test_records_that_come_after_their_gap_are_kept_and_counted(store: Store) -> None:
    statuses(store, run_of(1, 1), segment(5, [gap(2, 4)]))
    assert statuses(store, run_of(3, 4)) == [STORED]
    assert [one.arrived for one in store.gaps(ALL)] == [2]
    assert [(one.records, one.watermark) for one in store.streams(ALL)] == [(4, 5)]


def test_a_gap_in_a_stream_nobody_heard_of_makes_it_known(store: Store) -> None:
    lost = Stream("pos9", 3)
    assert watermarks(store, segment(1, [gap(1, 40, lost)])) == {POS1: 1, lost: 40}


def test_the_same_transaction_again_is_a_copy_with_its_own_white_space(store: Store) -> None:
    bare = sale(1).data.strip()
    versions = [bare + b"\n", b"\r\n  " + bare, b"\t" + bare + b"\r\n\r\n"]
    drafts = [Draft(RECORD, data, "transset:1", None, "sale") for data in versions]
    assert statuses(store, segment(1, drafts[:1]), segment(2, drafts[1:])) == [STORED, STORED]
    (only,) = store.transactions(ALL, raw=True)
    assert (only.seq, only.copies, only.raw, only.size) == (1, 2, versions[0], len(versions[0]))
    assert rebuilt(store) == b"".join(versions)
    assert [(one.records, one.copies, one.watermark) for one in store.streams(ALL)] == [(3, 2, 3)]


def test_an_all_white_copy_is_rebuilt_exactly(store: Store) -> None:
    blanks = [b" \n", b"", b"\r\n\t"]
    statuses(store, segment(1, [Draft(RECORD, data, "text:1") for data in blanks]))
    assert rebuilt(store) == b"".join(blanks)


def test_copies_are_found_across_streams_sources_and_requests(store: Store) -> None:
    statuses(store, run_of(1, 3))
    assert statuses(store, run_of(1, 3, Stream("pos1", 8)), run_of(1, 3, Stream("period", 8))) == [STORED, STORED]
    assert [(one.identity, one.copies) for one in store.transactions(ALL)] == [(name, 2) for name in numbers(1, 3)]


def test_other_content_under_an_identity_is_a_conflict_and_no_second_transaction(store: Store) -> None:
    changed = Draft(RECORD, b"<trans>1 voided</trans>", "transset:1", None, "void")
    statuses(store, run_of(1, 2), segment(3, [changed]))
    assert identities(store) == numbers(1, 2)
    (conflict,) = store.conflicts(ALL)
    assert (conflict.record.seq, conflict.record.kind, conflict.transaction) == (3, "void", ("pos1", 7, 1))
    assert rebuilt(store) == b"".join(draft.data for draft in [*sales(1, 2), changed])


def test_a_conflict_that_comes_again_is_a_copy_of_the_conflict(store: Store) -> None:
    changed = Draft(RECORD, b"<trans>other</trans>", "transset:1")
    statuses(store, segment(1, [sale(1), changed, changed, sale(1)]))
    assert [(one.seq, one.copies) for one in store.transactions(ALL)] == [(1, 1)]
    assert [(one.record.seq, one.record.copies) for one in store.conflicts(ALL)] == [(2, 1)]


@pytest.mark.parametrize("identity", [None, ""])
def test_records_without_identity_are_transactions_each_on_their_own(store: Store, identity: str | None) -> None:
    statuses(store, segment(1, [Draft(RECORD, b"COFFEE 1.99\n", identity)] * 3))
    assert [(one.seq, one.copies) for one in store.transactions(ALL)] == [(1, 0), (2, 0), (3, 0)]


def test_only_records_make_transactions(store: Store) -> None:
    drafts = [Draft(ENVELOPE, b"<transSet>", "transset:1"), Draft(NOISE, b"\xff\xfe", "transset:1"), sale(1), gap(0, 0)]
    statuses(store, segment(1, drafts))
    assert [one.seq for one in store.transactions(ALL)] == [3]
    assert list(store.conflicts(ALL)) == []
    assert rebuilt(store) == b"<transSet>\xff\xfe" + sale(1).data


def test_what_one_device_sends_never_touches_another(store: Store) -> None:
    statuses(store, run_of(1, 2), device_id="r1")
    changed = Draft(RECORD, b"<trans>theirs</trans>", "transset:2")
    assert statuses(store, segment(1, [sale(1), changed, gap(3, 9)]), device_id="r2") == [STORED]
    assert [one.copies for one in store.transactions(ALL)] == [0, 0, 0, 0]
    assert list(store.conflicts(ALL)) == []
    assert [(one.device, one.watermark, one.highest) for one in store.streams(ALL)] == [("r1", 2, 2), ("r2", 9, 9)]
    assert rebuilt(store, device_id="r2") == sale(1).data + changed.data
    assert identities(store, Query(device="r2")) == numbers(1, 2)


def test_a_segment_that_contradicts_what_is_kept_is_refused_whole(store: Store) -> None:
    statuses(store, run_of(1, 5))
    assert statuses(store, segment(5, [sale(500), sale(6)])) == [INVALID]
    assert identities(store) == numbers(1, 5)
    (refused,) = store.invalid(ALL)
    assert (refused.code, refused.first_seq, refused.count) == ("segment.contradicts", 5, 2)
    assert statuses(store, run_of(5, 6)) == [STORED]


def test_an_invalid_segment_leaves_its_neighbours_alone(store: Store) -> None:
    assert statuses(store, run_of(1, 2), broken(run_of(3, 4)), run_of(5, 6)) == [STORED, INVALID, STORED]
    assert [state.holes for state in store.streams(ALL)] == [((3, 4),)]
    assert statuses(store, broken(run_of(3, 4))) == [INVALID]
    assert [(one.code, one.first_seq, one.times) for one in store.invalid(ALL)] == [("segment.crc", 3, 2)]


def test_a_stream_known_only_from_an_invalid_segment_has_watermark_zero(store: Store) -> None:
    assert watermarks(store, broken(run_of(1, 2))) == {POS1: 0}
    assert list(store.streams(ALL)) == []


def test_refused_segments_are_kept_within_a_bound(store: Store) -> None:
    store.commit([delivery("r1", *(broken(run_of(first, first)) for first in range(1, 521)))])
    kept = [one.first_seq for one in store.invalid(ALL)]
    assert kept == list(range(21, 521))


def test_numbers_at_the_63_bit_edge_are_kept(store: Store) -> None:
    edge = (1 << 63) - 2
    stream = Stream("pos1", (1 << 63) - 1)
    assert statuses(store, run_of(edge - 1, edge, stream), segment(1, [sale(1), gap(2, edge - 2, stream)], stream)) == [
        STORED,
        STORED,
    ]
    (state,) = store.streams(ALL)
    assert (state.watermark, state.highest, state.holes, state.records) == (edge, edge, (), 4)


def test_everything_is_there_after_reopening(open_store: OpenStore) -> None:
    first = open_store()
    statuses(first, run_of(1, 4), run_of(6, 7), broken(run_of(9, 9)))
    first.close()
    again = open_store()
    assert identities(again) == [*numbers(1, 4), *numbers(6, 7)]
    assert [(one.watermark, one.holes) for one in again.streams(ALL)] == [(4, ((5, 5),))]
    assert statuses(again, run_of(1, 7)) == [STORED]
    assert watermarks(again, run_of(7, 7)) == {POS1: 7}


def test_deliveries_of_one_commit_are_stored_together_or_not_at_all(store: Store) -> None:
    with pytest.raises(PermanentError) as caught:
        store.commit([delivery("r1", run_of(1, 2)), delivery("nobody", run_of(1, 2))])
    assert caught.value.code == "device.unknown"
    assert list(store.transactions(ALL)) == []
    receipts = store.commit([delivery("r1", run_of(1, 2)), delivery("r2", run_of(1, 2)), delivery("r1", run_of(2, 3))])
    assert [receipt.acks[0].status for receipt in receipts] == [STORED, STORED, STORED]
    assert identities(store, Query(device="r1")) == numbers(1, 3)


def test_filters_narrow_and_a_limit_keeps_the_latest(store: Store) -> None:
    store.commit([delivery("r1", run_of(1, 3), run_of(4, 5, Stream("pos2", 7)), at_ms=1000)])
    store.commit([delivery("r2", run_of(6, 8), at_ms=2000)])
    assert identities(store, Query(source="pos2")) == numbers(4, 5)
    assert identities(store, Query(since_ms=2000)) == numbers(6, 8)
    assert identities(store, Query(limit=2)) == numbers(7, 8)
    assert identities(store, Query(device="r1", source="pos1", since_ms=1000, limit=1)) == numbers(3, 3)
    assert identities(store, Query(device="r1", since_ms=1001)) == []
    assert [(one.device, one.source) for one in store.streams(Query(limit=1))] == [("r2", "pos1")]


def test_a_transaction_keeps_what_the_router_said_of_it(store: Store) -> None:
    statuses(store, segment(1, [sale(9), sale(10)]))
    found = list(store.transactions(ALL))[1]
    assert (found.kind, found.pos_time) == ("sale", "2026-07-15T02:05:58-04:00")
    assert (found.router_ms, found.received_ms) == (1_784_000_000_001, NOW_MS)


def test_devices_are_added_once_and_can_be_disabled(store: Store) -> None:
    with pytest.raises(PermanentError) as caught:
        store.add_device(device("r1"))
    assert caught.value.code == "device.exists"
    store.set_status("r1", DISABLED)
    assert [(one.id, one.status) for one in store.devices()] == [("r1", DISABLED), ("r2", ACTIVE)]
    with pytest.raises(PermanentError):
        store.set_status("r3", ACTIVE)
    assert store.device("r3") is None


_SPANS = st.tuples(st.booleans(), st.integers(1, 30), st.integers(1, 8))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_SPANS, max_size=12))
def test_continuity_is_that_of_a_set_of_numbers(open_store: OpenStore, spans: list[tuple[bool, int, int]]) -> None:
    """Any order of segments and gaps: the ranges kept say the same as a plain set."""
    store = open_store()
    epoch = 1 + max((state.epoch for state in store.streams(ALL)), default=0)
    stream, news = Stream("pos1", epoch), Stream("news", epoch)
    held: set[int] = set()
    lost: set[int] = set()
    for at, (is_gap, first, count) in enumerate(spans, 1):
        last = first + count - 1
        (held, lost)[is_gap].update(range(first, last + 1))
        told = segment(at, [gap(first, last, stream)], news) if is_gap else run_of(first, last, stream)
        settled = held | lost
        watermark = next(number for number in range(99) if number + 1 not in settled)
        assert watermarks(store, told)[stream] == watermark
        state = next(one for one in store.streams(ALL) if (one.source, one.epoch) == ("pos1", epoch))
        assert (state.records, state.highest) == (len(held), max(settled))
        assert {n for first, last in state.holes for n in range(first, last + 1)} == set(
            range(1, max(settled))
        ) - settled
    store.close()
