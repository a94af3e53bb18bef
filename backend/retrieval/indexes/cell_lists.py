"""The door to faiss for approximate search: the embeddings of each cell in a list, to be walked quickly.

They are held along the directions in which they vary, in eight bits a number: enough to choose candidates by, and a fifth of
what would have to be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backend.retrieval.indexes.head import directions_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.retrieval.indexes.cells import Cells


_KEPT = 0.995  # share of the energy that the directions hold
_STRIDE = 32  # numbers that faiss reads in one go; with some left over it takes three times as long
_SEED = 5


class CellLists:
    """The embeddings of an index, cell by cell; threads may share it.

    Args:
        vectors: L2-normalised embeddings, float32 (N, D).
        cells: Where they are.
    """

    def __init__(self, vectors: NDArray[np.float32], cells: Cells) -> None:
        import faiss

        self._faiss, quantizer, metric = faiss, faiss.ScalarQuantizer, faiss.METRIC_INNER_PRODUCT
        self._basis = _basis(vectors)
        size, centres = self._basis.shape[1], np.ascontiguousarray(cells.centres @ self._basis)
        self._centres = faiss.IndexFlatIP(size)
        self._centres.add(centres)
        by_residual = False
        self._index: Any = faiss.IndexIVFScalarQuantizer(
            self._centres, size, len(centres), quantizer.QT_8bit_uniform, metric, by_residual
        )
        rows = np.ascontiguousarray(vectors @ self._basis)
        ids, owners = np.arange(len(rows), dtype=np.int64), cells.owners.astype(np.int64)
        self._index.sq.train(rows)
        self._index.is_trained = True
        self._index.add_core(len(rows), *(faiss.swig_ptr(array) for array in (rows, ids, owners)))
        self._options: dict[int, Any] = {}

    def search(
        self, query: NDArray[np.float32], count: int, probes: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return similarities and positions of the ``count`` nearest in so many cells; -1 where they hold fewer.

        Args:
            query: What is asked, (D,).
            count: Candidates wanted.
            probes: Cells to look at, nearest first.
            allowed: Items that may be answered, bool (N,); all when left out.
        """
        self._faiss.omp_set_num_threads(1)  # of this thread: one query is answered faster by one
        if allowed is None:
            options = self._options.get(probes)
            if options is None:
                options = self._options[probes] = self._faiss.SearchParametersIVF(nprobe=probes)
        else:
            bits = np.packbits(allowed, bitorder="little")
            chosen = self._faiss.IDSelectorBitmap(len(allowed), self._faiss.swig_ptr(bits))
            options = self._faiss.SearchParametersIVF(nprobe=probes, sel=chosen)
        asked, pointer = query @ self._basis, self._faiss.swig_ptr
        similarities, positions = np.empty(count, dtype=np.float32), np.empty(count, dtype=np.int64)
        # What ``search`` wraps, called without the wrapper's own checks: for one query they are a twentieth of the time.
        self._index.search_c(1, pointer(asked), count, pointer(similarities), pointer(positions), options)
        return similarities, positions


def _basis(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Find what embeddings (N, D) are held along, (D, d): the directions of most of their energy, turned at random.

    Turned, every coordinate has about the same range, which is what one step for all of them needs.
    """
    energies, directions = directions_of(vectors)
    needed = int(np.searchsorted(np.cumsum(energies), _KEPT * energies.sum())) + 1
    size = min(-(-needed // _STRIDE) * _STRIDE, len(energies))
    turn, _ = np.linalg.qr(np.random.default_rng(_SEED).normal(size=(size, size)))
    return np.ascontiguousarray(directions[:, :size] @ turn, dtype=np.float32)
