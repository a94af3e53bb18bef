"""What a cosine similarity is worth: the probability that the nearest product is of the same kind, and from where on
an answer may be called a match.

:mod:`backend.evaluation.calibrate` fits it on validation products; it lies in the bundle as ``calibration.json``.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import BundleError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CALIBRATION = "calibration.json"
FORMAT_VERSION = 1
_NEXT = "Evaluate this model again: `python -m backend evaluate`."


@dataclass(frozen=True, slots=True)
class Calibration:
    """Probability by similarity, linear between the knots and constant beyond them, and the threshold.

    Attributes:
        similarities: Where the knots are; ascending, one or more.
        probabilities: Probability that the nearest product is of the same kind; never falling.
        threshold: Smallest similarity from which on the stated share of answers was right; None where none reached it.
        precision_target: That share.
        queries: Validation products that it was fitted on.
        weights_hash: The network that it belongs to.
    """

    similarities: tuple[float, ...]
    probabilities: tuple[float, ...]
    threshold: float | None
    precision_target: float
    queries: int
    weights_hash: str = ""

    @classmethod
    def load(cls, folder: Path) -> Calibration | None:
        """Read the calibration of a bundle that has been verified; None before the model was evaluated.

        Raises:
            BundleError: The file is none of ours.
        """
        path = folder / CALIBRATION
        if not path.is_file():
            return None
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BundleError(f"{CALIBRATION} of {folder.name} cannot be read.", next_step=_NEXT) from error

    @classmethod
    def from_json(cls, text: str) -> Calibration:
        """Read it back; raises ValueError, TypeError or KeyError where the text is something else."""
        raw: dict[str, Any] = json.loads(text)
        if raw.pop("format_version") != FORMAT_VERSION:
            raise ValueError(text)
        found = cls(**{**raw, **{name: tuple(raw[name]) for name in ("similarities", "probabilities")}})
        if not found.similarities or len(found.similarities) != len(found.probabilities):
            raise ValueError(text)
        return found

    def to_json(self) -> str:
        """Return it as indented JSON."""
        return json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, indent=2, sort_keys=True)

    def probability(self, similarity: float) -> float:
        """Return the probability, in [0, 1], that a product of this cosine similarity is of the same kind."""
        return float(np.interp(similarity, self.similarities, self.probabilities))

    def probabilities_of(self, similarities: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the probability of each similarity; any shape."""
        found: NDArray[np.float64] = np.interp(similarities, self.similarities, self.probabilities)
        return found

    def is_match(self, similarity: float) -> bool:
        """Tell whether a product of this similarity may be called a match; never where no threshold was found."""
        return self.threshold is not None and similarity >= self.threshold
