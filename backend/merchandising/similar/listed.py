"""An index that answers about one product from the list of those near it, and searches where the list ends too soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.retrieval.indexes.index import Neighbours, OverIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.merchandising.similar.near import Near
    from backend.retrieval.indexes.index import Index


class ListedIndex(OverIndex):
    """An :class:`backend.retrieval.indexes.index.Index` for questions about products whose lists are known.

    The product that is asked about must not be allowed: no list holds its own.

    Args:
        index: The gallery's, which misses none.
        near: The lists.

    Attributes:
        line: The list that is answered from.
        looked: How far answers looked since the list was chosen.
    """

    def __init__(self, index: Index, near: Near) -> None:
        super().__init__(index)
        self._near = near
        self.line, self.looked = 0, np.float32(-1.0)

    def choose(self, line: int) -> None:
        """Answer from another list."""
        self.line, self.looked = line, np.float32(-1.0)

    @property
    def exact(self) -> ListedIndex:
        """Itself: a list misses none."""
        return self

    def embeddings(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings of the items at these positions."""
        return self.inner.embeddings(positions)

    def search(self, queries: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None = None) -> Neighbours:
        """Find the k nearest others of the product whose list was chosen; ``queries`` is its embedding, (1, D)."""
        positions, distances = self._near.positions[self.line], self._near.distances[self.line]
        may = (positions >= 0) & (True if allowed is None else allowed[positions])
        places = np.flatnonzero(may)[:k]
        if len(places) == k or not np.isfinite(self._near.horizon[self.line]):
            found = Neighbours(positions[places][None].astype(np.int64), distances[places][None])
        else:
            found = self.inner.search(queries, k=k, allowed=allowed)
        is_full = found.distances.shape[1] == k
        self.looked = max(self.looked, found.distances[0, -1] if is_full else np.float32(np.inf))
        return found
