"""UMAP of a gallery: umap-learn's fuzzy graph over our own neighbours, arranged by :mod:`backend.projection.layout`.

Only the job process comes here: umap-learn and numba take seconds to load.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import ProjectionError
from backend.progress import Span
from backend.projection.first_look import principal_components

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from numpy.typing import NDArray

    from backend.progress import Progress
    from backend.projection.layout import Curve, Edges
    from backend.projection.options import ProjectionOptions
    from backend.retrieval.neighbour_graph import NeighbourGraph

SPREAD = 1.0
START_WIDTH = 10.0
_NOISE = 1e-4
_FEW_POINTS = 10_000
_FAR_APART = 5.0  # how much a different label weakens an edge, as in umap-learn


def rounds(points: int) -> int:
    """Return how many rounds arrange so many points; few points need more, and it costs nothing there.

    Of 60,000 trained embeddings 120 rounds reach 99.5 % of the trustworthiness of umap-learn's 200.
    """
    return 300 if points <= _FEW_POINTS else 120


def reduce(
    vectors: NDArray[np.float32],
    labels: NDArray[np.str_],
    graph: NeighbourGraph,
    options: ProjectionOptions,
    *,
    dimensions: Sequence[int] = (2, 3),
    threads: int = 0,
    progress: Progress,
) -> dict[int, NDArray[np.float32]]:
    """Arrange the products of a gallery in each of these dimensions; float32 (N, 2) and (N, 3), by dimension.

    The same input gives the same bytes every time on a machine, however many threads there are.

    Args:
        vectors: L2-normalised embeddings, float32 (N, D).
        labels: Their labels, of which an empty one is none; (N,).
        graph: Their neighbours, ``options.neighbours - 1`` or more of each.
        options: How to draw.
        dimensions: 2, 3 or both.
        threads: Cores to use; 0 means all.
        progress: Hears how far it is, and may cancel.

    Raises:
        ProjectionError: All embeddings are equal.
        Cancelled: The user asked to stop.
    """
    if np.ptp(vectors, axis=0).max(initial=0.0) < 1e-6:
        raise ProjectionError(
            "All products have the same embedding, so that there is nothing to draw.",
            next_step="The model has not learnt anything: train it anew, and look at its loss while it learns.",
        )
    progress.report(0, 1, note="weighing neighbours")
    umap = import_umap()
    import numba

    from backend.projection.layout import Curve, arrange

    if threads:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    curve = Curve(*map(float, umap.find_ab_params(SPREAD, options.min_distance)))
    count = rounds(len(vectors))
    edges = _edges(umap, vectors, labels, graph, options, count)
    components = principal_components(vectors, max(dimensions))
    spans = Span.split(progress, [(f"{size}-D", float(size)) for size in dimensions])
    return {
        size: arrange(
            _start(components[:, :size], options.seed), edges, curve, epochs=count, seed=options.seed, progress=span
        )
        for size, span in zip(dimensions, spans, strict=True)
    }


def curve_of(min_distance: float) -> Curve:
    """Return how attraction falls with distance, for a smallest distance on the map."""
    from backend.projection.layout import Curve

    return Curve(*map(float, import_umap().find_ab_params(SPREAD, min_distance)))


def import_umap() -> ModuleType:
    """Import umap-learn's functions without TensorFlow, which it loads for a class that is not needed here."""
    hidden = "tensorflow" not in sys.modules and "umap" not in sys.modules
    if hidden:
        sys.modules["tensorflow"] = None  # type: ignore[assignment] # an import of it fails, and umap-learn goes on
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it was not found
            from umap import umap_
    finally:
        if hidden:
            del sys.modules["tensorflow"]
    found: ModuleType = umap_
    return found


def _edges(
    umap: Any,
    vectors: NDArray[np.float32],
    labels: NDArray[np.str_],
    graph: NeighbourGraph,
    options: ProjectionOptions,
    count: int,
) -> Edges:
    """Return the fuzzy graph; edges too weak to take part in any round are left out."""
    from backend.projection.layout import Edges

    others = graph.nearest(options.neighbours - 1)
    itself = np.arange(graph.size, dtype=np.int32)[:, None]
    indices = np.hstack([itself, others.positions])
    chords = np.sqrt(2.0 * np.hstack([np.zeros((graph.size, 1), np.float32), others.distances])).astype(np.float32)
    state = np.random.RandomState(options.seed)  # what umap-learn takes
    found, _, _ = umap.fuzzy_simplicial_set(
        vectors, options.neighbours, state, "euclidean", {}, knn_indices=indices, knn_dists=chords
    )
    if options.supervised:
        found = umap.discrete_metric_simplicial_set_intersection(found, _numbers(labels), far_dist=_FAR_APART)
    rows = found.tocsr()
    rows.data[rows.data < rows.data.max() / count] = 0.0
    rows.eliminate_zeros()
    rows.sort_indices()
    return Edges(rows.indptr.astype(np.int32), rows.indices.astype(np.int32), rows.data.astype(np.float32))


def _numbers(labels: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return a number for every label, -1 where there is none."""
    _, numbers = np.unique(labels, return_inverse=True)
    found: NDArray[np.int64] = np.where(labels == "", -1, numbers)
    return found


def _start(components: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Scale principal components to the width that the arrangement starts from; equal products are put a hair apart."""
    noise = np.random.default_rng(seed).normal(scale=_NOISE, size=components.shape)
    low, high = components.min(axis=0), components.max(axis=0)
    scaled = START_WIDTH * (components - low) / np.maximum(high - low, 1e-12)
    found: NDArray[np.float32] = (scaled + noise).astype(np.float32)
    return found
