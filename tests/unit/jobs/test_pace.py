from __future__ import annotations

import random

import pytest

from backend.jobs.pace import Pace


def paced(points, *, total=100.0, unit="rows"):
    pace = Pace()
    for at, done in points:
        pace.report(at, done, total, unit=unit)
    return pace


def test_nothing_is_known_before_two_reports():
    assert Pace().rate is None
    assert paced([(0, 0)]).rate is None
    assert paced([(0, 0)]).remaining_s is None


def test_rate_and_remaining_time_of_even_work():
    pace = paced([(0, 0), (1, 10), (2, 20)])
    assert pace.rate == pytest.approx(10)
    assert pace.remaining_s == pytest.approx(8)


def test_a_slow_start_is_forgotten():
    slow, fast = [(at, at) for at in range(60)], [(60 + at, 60 + 10 * at) for at in range(60)]
    assert paced(slow + fast, total=1000).rate == pytest.approx(10)


def test_reports_rarer_than_the_window_still_tell_a_rate():
    pace = paced([(0, 0), (120, 1), (240, 2)], total=10)
    assert pace.rate == pytest.approx(1 / 120)
    assert pace.remaining_s == pytest.approx(8 * 120)


def test_a_new_step_starts_afresh():
    pace = paced([(0, 0), (1, 50)])
    pace.report(2, 0, 100, unit="rows")
    assert pace.rate is None
    pace.report(3, 7, 100, unit="rows")
    assert pace.rate == pytest.approx(7)
    pace.report(4, 8, 100, unit="batches")
    assert pace.rate is None


def test_work_that_stands_still_has_no_remaining_time():
    pace = paced([(0, 5), (1, 5), (2, 5)])
    assert pace.rate == 0
    assert pace.remaining_s is None


def test_dense_reports_keep_few_points_and_the_right_rate():
    rng = random.Random(7)
    at, points = 0.0, []
    for done in range(20_000):
        at += rng.uniform(0, 0.002)
        points.append((at, float(done)))
    pace = paced(points, total=20_000)
    assert pace.rate == pytest.approx(20_000 / at, rel=0.02)
    assert len(pace._points) < 200


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_rate_and_remaining_time_are_never_negative(seed):
    rng = random.Random(seed)
    pace, at = Pace(), 0.0
    for _ in range(200):
        at += rng.choice([0.0, 0.1, 1.0, 50.0])
        pace.report(at, rng.uniform(-5, 120), rng.choice([0.0, 100.0]), unit=rng.choice(["", "rows"]))
        assert pace.rate is None or pace.rate >= 0
        assert pace.remaining_s is None or pace.remaining_s >= 0
