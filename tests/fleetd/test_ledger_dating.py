"""Clocks of routers: what every record bounds, what live traffic fixes, what the router itself may say."""

from fleetd.ledger.dating import BOUND, FIX, ROUTER, Boot, Offset, Sample, begin, estimate, learn

TRUE = 1_784_000_000_000  # when monotonic time began, in UTC milliseconds
HOUR = 3_600_000


def boot(*samples: Sample, epoch: int = 1) -> Boot:
    first, *others = samples
    known = begin(first, epoch)
    for one in others:
        known = learn(known, one, epoch)
    return known


def sample(mono_ms: int, late_ms: int = 300, wall_ms: int = 0, is_synced: bool = False, began: int = TRUE) -> Sample:
    return Sample(mono_ms, wall_ms, is_synced, began + mono_ms + late_ms)


def test_live_traffic_fixes_the_offset_whatever_the_wall_clock_says() -> None:
    known = boot(sample(60_000, 900), sample(90_000, 200), sample(2 * HOUR, 5 * HOUR), sample(HOUR, 400))
    assert known.is_live
    assert estimate([known]) == [Offset(TRUE + 200, FIX)]


def test_the_order_of_records_makes_no_difference_to_the_bound() -> None:
    samples = [sample(60_000, 900), sample(90_000, 200), sample(HOUR, 400)]
    assert boot(*samples).upper_ms == boot(*reversed(samples)).upper_ms == TRUE + 200


def test_a_synced_router_is_believed_where_it_is_tighter() -> None:
    synced = sample(60_000, 900, TRUE + 60_000, True)
    assert estimate([boot(synced, sample(90_000, 200))]) == [Offset(TRUE, FIX)]


def test_a_synced_router_dates_a_backlog() -> None:
    """Everything of the earlier boot came hours later, in one burst."""
    old = boot(sample(60_000, 9 * HOUR, TRUE + 60_000, True), sample(HOUR, 8 * HOUR, TRUE + HOUR, True))
    new = boot(sample(1_000, began=TRUE + 9 * HOUR), sample(30_000, began=TRUE + 9 * HOUR), epoch=2)
    assert estimate([old, new])[0] == Offset(TRUE, ROUTER)


def test_a_router_that_claims_to_be_synced_in_the_future_or_in_1970_is_not_believed() -> None:
    for wrong in (TRUE + 10 * HOUR, -60_000):
        told = boot(sample(60_000, 300, wrong + 60_000, True), sample(90_000, 300, wrong + 90_000, True))
        assert estimate([told]) == [Offset(TRUE + 300, FIX)]


def test_a_backlog_whose_router_was_never_rightly_synced_is_bounded_only() -> None:
    for wrong in (TRUE + 20 * HOUR, -60_000):
        told = [sample(60_000, 9 * HOUR, wrong + 60_000, True), sample(HOUR, 8 * HOUR, wrong + HOUR, True)]
        new = boot(sample(1_000, began=TRUE + 9 * HOUR), sample(30_000, began=TRUE + 9 * HOUR), epoch=2)
        assert estimate([boot(*told), new])[0].quality == BOUND


def test_a_boot_that_was_never_live_lies_between_its_neighbours() -> None:
    """Boot 1 ended at +1 h, boot 3 began at +9 h; boot 2 ran for an hour somewhere between, unsynced, unheard."""
    first = boot(sample(1_000), sample(HOUR))
    second = boot(
        sample(60_000, 0, began=TRUE + 9 * HOUR), sample(HOUR, 0, began=TRUE + 8 * HOUR + 10 * 60_000), epoch=2
    )
    third = boot(sample(1_000, began=TRUE + 9 * HOUR), sample(30_000, began=TRUE + 9 * HOUR), epoch=3)
    offset = estimate([first, second, third])[1]
    assert offset.quality == BOUND
    assert offset.offset_ms == TRUE + 300 + 9 * HOUR - HOUR, "it had ended when the third began"
    assert offset.slack_ms == offset.offset_ms - (TRUE + 300 + HOUR), "it began when the first had ended"


def test_a_burst_after_an_outage_is_not_taken_for_live() -> None:
    burst = [Sample(mono_ms, 0, False, TRUE + 9 * HOUR + n) for n, mono_ms in enumerate(range(0, HOUR, 60_000))]
    assert not boot(*burst).is_live
    together = [sample(mono_ms, 9 * HOUR - mono_ms) for mono_ms in (60_000, 61_000, 62_000)]
    assert not boot(*together).is_live, "captured within seconds, and sent within one"
