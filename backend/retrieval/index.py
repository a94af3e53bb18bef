"""Which gallery items lie nearest to a query: the port that every kind of index implements, and the exact kind.

Distance is cosine distance, 1 - cosine similarity, in [0, 2]; smaller is nearer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from backend.errors import RetrievalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DISTANCE = 2.0
# BLAS adds up in another order at the edges of a matrix and for one query or many, so that equal vectors come out up
# to 3e-8 apart. Anything nearer together than this is computed again, the same way for every row, before it is ranked;
# and so is every answer short enough to be read, so that it is the same, alone and in a batch, to the last bit.
NEAR_TIE = 1e-6
_EXACT_UP_TO = 1_024
_CHUNK_CELLS = 16_000_000  # distances held at once: 64 MB
_RESCORE_ROWS = 65_536
_NORM_TOLERANCE = 1e-3


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

    def search(self, queries: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None = None) -> Neighbours:
        """Find the k nearest items of every query; equal distances rank by position.

        Args:
            queries: L2-normalised embeddings, float32 (Q, D).
            k: Neighbours wanted, at least 1; the answer has fewer where fewer items are allowed.
            allowed: Items that may be answered, bool (N,); all when left out. Others are gone before ranking.

        Raises:
            RetrievalError: k is below 1, a shape does not fit, or a query is not L2-normalised.
        """


class ExactIndex:
    """Compares a query with every embedding by one matrix product.

    Args:
        vectors: L2-normalised embeddings, float32 (N, D); may be memory-mapped, and is never copied.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        if vectors.ndim != 2 or vectors.dtype != np.float32:
            raise RetrievalError(f"An index needs float32 (N, D), got {vectors.dtype} {vectors.shape}.")
        self._vectors = vectors

    @property
    def size(self) -> int:
        """Number N of embeddings."""
        return int(self._vectors.shape[0])

    @property
    def dimensions(self) -> int:
        """Dimensions D of an embedding."""
        return int(self._vectors.shape[1])

    def search(self, queries: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None = None) -> Neighbours:
        """Find the k nearest items of every query; see :class:`Index`."""
        check_search(self, queries, k=k, allowed=allowed)
        wanted = min(k, self.size if allowed is None else int(np.count_nonzero(allowed)))
        positions = np.empty((len(queries), wanted), dtype=np.int64)
        distances = np.empty((len(queries), wanted), dtype=np.float32)
        step = max(1, _CHUNK_CELLS // max(1, self.size))
        for start in range(0, len(queries) if wanted else 0, step):
            chunk = queries[start : start + step]
            table = self._distances(chunk, allowed)  # (q, N)
            for row, (query, to_all) in enumerate(zip(chunk, table, strict=True), start):
                positions[row], distances[row] = self._nearest(query, to_all, wanted)
        return Neighbours(positions=positions, distances=distances)

    def _distances(self, queries: NDArray[np.float32], allowed: NDArray[np.bool_] | None) -> NDArray[np.float32]:
        table = np.empty((len(queries), self.size), dtype=np.float32)
        np.matmul(queries, self._vectors.T, out=table)
        np.subtract(np.float32(1.0), table, out=table)
        if allowed is not None:
            table[:, ~allowed] = np.inf
        return table

    def _nearest(
        self, query: NDArray[np.float32], to_all: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rank one row of distances (N,) by (distance, position); ties reach across the k-th place."""
        border = np.partition(to_all, k - 1)[k - 1] + np.float32(NEAR_TIE)
        found = np.flatnonzero(to_all <= border)
        distances = to_all[found]
        order = np.argsort(distances, kind="stable")
        found, distances = found[order], distances[order]
        again = np.full(len(found), len(found) <= _EXACT_UP_TO)
        close = np.diff(distances) < NEAR_TIE
        again[1:] |= close
        again[:-1] |= close
        if again.any():
            distances[again] = self._rescored(query, found[again])
            order = np.lexsort((found, distances))
            found, distances = found[order], distances[order]
        return found[:k], distances[:k].clip(0.0, MAX_DISTANCE)

    def _rescored(self, query: NDArray[np.float32], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Compute distances so that equal vectors get equal ones, whatever row they stand in."""
        wide = query.astype(np.float64)
        parts = (positions[at : at + _RESCORE_ROWS] for at in range(0, len(positions), _RESCORE_ROWS))
        distances: NDArray[np.float64] = np.concatenate([1.0 - (self._vectors[p] * wide).sum(axis=1) for p in parts])
        return distances.astype(np.float32)


def check_search(index: Index, queries: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None) -> None:
    """Check the arguments of a search; every kind of index calls it first.

    Raises:
        RetrievalError: k is below 1, a shape does not fit, or a query is not L2-normalised.
    """
    if k < 1:
        raise RetrievalError(f"k must be at least 1, got {k}.", next_step="Ask for one neighbour or more.")
    if queries.ndim != 2 or queries.shape[1] != index.dimensions:
        raise RetrievalError(f"Queries must be (Q, {index.dimensions}), got {queries.shape}.")
    if allowed is not None and (allowed.shape != (index.size,) or allowed.dtype != np.bool_):
        raise RetrievalError(f"The mask must be bool ({index.size},), got {allowed.dtype} {allowed.shape}.")
    norms = np.linalg.norm(queries, axis=1)
    if not np.all(np.abs(norms - 1.0) <= _NORM_TOLERANCE):
        raise RetrievalError(
            "The network made nothing of the picture: its embedding does not have length 1.",
            next_step="Use a picture that shows something.",
        )
