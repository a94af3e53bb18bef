"""The door to faiss for approximate search: the embeddings of each cell in a list, to be walked quickly.

They are held in eight bits a number, which is enough to choose candidates by, and a quarter of what has to be read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.retrieval.cells import Cells


class CellLists:
    """The embeddings of an index, cell by cell; threads may share it.

    Args:
        vectors: L2-normalised embeddings, float32 (N, D).
        cells: Where they lie.
    """

    def __init__(self, vectors: NDArray[np.float32], cells: Cells) -> None:
        import faiss

        self._faiss, quantizer, metric = faiss, faiss.ScalarQuantizer, faiss.METRIC_INNER_PRODUCT
        size, centres = vectors.shape[1], np.ascontiguousarray(cells.centres)
        self._centres = faiss.IndexScalarQuantizer(size, quantizer.QT_fp16, metric)
        self._centres.train(centres)
        self._centres.add(centres)
        by_residual = False
        self._index: Any = faiss.IndexIVFScalarQuantizer(
            self._centres, size, len(centres), quantizer.QT_8bit_uniform, metric, by_residual
        )
        rows = np.ascontiguousarray(vectors)
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
        similarities, positions = self._index.search(query[None], count, params=options)
        return similarities[0], positions[0]
