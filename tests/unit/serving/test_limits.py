"""A token asks in bursts, then at its pace; another token is not held up by it."""

from __future__ import annotations

import pytest

from backend.serving.limits import Limits, Pace, TooFast


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def admitted(pace, name, tries):
    count = 0
    for _ in range(tries):
        try:
            pace.admit(name)
        except TooFast:
            continue
        count += 1
    return count


def test_a_burst_of_two_seconds_is_let_through_and_then_the_pace_holds(clock):
    pace = Pace(5, clock=clock)
    assert admitted(pace, "till", 50) == 10
    clock.now += 1
    assert admitted(pace, "till", 50) == 5
    clock.now += 3600
    assert admitted(pace, "till", 50) == 10


def test_others_are_not_held_up(clock):
    pace = Pace(1, clock=clock)
    admitted(pace, "greedy", 100)
    pace.admit("polite")


@pytest.mark.parametrize(("per_second", "wait_s"), [(5, 1), (0.1, 10), (0.25, 4)])
def test_a_refusal_says_when_to_come_back(clock, per_second, wait_s):
    pace = Pace(per_second, clock=clock)
    admitted(pace, "till", 100)
    with pytest.raises(TooFast) as caught:
        pace.admit("till")
    assert (caught.value.retry_after_s, caught.value.status, caught.value.code) == (wait_s, 429, "too_fast")
    clock.now += wait_s
    pace.admit("till")


def test_no_limit_is_no_limit(clock):
    assert admitted(Pace(0, clock=clock), "till", 10_000) == 10_000


def test_the_limits_are_those_of_the_settings(settings):
    assert Limits.of(settings) == Limits(body_bytes=5_000_000, answer_s=30.0, per_second=50.0)
