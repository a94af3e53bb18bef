"""The k nearest products of every product of a gallery, as one table: what maps and the look at hubs are made of.

Up to ``EXACT_UP_TO`` products it is exact: every pair is compared, by matrix products in blocks. That grows with the square
of the gallery; above, it is cut into cells, and a product is compared with those of the cells nearest to it. Distances are
exact in both cases.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import RetrievalError
from backend.retrieval.indexes.index import MAX_DISTANCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.progress import Progress

EXACT_UP_TO = 20_000
CELLS_SEARCHED = 12  # of as many cells as the root of the gallery's size; of 60,000 trained embeddings it finds 99.8 %
_BLOCK = 4_096  # products asked at once, between two looks at whether to stop
_RESCORED_CELLS = 16_000_000


@dataclass(frozen=True, slots=True)
class NeighbourGraph:
    """The k nearest other products of N products, nearest first; a product is never its own neighbour.

    Attributes:
        positions: Where they stand in the gallery; int32 (N, k).
        distances: Cosine distances, float32 (N, k), ascending along each row; equal ones rank by position.
    """

    positions: NDArray[np.int32]
    distances: NDArray[np.float32]

    @property
    def size(self) -> int:
        """Number N of products."""
        return int(self.positions.shape[0])

    @property
    def k(self) -> int:
        """Neighbours of each."""
        return int(self.positions.shape[1])

    def nearest(self, k: int) -> NeighbourGraph:
        """Return the graph of the k nearest only."""
        return NeighbourGraph(self.positions[:, :k], self.distances[:, :k])


def build_graph(
    vectors: NDArray[np.float32], k: int, *, threads: int = 0, seed: int = 7, progress: Progress
) -> NeighbourGraph:
    """Find the k nearest other products of every product; the same vectors give the same graph to the last bit.

    Args:
        vectors: L2-normalised embeddings, float32 (N, D).
        k: Neighbours wanted, 1 <= k < N.
        threads: Cores to use; 0 means all.
        seed: Of the cells that large galleries are cut into.
        progress: Hears how many products are done, and may cancel.

    Raises:
        RetrievalError: There are too few products, or an embedding is not finite.
        Cancelled: The user asked to stop.
    """
    if not 1 <= k < len(vectors):
        raise RetrievalError(
            f"{len(vectors):,} products cannot have {k} neighbours each.",
            next_step=f"Use at most {max(len(vectors) - 1, 1)} neighbours, or load more products.",
        )
    rows = np.ascontiguousarray(vectors, dtype=np.float32)
    if not np.isfinite(rows).all():
        raise RetrievalError(
            "The index contains embeddings that are not finite.",
            next_step="Retrain the model with a lower learning rate and rebuild its index.",
        )
    index = _filled(rows, threads, seed)
    wanted = min(k + 1, len(rows))  # one of them is the product itself
    positions = np.empty((len(rows), k), dtype=np.int32)
    distances = np.empty((len(rows), k), dtype=np.float32)
    for start in range(0, len(rows), _BLOCK):
        progress.check_cancelled()
        asked = np.arange(start, min(start + _BLOCK, len(rows)))
        _, found = index.search(rows[asked], wanted)
        positions[asked], distances[asked] = _ranked(rows, asked, found, k)
        progress.report(int(asked[-1]) + 1, len(rows), unit="products", note="finding neighbours")
    return NeighbourGraph(positions, distances)


def _filled(rows: NDArray[np.float32], threads: int, seed: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads or len(os.sched_getaffinity(0)))
    width = rows.shape[1]
    if len(rows) <= EXACT_UP_TO:
        index = faiss.IndexFlatIP(width)
    else:
        cells = int(np.sqrt(len(rows)))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed, index.nprobe = seed, min(CELLS_SEARCHED, cells)
        index.train(rows[:: max(1, len(rows) // (64 * cells))])
    index.add(rows)
    return index


def _ranked(
    rows: NDArray[np.float32], asked: NDArray[np.int64], found: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Compute the distances of what was found the same way for all, drop each product itself, rank by (distance, position).

    A product that has more copies than neighbours may not have been found itself; then the farthest is dropped.
    """
    found = np.where(found < 0, asked[:, None], found)  # fewer than asked for, in the cells searched
    similar = np.empty(found.shape, dtype=np.float64)
    step = max(1, _RESCORED_CELLS // (found.shape[1] * rows.shape[1]))
    for at in range(0, len(asked), step):
        part = slice(at, at + step)
        similar[part] = np.einsum("qkd,qd->qk", rows[found[part]], rows[asked[part]], dtype=np.float64)
    distances = (1.0 - similar).clip(0.0, MAX_DISTANCE).astype(np.float32)
    distances[found == asked[:, None]] = np.inf
    order = np.lexsort((found, distances), axis=1)[:, :k]
    nearest = np.take_along_axis(distances, order, axis=1)
    kept = np.take_along_axis(found, order, axis=1)
    return kept, np.where(np.isfinite(nearest), nearest, np.float32(MAX_DISTANCE))
