"""How long to wait: bounds and shape, with chance given."""

from hypothesis import given
from hypothesis import strategies as st

from routerd.backoff import Backoff
from routerd.forward.pace import Pace
from routerd.wire.answers import Reaction

PACE = Pace(Backoff(0.5, 60.0))
chances = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 10_000), chances)
def test_backoff_is_full_jitter_below_a_growing_ceiling(failures: int, chance: float) -> None:
    wait_s = PACE.wait_s(Reaction.RETRY, failures, None, chance)
    assert 0 <= wait_s <= min(60.0, 0.5 * 2.0 ** min(failures - 1, 30))
    assert wait_s == chance * min(60.0, 0.5 * 2.0 ** min(failures - 1, 16))


@given(st.integers(1, 10_000), chances)
def test_a_refused_device_asks_at_most_thirty_times_an_hour_and_at_least_six(failures: int, chance: float) -> None:
    assert 120 <= PACE.wait_s(Reaction.HOLD, failures, None, chance) <= 600


@given(st.lists(chances, min_size=40, max_size=40))
def test_in_the_first_hour_a_device_that_was_let_in_again_notices_within_four_minutes(each: list[float]) -> None:
    waits_s = [PACE.wait_s(Reaction.HOLD, number, None, chance) for number, chance in enumerate(each, 1)]
    early = [wait_s for at, wait_s in enumerate(waits_s) if sum(waits_s[:at]) < 2400]
    assert max(early) <= 240


@given(st.floats(0, 10_000), chances)
def test_a_told_wait_is_kept_within_an_hour(told_s: float, chance: float) -> None:
    assert PACE.wait_s(Reaction.RETRY, 3, told_s, chance) == min(max(told_s, 1.0), 3600.0)


@given(st.floats(0, 10_000), chances)
def test_a_wait_told_by_somebody_else_counts_for_nothing(told_s: float, chance: float) -> None:
    assert PACE.wait_s(Reaction.CAPTIVE, 3, told_s, chance) <= 2.0


def test_what_needs_no_wait_gets_none() -> None:
    for reaction in (Reaction.TAKE, Reaction.HALVE, Reaction.PLAIN, Reaction.QUARANTINE):
        assert PACE.wait_s(reaction, 1, None, 0.9) == 0
