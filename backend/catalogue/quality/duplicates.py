"""Products whose pictures are the same or look the same, and what it takes to keep them in one split.

Near duplicates are those of perceptual hashes that differ in few bits. That is no equivalence: a may be near b, and b
near c, and c differ from a. Chained on and on, as connected components are, such steps lead from one product to quite
another, and a catalogue of look-alikes ends in one giant group. So a group is a star: one picture in its middle that
all others are near to. The picture with the most near duplicates is the first middle, and takes them all; then comes
the one with the next most, if it is still free, and takes those that are. No two members of a group differ in more
than twice the distance. Crowds, thousands that look the same, are taken first, with the best of a sample in the middle:
to count them all would take as many steps as they have pairs.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from backend.catalogue.items import LEAKING_SPLITS
from backend.catalogue.splits import as_objects
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

Group = tuple[str, ...]
LeakKind = Literal["exact", "near"]

# Hashes compared at once: asked, against held.
_ASKED, _HELD = 1024, 4096
_CROWD = 2000  # hashes near one
_STARS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Leak:
    """A group of the same picture that is in more than one of train, validation and test.

    Attributes:
        product_ids: All products of the group, ordered.
        splits: The splits among :data:`LEAKING_SPLITS` that it stands in, in that order.
        kind: Whether the pictures are equal byte for byte, or look the same.
    """

    product_ids: Group
    splits: tuple[str, ...]
    kind: LeakKind


def exact_groups(ids: Sequence[str], hashes: Sequence[str]) -> list[Group]:
    """Return the groups of products with one hash, two or more in each, every group and the list ordered by id."""
    by_hash: dict[str, list[str]] = {}
    for name, sha256 in zip(ids, hashes, strict=True):
        by_hash.setdefault(sha256, []).append(name)
    return sorted(tuple(sorted(group)) for group in by_hash.values() if len(group) > 1)


def near_groups(ids: Sequence[str], phashes: Sequence[str], max_distance: int) -> list[Group]:
    """Return groups of products that look the same; equal hashes are always in one group.

    Every two hashes are compared: 60,000 of 256 bits take some seconds, and memory does not grow with the pairs.

    Args:
        ids: Ids of N products, all different.
        phashes: Their perceptual hashes as hexadecimal text; an empty one is near none. Those of another length are
            compared among themselves.
        max_distance: Most bits in which the middle of a group and another member may differ.

    Returns:
        Two or more products in each, every group and the list ordered by id; no product is in two.

    Raises:
        CatalogueError: A hash is no hexadecimal text of whole bytes.

    Example:
        >>> near_groups(["a", "b", "c"], ["00ff", "00fe", "ff00"], 1)
        [('a', 'b')]
    """
    by_length: dict[int, list[int]] = {}
    for position, phash in enumerate(phashes):
        if phash:
            by_length.setdefault(len(phash), []).append(position)
    names = as_objects(ids)
    groups: list[Group] = []
    for positions in by_length.values():
        codes = _codes([phashes[position] for position in positions])
        mine = names[positions]
        groups += [tuple(sorted(mine[members])) for members in _alike(codes, mine, max_distance)]
    return sorted(groups)


def find_leaks(groups: Iterable[Group], split_of: Mapping[str, str], *, kind: LeakKind = "exact") -> list[Leak]:
    """Return the groups that are in more than one of train, validation and test."""
    leaks = []
    for group in groups:
        found = {split_of[name] for name in group}
        splits = tuple(split for split in LEAKING_SPLITS if split in found)
        if len(splits) > 1:
            leaks.append(Leak(group, splits, kind))
    return leaks


def mended_splits(leaks: Sequence[Leak], split_of: Mapping[str, str]) -> dict[str, str]:
    """Return the split of every product in a leak, so that none is left.

    A leak goes into the split that most of its members have; ties are in favour of train, then validation, then test.
    Members that are only in the gallery stay there, for nothing is learnt or asked of them. Leaks that share a product
    go the same way.
    """
    mended: dict[str, str] = {}
    for group in _joined([leak.product_ids for leak in leaks]):
        judged = [name for name in group if split_of[name] in LEAKING_SPLITS]
        counts = Counter(split_of[name] for name in judged)
        chosen = max(LEAKING_SPLITS, key=lambda split: counts[split])  # the first of the largest
        mended |= dict.fromkeys(judged, chosen)
    return mended


# ------------------------------------------------------------------------------------------------- the stars


@contextmanager
def _one_thread() -> Iterator[None]:
    """Have faiss compare in this thread alone: beside other work, its threads wait for each other most of the time."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _codes(phashes: Sequence[str]) -> NDArray[np.uint8]:
    """Return N hashes of one length as (N, bytes)."""
    try:
        flat = bytes.fromhex("".join(phashes))
    except ValueError as error:
        raise CatalogueError(
            f"A perceptual hash is damaged: {error}.", next_step="Measure the pictures again."
        ) from error
    if len(phashes[0]) % 2:
        raise CatalogueError(f"{phashes[0]!r} is not a perceptual hash.", next_step="Measure the pictures again.")
    return np.frombuffer(flat, dtype=np.uint8).reshape(len(phashes), -1)


