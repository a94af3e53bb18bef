"""Answers without rules, for many products at once: the nearest others, products of one group once, none of the own group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.merchandising.similar.near import Near


@dataclass(frozen=True, slots=True)
class Plain:
    """The first k of lists, as far as the lists reach.

    Attributes:
        positions: Products in their order, then -1; int64 (P, k).
        distances: How far they are, float32 (P, k).
        reach: How far each answer looked, (P,): what is farther cannot change it; infinity where all were looked at.
        is_known: Whether the list reached far enough, bool (P,).
    """

    positions: NDArray[np.int64]
    distances: NDArray[np.float32]
    reach: NDArray[np.float32]
    is_known: NDArray[np.bool_]


def first_of(near: Near, own: NDArray[np.int64], groups: NDArray[np.int64], k: int) -> Plain:
    """Take the first k different products of lists.

    Args:
        near: The lists, (P, R).
        own: Positions of the products whose lists they are, (P,).
        groups: Number of the group of each product of the gallery, (N,); below 0 where it is in none.
        k: Products wanted.
    """
    positions = near.positions.astype(np.int64)
    theirs = np.where(positions >= 0, groups[positions], -1)
    is_shown = (positions >= 0) & ~((theirs == groups[own][:, None]) & (theirs >= 0))
    is_shown &= _is_first(np.where(theirs >= 0, theirs, -2 - positions))
    rank = np.cumsum(is_shown, axis=1)
    is_shown &= rank <= k
    found = np.full((len(own), k), -1, np.int64)
    line, place = np.nonzero(is_shown)
    distances = np.full((len(own), k), np.inf, np.float32)
    found[line, rank[line, place] - 1] = positions[line, place]
    distances[line, rank[line, place] - 1] = near.distances[line, place]
    is_nothing = near.horizon < 0
    reach = np.where(is_nothing, near.horizon, distances[:, -1])
    return Plain(found, distances, reach, np.isfinite(distances[:, -1]) | np.isinf(near.horizon) | is_nothing)


def looked_at(near: Near, own: NDArray[np.int64], groups: NDArray[np.int64], wanted: int) -> NDArray[np.float32]:
    """Return how far a search looks that fetches so many different products, (P,), infinity where it passes the list.

    It asks for twice as many as long as too few are different; see :func:`backend.retrieval.arrange.fetched`.
    """
    positions = near.positions.astype(np.int64)
    theirs = np.where(positions >= 0, groups[positions], -1)
    may = (positions >= 0) & ~((theirs == groups[own][:, None]) & (theirs >= 0))
    is_new = may & _is_first(np.where(theirs >= 0, theirs, -2 - positions)) if (groups >= 0).any() else may
    rank, different = np.cumsum(may, axis=1), np.cumsum(is_new, axis=1)
    found = np.full(len(own), np.inf, np.float32)
    count = wanted
    while count <= near.depth:
        last = may & (rank == count)
        is_enough = np.isinf(found) & (last & (different >= wanted)).any(axis=1)
        found[is_enough] = near.distances[is_enough, np.argmax(last[is_enough], axis=1)]
        count *= 2
    return np.where(near.horizon < 0, near.horizon, found)


def _is_first(keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell of each key whether it is the first such in its row."""
    order = np.argsort(keys, axis=1, kind="stable")
    ordered = np.take_along_axis(keys, order, axis=1)
    is_new = np.ones(keys.shape, dtype=np.bool_)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    found = np.empty_like(is_new)
    np.put_along_axis(found, order, is_new, axis=1)
    return found
