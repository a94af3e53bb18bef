"""What a cosine similarity is worth: the probability that the nearest product is of the same kind, and from where on
an answer may be called a match.

:mod:`backend.evaluation.calibrate` fits it on validation products; it is in the bundle as ``calibration.json``.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import BundleError
from backend.files.plain_files import read_plain
from backend.files.typed_json import built, parsed

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CALIBRATION = "calibration.json"
FORMAT_VERSION = 1
EVEN = 0.5  # probability below which nothing is a match, however right the answers above it are on average
_LONGEST = 1_000_000  # bytes
_NEXT = "Evaluate this model again: `python -m backend evaluate`."


@dataclass(frozen=True, slots=True)
class Calibration:
    """Probability by similarity, linear between the knots and constant beyond them, and the threshold.

    Below the lowest similarity that a validation product had, nothing is known of a likeness: within as much again as the
    lowest knot is above it, the probability falls to that of a product taken at random.

    Attributes:
        similarities: Where the knots are; ascending, one or more.
        probabilities: Probability that the nearest product is of the same kind; never falling.
        threshold: Smallest similarity from which on the stated share of answers was right; None where none reached it.
        precision_target: That share.
        queries: Validation products that it was fitted on.
        weights_hash: The network that it belongs to.
        lowest: The lowest similarity that one of them had.
        base_rate: Probability that a product taken at random is of the same kind.
    """

    similarities: tuple[float, ...]
    probabilities: tuple[float, ...]
    threshold: float | None
    precision_target: float
    queries: int
    weights_hash: str = ""
    lowest: float = -1.0
    base_rate: float = 0.0

    @classmethod
    def load(cls, folder: Path, *, classes: int = 0) -> Calibration | None:
        """Read the calibration of a bundle that has been verified; None before the model was evaluated.

        Args:
            folder: The bundle.
            classes: Number of its classes; a file of an earlier version has no base rate of its own.

        Raises:
            BundleError: The file is none of ours.
        """
        path = folder / CALIBRATION
        if not os.path.lexists(path):
            return None
        try:
            return cls.from_json(read_plain(path, _LONGEST).decode(), classes=classes)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BundleError(f"{CALIBRATION} of {folder.name} cannot be read.", next_step=_NEXT) from error

    @classmethod
    def from_json(cls, text: str, *, classes: int = 0) -> Calibration:
        """Read it back; raises ValueError, TypeError or KeyError where the text is something else."""
        raw: dict[str, Any] = parsed(text)
        if raw.pop("format_version") != FORMAT_VERSION:
            raise ValueError(text)
        knots = raw["similarities"]
        if not knots or len(knots) != len(raw["probabilities"]):
            raise ValueError(text)
        # Earlier versions did not say how low their products came: the first knot and the threshold were seen.
        seen = [similarity for similarity in (knots[0], raw["threshold"]) if similarity is not None]
        unsaid = {"lowest": min(seen), "base_rate": 1 / classes if classes else 0.0}
        found: Calibration = built(cls, {**unsaid, **raw}, CALIBRATION)
        if any(one > other for one, other in pairwise(found.similarities)):
            raise ValueError(text)
        return found

    def to_json(self) -> str:
        """Return it as indented JSON."""
        return json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, indent=2, sort_keys=True)

    def probability(self, similarity: float) -> float:
        """Return the probability, in [0, 1], that a product of this cosine similarity is of the same kind."""
        return float(self.probabilities_of(np.asarray(similarity)))

    def probabilities_of(self, similarities: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the probability of each similarity; any shape."""
        where, probability = np.array(self.curve).T
        found: NDArray[np.float64] = np.interp(similarities, where, probability)
        return found

    @property
    def curve(self) -> tuple[tuple[float, float], ...]:
        """(similarity, probability) of every corner, ascending."""
        first, most = self.similarities[0], self.probabilities[0]
        beyond = self.lowest - max(first - self.lowest, 0.0)
        falling = (beyond, min(self.base_rate, most)), (self.lowest, most)
        return (*falling, *zip(self.similarities, self.probabilities, strict=True))

    def is_match(self, similarity: float) -> bool:
        """Tell whether a product of this similarity may be called a match; never where no threshold was found."""
        return bool(self.matches(np.asarray(similarity)))

    def matches(self, similarities: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """Return which similarities may be called a match; any shape.

        A threshold of an earlier version may be where a wrong answer is the likelier one; a match never does.
        """
        if self.threshold is None:
            return np.zeros(similarities.shape, dtype=np.bool_)
        found: NDArray[np.bool_] = (similarities >= self.threshold) & (self.probabilities_of(similarities) >= EVEN)
        return found
