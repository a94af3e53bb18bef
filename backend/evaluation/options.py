"""What is measured of a model and how, as data: requests, commands and pages can name it without anything heavy."""

from __future__ import annotations

from dataclasses import dataclass

from backend.errors import EvaluationError

STANDARD_K = 10  # what figures in manifests and runs count, so that they can be compared
# Name, smallest, largest: checked by ``EvaluationOptions.check`` and shown by the page's inputs.
RANGES: dict[str, tuple[float, float]] = {
    "k": (1, 100),
    "bootstrap": (100, 10_000),
    "precision_target": (0.5, 0.999),
    "seed": (0, 2**31 - 1),
}


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """How a model is evaluated.

    Attributes:
        k: Neighbours that precision@k and hit rate@k count.
        bootstrap: Resamples of the queries that the intervals are taken from.
        without_duplicates: Whether test products whose picture is in the gallery too, or nearly, are left out.
        robustness: Whether changed pictures of the test products are asked about, too.
        baselines: Whether raw pixels, PCA and the original's network are scored beside the model.
        against: Names of further models to score beside it.
        precision_target: Share of right answers that the calibrated threshold is to reach.
        seed: Seed of the resamples and of what is drawn.
    """

    k: int = STANDARD_K
    bootstrap: int = 1_000
    without_duplicates: bool = False
    robustness: bool = False
    baselines: bool = True
    against: tuple[str, ...] = ()
    precision_target: float = 0.9
    seed: int = 7

    def check(self) -> None:
        """Check every number against its range.

        Raises:
            EvaluationError: The first that does not fit, with its value and what it may be.
        """
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise EvaluationError(
                    f"{name} must be between {low:g} and {high:g}, got {value:g}.", next_step="Correct the field."
                )
