"""UMAP's fuzzy graph over a neighbour graph, in NumPy: how strongly every two products belong together.

It is what umap-learn makes of the same neighbours (``precomputed_knn``), to the last digits of float32: a test holds the
two beside each other. Ours needs neither umap-learn's import, which brings TensorFlow along, nor its compiling; together
they took longer than the arranging of 60,000 products.

Source: McInnes, Healy, Melville, "UMAP: Uniform Manifold Approximation and Projection", 2018, arXiv:1802.03426.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.retrieval.indexes.neighbour_graph import NeighbourGraph

SPREAD = 1.0  # how wide groups lie, for any smallest distance
FAR_APART, UNKNOWN = 5.0, 1.0  # how much another label, and a missing one, weakens an edge: by exp(-value)
_HALVINGS, _TOLERANCE, _LEAST_WIDTH = 64, 1e-5, 1e-3


def fuzzy_graph(graph: NeighbourGraph, neighbours: int, labels: NDArray[np.object_] | None = None) -> Any:
    """Return how strongly every two products belong together, in (0, 1]; a symmetric scipy CSR matrix (N, N).

    Args:
        graph: Nearest products, ``neighbours - 1`` or more of each: the product itself is the first of its neighbours.
        neighbours: Of each product.
        labels: Labels that pull together, of which an empty one is none; (N,); None where they do not.
    """
    from scipy.sparse import csr_matrix

    near = graph.nearest(neighbours - 1)
    chords = np.sqrt(2.0 * near.distances.astype(np.float64))
    strengths = _strengths(chords, neighbours)
    starts = np.arange(0, near.positions.size + 1, near.k)
    directed = csr_matrix((strengths.ravel(), near.positions.ravel(), starts), shape=(graph.size,) * 2)
    directed.eliminate_zeros()
    found = _union(directed)
    return found if labels is None else _told_apart(found, labels)


def curve_of(min_distance: float) -> tuple[float, float]:
    """Return a and b of 1 / (1 + a d^(2b)), fitted to 1 up to the smallest distance and to exponential fall beyond."""
    from scipy.optimize import curve_fit

    distances = np.linspace(0, 3 * SPREAD, 300)
    wanted = np.where(distances < min_distance, 1.0, np.exp(-(distances - min_distance) / SPREAD))
    (a, b), _ = curve_fit(lambda x, a, b: 1.0 / (1.0 + a * x ** (2 * b)), distances, wanted)
    return float(a), float(b)


def _strengths(chords: NDArray[np.float64], neighbours: int) -> NDArray[np.float64]:
    """Return membership strengths (N, k): 1 for the nearest that is no copy, falling so that they add up to log2(k + 1)."""
    is_apart = chords > 0
    first = np.where(is_apart.any(axis=1), chords[np.arange(len(chords)), is_apart.argmax(axis=1)], 0.0)
    beyond = np.maximum(chords - first[:, None], 0.0)
    width = _widths(beyond, float(np.log2(neighbours)))
    means = chords.sum(axis=1) / neighbours  # the product itself counts, at distance 0
    least = _LEAST_WIDTH * np.where(first > 0, means, chords.sum() / (neighbours * len(chords)))
    width = np.maximum(width, least)[:, None]
    found: NDArray[np.float64] = np.where(beyond > 0, np.exp(-beyond / np.maximum(width, 1e-300)), 1.0)
    return found


def _widths(beyond: NDArray[np.float64], target: float) -> NDArray[np.float64]:
    """Halve, for all rows at once, until the strengths of every row add up to the target; (N,)."""
    low, high = np.zeros(len(beyond)), np.full(len(beyond), np.inf)
    width = np.ones(len(beyond))
    active = np.arange(len(beyond))
    for _ in range(_HALVINGS):
        total = np.exp(-beyond[active] / width[active, None]).sum(axis=1)
        apart = np.abs(total - target) >= _TOLERANCE
        active, total = active[apart], total[apart]
        if not len(active):
            break
        above = total > target
        high[active[above]], low[active[~above]] = width[active[above]], width[active[~above]]
        unbounded = np.isinf(high[active])
        width[active] = np.where(unbounded, 2 * width[active], (low[active] + np.where(unbounded, 0, high[active])) / 2)
    return width


def _union(directed: Any) -> Any:
    """Hold two products together where either holds the other: a + b - ab."""
    other = directed.T.tocsr()
    found = (directed + other - directed.multiply(other)).tocsr()
    found.eliminate_zeros()
    return found


def _told_apart(found: Any, labels: NDArray[np.object_]) -> Any:
    """Weaken edges between labels, then let the strongest edge of every product count fully again."""
    rows = np.repeat(np.arange(found.shape[0]), np.diff(found.indptr))
    mine, theirs = labels[rows], labels[found.indices]
    weaker = np.where(mine == theirs, 1.0, np.exp(-FAR_APART))
    weakened = found.copy()
    weakened.data = found.data * np.where((mine == "") | (theirs == ""), np.exp(-UNKNOWN), weaker)
    strongest = weakened.max(axis=1).toarray().ravel()
    weakened.data /= np.maximum(strongest[rows], 1e-300)
    return _union(weakened)
