"""TensorFlow Similarity's own ``Indexer`` behind our port: the original design's arm, to be compared with.

It walks a graph of nmslib, keeps every embedding a second time in a store, knows no filters and no ties, and cannot
drop an item. Filters are answered by asking it for more. Where items lie equally near all are compared, because the graph
leaves some of them out, and which ones differs from one build to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backend.retrieval.indexes.exact import NEAR_TIE, ExactIndex, nearest, one_by_one
from backend.retrieval.indexes.index import check_search
from backend.training.runtime import prepare_similarity, prepare_tensorflow

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.retrieval.indexes.index import Neighbours, Ranked

_MORE = 2  # times as many are asked for, while too few are allowed
_MOST = 1 / 4  # share of the items beyond which all are compared


class SimilarityIndex:
    """N embeddings in an ``Indexer``.

    Args:
        vectors: L2-normalised embeddings, float32 (N, D).
    """

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        prepare_tensorflow(0)
        prepare_similarity()
        from tensorflow_similarity.indexer import Indexer

        self._exact = ExactIndex(vectors)
        self._vectors = np.ascontiguousarray(vectors)
        self.indexer: Any = Indexer(vectors.shape[1], distance="cosine")
        self.indexer.batch_add(self._vectors, labels=list(range(len(vectors))), verbose=0)

    @property
    def size(self) -> int:
        """Number N of embeddings."""
        return self._exact.size

    @property
    def dimensions(self) -> int:
        """Dimensions D of an embedding."""
        return self._exact.dimensions

    @property
    def exact(self):
        return self._exact

    def embeddings(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings of the items at these positions; see :class:`backend.retrieval.indexes.index.Index`."""
        return self._exact.embeddings(positions)

    def search(self, queries: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None = None) -> Neighbours:
        """Find the k nearest items of every query; see :class:`backend.retrieval.indexes.index.Index`."""
        check_search(self, queries, k=k, allowed=allowed)
        open_to = self.size if allowed is None else int(np.count_nonzero(allowed))
        if not len(queries) or not open_to:
            return self._exact.search(queries, k=k, allowed=allowed)
        return one_by_one(queries, lambda query: self._one(query, min(k, open_to), allowed))

    def _one(self, query: NDArray[np.float32], k: int, allowed: NDArray[np.bool_] | None) -> Ranked:
        asked = k + 1  # one more, so that a tie across the k-th is seen
        while asked <= self.size * _MOST:
            found = self.indexer.single_lookup(query[None], k=asked)
            positions = np.asarray([one.label for one in found], dtype=np.int64)
            is_open = np.ones(len(found), dtype=np.bool_) if allowed is None else allowed[positions]
            distances = np.asarray([one.distance for one in found])[is_open]
            if len(distances) > k:
                if np.any(np.diff(distances[: k + 1]) <= NEAR_TIE):
                    break
                return nearest(query, self._vectors, positions[is_open], k)
            asked *= _MORE
        found_exactly = self._exact.search(query[None], k=k, allowed=allowed)
        return found_exactly.positions[0], found_exactly.distances[0]
