"""The trusted clock: as right as its round trip, never turned back, and no time at all before the cloud said one."""

from hypothesis import given
from hypothesis import strategies as st

from routerd.enroll import trusted
from routerd.enroll.trusted import Trusted

NOW_MS = 1_790_000_000_000


def test_nothing_known_is_no_time() -> None:
    assert Trusted().now_ms(5) is None
    assert trusted.floor(0, 5) == Trusted()


def test_a_floor_is_a_bound_and_no_time() -> None:
    clock = trusted.floor(NOW_MS, 5)
    assert clock.now_ms(1005) is None
    assert clock.earliest_ms(1005) == NOW_MS + 1000


@given(
    true_offset=st.integers(0, 1 << 41),
    sent=st.integers(0, 1 << 40),
    out=st.integers(0, 5000),
    back=st.integers(0, 5000),
)
def test_the_truth_is_within_the_doubt(true_offset: int, sent: int, out: int, back: int) -> None:
    said_ms = sent + out + true_offset
    clock = trusted.heard(Trusted(), said_ms, sent, sent + out + back)
    now_ms = clock.now_ms(sent + out + back)
    assert now_ms is not None
    assert abs(now_ms - (sent + out + back + true_offset)) <= clock.uncertainty_ms


def test_a_late_or_impossible_answer_changes_nothing() -> None:
    held = trusted.floor(NOW_MS, 0)
    assert trusted.heard(held, NOW_MS + 9_000, 0, 10_001) is held
    assert trusted.heard(held, NOW_MS + 9_000, 10, 5) is held
    assert trusted.heard(held, NOW_MS + 9_000, 0, 10_000).source == "server"


def test_a_time_before_what_has_passed_is_not_believed() -> None:
    held = trusted.floor(NOW_MS, 0)
    assert trusted.heard(held, NOW_MS - 86_400_000, 0, 100) is held


@given(st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 10_000), st.integers(-20_000, 20_000)), max_size=20))
def test_it_never_runs_back_past_what_it_held_for_certain(questions: list[tuple[int, int, int]]) -> None:
    clock, mono_ms = trusted.floor(NOW_MS, 0), 0
    for pause_ms, trip_ms, error_ms in questions:
        mono_ms += pause_ms + trip_ms
        certain_ms = clock.earliest_ms(mono_ms)
        clock = trusted.heard(clock, NOW_MS + mono_ms + error_ms, mono_ms - trip_ms, mono_ms)
        now_ms = clock.now_ms(mono_ms)
        assert now_ms is None or now_ms >= certain_ms


def test_doubt_grows_with_age() -> None:
    clock = trusted.heard(Trusted(), NOW_MS, 0, 100)
    assert clock.doubt_ms(100) == 50
    assert clock.doubt_ms(100 + 86_400_000) == 50 + 17_280
