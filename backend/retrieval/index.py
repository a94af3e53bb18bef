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
_CHUNK_CELLS = 16_000_000  # similarities held at once: 64 MB
_RESCORE_ROWS = 65_536
_NORM_TOLERANCE = 1e-3
# The k-th largest of many is bounded from below by the k-th largest of the maxima of groups; to find those is a
# twentieth of the work of sorting the row apart.
_GROUP = 64
_GROUPS_PER_NEIGHBOUR = 4
# Where no more than this share of the items is allowed, their rows are copied out and compared alone.
FEW = 1 / 8


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

    def embeddings(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings of the items at these positions, float32 (P, D)."""


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

    def embeddings(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings of the items at these positions; see :class:`Index`."""
        found: NDArray[np.float32] = np.asarray(self._vectors[positions])
        return found

    def search(self, queries: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None = None) -> Neighbours:
        """Find the k nearest items of every query; see :class:`Index`."""
        check_search(self, queries, k=k, allowed=allowed)
        open_to = self.size if allowed is None else int(np.count_nonzero(allowed))
        if allowed is not None and open_to <= self.size * FEW:
            return self._among(queries, np.flatnonzero(allowed), min(k, open_to))
        return self._among_all(queries, allowed, min(k, open_to))

    def _among(self, queries: NDArray[np.float32], positions: NDArray[np.int64], k: int) -> Neighbours:
        """Search a few items, as an index of their own; their order stays, and so does that of ties."""
        if not k:
            return _no_neighbours(len(queries))
        found = ExactIndex(self.embeddings(positions))._among_all(queries, None, k)  # noqa: SLF001 - its own kind
        return Neighbours(positions[found.positions], found.distances)

    def _among_all(self, queries: NDArray[np.float32], allowed: NDArray[np.bool_] | None, k: int) -> Neighbours:
        positions = np.empty((len(queries), k), dtype=np.int64)
        distances = np.empty((len(queries), k), dtype=np.float32)
        step = max(1, _CHUNK_CELLS // max(1, self.size))
        for start in range(0, len(queries) if k else 0, step):
            chunk = queries[start : start + step]
            table = np.matmul(chunk, self._vectors.T)  # (q, N)
            if allowed is not None:
                table[:, ~allowed] = -np.inf
            borders = _borders(table, k)
            for row, query in enumerate(chunk):
                found = np.flatnonzero(table[row] >= borders[row])
                near = rank(query, self._vectors, found, table[row][found])
                positions[start + row], distances[start + row] = near[0][:k], near[1][:k]
        return Neighbours(positions=positions, distances=distances)


def _borders(table: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Return, for every row of similarities (q, N), one that the k nearest reach, all ties included."""
    lowest = np.float32(-MAX_DISTANCE)  # what is not allowed lies below
    groups = table.shape[1] // _GROUP
    if groups < _GROUPS_PER_NEIGHBOUR * k:
        kth = np.partition(table, -k, axis=1)[:, -k]
    else:
        body = table[:, : groups * _GROUP].reshape(len(table), _GROUP, groups)
        best = body.max(axis=1)
        rest = table[:, groups * _GROUP :]
        np.maximum(best[:, : rest.shape[1]], rest, out=best[:, : rest.shape[1]])
        kth = np.partition(best, -k, axis=1)[:, -k]
    found: NDArray[np.float32] = np.maximum(kth - np.float32(NEAR_TIE), lowest)
    return found


def rank(
    query: NDArray[np.float32],
    vectors: NDArray[np.float32],
    positions: NDArray[np.int64],
    similarities: NDArray[np.float32] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Order items (P,) by (distance, position), with distances that equal vectors share to the last bit.

    Args:
        query: What is asked, (D,).
        vectors: Embeddings of the whole gallery, (N, D).
        positions: The items, ascending.
        similarities: To the query, as BLAS gives them, (P,); where left out, all are computed here.

    Returns:
        Positions and cosine distances, nearest first.
    """
    if similarities is None or len(positions) <= _EXACT_UP_TO:
        distances = _distances(query, vectors, positions)
        order = np.argsort(distances, kind="stable")
        return positions[order], distances[order]
    distances = np.float32(1.0) - similarities
    order = np.argsort(distances, kind="stable")
    positions, distances = positions[order], distances[order]
    again = np.zeros(len(positions), dtype=np.bool_)
    close = np.diff(distances) < NEAR_TIE
    again[1:] |= close
    again[:-1] |= close
    if again.any():
        distances[again] = _distances(query, vectors, positions[again])
        order = np.lexsort((positions, distances))
        positions, distances = positions[order], distances[order]
    return positions, distances.clip(0.0, MAX_DISTANCE)


def _distances(
    query: NDArray[np.float32], vectors: NDArray[np.float32], positions: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Compute distances so that equal vectors get equal ones, whatever row they stand in."""
    wide = query.astype(np.float64)
    parts = (positions[at : at + _RESCORE_ROWS] for at in range(0, max(len(positions), 1), _RESCORE_ROWS))
    distances: NDArray[np.float64] = np.concatenate([1.0 - (vectors[p] * wide).sum(axis=1) for p in parts])
    return distances.astype(np.float32).clip(0.0, MAX_DISTANCE)


def _no_neighbours(queries: int) -> Neighbours:
    return Neighbours(np.empty((queries, 0), dtype=np.int64), np.empty((queries, 0), dtype=np.float32))


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
