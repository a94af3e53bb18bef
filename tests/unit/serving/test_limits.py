"""A token asks in bursts, then at its pace; another token is not held up by it."""

from __future__ import annotations

import asyncio

import pytest

from backend.serving.limits import Limits, Pace, TooFast, WrongTokens


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
    assert Limits.of(settings) == Limits(body_bytes=25_000_000, answer_s=30.0, per_second=50.0)


# --------------------------------------------------------------------------------------------- wrong tokens


def test_wrong_tokens_wait_longer_and_longer_but_not_for_ever(clock):
    wrong = WrongTokens(clock=clock)
    waits = [wrong.note("203.0.113.7") for _ in range(100)]
    assert waits[:10] == [0.0] * 10
    assert waits[10:13] == [0.1, 0.2, 0.4]
    assert waits == sorted(waits)
    assert max(waits) == 2.0
    assert wrong.note("203.0.113.8") == 0.0


def test_an_address_is_forgotten_after_a_while_or_for_others(clock, monkeypatch):
    monkeypatch.setattr("backend.serving.limits._ADDRESSES", 50)
    wrong = WrongTokens(clock=clock)
    assert [wrong.note("203.0.113.7") for _ in range(12)][-1] > 0
    clock.now += 601
    assert wrong.note("203.0.113.7") == 0.0
    for number in range(1000):
        wrong.note(f"203.0.113.{number}")
    assert len(wrong._seen) == 50


def test_too_many_wrong_tokens_at_once_are_not_even_kept_waiting(monkeypatch):
    monkeypatch.setattr("backend.serving.limits._FIRST_S", 0.01)
    monkeypatch.setattr("backend.serving.limits._LONGEST_S", 0.05)
    wrong = WrongTokens()

    async def storm():
        network = (f"2001:db8:1:2::{number:x}" for number in range(60))  # one customer has them all
        return await asyncio.gather(*(wrong.slow(address) for address in network), return_exceptions=True)

    outcomes = asyncio.run(storm())
    assert [outcome for outcome in outcomes[:18] if outcome] == []
    assert {(outcome.code, outcome.status) for outcome in outcomes[18:]} == {("too_fast", 429)}
    assert not wrong._slowed
    assert len(wrong._seen) == 1
