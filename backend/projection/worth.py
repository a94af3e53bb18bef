"""What a map is worth: whether neighbours on it are neighbours for the model, and whether kinds stay together.

Source of trustworthiness: Venna, Kaski, "Neighborhood preservation in nonlinear projection methods", 2001.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from backend.progress import NullProgress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.progress import Progress

TRUST_NEIGHBOURS = 15
VOTERS = 10
SAMPLED = 2_000  # products asked of a larger gallery; the standard error of both figures is then below 0.01
TOO_FEW = "There are too few products to assess how faithful this map is."
_BLOCK = 200


@dataclass(frozen=True, slots=True)
class Worth:
    """How far a map can be trusted.

    Attributes:
        trustworthiness: In [0, 1]: 1 where the 15 neighbours of every product on the map are those of the model; what
            the model ranks far behind costs more. None where 15 are half of the products or more: the figure is not
            defined there.
        accuracy: Share of products whose 10 neighbours on the map vote for their label, among those whose label has
            more than 10 products; None where there is none, or 10 are half of all products or more.
        full_accuracy: The same with the model's own neighbours.
        asked: Products that were asked, drawn evenly; all of a small gallery.
        voted: Of these, products whose label has more than 10; None where a map of earlier versions counted all.
    """

    trustworthiness: float | None
    accuracy: float | None
    full_accuracy: float | None
    asked: int
    voted: int | None = None

    def within(self, size: int) -> Worth:
        """Return only the figures that mean something for a gallery of this size."""
        trust = self.trustworthiness if means_something(TRUST_NEIGHBOURS, size) else None
        if means_something(VOTERS, size):
            return replace(self, trustworthiness=trust)
        return replace(self, trustworthiness=trust, accuracy=None, full_accuracy=None)


def means_something(k: int, size: int) -> bool:
    """Whether k neighbours are less than half of the products: beyond that, any map has the right ones."""
    return 2 * k < size


def worth_of(
    vectors: NDArray[np.float32],
    positions: NDArray[np.float32],
    labels: NDArray[np.object_],
    neighbours: NDArray[np.int32],
    *,
    seed: int = 7,
    progress: Progress | None = None,
) -> Worth:
    """Measure a map.

    Args:
        vectors: L2-normalised embeddings, float32 (N, D).
        positions: Where they are on the map; (N, 2) or (N, 3).
        labels: Their labels, of which an empty one is none; (N,).
        neighbours: The model's nearest other products of each; (N, k).
        seed: Of the draw.
        progress: Hears how many products were asked, and may cancel.
    """
    size = len(vectors)
    rows = np.arange(size)
    if size > SAMPLED:
        rows = np.sort(np.random.default_rng(seed).choice(size, SAMPLED, replace=False))
    near = map_neighbours(positions, rows, TRUST_NEIGHBOURS)
    trust = None
    if means_something(TRUST_NEIGHBOURS, size):
        trust = trustworthiness(vectors, near, rows, progress=progress)
    can_win = _can_win(labels)[rows]
    if not can_win.any() or not means_something(VOTERS, size):
        return Worth(trust, None, None, len(rows), 0)
    right = [
        float((_vote(labels[found[can_win, :VOTERS]]) == labels[rows][can_win]).mean())
        for found in (near, neighbours[rows])
    ]
    return Worth(trust, right[0], right[1], len(rows), int(can_win.sum()))


def _can_win(labels: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Tell which products have a label with more than ten products: ten neighbours can all be of it."""
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    mask: NDArray[np.bool_] = (labels != "") & (counts[codes] > VOTERS)
    return mask


def map_neighbours(positions: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Return the k nearest other points on the map of these points, nearest first; (R, min(k, N - 1))."""
    from scipy.spatial import cKDTree

    k = min(k, len(positions) - 1)
    _, found = cKDTree(positions).query(positions[rows], k + 1)
    found = np.asarray(found, dtype=np.int64).reshape(len(rows), k + 1)
    is_itself = found == rows[:, None]
    is_itself[~is_itself.any(axis=1), -1] = True  # it stands below more than k others
    others: NDArray[np.int64] = found[~is_itself].reshape(len(rows), k)
    return others


def trustworthiness(
    vectors: NDArray[np.float32],
    near: NDArray[np.int64],
    rows: NDArray[np.int64],
    *,
    progress: Progress | None = None,
) -> float:
    """Return the trustworthiness of a map from the neighbours ``near`` (R, k) that products ``rows`` have on it.

    It is defined where k is less than half of the products; see :func:`means_something`.
    """
    progress = progress or NullProgress()
    size, k = len(vectors), near.shape[1]
    surplus = 0.0
    for at in range(0, len(rows), _BLOCK):
        progress.check_cancelled()
        asked = rows[at : at + _BLOCK]
        similar = np.asarray(vectors[asked]) @ np.asarray(vectors).T
        similar[np.arange(len(asked)), asked] = -np.inf
        theirs = np.take_along_axis(similar, near[at : at + _BLOCK], axis=1)
        ranks = np.stack([(similar > theirs[:, [place]]).sum(axis=1) + 1 for place in range(k)], axis=1)
        surplus += float(np.maximum(ranks - k, 0).sum())
        progress.report(at + len(asked), len(rows), unit="products", note="measuring the map")
    return 1.0 - 2.0 * surplus / (len(rows) * k * (2 * size - 3 * k - 1))


def _vote(labels: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return the most frequent label of every row; of equally frequent ones, the one that is nearer."""
    names, codes = np.unique(labels, return_inverse=True)
    codes = codes.reshape(labels.shape)
    votes = (codes[:, :, None] == codes[:, None, :]).sum(axis=2)
    winners: NDArray[np.object_] = names[np.take_along_axis(codes, votes.argmax(axis=1)[:, None], axis=1)[:, 0]]
    return winners
