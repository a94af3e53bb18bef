"""The approximate kind of index: a search looks at the cells around the query, and ranks what it finds there exactly.

Its file holds arrays only; what walks the cells is :mod:`backend.retrieval.indexes.cell_lists`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from backend.retrieval.indexes.cell_lists import CellLists
from backend.retrieval.indexes.cells import Cells, find_centres, owners_of
from backend.retrieval.indexes.exact import FEW, NEAR_TIE, ExactIndex, nearest, one_by_one
from backend.retrieval.indexes.index import check_search

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.retrieval.indexes.index import Neighbours, Ranked

TARGET = 0.997  # share of the exact ten nearest that the number of probes is chosen for
_BEYOND = 0.25  # of the way from a neighbour to an item: with it, the same share of test products' neighbours is found
# Candidates beyond the k-th: they are found with rounded numbers, and a tie across the k-th is to be seen.
_SPARE, _SPARE_SHARE = 24, 0.3
_USUAL_K = 10
_ASKED = 1_000


class ApproximateIndex:
    """Compares a query with the embeddings in the cells nearest to it.

    Distances are those of the exact kind to the last bit, and equal ones rank by position; now and then a near item is
    missed, because it is in a cell that was not looked at.

    Args:
        vectors: L2-normalised embeddings, float32 (N, D); may be memory-mapped.
        cells: Where they are.
    """

    def __init__(self, vectors: NDArray[np.float32], cells: Cells | None = None) -> None:
        self.exact = ExactIndex(vectors)
        self._vectors = vectors.view(np.ndarray)
        self.cells = make_cells(vectors) if cells is None else cells
        self._lists = CellLists(vectors, self.cells)
        self._held = self.exact.size / len(self.cells.centres)  # by a cell, on average

    @property
    def size(self) -> int:
        """Number N of embeddings."""
        return self.exact.size

    @property
    def dimensions(self) -> int:
        """Dimensions D of an embedding."""
        return self.exact.dimensions

    def embeddings(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings of the items at these positions; see :class:`backend.retrieval.indexes.index.Index`."""
        return self.exact.embeddings(positions)

    def search(self, queries: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None = None) -> Neighbours:
        """Find the k nearest items of every query; see :class:`backend.retrieval.indexes.index.Index`.

        What is not allowed is passed over in the cells, and more cells are looked at for it. Where few items are
        allowed, a good part of the gallery is asked for, or one cell holds all, the search is exact.
        """
        check_search(self, queries, k=k, allowed=allowed)
        size = self.exact.size
        open_to = size if allowed is None else int(np.count_nonzero(allowed))
        wanted = min(k, open_to)
        is_small = len(self.cells.centres) == 1 or open_to <= size * FEW or wanted + _spare(wanted) > open_to * FEW
        if not len(queries) or is_small:
            return self.exact.search(queries, k=k, allowed=allowed)
        probes = self._probes(k, open_to / size)
        return one_by_one(queries, lambda query: self._one(query, wanted, probes, allowed))

    def _probes(self, k: int, share: float) -> int:
        """Say how many cells to look at: more of them for more neighbours, and where fewer items are allowed."""
        wide = self.cells.probes + max(0, k - _USUAL_K) / self._held
        return min(len(self.cells.centres), math.ceil(wide / share))

    def _one(self, query: NDArray[np.float32], k: int, probes: int, allowed: NDArray[np.bool_] | None) -> Ranked:
        similarities, positions = self._lists.search(query, k + _spare(k), probes, allowed)
        # Copies of one item reach beyond the candidates, or the cells hold too few: then all items are compared.
        if positions[-1] < 0 or similarities[k - 1] - similarities[-1] <= NEAR_TIE:
            found = self.exact.search(query[None], k=k, allowed=allowed)
            return found.positions[0], found.distances[0]
        return nearest(query, self._vectors, positions, k)


def _spare(k: int) -> int:
    return max(_SPARE, int(k * _SPARE_SHARE))


def make_cells(vectors: NDArray[np.float32], before: Cells | None = None, *, moved: int = 0) -> Cells:
    """Find the cells of embeddings (N, D), and how many a search has to look at.

    That number is chosen so that :data:`TARGET` of the exact ten nearest are found, for :func:`made_up_queries`.

    Args:
        vectors: The embeddings.
        before: The cells of an earlier state of the same gallery, whose centres are to be kept, and the probes with them.
        moved: Items that came or went since then.
    """
    if before is not None:
        return Cells(before.centres, owners_of(vectors, before.centres), before.probes, before.moved + moved)
    centres = find_centres(vectors)
    cells = Cells(centres, owners_of(vectors, centres), probes=1)
    return cells if len(centres) == 1 else replace(cells, probes=_enough_probes(vectors, cells))


def _enough_probes(vectors: NDArray[np.float32], cells: Cells) -> int:
    queries = made_up_queries(vectors, _ASKED)
    truth = ExactIndex(vectors).search(queries, k=_USUAL_K).positions
    # The rank of a neighbour's cell among the cells nearest to the query: it is found with so many probes.
    order = np.argsort(-(queries @ cells.centres.T), axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None, :], axis=1)
    needed = np.take_along_axis(ranks, cells.owners[truth].astype(np.int64), axis=1) + 1
    return int(np.quantile(needed, TARGET, method="higher"))


def made_up_queries(vectors: NDArray[np.float32], count: int, *, seed: int = 11) -> NDArray[np.float32]:
    """Make up queries (Q, D) that are near items without being items: a little beyond one, away from a neighbour of it.

    Pictures that no network was trained on are farther out than its gallery, and their neighbours in more cells;
    queries half-way between items would be found too easily.
    """
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(vectors), min(count, len(vectors)), replace=False))
    items = np.asarray(vectors[rows])
    near = ExactIndex(vectors).search(items, k=min(_USUAL_K, len(vectors))).positions
    others = np.asarray(vectors[near[np.arange(len(near)), rng.integers(0, near.shape[1], len(near))]])
    beyond = items + _BEYOND * (items - others)
    found: NDArray[np.float32] = beyond / np.linalg.norm(beyond, axis=1, keepdims=True)
    return found
