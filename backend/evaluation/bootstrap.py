"""Intervals of means over queries: the queries are drawn again and again, with replacement, and the means looked at.

Each draw is a list of how often every query came; the same seed gives the same draws, so that two models that were
asked the same queries are resampled together, and the interval of their difference knows that they were.

Source: Efron, Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13 (percentile intervals).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

LEVEL = 0.95
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over queries, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval is on one side of 0; asked of differences."""
        return self.low > 0 or self.high < 0


def estimates(rates: Mapping[str, NDArray[np.float64]], *, resamples: int, seed: int) -> dict[str, Estimate]:
    """Return mean and interval of every rate, one value a query, (Q,) each.

    Raises:
        EvaluationError: There are no queries.

    Example:
        >>> estimates({"hit": np.array([1.0, 1.0, 1.0])}, resamples=100, seed=7)
        {'hit': Estimate(value=1.0, low=1.0, high=1.0)}
    """
    names = list(rates)
    values = np.stack([rates[name] for name in names], axis=1)  # (Q, M)
    if not len(values):
        raise EvaluationError("There are no queries to score.")
    means = resampled_means(values, resamples=resamples, seed=seed)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return {
        name: Estimate(float(values[:, at].mean()), float(low[at]), float(high[at])) for at, name in enumerate(names)
    }


def resampled_means(values: NDArray[np.float64], *, resamples: int, seed: int) -> NDArray[np.float64]:
    """Return the means of M columns over Q queries, redrawn ``resamples`` times; (Q, M) to (resamples, M)."""
    queries = len(values)
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK_CELLS // queries)
    out = np.empty((resamples, values.shape[1]))
    for start in range(0, resamples, step):
        many = min(step, resamples - start)
        drawn = rng.integers(queries, size=(many, queries))
        drawn += np.arange(many)[:, None] * queries  # every draw counts in bins of its own
        counts = np.bincount(drawn.ravel(), minlength=many * queries).reshape(many, queries)
        out[start : start + many] = counts @ values / queries
    return out
