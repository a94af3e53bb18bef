"""UMAP of a gallery, drawn by the engine that is asked for; and Twinset's own engine, the fuzzy graph arranged in parallel.

Only the job process comes here: numba takes seconds to load and to compile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backend.errors import ProjectionError
from backend.progress import Span
from backend.projection import umap_learn
from backend.projection.engines import Drawing, Subject
from backend.projection.first_look import principal_components
from backend.projection.fuzzy import curve_of, fuzzy_graph

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backend.progress import Progress
    from backend.projection.engines import Draw
    from backend.projection.layout import Edges
    from backend.projection.options import Engine, ProjectionOptions
    from backend.retrieval.indexes.neighbour_graph import NeighbourGraph

START_WIDTH = 10.0
_NOISE = 1e-4
_FEW_POINTS = 10_000


def rounds(points: int) -> int:
    """Return how many rounds arrange so many points; few points need more, and it costs nothing there.

    Of 60,000 trained embeddings 120 rounds reach 99.5 % of the trustworthiness of umap-learn's 200.
    """
    return 300 if points <= _FEW_POINTS else 120


def reduce(
    vectors: NDArray[np.float32],
    labels: NDArray[np.object_],
    graph: NeighbourGraph,
    options: ProjectionOptions,
    *,
    dimensions: Sequence[int] = (2, 3),
    threads: int = 0,
    progress: Progress,
) -> Drawing:
    """Arrange the products of a gallery in each of these dimensions.

    The same input gives the same bytes every time on a machine, however many threads there are.

    Args:
        vectors: L2-normalised embeddings, float32 (N, D).
        labels: Their labels, of which an empty one is none; (N,).
        graph: Their neighbours, ``options.neighbours - 1`` or more of each.
        options: How to draw, and with which engine.
        dimensions: 2, 3 or both.
        threads: Cores to use; 0 means all. umap-learn uses one: with more, it draws another map every time.
        progress: Hears how far it is, and may cancel.

    Raises:
        ProjectionError: All embeddings are equal, or the engine was ended by the system.
        Cancelled: The user asked to stop.
    """
    if np.ptp(vectors, axis=0).max(initial=0.0) < 1e-6:
        raise ProjectionError(
            "All products have the same embedding, so there is nothing to draw.",
            next_step="The model has not learnt anything: retrain it and watch the loss.",
        )
    progress.report(0, 1, note="weighing neighbours")
    components = principal_components(vectors, max(dimensions))
    starts = {size: _start(components[:, :size], options.seed) for size in dimensions}
    return ENGINES[options.engine](Subject(vectors, labels, graph, options, starts), threads=threads, progress=progress)


def arranged(subject: Subject, *, threads: int, progress: Progress) -> Drawing:
    """Twinset's engine; see :class:`backend.projection.engines.Draw`."""
    import numba

    from backend.projection.layout import Curve, arrange

    if threads:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    options, count = subject.options, rounds(len(subject.vectors))
    curve = curve_of(options.min_distance)
    strengths = fuzzy_graph(subject.graph, options.neighbours, subject.labels if options.supervised else None)
    strengths.data[strengths.data < strengths.data.max() / count] = 0.0
    strengths.eliminate_zeros()
    edges = _edges(strengths)
    spans = Span.split(progress, [(f"{size}-D", float(size)) for size in subject.starts])
    positions = {
        size: arrange(start, edges, Curve(*curve), epochs=count, seed=options.seed, progress=span)
        for (size, start), span in zip(subject.starts.items(), spans, strict=True)
    }
    return Drawing(positions, curve, strengths)


ENGINES: dict[Engine, Draw] = {"twinset": arranged, "umap-learn": umap_learn.drawn}


def _edges(strengths: Any) -> Edges:
    from backend.projection.layout import Edges

    strengths.sort_indices()
    return Edges(
        strengths.indptr.astype(np.int32), strengths.indices.astype(np.int32), strengths.data.astype(np.float32)
    )


def _start(components: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Scale principal components to the width that the arrangement starts from; equal products are put a hair apart."""
    noise = np.random.default_rng(seed).normal(scale=_NOISE, size=components.shape)
    low, high = components.min(axis=0), components.max(axis=0)
    scaled = START_WIDTH * (components - low) / np.maximum(high - low, 1e-12)
    found: NDArray[np.float32] = (scaled + noise).astype(np.float32)
    return found
