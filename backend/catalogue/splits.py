"""The splits: what is learnt from, chosen with, judged by and only shown; drawn by id and seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from backend.catalogue.items import UNLABELLED
from backend.catalogue.split_plan import SplitPlan
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["SplitPlan", "assign_splits", "draw_share", "draw_validation"]

Texts = Sequence[str] | NDArray[np.object_]


def as_objects(values: Iterable[object]) -> NDArray[np.object_]:
    """Return values as an array of objects (N,), whatever they are."""
    listed = list(values)
    found = np.empty(len(listed), dtype=object)
    found[:] = listed
    return found


def assign_splits(
    ids: Texts, labels: Texts, given: Sequence[str | None] | NDArray[np.object_], plan: SplitPlan
) -> NDArray[np.object_]:
    """Give every product its split.

    Args:
        ids: Ids of N products, all different.
        labels: Their labels; :data:`UNLABELLED` where there is none, and then the split is gallery-only.
        given: The split that the source gives, None where it gives none.
        plan: How to draw.

    Returns:
        A split for each; shape (N,), objects.

    Raises:
        CatalogueError: A share is out of range, or an unseen label is none of the labels.
    """
    names, kinds, splits = as_objects(ids), as_objects(labels), as_objects(given)
    _check_unseen(kinds, plan)
    is_open = np.asarray([split is None for split in splits], dtype=np.bool_)
    splits[is_open] = "train"
    drawable = np.flatnonzero(is_open & (kinds != UNLABELLED))
    test = draw_share(names[drawable], kinds[drawable], share=plan.test_share, seed=plan.seed, purpose="test")
    splits[drawable[test]] = "test"
    train = np.flatnonzero((splits == "train") & (kinds != UNLABELLED))
    drawn = draw_validation(names[train], kinds[train], share=plan.validation_share, seed=plan.seed)
    if not (splits == "validation").any():
        splits[train[drawn]] = "validation"
    hidden = np.isin(kinds.astype(str), plan.unseen) & np.isin(splits.astype(str), ("train", "validation"))
    splits[hidden | (kinds == UNLABELLED)] = "gallery-only"
    return splits


def _check_unseen(labels: NDArray[np.object_], plan: SplitPlan) -> None:
    known = set(labels.tolist())
    strange = [label for label in plan.unseen if label not in known]
    if strange:
        raise CatalogueError(
            f"There is no label {strange[0]!r} to exclude.",
            next_step=f"Labels are {', '.join(sorted(map(str, known))[:12])}.",
        )


def draw_validation(product_ids: Texts, labels: Texts, *, share: float, seed: int) -> NDArray[np.bool_]:
    """Choose the share of every class that becomes the validation split; see :func:`draw_share`.

    Example:
        >>> draw_validation(["a", "b", "c", "d"], ["bag", "bag", "coat", "coat"], share=0.5, seed=7).sum()
        2
    """
    return draw_share(product_ids, labels, share=share, seed=seed, purpose="validation")


def draw_share(product_ids: Texts, labels: Texts, *, share: float, seed: int, purpose: str) -> NDArray[np.bool_]:
    """Choose a share of every class.

    Every product gets a number from its id and the seed, and the lowest numbers of a class are taken. So the draw
    knows no row order, and a product that comes or goes changes hardly any other's lot.

    Args:
        product_ids: Ids of N products, all different.
        labels: Their labels.
        share: Fraction to draw, 0 <= share < 1. A class of n gives share x n products, halves rounded up, and keeps
            at least one.
        seed: Another seed, another draw.
        purpose: What is drawn; another purpose, another draw.

    Returns:
        Whether each product is drawn; shape (N,).

    Raises:
        CatalogueError: The share is out of range.
    """
    if not 0.0 <= share < 1.0:
        raise CatalogueError(
            f"The {purpose} share must be at least 0 and below 1, got {share:g}.", next_step="Use 0.1, for example."
        )
    key = f"{seed}" if purpose == "validation" else f"{seed}:{purpose}"
    lots = np.array([_lot(product_id, key) for product_id in product_ids], dtype=np.uint64)
    _, classes = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)
    drawn = np.zeros(len(product_ids), dtype=np.bool_)
    for number in np.unique(classes):
        members = np.flatnonzero(classes == number)
        by_lot = members[np.argsort(lots[members], kind="stable")]
        drawn[by_lot[: share_of(len(members), share)]] = True
    return drawn


def share_of(count: int, share: float) -> int:
    """Return how many of a class of ``count`` a share is: halves rounded up, and one is always left."""
    return max(min(int(np.floor(share * count + 0.5)), count - 1), 0)


def _lot(product_id: str, key: str) -> int:
    return int.from_bytes(blake2b(f"{key}:{product_id}".encode(), digest_size=8).digest(), "big")
