"""Intervals of means: as wide as statistics says, the same for the same seed, and joint where queries are the same."""

from __future__ import annotations

import numpy as np
import pytest

from backend.errors import EvaluationError
from backend.evaluation import bootstrap as module
from backend.evaluation.bootstrap import Estimate, estimates, resampled_means

HITS = (np.random.default_rng(3).random(2_000) < 0.8).astype(np.float64)


def test_an_interval_is_as_wide_as_the_normal_approximation_says():
    found = estimates({"hit": HITS}, resamples=2_000, seed=7)["hit"]
    half = 1.96 * HITS.std() / np.sqrt(len(HITS))
    assert found.value == pytest.approx(HITS.mean())
    assert (found.low, found.high) == pytest.approx((HITS.mean() - half, HITS.mean() + half), abs=0.002)


def test_the_seed_decides_and_the_chunks_do_not(monkeypatch):
    found = resampled_means(HITS[:50, None], resamples=40, seed=7)
    assert (found == resampled_means(HITS[:50, None], resamples=40, seed=7)).all()
    assert (found != resampled_means(HITS[:50, None], resamples=40, seed=8)).any()
    monkeypatch.setattr(module, "_CHUNK_CELLS", 170)
    assert (found == resampled_means(HITS[:50, None], resamples=40, seed=7)).all()


def test_rates_of_the_same_queries_are_drawn_together():
    """The interval of a difference that is the same for every query has no width, however much the rates vary."""
    first, second = HITS, HITS + 0.1
    apart = estimates({"difference": second - first}, resamples=200, seed=7)["difference"]
    assert (apart.low, apart.high) == pytest.approx((0.1, 0.1))
    means = resampled_means(np.stack([first, second], axis=1), resamples=200, seed=7)
    assert np.allclose(means[:, 1] - means[:, 0], 0.1)


@pytest.mark.parametrize(("low", "high", "excludes"), [(-0.1, 0.1, False), (0.01, 0.1, True), (-0.1, -0.01, True)])
def test_an_interval_excludes_zero_or_not(low, high, excludes):
    assert Estimate(0.0, low, high).excludes_zero is excludes


def test_one_query_has_an_interval_without_width_and_none_has_none():
    assert estimates({"hit": np.ones(1)}, resamples=100, seed=7)["hit"] == Estimate(1.0, 1.0, 1.0)
    with pytest.raises(EvaluationError, match="no queries"):
        estimates({"hit": np.empty(0)}, resamples=100, seed=7)
