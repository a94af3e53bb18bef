"""The exact kind of index: a query is compared with every embedding, or with those that may be among the nearest."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import RetrievalError
from backend.retrieval.indexes.head import GROUP, MIN_ITEMS, Head
from backend.retrieval.indexes.index import MAX_DISTANCE, Neighbours, check_search

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from backend.retrieval.indexes.index import Ranked

# BLAS adds up in another order at the edges of a matrix and for one query or many, so that equal vectors come out up
# to 3e-8 apart. Anything nearer together than this is computed again, the same way for every row, before it is ranked;
# and so is every answer short enough to be read, so that it is the same, alone and in a batch, to the last bit.
NEAR_TIE = 1e-6
_FEW_ROWS = 64  # are ranked in full as quickly as the nearest of them are found
_EXACT_UP_TO = 1_024
_CHUNK_CELLS = 16_000_000  # similarities held at once: 64 MB
_RESCORE_ROWS = 65_536
# The k-th largest of many is bounded from below by the k-th largest of the maxima of groups; to find those is a
# twentieth of the work of sorting the row apart.
_GROUPS_PER_NEIGHBOUR = 4
_ALONE = 4  # queries that are answered one by one
# Where no more than this share of the items is allowed, their rows are copied out and compared alone.
FEW = 1 / 8


class ExactIndex:
    """Compares a query with every embedding: many at once by one matrix product, a few by their heads first.

    Args:
        vectors: L2-normalised embeddings, float32 (N, D); may be memory-mapped, and is never copied.
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        if vectors.ndim != 2 or vectors.dtype != np.float32:
            raise RetrievalError(f"An index needs float32 (N, D), got {vectors.dtype} {vectors.shape}.")
        self._vectors = vectors.view(np.ndarray)  # of a memory map, too: its own class is slower to index

    @property
    def size(self) -> int:
        """Number N of embeddings."""
        return int(self._vectors.shape[0])

    @property
    def dimensions(self) -> int:
        """Dimensions D of an embedding."""
        return int(self._vectors.shape[1])

    @property
    def exact(self) -> ExactIndex:
        """Itself."""
        return self

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
        if 0 < len(queries) <= _ALONE and self.size >= MIN_ITEMS and open_to:
            return one_by_one(queries, lambda query: self._one(query, allowed, min(k, open_to)))
        return self._among_all(queries, allowed, min(k, open_to))

    @cached_property
    def _head(self) -> Head:
        """Made when the first lone query comes."""
        return Head(self._vectors)

    def _one(self, query: NDArray[np.float32], allowed: NDArray[np.bool_] | None, k: int) -> Ranked:
        candidates = self._head.candidates(query, self._vectors, k=k, allowed=allowed)
        if candidates is None:
            found = self._among_all(query[None], allowed, k)
            return found.positions[0], found.distances[0]
        return nearest(query, self._vectors, candidates, k)

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


def one_by_one(queries: NDArray[np.float32], search: Callable[[NDArray[np.float32]], Ranked]) -> Neighbours:
    """Search for one query (D,) after the other, one at least."""
    found = [search(query) for query in queries]
    if len(found) == 1:
        return Neighbours(found[0][0][None], found[0][1][None])
    return Neighbours(np.stack([one[0] for one in found]), np.stack([one[1] for one in found]))


def _borders(table: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Return, for every row of similarities (q, N), one that the k nearest reach, all ties included."""
    lowest = np.float32(-MAX_DISTANCE)  # what is not allowed lies below
    groups = table.shape[1] // GROUP
    if groups < _GROUPS_PER_NEIGHBOUR * k:
        kth = np.partition(table, -k, axis=1)[:, -k]
    else:
        # What is left over needs no group: the k-th largest of fewer is a lower bound, too.
        best = table[:, : groups * GROUP].reshape(len(table), GROUP, groups).max(axis=1)
        kth = np.partition(best, -k, axis=1)[:, -k]
    found: NDArray[np.float32] = np.maximum(kth - np.float32(NEAR_TIE), lowest)
    return found


def nearest(query: NDArray[np.float32], vectors: NDArray[np.float32], positions: NDArray[np.int64], k: int) -> Ranked:
    """Return the k nearest among items (P,), P at least k, ranked as :func:`rank` does."""
    if len(positions) <= _FEW_ROWS:
        found, distances = rank(query, vectors, positions)
        return found[:k], distances[:k]
    similarities = vectors[positions] @ query
    border = np.partition(similarities, -k)[-k] - np.float32(NEAR_TIE)
    found, distances = rank(query, vectors, positions[similarities >= border])
    return found[:k], distances[:k]


def rank(
    query: NDArray[np.float32],
    vectors: NDArray[np.float32],
    positions: NDArray[np.int64],
    similarities: NDArray[np.float32] | None = None,
) -> Ranked:
    """Order items (P,) by (distance, position), with distances that equal vectors share to the last bit.

    Args:
        query: What is asked, (D,).
        vectors: Embeddings of the whole gallery, (N, D).
        positions: The items.
        similarities: To the query, as BLAS gives them, (P,); where left out, all are computed here.

    Returns:
        Positions and cosine distances, nearest first.
    """
    if similarities is None or len(positions) <= _EXACT_UP_TO:
        distances = _distances(query, vectors, positions)
        order = np.lexsort((positions, distances))
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
    if len(positions) <= _RESCORE_ROWS:
        distances: NDArray[np.float64] = 1.0 - _products(vectors[positions], wide)
    else:
        parts = (positions[at : at + _RESCORE_ROWS] for at in range(0, len(positions), _RESCORE_ROWS))
        distances = np.concatenate([1.0 - _products(vectors[part], wide) for part in parts])
    np.maximum(distances, 0.0, out=distances)
    return np.minimum(distances, MAX_DISTANCE).astype(np.float32)


def pair_distances(ones: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine distances of vectors (P, D) from others (P, D), pair by pair: those that a search gives; (P,)."""
    products = np.einsum("nd,nd->n", ones.astype(np.float64), others.astype(np.float64))
    found: NDArray[np.float32] = (1.0 - products).clip(0.0, MAX_DISTANCE).astype(np.float32)
    return found


def _products(vectors: NDArray[np.float32], query: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply each row with a query by itself, and not as BLAS does, so that equal rows give equal products."""
    found: NDArray[np.float64] = np.einsum("nd,d->n", vectors.astype(np.float64), query)
    return found


def _no_neighbours(queries: int) -> Neighbours:
    return Neighbours(np.empty((queries, 0), dtype=np.int64), np.empty((queries, 0), dtype=np.float32))
