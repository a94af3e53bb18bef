"""How close an answer is, in words: one judgement from which the word, the match and the probability all come.

Two questions are kept apart. Whether the picture is like anything in the catalogue is decided on the gallery itself: how
near products are to their nearest other product, which needs no label. How likely a product is of the same kind is what
a calibration says, where there are labels. A picture that is like nothing here is of none of its kinds: the first answer
comes before the second, so that they cannot contradict each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.retrieval.calibration import Calibration
    from backend.retrieval.indexes.index import Index

Closeness = Literal["very close", "close", "related", "not close"]
SURE = 0.9  # probability from which a match is called very close
SAME_PICTURE = 0.9999  # cosine similarity from which two pictures are one; products share them, sizes of a shirt, say
# Shares of the gallery that are less near to their nearest product: below the first nothing is close; from the second on
# a product is close, from the third on very close. docs/decisions has the figures that they were chosen on.
_SHARES = (0.05, 0.25, 0.75)
_ASKED = 300  # products whose nearest is looked for
_FEWEST = 20  # fewer say nothing of the others
_TWINS = 10  # nearest that are looked through for one that is another picture
_SEED = 11
_UNIT = 0.998  # shortest embedding that can be searched with


@dataclass(frozen=True, slots=True)
class Spread:
    """Cosine similarities of products to their nearest other product, at three shares of the gallery, ascending.

    Attributes:
        floor: All but one in twenty are at least as near.
        lower, upper: Three in four, and one in four.
        chance: At least as near are one in twenty pairs of products that are taken at random; at most the floor.
    """

    floor: float
    lower: float
    upper: float
    chance: float = -1.0

    @classmethod
    def of(cls, index: Index, splits: NDArray[np.str_]) -> Spread | None:
        """Measure it; None where the gallery is too small, or all its pictures are the same.

        Products that a network has learnt from are nearer to each other than new ones can be: others are asked, where
        there are enough.

        Args:
            index: N embeddings.
            splits: The split of each, (N,).
        """
        unlearnt = np.flatnonzero(splits != "train")
        rows = unlearnt if len(unlearnt) >= _FEWEST else np.arange(index.size)
        rows = np.sort(np.random.default_rng(_SEED).permutation(rows)[:_ASKED])
        vectors = index.embeddings(rows)
        is_usable = np.linalg.norm(vectors, axis=1) >= _UNIT
        nearest = _nearest_other(index, rows[is_usable], vectors[is_usable])
        if len(nearest) < _FEWEST:
            return None
        floor, lower, upper = map(float, np.quantile(nearest, _SHARES))
        return cls(floor, lower, upper, min(floor, _by_chance(vectors[is_usable])))


def _nearest_other(index: Index, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how similar the nearest product with another picture is, of each that has one among its nearest."""
    found = index.search(vectors, k=_TWINS + 1)
    similarity = 1.0 - found.distances.astype(np.float64)
    is_other = (found.positions != rows[:, None]) & (similarity < SAME_PICTURE)
    has_other = is_other.any(axis=1)
    nearest: NDArray[np.float64] = np.where(is_other, similarity, -np.inf)[has_other].max(axis=1, initial=-np.inf)
    return nearest


def _by_chance(vectors: NDArray[np.float32]) -> float:
    """Return the similarity that one in twenty pairs of different pictures reaches."""
    pairs = (vectors @ vectors.T)[np.triu_indices(len(vectors), k=1)]
    different = pairs[pairs < SAME_PICTURE]
    return float(np.quantile(different, 1.0 - _SHARES[0])) if len(different) else -1.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a similarity is worth; see :class:`backend.retrieval.recommendation.Neighbour` for its parts."""

    closeness: Closeness | None = None
    probability: float | None = None

    @property
    def is_match(self) -> bool | None:
        """Whether it is at least close; None where nothing is known."""
        return None if self.closeness is None else self.closeness in {"close", "very close"}


@dataclass(frozen=True, slots=True)
class Judge:
    """Says of similarities what they are worth.

    Attributes:
        calibration: Of the network, where it was evaluated on labels.
        spread: Of the gallery, where it is large enough.
    """

    calibration: Calibration | None = None
    spread: Spread | None = None

    def verdict(self, similarity: float, *, nearest: float | None = None, is_strange: bool | None = None) -> Verdict:
        """Return what a cosine similarity is worth; never less for a higher one of the same answer.

        Args:
            similarity: Of a product to what is asked about.
            nearest: Of the nearest product of the answer; this one if left out. Where that is like what is asked about,
                those after it need only be nearer than chance.
            is_strange: There is nothing on the picture, or nothing that is like the pictures here: whatever it is similar
                to, it is of no kind. None where that is not known, and the nearest product has to tell.
        """
        known = self.calibration
        if is_strange or self._is_far(
            similarity, similarity if nearest is None else nearest, is_like=is_strange is not None
        ):
            return Verdict("not close", min(known.base_rate, known.probability(similarity)) if known else None)
        if known is None:
            return Verdict(self._by_spread(similarity))
        probability = known.probability(similarity)
        if not known.is_match(similarity):
            return Verdict("related", probability)
        return Verdict("very close" if probability >= SURE else "close", probability)

    def _is_far(self, similarity: float, nearest: float, *, is_like: bool) -> bool:
        if self.spread is None:
            return False
        if is_like:  # so that what is nearest to it is near enough
            return similarity < min(self.spread.chance, nearest)
        return nearest < self.spread.floor or similarity < self.spread.chance

    def _by_spread(self, similarity: float) -> Closeness | None:
        if self.spread is None:
            return "very close" if similarity >= SAME_PICTURE else None
        if similarity >= self.spread.lower:
            return "very close" if similarity >= self.spread.upper else "close"
        return "related"
