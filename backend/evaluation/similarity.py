"""What a model's similarities are worth: fitted on validation products, judged on test products and unknown classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import EvaluationError
from backend.evaluation import calibrate
from backend.evaluation.report import CalibrationReport
from backend.evaluation.vectors import nearest_other, nearest_similarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.evaluation.contenders import Ground
    from backend.evaluation.measure import Measured
    from backend.evaluation.options import EvaluationOptions
    from backend.progress import Progress
    from backend.retrieval.calibration import Calibration

VALIDATION_QUERIES = 10_000
UNKNOWN_QUERIES = 5_000


@dataclass(frozen=True, slots=True)
class Worth:
    """A calibration and how well it holds; both None where it could not be fitted, and then ``note`` says why."""

    calibration: Calibration | None
    report: CalibrationReport | None
    note: str = ""


def worth_of_similarity(
    ground: Ground,
    model: Measured,
    unseen: tuple[str, ...],
    options: EvaluationOptions,
    *,
    weights_hash: str,
    progress: Progress,
) -> Worth:
    """Fit a calibration on validation products, each asked for its nearest other product, and judge it on test products.

    Raises:
        Cancelled: The user asked to stop.
    """
    gallery = ground.gallery_of(model.contender).rows()
    labels = ground.labels[ground.kept]
    asking = np.flatnonzero((ground.splits[ground.kept] == "validation") & ground.is_seen(labels))
    try:
        calibration = fitted(gallery, labels, asking, options, weights_hash=weights_hash, progress=progress)
    except EvaluationError as error:
        return Worth(None, None, f"The similarity is not calibrated. {error}")
    return Worth(calibration, _judged(calibration, ground, model, unseen, options, progress))


def fitted(
    gallery: NDArray[np.float32],
    labels: NDArray[np.str_],
    asking: NDArray[np.int64],
    options: EvaluationOptions,
    *,
    weights_hash: str,
    progress: Progress,
) -> Calibration:
    """Fit a calibration on some products of a gallery, each asked for its nearest other product.

    Args:
        gallery: L2-normalised embeddings of products with a label, float32 (N, D).
        labels: Their labels; (N,).
        asking: Positions of those that ask; of too many, some are drawn.
        options: The precision that the threshold is to reach, and the seed of the draw.
        weights_hash: The network that it belongs to.
        progress: Hears how many are done, and may cancel.

    Raises:
        EvaluationError: There are too few.
        Cancelled: The user asked to stop.
    """
    asking = _drawn(asking, VALIDATION_QUERIES, options.seed)
    found, similarity = nearest_other(gallery, asking, progress=progress)
    return calibrate.fit(
        similarity,
        labels[found] == labels[asking],
        precision_target=options.precision_target,
        base_rate=base_rate(labels, asking),
        weights_hash=weights_hash,
    )


def base_rate(labels: NDArray[np.str_], asking: NDArray[np.int64]) -> float:
    """Return how likely another product, taken at random, carries the label of one that asks.

    Args:
        labels: Of the N products of the gallery.
        asking: Positions of those that ask.

    Example:
        >>> base_rate(np.array(["hat", "hat", "bag", "bag", "bag"]), np.array([0, 2]))
        0.375
    """
    if len(labels) < 2 or not len(asking):
        return 0.0
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return float((sizes[codes[asking]] - 1).mean() / (len(labels) - 1))


def _judged(
    calibration: Calibration,
    ground: Ground,
    model: Measured,
    unseen: tuple[str, ...],
    options: EvaluationOptions,
    progress: Progress,
) -> CalibrationReport:
    similarity = model.seen.similarities[:, 0]
    is_right = model.seen.rates["precision_at_1"] > 0
    bins = calibrate.reliability(calibration.probabilities_of(similarity), is_right)
    is_match = calibration.matches(similarity)
    known, unknown = _known_and_unknown(ground, model, unseen, options, progress)
    return CalibrationReport(
        curve=calibration.curve,
        threshold=calibration.threshold,
        precision_target=calibration.precision_target,
        validation_queries=calibration.queries,
        reliability=bins,
        ece=calibrate.expected_calibration_error(bins),
        test_precision=float(is_right[is_match].mean()) if is_match.any() else None,
        test_answered=float(is_match.mean()),
        auroc_unknown=calibrate.auroc(known, unknown) if len(unknown) else None,
        unknown_refused=float(1 - calibration.matches(unknown).mean()) if len(unknown) else None,
    )


def _known_and_unknown(
    ground: Ground, model: Measured, unseen: tuple[str, ...], options: EvaluationOptions, progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how near test products of known classes, and all of unknown ones, come to products of known classes."""
    nothing = np.empty(0, dtype=np.float32)
    if not unseen:
        return nothing, nothing
    pictures, vectors = model.pictures, model.vectors
    asking = model.seen_rows[model.seen.rows]
    strange = np.concatenate(
        [vectors[np.isin(pictures.labels, unseen)], model.contender.gallery[np.isin(ground.labels, unseen)]]
    )
    strange = strange[_drawn(np.arange(len(strange)), UNKNOWN_QUERIES, options.seed)]
    known_gallery = ground.gallery_of(model.contender).only(np.flatnonzero(ground.is_seen(ground.labels[ground.kept])))
    known, unknown = (
        nearest_similarity(queries, known_gallery, progress=progress) for queries in (vectors[asking], strange)
    )
    return known, unknown


def _drawn(rows: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """Return these rows, or as many as are wanted of them, ascending."""
    drawn: NDArray[np.int64] = np.sort(np.random.default_rng(seed).permutation(rows)[:most])
    return drawn
