"""Which speeds a serial port can be set to: the named ones, and those near a whole division of 115200."""

import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.capture.baud import impossible_baud

NAMED = sorted(int(name[1:]) for name in dir(termios) if name[0] == "B" and name[1:].isdecimal())


@pytest.mark.parametrize("baud", [each for each in NAMED if 300 <= each <= 921600])
def test_every_speed_that_linux_names_is_possible(baud: int) -> None:
    assert impossible_baud(baud) == ""


@pytest.mark.parametrize("baud", [300, 7200, 14400, 28800, 23040, 1000, 2, 12800])
def test_a_whole_division_of_the_clock_is_possible(baud: int) -> None:
    assert impossible_baud(baud) == ""


@pytest.mark.parametrize(
    ("baud", "nearest"),
    [(12345, 9600), (100000, 115200), (76800, 57600), (31250, 38400), (115201, 115200), (900000, 921600)],
)
def test_any_other_is_impossible_and_the_nearest_that_is_not_is_named(baud: int, nearest: int) -> None:
    assert f"set {nearest}" in impossible_baud(baud)
    assert str(baud) in impossible_baud(baud)


@given(st.integers(max_value=1))
def test_no_speed_at_all_is_impossible(baud: int) -> None:
    assert impossible_baud(baud)


@given(st.integers(2, 3000))
def test_slow_speeds_are_all_near_a_whole_division(baud: int) -> None:
    assert impossible_baud(baud) == ""
