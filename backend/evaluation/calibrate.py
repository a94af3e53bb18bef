"""From similarity to probability, fitted on validation products and judged on test products.

Validation products ask for their nearest other product. Their similarities are cut into bins of equal numbers, and the
shares of right answers are made to rise by pooling neighbouring bins that fall (isotonic regression); between bins the
curve is straight. Below the lowest similarity that any of them had, it falls to the base rate: what is farther out than
every product of the catalogue is of none of its kinds until shown otherwise. The test split has no part in it: it only tells how well it fits.

Sources: Zadrozny, Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", 2002 (isotonic
calibration); Naeini, Cooper, Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015 (ECE).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import EvaluationError
from backend.retrieval.calibration import EVEN, Calibration

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_QUERIES = 30  # fewer validation products say nothing of probabilities
MIN_ACCEPTED = 10  # fewer right answers in a row are luck
_MOST_BINS = 40
_BIN_QUERIES = 15
RELIABILITY_BINS = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Queries whose probability is in one tenth: how many, what was predicted on average, and what came true."""

    queries: int
    predicted: float
    observed: float


def fit(
    similarity: NDArray[np.float32],
    is_right: NDArray[np.bool_],
    *,
    precision_target: float,
    base_rate: float = 0.0,
    weights_hash: str = "",
) -> Calibration:
    """Fit a calibration to the nearest neighbours of Q validation queries.

    Args:
        similarity: Cosine similarity of each query's nearest neighbour; (Q,).
        is_right: Whether it is of the same kind; (Q,).
        precision_target: Share of right answers that the threshold is to reach, in (0, 1).
        base_rate: Probability that a product taken at random is of the same kind.
        weights_hash: The network that it belongs to.

    Raises:
        EvaluationError: There are fewer queries than :data:`MIN_QUERIES`.
    """
    if len(similarity) < MIN_QUERIES:
        raise EvaluationError(
            f"Only {len(similarity)} validation products can be used as queries; calibration needs {MIN_QUERIES}.",
            next_step="Give the catalogue a larger validation split on the Catalogue page.",
        )
    order = np.argsort(similarity, kind="stable")
    bins = np.array_split(order, int(np.clip(len(order) // _BIN_QUERIES, 1, _MOST_BINS)))
    middles = np.array([similarity[members].mean(dtype=np.float64) for members in bins])
    sizes = np.array([len(members) for members in bins], dtype=np.float64)
    # Half an answer of each kind is added, so that no probability is exactly 0 or 1.
    shares = (np.array([is_right[members].sum() for members in bins]) + 0.5) / (sizes + 1)
    rising = pooled(shares, sizes)
    knots, first = np.unique(middles, return_index=True)
    found = Calibration(
        similarities=tuple(round(float(value), 6) for value in knots),
        probabilities=tuple(round(float(value), 6) for value in rising[first]),
        threshold=None,
        precision_target=precision_target,
        queries=len(similarity),
        weights_hash=weights_hash,
        lowest=float(similarity.min()),
        base_rate=round(base_rate, 6),
    )
    # Where a model is nearly always right, the share is reached where a single answer is more likely wrong than right.
    is_likely = found.probabilities_of(similarity) >= EVEN
    reached = threshold(similarity, is_right, precision_target)
    likely = similarity[is_likely & (similarity >= reached)] if reached is not None else similarity[:0]
    return replace(found, threshold=float(likely.min()) if likely.size else None)


def pooled(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the never falling values nearest to these (pool adjacent violators); (N,).

    Example:
        >>> pooled(np.array([0.2, 0.6, 0.4]), np.ones(3))
        array([0.2, 0.5, 0.5])
    """
    from sklearn.isotonic import isotonic_regression

    rising: NDArray[np.float64] = isotonic_regression(values, sample_weight=weights)
    return rising


def threshold(similarity: NDArray[np.float32], is_right: NDArray[np.bool_], target: float) -> float | None:
    """Return the smallest similarity from which on the share of right answers reaches a target; None if none does.

    Example:
        >>> found = threshold(np.linspace(0, 1, 100), np.arange(100) >= 50, 0.9)
        >>> round(found, 2)
        0.45
    """
    order = np.argsort(-similarity, kind="stable")
    ranked = similarity[order]
    share = np.cumsum(is_right[order]) / np.arange(1, len(order) + 1)
    is_last = np.append(ranked[1:] != ranked[:-1], True)  # equal similarities stand or fall together
    reached = np.flatnonzero((share >= target) & is_last & (np.arange(1, len(order) + 1) >= MIN_ACCEPTED))
    return float(ranked[reached[-1]]) if reached.size else None


def reliability(probability: NDArray[np.float64], is_right: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Compare what was predicted with what came true, by tenths of the probability; empty tenths are left out."""
    bins = np.minimum((probability * RELIABILITY_BINS).astype(np.int64), RELIABILITY_BINS - 1)
    return tuple(
        ReliabilityBin(
            int((bins == number).sum()),
            float(probability[bins == number].mean()),
            float(is_right[bins == number].mean()),
        )
        for number in np.unique(bins)
    )


def expected_calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Return the mean distance between what was predicted and what came true, weighted by queries; in [0, 1]."""
    queries = sum(found.queries for found in bins)
    return sum(found.queries * abs(found.predicted - found.observed) for found in bins) / queries


def auroc(known: NDArray[np.float32], unknown: NDArray[np.float32]) -> float:
    """Return the probability that a query of a known class is nearer to its neighbour than one of an unknown class.

    Ties count half: 0.5 is no better than guessing, 1 tells them apart.

    Example:
        >>> auroc(np.array([0.9, 0.8]), np.array([0.1, 0.8]))
        0.875
    """
    from sklearn.metrics import roc_auc_score

    is_known = np.repeat([True, False], [len(known), len(unknown)])
    return float(roc_auc_score(is_known, np.concatenate([known, unknown])))