def _alike(codes: NDArray[np.uint8], names: NDArray[np.object_], max_distance: int) -> list[NDArray[np.int64]]:
    """Return the positions of every group of two or more among (N, bytes)."""
    distinct, owners, sizes = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
    star_of = np.arange(len(distinct))
    if max_distance > 0:
        first = _first_names(names, owners, len(distinct))
        with _one_thread():
            free = _without_crowds(distinct, max_distance, star_of)
            near = _reached(distinct[free], sizes[free], max_distance)
            order = np.lexsort((first[free], -near))
            _draw_stars(distinct, free[order[near[order] > sizes[free[order]]]], max_distance, star_of)
    stars = star_of[owners.ravel()]
    by_star = np.argsort(stars, kind="stable")
    cuts = np.flatnonzero(np.diff(stars[by_star])) + 1
    return [members for members in np.split(by_star, cuts) if len(members) > 1]


def _index(codes: NDArray[np.uint8]) -> Any:
    import faiss

    index = faiss.IndexBinaryFlat(8 * codes.shape[1])
    index.add(np.ascontiguousarray(codes))
    return index


def _first_names(names: NDArray[np.object_], owners: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the rank of the smallest name that has each hash, so that ties are broken by id."""
    ranks = np.empty(len(names), dtype=np.int64)
    ranks[np.argsort(names, kind="stable")] = np.arange(len(names))
    first = np.full(count, len(names), dtype=np.int64)
    np.minimum.at(first, owners.ravel(), ranks)
    return first


def _without_crowds(distinct: NDArray[np.uint8], max_distance: int, star_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Write the stars of crowds into ``star_of``; returns the hashes that are in none."""
    free = np.arange(len(distinct))
    while len(free) > _CROWD:
        sample = free[np.linspace(0, len(free) - 1, _STARS_AT_ONCE).astype(np.int64)]
        limits, _, found = _index(distinct[free]).range_search(distinct[sample], max_distance + 1)
        reach = np.diff(limits.astype(np.int64))
        best = int(reach.argmax())
        if reach[best] < _CROWD:
            break
        members = found[int(limits[best]) : int(limits[best + 1])]
        star_of[free[members]] = sample[best]
        free = np.delete(free, members)
    return free


def _reached(distinct: NDArray[np.uint8], sizes: NDArray[np.int64], max_distance: int) -> NDArray[np.int64]:
    """Count the products that are near each hash, its own among them; every pair of hashes is compared once."""
    near = sizes.astype(np.int64)
    for start in range(0, len(distinct), _HELD):
        index = _index(distinct[start : start + _HELD])
        for asked in range(start, len(distinct), _ASKED):
            limits, _, found = index.range_search(distinct[asked : asked + _ASKED], max_distance + 1)
            askers = np.repeat(np.arange(len(limits) - 1), np.diff(limits.astype(np.int64))) + asked
            held = found + start
            later = askers > held  # itself, and what is asked the other way round, is left out
            near += _sums(held[later], sizes[askers[later]], len(near))
            near += _sums(askers[later], sizes[held[later]], len(near))
    return near


def _sums(keys: NDArray[np.int64], values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Add values up by key, 0 <= key < count."""
    return np.bincount(keys, weights=values, minlength=count).astype(np.int64)


def _draw_stars(
    distinct: NDArray[np.uint8], order: NDArray[np.int64], max_distance: int, star_of: NDArray[np.int64]
) -> None:
    """Write into ``star_of`` the middle of each hash's star; ``order`` holds the hashes with neighbours, most first."""
    index = _index(distinct[order])
    is_free = np.ones(len(order), dtype=np.bool_)
    at = 0
    while at < len(order):
        middles = at + np.flatnonzero(is_free[at:])[:_STARS_AT_ONCE]
        if not len(middles):
            return
        limits, _, found = index.range_search(distinct[order[middles]], max_distance + 1)
        for number, middle in enumerate(middles):
            if is_free[middle]:  # no star that was drawn a moment ago took it
                members = found[int(limits[number]) : int(limits[number + 1])]
                members = members[is_free[members]]
                is_free[members] = False
                star_of[order[members]] = order[middle]
        at = int(middles[-1]) + 1


def _joined(groups: Sequence[Group]) -> list[Group]:
    """Return groups that share no product: those that do are one."""
    group_of: dict[str, list[str]] = {}
    for group in groups:
        together = {id(found): found for name in group if (found := group_of.get(name))}
        merged = list(dict.fromkeys([*group, *(name for found in together.values() for name in found)]))
        group_of |= dict.fromkeys(merged, merged)
    return [tuple(sorted(found)) for found in {id(found): found for found in group_of.values()}.values()]
