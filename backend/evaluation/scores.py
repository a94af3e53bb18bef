"""Score ranked answers by label agreement: one value a query, whose mean is the score.

All take ``matches``, bool (Q, M): whether the M nearest gallery items of each query carry its label, nearest first.
``relevant``, int (Q,), is how many gallery items carry the query's label at all: R, where the figures name it.

``hit_rate_at_k`` is what metric learning prints as recall@k.

Source: Musgrave, Belongie, Lim, "A Metric Learning Reality Check", 2020, arXiv:2003.08505.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.errors import EvaluationError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def precision_at_1(matches: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return 1 where the nearest item carries the query's label, else 0; (Q,)."""
    return precision_at_k(matches, k=1)


def precision_at_k(matches: NDArray[np.bool_], *, k: int) -> NDArray[np.float64]:
    """Return the share of the k nearest items that carry the query's label; (Q,).

    Example:
        >>> precision_at_k(np.array([[True, False, True, False]]), k=3).round(3)
        array([0.667])
    """
    _check_k(matches, k)
    share: NDArray[np.float64] = matches[:, :k].mean(axis=1)
    return share


def hit_rate_at_k(matches: NDArray[np.bool_], *, k: int) -> NDArray[np.float64]:
    """Return 1 where any of the k nearest items carries the query's label, else 0; (Q,).

    Example:
        >>> hit_rate_at_k(np.array([[False, True], [False, False]]), k=2)
        array([1., 0.])
    """
    _check_k(matches, k)
    hits: NDArray[np.float64] = matches[:, :k].any(axis=1).astype(np.float64)
    return hits


def r_precision(matches: NDArray[np.bool_], relevant: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the share of the R nearest items that carry the query's label; (Q,).

    Example:
        >>> r_precision(np.array([[True, False, True]]), np.array([2]))
        array([0.5])
    """
    counted = _first_r(matches, relevant)
    share: NDArray[np.float64] = counted.sum(axis=1) / relevant
    return share


def map_at_r(matches: NDArray[np.bool_], relevant: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean over the R nearest places of the precision up to each place that matches; (Q,).

    Unlike R-precision it rewards matches that come early.

    Example:
        >>> map_at_r(np.array([[True, False, True], [False, True, True]]), np.array([3, 3])).round(3)
        array([0.556, 0.389])
    """
    counted = _first_r(matches, relevant)
    precision = np.cumsum(counted, axis=1) / np.arange(1, matches.shape[1] + 1)
    scores: NDArray[np.float64] = (precision * counted).sum(axis=1) / relevant
    return scores


def _first_r(matches: NDArray[np.bool_], relevant: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the matches with everything beyond place R blanked, row by row."""
    if matches.ndim != 2 or matches.shape[:1] != relevant.shape:
        raise EvaluationError(f"Need (Q, M), (Q,): {matches.shape}, {relevant.shape}.")
    if relevant.size and not 1 <= relevant.min() <= relevant.max() <= matches.shape[1]:
        raise EvaluationError(
            f"R must be in 1..{matches.shape[1]} for every query, got {relevant.min()}..{relevant.max()}."
        )
    return matches & (np.arange(matches.shape[1]) < relevant[:, None])


def _check_k(matches: NDArray[np.bool_], k: int) -> None:
    if matches.ndim != 2 or not 1 <= k <= matches.shape[1]:
        raise EvaluationError(f"Need matches (Q, M) and 1 <= k <= M, got {matches.shape} and k={k}.")
