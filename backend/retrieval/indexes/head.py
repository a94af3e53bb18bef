"""A short cut that misses nothing: of every embedding, its coordinates along the few directions that carry most of it.

The rest of an embedding is known by its length alone, and that bounds what it can add to a similarity (Cauchy and
Schwarz). So a quarter of the numbers are read for all items, and all numbers only for those that can be among the
nearest; trained embeddings vary along so few directions that these are a few hundred of 60,000.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.retrieval.directions import energy_and_directions

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_ITEMS = 4_096  # below that, all numbers are read as quickly
GROUP = 64
_FIRST = 4  # items for each neighbour that are compared in full first, so that a bound is known for the others
_SHARE = 4  # one in so many dimensions
_SAMPLE = 16_384  # embeddings that the directions are found from
_BLOCK = 16_384
_WORTH_IT = 1 / 16  # share of the items up to which looking at the candidates alone is less work
_SLACK = 1e-6  # of a squared length: rounding must never make a bound too tight


class Head:
    """The heads of N embeddings.

    Args:
        vectors: L2-normalised, float32 (N, D), N at least :data:`MIN_ITEMS`; may be memory-mapped, and is not kept.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        size = max(1, vectors.shape[1] // _SHARE - 1)  # with the rest a round number, which BLAS is quicker with
        self._basis: NDArray[np.float32] = np.ascontiguousarray(directions_of(vectors)[1][:, :size], dtype=np.float32)
        # The length of the rest stands beside the head, so that one product with a query gives the bound itself.
        self._heads = np.empty((len(vectors), size + 1), dtype=np.float32)
        for start in range(0, len(vectors), _BLOCK):
            self._heads[start : start + _BLOCK] = self._with_rest(np.asarray(vectors[start : start + _BLOCK]))

    def _with_rest(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        heads = vectors @ self._basis
        squares = np.einsum("nd,nd->n", vectors, vectors) - np.einsum("nd,nd->n", heads, heads)
        return np.column_stack([heads, np.sqrt(np.maximum(squares, 0.0) + np.float32(_SLACK))])

    def candidates(
        self, query: NDArray[np.float32], vectors: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.int64] | None:
        """Return all items that can be among the k nearest, ascending; None where that is no less work than all.

        Args:
            query: What is asked, (D,).
            vectors: The embeddings, (N, D).
            k: Neighbours wanted; so many items are allowed.
            allowed: Items that may be answered, bool (N,); all when left out.
        """
        reach = self._heads @ self._with_rest(query[None])[0]  # (N,), no similarity is larger
        if allowed is not None:
            reach[~allowed] = -np.inf
        groups = len(reach) // GROUP
        if groups < _FIRST * k:
            return None
        best = reach[: groups * GROUP].reshape(GROUP, groups).max(axis=0)
        first = np.flatnonzero(reach >= max(np.partition(best, -_FIRST * k)[-_FIRST * k], np.float32(-2.0)))
        if len(first) < k or len(first) > len(reach) * _WORTH_IT:
            return None
        border = np.partition(vectors[first] @ query, -k)[-k]
        found = np.flatnonzero(reach >= border - np.float32(_SLACK))
        return found if len(found) <= len(reach) * _WORTH_IT else None


def directions_of(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the principal directions of embeddings (N, D).

    Returns:
        Their energy along D orthonormal directions, largest first, and these directions as columns.
    """
    rows = np.linspace(0, len(vectors) - 1, min(len(vectors), _SAMPLE)).astype(np.int64)
    sample = np.asarray(vectors[rows])
    return energy_and_directions((sample.T @ sample).astype(np.float64))
