"""Which products are near each product of a gallery: found once for all, and kept up to date by what changed.

A list holds *all* other products that are nearer than its horizon, so that a product that goes leaves no doubt about
which one follows, as long as the list reaches that far. Distances are those of the exact index to the last bit, and equal
ones rank by position, however a list came about.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.retrieval.indexes.exact import NEAR_TIE, pair_distances
from backend.retrieval.indexes.further import PicturesIndex

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.retrieval.indexes.index import Index

_AT_ONCE = 512  # products whose nearest are searched for together
_CELLS = 16_000_000  # similarities held at once: 64 MB
_PAIRS = 65_536
_OFF = 2e-3  # of the squared length of an embedding that can be searched with
NOBODY = -1  # behind the last product of a list
NOTHING = np.float32(-1.0)  # the horizon of what is like nothing


@dataclass(frozen=True, slots=True)
class Near:
    """The products near each of P products.

    Attributes:
        positions: Where they stand in the gallery, nearest first, then ``NOBODY``; int32 (P, R).
        distances: How far they are, then infinity; float32 (P, R).
        horizon: Each list holds all other products that are nearer than this; float32 (P,).
    """

    positions: NDArray[np.int32]
    distances: NDArray[np.float32]
    horizon: NDArray[np.float32]

    @property
    def depth(self) -> int:
        """Most products that a list holds, R."""
        return int(self.positions.shape[1])

    def taken(self, rows: NDArray[np.int64]) -> Near:
        """Return the lists of some of the products."""
        return Near(self.positions[rows], self.distances[rows], self.horizon[rows])

    def holds(self, wanted: NDArray[np.bool_], *, within: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Tell which lists hold one of some products, bool (N,), no farther than so far, (P,); bool (P,)."""
        known = self.positions >= 0
        found: NDArray[np.bool_] = (known & wanted[self.positions] & (self.distances <= within[:, None])).any(axis=1)
        return found


@dataclass(frozen=True, slots=True)
class Pairs:
    """Products that came near others: which list, which product, how far; ordered by list, distance and product."""

    rows: NDArray[np.int64]
    positions: NDArray[np.int64]
    distances: NDArray[np.float32]


def near_of(index: Index, rows: NDArray[np.int64], depth: int) -> Near:
    """Search for the products near some, (P,), of a gallery.

    Args:
        index: The gallery's; what it may miss is not missed.
        rows: Positions of the products that are asked about.
        depth: Most products of a list, R.
    """
    parts = [_searched(index.exact, rows[at : at + _AT_ONCE], depth) for at in range(0, len(rows), _AT_ONCE)]
    return joined([_nobody(0, depth), *parts])


def joined(parts: list[Near]) -> Near:
    """Put lists one below the other."""
    columns = zip(*map(_columns, parts), strict=True)
    return Near(*(np.concatenate(column) for column in columns))


def _searched(index: Index, rows: NDArray[np.int64], depth: int) -> Near:
    vectors = index.embeddings(rows)
    is_asked = np.abs(np.einsum("nd,nd->n", vectors, vectors) - 1.0) < _OFF
    found = index.search(vectors[is_asked], k=depth + 2)  # itself, and one that tells how far the list reaches
    is_other = found.positions != rows[is_asked][:, None]
    order = np.argsort(~is_other, axis=1, kind="stable")[:, : depth + 1]
    is_other = np.take_along_axis(is_other, order, axis=1)
    positions = np.where(is_other, np.take_along_axis(found.positions, order, axis=1), NOBODY)
    distances = np.where(is_other, np.take_along_axis(found.distances, order, axis=1), np.inf).astype(np.float32)
    cut, none = _cut(positions, distances, depth), _nobody(len(rows), depth)
    for own, theirs in zip(_columns(none), _columns(cut), strict=True):
        own[is_asked] = theirs
    return none


def _nobody(count: int, depth: int) -> Near:
    """Return lists of products that are like nothing: a network made nothing of their pictures."""
    nobody = np.full((count, depth), NOBODY, np.int32), np.full((count, depth), np.inf, np.float32)
    return Near(*nobody, np.full(count, NOTHING, np.float32))


def _columns(near: Near) -> tuple[NDArray[Any], ...]:
    return near.positions, near.distances, near.horizon


def _cut(positions: NDArray[np.int64], distances: NDArray[np.float32], depth: int) -> Near:
    """Cut lists to a depth; what is as far as the first product left out goes too, so that the horizon is sharp."""
    kept = min(positions.shape[1], depth)
    horizon = distances[:, depth] if positions.shape[1] > depth else np.full(len(positions), np.inf, np.float32)
    is_kept = distances[:, :kept] < horizon[:, None]
    cut = _nobody(len(positions), depth)
    cut.positions[:, :kept] = np.where(is_kept, positions[:, :kept], NOBODY)
    cut.distances[:, :kept] = np.where(is_kept, distances[:, :kept], np.inf)
    cut.horizon[:] = horizon
    return cut


# ---------------------------------------------------------------------------------------- brought up to date


