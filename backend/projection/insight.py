"""What can be read from embeddings and their neighbours beside the map: outliers, overlaps, hubs, near duplicates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.projection.columns import centre_distances, rows_by_label

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.retrieval.indexes.neighbour_graph import NeighbourGraph

HUB_NEIGHBOURS = 10
DUPLICATE_DISTANCE = 0.002
_SCALE = 1.4826  # makes the median absolute deviation a standard deviation, for a normal distribution


@dataclass(frozen=True, slots=True)
class Outlier:
    """A product that is far from the centre of its label; ``strength`` is how many usual spreads farther than usual."""

    position: int
    distance: float
    strength: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """How labels relate to each other.

    Attributes:
        labels: L labels, ascending.
        counts: Products of each.
        shares: Share of the neighbours of a label's products that have which label; (L, L), rows add up to 1.
        distances: Cosine distance between the centres of the labels; (L, L).
    """

    labels: tuple[str, ...]
    counts: tuple[int, ...]
    shares: NDArray[np.float64]
    distances: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hubs:
    """How often products are recommended to the others.

    Attributes:
        occurrences: In how many lists of the k nearest each product is; int64 (N,).
        k: Length of the lists; on average every product is in k of them.
        never: Products that stand in none.
        skewness: 0 where all are recommended alike; from about 1.5 on few products crowd out the others.
    """

    occurrences: NDArray[np.int64]
    k: int
    never: int
    skewness: float

    def most(self, count: int) -> list[int]:
        """Return the positions of those recommended most often, most often first."""
        return [int(at) for at in np.argsort(-self.occurrences, kind="stable")[:count]]

    def forgotten(self, count: int) -> list[int]:
        """Return the positions of products that are never recommended."""
        return [int(at) for at in np.flatnonzero(self.occurrences == 0)[:count]]


def outliers(vectors: NDArray[np.float32], labels: NDArray[np.object_], count: int = 48) -> list[Outlier]:
    """Return the products that are unusually far from the centre of their label, farthest first.

    Distances are measured against what is usual for the label: median and median absolute deviation.
    """
    distances = centre_distances(vectors, labels).astype(np.float64)
    strength = np.full(len(labels), -np.inf)
    for members in rows_by_label(labels).values():
        rows = members[~np.isnan(distances[members])]
        if not len(rows):
            continue  # their embeddings cancel each other out: there is no centre
        usual = np.median(distances[rows])
        spread = _SCALE * np.median(np.abs(distances[rows] - usual))
        strength[rows] = (distances[rows] - usual) / max(float(spread), 1e-6)
    order = np.argsort(-strength, kind="stable")[:count]
    return [Outlier(int(at), float(distances[at]), float(strength[at])) for at in order if np.isfinite(strength[at])]


def overlap(
    vectors: NDArray[np.float32], labels: NDArray[np.object_], graph: NeighbourGraph, k: int = HUB_NEIGHBOURS
) -> Overlap:
    """Count whose neighbours the products of every label are, and measure how far the labels' centres are apart."""
    members = rows_by_label(labels)
    names = list(members)
    if not names:
        return Overlap((), (), np.zeros((0, 0)), np.zeros((0, 0)))
    codes, is_labelled = np.zeros(len(labels), dtype=np.int64), labels != ""
    for code, rows in enumerate(members.values()):
        codes[rows] = code
    near = graph.positions[:, :k]
    pairs = np.repeat(codes, near.shape[1]) * len(names) + codes[near].ravel()
    usable = np.repeat(is_labelled, near.shape[1]) & is_labelled[near].ravel()
    table = np.bincount(pairs[usable], minlength=len(names) ** 2).reshape(len(names), -1).astype(np.float64)
    centres = np.stack([vectors[rows].mean(axis=0) for rows in members.values()])
    centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-12)
    return Overlap(
        tuple(names),
        tuple(map(len, members.values())),
        table / np.maximum(table.sum(axis=1, keepdims=True), 1.0),
        (1.0 - centres @ centres.T).astype(np.float64).clip(0.0, 2.0),
    )


def hubs(graph: NeighbourGraph, k: int = HUB_NEIGHBOURS) -> Hubs:
    """Count in how many lists of the k nearest every product is.

    Source: Radovanović, Nanopoulos, Ivanović, "Hubs in Space", Journal of Machine Learning Research 11, 2010.
    """
    k = min(k, graph.k)
    counts = np.bincount(graph.positions[:, :k].ravel(), minlength=graph.size)
    spread = counts.std()
    skewness = float((((counts - counts.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0
    return Hubs(counts, k, int((counts == 0).sum()), skewness)


def near_duplicates(graph: NeighbourGraph, distance: float = DUPLICATE_DISTANCE) -> list[tuple[int, ...]]:
    """Return groups of products whose embeddings are hardly apart, the largest first; positions ascend.

    Products belong together where a chain of neighbours nearer than ``distance`` links them.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    rows, places = np.nonzero(graph.distances <= distance)
    links = csr_matrix((np.ones(len(rows)), (rows, graph.positions[rows, places])), shape=(graph.size,) * 2)
    _, groups = connected_components(links, directed=False)
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    found = [tuple(int(at) for at in part) for part in parts if len(part) > 1]
    return sorted(found, key=lambda group: (-len(group), group))
