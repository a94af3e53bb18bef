"""An index asked as if colours counted more or less than its model has it; what is indexed stays as it is.

Embeddings are ``[sqrt(1-s) a | sqrt(s) c]``, with shape a, colours c and the model's share s. With another weight w they
were ``[sqrt(1-w) a | sqrt(w) c]``: the same numbers times a factor for each part. A product of two such vectors is that of
a stored one with the other one scaled twice, so that only the query is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.bundles.colours import COLOURS, colour_share
from backend.errors import RetrievalError
from backend.retrieval.indexes.index import MAX_DISTANCE, Neighbours, OverIndex, check_search

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.bundles.manifest import Manifest
    from backend.retrieval.indexes.index import Index


class WeighedIndex(OverIndex):
    """Ranks by ``(1 - w) a.a' + w c.c'``; an :class:`backend.retrieval.indexes.index.Index` of embeddings of that weight.

    Every item is compared: cells and their number of probes were chosen for the model's own share.

    Args:
        index: What is searched.
        share: How much colours count in its embeddings, in (0, 1).
        weight: How much they are to count, in [0, 1].
    """

    def __init__(self, index: Index, *, share: float, weight: float) -> None:
        super().__init__(index.exact)
        self._factors = np.full(index.dimensions, np.sqrt((1.0 - weight) / (1.0 - share)))
        self._factors[-COLOURS:] = np.sqrt(weight / share)

    @property
    def exact(self) -> Index:
        """Itself."""
        return self

    def weigh(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give embeddings (N, D) of the model this weight."""
        found: NDArray[np.float32] = (embeddings * self._factors).astype(np.float32)
        return found

    def embeddings(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings of the items at these positions with this weight."""
        return self.weigh(self.inner.embeddings(positions))

    def search(self, queries: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None = None) -> Neighbours:
        """Find the k nearest items of every query of this weight; see :class:`backend.retrieval.indexes.index.Index`."""
        check_search(self, queries, k=k, allowed=allowed)
        scaled = queries * self._factors
        lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
        found = self.inner.search((scaled / lengths).astype(np.float32), k=k, allowed=allowed)
        distances = 1.0 - (1.0 - found.distances.astype(np.float64)) * lengths
        return Neighbours(found.positions, distances.clip(0.0, MAX_DISTANCE).astype(np.float32))


def weighed(index: Index, manifest: Manifest, weight: float | None) -> Index:
    """Return an index as it is asked where colours are to count so much; the index itself for the model's own share.

    Raises:
        RetrievalError: The model does not hold colours apart.
    """
    if weight is None:
        return index
    share = colour_share(manifest)
    if share is None:
        raise RetrievalError(
            "This model cannot weigh colour against shape.",
            next_step="Leave out colour_weight, or deploy a model that was trained with the preset photos.",
        )
    return index if weight == share else WeighedIndex(index, share=share, weight=weight)


def weigh(embeddings: NDArray[np.float32], index: Index) -> NDArray[np.float32]:
    """Give embeddings (N, D) of the model the weight that an index is asked with."""
    return index.weigh(embeddings) if isinstance(index, WeighedIndex) else embeddings
