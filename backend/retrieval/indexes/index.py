"""Which gallery items are nearest to a query: the port that every kind of index implements.

Distance is cosine distance, 1 - cosine similarity, in [0, 2]; smaller is nearer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from backend.errors import RetrievalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ranked = tuple[NDArray[np.int64], NDArray[np.float32]]  # positions (k,) and distances (k,), nearest first

MAX_DISTANCE = 2.0
_RESCORE_ROWS = 65_536
_SQUARES = (0.998, 1.002)  # of the length of a query


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The k nearest gallery items of Q queries, nearest first.

    Attributes:
        positions: Where they stand in the gallery; int64 (Q, k).
        distances: How far they are; float32 (Q, k), ascending along each row.
    """

    positions: NDArray[np.int64]
    distances: NDArray[np.float32]


class Index(Protocol):
    """A set of N embeddings that can be asked for the nearest ones."""

    @property
    def size(self) -> int:
        """Number N of embeddings."""

    @property
    def dimensions(self) -> int:
        """Dimensions D of an embedding."""

    @property
    def exact(self) -> Index:
        """The same embeddings, of which a search misses none."""

    def search(self, queries: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None = None) -> Neighbours:
        """Find the k nearest items of every query; equal distances rank by position.

        Args:
            queries: L2-normalised embeddings, float32 (Q, D).
            k: Neighbours wanted, at least 1; the answer has fewer where fewer items are allowed.
            allowed: Items that may be answered, bool (N,); all when left out. Others are gone before ranking.

        Raises:
            RetrievalError: k is below 1, a shape does not fit, or a query is not L2-normalised.
        """

    def embeddings(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings of the items at these positions, float32 (P, D)."""


class OverIndex:
    """An index of the same embeddings as another one, which it asks.

    Args:
        inner: The other one.
    """

    def __init__(self, inner: Index) -> None:
        self.inner = inner

    @property
    def size(self) -> int:
        """Number N of embeddings."""
        return self.inner.size

    @property
    def dimensions(self) -> int:
        """Dimensions D of an embedding."""
        return self.inner.dimensions


def check_search(index: Index, queries: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None) -> None:
    """Check the arguments of a search; every kind of index calls it first.

    Raises:
        RetrievalError: k is below 1, a shape does not fit, or a query is not L2-normalised.
    """
    if k < 1:
        raise RetrievalError(f"k must be at least 1, got {k}.", next_step="Use k of 1 or more.")
    if queries.ndim != 2 or queries.shape[1] != index.dimensions:
        raise RetrievalError(f"Queries must be (Q, {index.dimensions}), got {queries.shape}.")
    if allowed is not None and (allowed.shape != (index.size,) or allowed.dtype != np.bool_):
        raise RetrievalError(f"The mask must be bool ({index.size},), got {allowed.dtype} {allowed.shape}.")
    if not all(_SQUARES[0] <= float(query @ query) <= _SQUARES[1] for query in queries):
        raise RetrievalError(
            "The network produced no valid embedding for the picture: its length is not 1.",
            next_step="Use another picture.",
        )


def has_no_long_vector(vectors: NDArray[np.float32]) -> bool:
    """Whether no vector is longer than 1, or no number; one that a network made nothing of may be shorter."""
    for start in range(0, len(vectors), _RESCORE_ROWS):
        rows = vectors[start : start + _RESCORE_ROWS]
        with np.errstate(over="ignore", invalid="ignore"):
            if not (np.einsum("nd,nd->n", rows, rows) <= _SQUARES[1]).all():
                return False
    return True
