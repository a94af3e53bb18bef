"""Batches made ahead: the same ones, errors and all, and no thread that outlives its iterator."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from backend.errors import ConfigurationError, TrainingError
from backend.feeding.batches import BatchPlan, PixelFeed
from backend.feeding.feed import Batch
from backend.feeding.prefetch import Prefetched, made_ahead

RNG = np.random.default_rng(4)
FEED = PixelFeed(
    RNG.integers(0, 256, (60, 8, 8, 1), dtype=np.uint8),
    np.repeat(np.arange(3, dtype=np.int32), 20),
    BatchPlan(3, 2, 0, "flip-shift", 7),
)


@pytest.fixture(autouse=True)
def no_thread_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


class SlowFeed:
    """Batches that take some time to make, and count how many were made."""

    def __init__(self, steps, seconds, *, fails_at=None):
        self.steps, self._seconds, self._fails_at = steps, seconds, fails_at
        self.made = 0
        self.closed = threading.Event()

    def epoch(self, number):
        try:
            for step in range(self.steps):
                if step == self._fails_at:
                    raise TrainingError("The pixels are gone.")
                time.sleep(self._seconds)
                self.made += 1
                yield Batch(np.full((1, 1, 1, 1), number, np.float32), np.array([step], np.int32))
        finally:
            self.closed.set()


@pytest.mark.parametrize("depth", [1, 2, 50])
def test_the_batches_are_the_same_and_in_the_same_order(depth):
    ahead = Prefetched(FEED, depth)
    assert ahead.steps == FEED.steps
    for number in (0, 1):
        for mine, theirs in zip(ahead.epoch(number), FEED.epoch(number), strict=True):
            np.testing.assert_array_equal(mine.pixels, theirs.pixels)
            np.testing.assert_array_equal(mine.labels, theirs.labels)


def test_what_goes_wrong_is_raised_where_the_batches_are_taken():
    batches = Prefetched(SlowFeed(5, 0, fails_at=3)).epoch(0)
    assert [int(next(batches).labels[0]) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(TrainingError, match="pixels are gone"):
        next(batches)


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("taken", [1, 3, 7, 8])
def test_an_iterator_that_is_left_takes_its_thread_along(depth, taken):
    """At every distance from the end: the thread may be waiting for room, making the last batch, or done."""
    feed = SlowFeed(8, 0.001)
    batches = Prefetched(feed, depth).epoch(0)
    for _ in range(taken):
        next(batches)
    batches.close()
    assert feed.closed.is_set()
    assert feed.made <= taken + depth + 1


def test_a_loop_that_raises_takes_the_thread_along():
    def train(feed):
        for _ in Prefetched(feed).epoch(0):
            raise TrainingError("The step failed.")

    feed = SlowFeed(50, 0)
    with pytest.raises(TrainingError, match="step failed"):
        train(feed)
    assert feed.closed.is_set()


def test_an_iterator_that_is_never_begun_starts_no_thread():
    before = threading.active_count()
    batches = Prefetched(FEED).epoch(0)
    assert threading.active_count() == before
    del batches


def test_no_more_batches_than_asked_for_are_made_ahead():
    feed = SlowFeed(50, 0)
    batches = Prefetched(feed, 3).epoch(0)
    next(batches)
    time.sleep(0.05)
    assert feed.made <= 1 + 3 + 1
    batches.close()


def test_waiting_is_counted_for_each_epoch_anew():
    slow = Prefetched(SlowFeed(5, 0.02))
    for _ in slow.epoch(0):
        pass
    assert slow.waited_s > 0.05
    slow.waited_s = 1e9
    batches = slow.epoch(1)
    next(batches)
    assert 0.0 < slow.waited_s < 1e9
    batches.close()


def test_a_depth_of_none_is_refused():
    with pytest.raises(ConfigurationError, match="at least 1"):
        Prefetched(FEED, 0)


def test_anything_can_be_made_ahead_and_an_error_at_the_start_is_heard():
    assert list(made_ahead(lambda: range(5), depth=2)) == [0, 1, 2, 3, 4]
    assert list(made_ahead(lambda: [None, None], depth=1)) == [None, None]
    with pytest.raises(ZeroDivisionError):
        list(made_ahead(lambda: 1 // 0, depth=1))
