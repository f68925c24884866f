"""Every answer has one meaning; none deletes, none hammers, and every state has a way on."""

import itertools

import pytest

from routerd.enroll import state
from routerd.enroll.state import (
    ASKS_IDENTITY,
    Admitted,
    Deferred,
    Drained,
    Event,
    Heard,
    Ordered,
    Place,
    State,
    Timed,
    Worked,
    follow,
)

CODES = ["", "nonce_stale", "key_unknown", "signature_bad", "device_revoked", "device_disabled", "claim_invalid"]
EVENTS: list[Event] = [
    *(Heard(status, code) for status in (0, 400, 401, 403, 404, 409, 426, 500, 503) for code in CODES),
    Heard(503, "busy", 30.0),
    Heard(409, "key_serial_mismatch"),
    Worked(),
    Timed(fits=True),
    Timed(fits=False),
    Admitted(),
    Deferred(300.0),
    Ordered("retire"),
    Ordered("identity_conflict"),
    Ordered("ping"),
    Drained(),
]


def go(place: Place, *events: Event, now_s: float = 0.0, chance: float = 0.5) -> Place:
    for event in events:
        place = follow(place, event, now_s, chance)
    return place


def at(found: State) -> Place:
    return Place(found, goal=State.ENROLLING)


def test_zero_touch() -> None:
    place = go(state.start(""), Timed(fits=True))
    assert place.state is State.ENROLLING
    assert go(place, Admitted()).state is State.ACTIVE


@pytest.mark.parametrize(("status", "first"), [("", "enrolling"), ("active", "active"), ("retiring", "retiring")])
def test_a_start_goes_on_where_the_record_says(status: str, first: str) -> None:
    assert go(state.start(status), Timed(fits=True)).state == first
    assert state.start("retired").state is State.RETIRED


def test_only_signed_orders_end_capture_and_only_enrollment_admits() -> None:
    for found, event in itertools.product(State, EVENTS):
        after = follow(at(found), event, 0.0, 0.5).state
        if after is State.RETIRING and found is not State.RETIRING:
            assert event == Ordered("retire")
        if after is State.RETIRED and found is not State.RETIRED:
            assert (found, event) == (State.RETIRING, Drained())
        if after is State.REIDENTIFY and found is not State.REIDENTIFY:
            assert event == Ordered("identity_conflict")
        if after is State.ACTIVE and found in ASKS_IDENTITY:
            assert event == Admitted()


def test_a_device_that_is_not_enrolled_obeys_no_order() -> None:
    for found in (State.CLOCKING, *ASKS_IDENTITY):
        assert go(at(found), Ordered("retire"), Ordered("identity_conflict")).state is found


def test_silence_moves_nothing_and_is_answered_ever_more_rarely() -> None:
    for found in State:
        place = at(found)
        for _ in range(30):
            place = follow(place, Heard(), 0.0, 0.999)
            assert place.state is found
            assert place.wait_s <= 300
        if found not in (State.RETIRED, State.REIDENTIFY):
            assert place.wait_s > 299


def test_backoff_ends_with_work_and_not_with_an_answer() -> None:
    place = go(at(State.ACTIVE), *[Heard(503)] * 5)
    assert go(place, Timed(fits=True)).failures == 5
    assert go(place, Worked()) == at(State.ACTIVE)


@pytest.mark.parametrize(("said", "obeyed"), [(0.0, 1.0), (30.0, 30.0), (7200.0, 3600.0)])
def test_retry_after_is_obeyed_exactly_within_limits(said: float, obeyed: float) -> None:
    assert go(at(State.ENROLLING), Heard(503, "busy", said)).wait_s == obeyed
    assert go(at(State.ENROLLING), Deferred(said)).wait_s == obeyed


def test_a_refused_claim_waits_between_an_hour_and_a_day() -> None:
    for chance in (0.0, 0.999):
        place = at(State.ENROLLING)
        for _ in range(12):
            place = follow(place, Heard(403, "claim_invalid"), 0.0, chance)
            assert place.state is State.BLOCKED
            assert 3600 <= place.wait_s <= 86_400


def test_a_day_of_refusals_is_few_requests() -> None:
    for status, code in ((401, "key_unknown"), (403, "device_disabled"), (403, "device_revoked"), (426, "")):
        place, now_s, asked = at(State.ACTIVE), 0.0, 0
        while now_s < 86_400 and place.state is not State.ENROLLING:
            place = follow(place, Heard(status, code), now_s, 0.5)
            now_s += max(place.wait_s, 1.0)
            asked += 1
        assert asked <= 24 * 30


def test_three_unknowns_over_ten_minutes_enroll_again() -> None:
    unknown = Heard(401, "key_unknown")
    place = go(at(State.ACTIVE), unknown, unknown, unknown)
    assert place.state is State.HELD
    assert follow(place, unknown, 599.0, 0.5).state is State.HELD
    assert follow(place, unknown, 600.0, 0.5).state is State.ENROLLING
    two = go(at(State.ACTIVE), unknown)
    assert follow(two, unknown, 9000.0, 0.5).state is State.HELD
    mended = go(place, Worked())
    assert follow(mended, unknown, 9000.0, 0.5).state is State.HELD


def test_a_revoked_device_asks_every_six_hours_and_can_be_reinstated() -> None:
    place = go(at(State.ACTIVE), Heard(403, "device_revoked"))
    assert place.state is State.REVOKED
    assert 5 * 3600 < place.wait_s < 7 * 3600
    assert go(place, Worked()).state is State.ACTIVE
    assert go(at(State.ENROLLING), Heard(403, "device_revoked")).state is State.BLOCKED


def test_a_retiring_device_stays_retiring_through_refusals() -> None:
    place = go(at(State.RETIRING), Heard(403, "device_disabled"), Heard(401, "key_unknown"), Worked())
    assert place.state is State.RETIRING


@pytest.mark.parametrize("found", [State.ENROLLING, State.PENDING, State.BLOCKED, State.ACTIVE, State.HELD])
def test_another_major_is_left_for_where_it_was_met(found: State) -> None:
    place = go(at(found), Heard(426, "protocol_major"))
    assert place.state is State.INCOMPATIBLE
    assert go(place, Timed(fits=False), Heard()).state is State.INCOMPATIBLE
    back = go(place, Timed(fits=True)).state
    assert back is (State.ENROLLING if found in ASKS_IDENTITY else found)