def moved(near: Near, to_new: NDArray[np.int64]) -> Near:
    """Return lists in the positions of another state of the gallery; who is not there any more leaves its lists.

    Args:
        near: The lists.
        to_new: For each position of the old gallery the new one, -1 where there is none; order stays.
    """
    positions = np.where(near.positions >= 0, to_new[near.positions], NOBODY)
    order = np.argsort(positions < 0, axis=1, kind="stable")
    positions = np.take_along_axis(positions, order, axis=1).astype(np.int32)
    distances = np.take_along_axis(near.distances, order, axis=1)
    return Near(positions, np.where(positions >= 0, distances, np.float32(np.inf)), near.horizon)


def arrivals(index: Index, rows: NDArray[np.int64], fresh: NDArray[np.int64], within: NDArray[np.float32]) -> Pairs:
    """Find which of some products stand so near to others: one matrix product of the fresh against all, in blocks.

    Args:
        index: The gallery's.
        rows: Positions of the products (P,) whose lists are looked at.
        fresh: Positions of those that may have come near, (F,).
        within: How far each list counts, (P,).
    """
    owners, pictures = pictures_of(index, fresh)
    step = max(1, _CELLS // max(1, len(owners)))
    parts = []
    for start in range(0, len(rows) if len(fresh) else 0, step):
        some = rows[start : start + step]
        reach = 1.0 - within[start : start + step] - np.float32(NEAR_TIE)
        is_near = index.embeddings(some) @ pictures.T >= reach[:, None]
        at, picture = np.divmod(np.flatnonzero(is_near), len(owners))
        distances = _paired(index.embeddings(some), at, pictures, picture)
        parts.append((at + start, owners[picture], distances))
    if not parts:
        return Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    found, positions, distances = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((positions, distances, found))
    found, positions, distances = found[order], positions[order], distances[order]
    # A product stands at the distance of its nearest picture, which comes first.
    _, firsts = np.unique(found * index.size + positions, return_index=True)
    is_counted = np.zeros(len(found), dtype=np.bool_)
    is_counted[firsts] = True
    is_counted &= distances <= within[found]
    return Pairs(found[is_counted], positions[is_counted], distances[is_counted])


def with_arrivals(near: Near, pairs: Pairs) -> Near:
    """Put products into the lists that they stand before the horizon of; a list that grows too long is cut."""
    is_before = pairs.distances < near.horizon[pairs.rows]
    rows, of_each = np.unique(pairs.rows[is_before], return_counts=True)
    if not len(rows):
        return near
    width = int(of_each.max())
    nth = np.arange(len(of_each.repeat(of_each))) - np.repeat(np.cumsum(of_each) - of_each, of_each)
    more = np.full((len(rows), width), NOBODY, np.int64), np.full((len(rows), width), np.inf, np.float32)
    line = np.repeat(np.arange(len(rows)), of_each)
    more[0][line, nth], more[1][line, nth] = pairs.positions[is_before], pairs.distances[is_before]
    positions = np.concatenate([near.positions[rows].astype(np.int64), more[0]], axis=1)
    distances = np.concatenate([near.distances[rows], more[1]], axis=1)
    order = np.lexsort((np.where(positions < 0, np.iinfo(np.int64).max, positions), distances), axis=1)
    positions, distances = (np.take_along_axis(one, order, axis=1) for one in (positions, distances))
    cut = _cut(positions, distances, near.depth)
    horizon = np.minimum(near.horizon[rows], cut.horizon)
    changed = Near(near.positions.copy(), near.distances.copy(), near.horizon.copy())
    changed.positions[rows], changed.distances[rows], changed.horizon[rows] = cut.positions, cut.distances, horizon
    return changed


def distances_between(index: Index, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return how far products (P,) are from others (P,), pair by pair, each other by its nearest picture; (P,)."""
    parts = [np.empty(0, np.float32)]
    for start in range(0, len(rows), _PAIRS):
        some, others = rows[start : start + _PAIRS], positions[start : start + _PAIRS]
        found = pair_distances(index.embeddings(some), index.embeddings(others))
        if isinstance(index, PicturesIndex):
            owners, of_each = np.unique(index.further.owners, return_counts=True)
            places = np.searchsorted(owners, others).clip(max=len(owners) - 1)
            has_more = owners[places] == others
            counts = np.where(has_more, of_each[places], 0)
            firsts = np.searchsorted(index.further.owners, others)
            line = np.repeat(np.arange(len(others)), counts)
            nth = np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
            vectors = index.further.vectors[firsts[line] + nth]
            np.minimum.at(found, line, pair_distances(index.embeddings(some)[line], vectors))
        parts.append(found)
    return np.concatenate(parts)


def pictures_of(index: Index, positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return whose each picture of some products is, (P,), and the embeddings of these pictures, (P, D)."""
    owners, vectors = positions, index.embeddings(positions)
    if isinstance(index, PicturesIndex):
        is_theirs = np.isin(index.further.owners, positions)
        owners = np.concatenate([owners, index.further.owners[is_theirs].astype(np.int64)])
        vectors = np.concatenate([vectors, index.further.vectors[is_theirs]])
    return owners, vectors


def _paired(
    ones: NDArray[np.float32], at: NDArray[np.int64], others: NDArray[np.float32], where: NDArray[np.int64]
) -> NDArray[np.float32]:
    parts = [np.empty(0, np.float32)]
    for start in range(0, len(at), _PAIRS):
        part = slice(start, start + _PAIRS)
        parts.append(pair_distances(ones[at[part]], others[where[part]]))
    return np.concatenate(parts)
