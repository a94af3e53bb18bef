"""The validation split: a part of every class of the train split, drawn by id and seed alone."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def draw_validation(product_ids: Sequence[str], labels: Sequence[str], *, share: float, seed: int) -> NDArray[np.bool_]:
    """Choose the share of every class that becomes the validation split.

    Every product gets a number from its id and the seed, and the lowest numbers of a class are taken. So the draw
    knows no row order, and a product that comes or goes changes hardly any other's lot.

    Args:
        product_ids: Ids of N products, all different.
        labels: Their labels.
        share: Fraction to draw, 0 <= share < 1. A class of n gives share x n products, halves rounded up, and keeps
            at least one.
        seed: Another seed, another draw.

    Returns:
        Whether each product is drawn; shape (N,).

    Raises:
        CatalogueError: The share is out of range.

    Example:
        >>> draw_validation(["a", "b", "c", "d"], ["bag", "bag", "coat", "coat"], share=0.5, seed=7).sum()
        2
    """
    if not 0.0 <= share < 1.0:
        raise CatalogueError(
            f"The validation share must be at least 0 and below 1, got {share:g}.", next_step="Use 0.1, for example."
        )
    lots = np.array([_lot(product_id, seed) for product_id in product_ids], dtype=np.uint64)
    _, classes = np.unique(np.asarray(labels, dtype=object).astype(str), return_inverse=True)
    drawn = np.zeros(len(product_ids), dtype=np.bool_)
    for number in np.unique(classes):
        members = np.flatnonzero(classes == number)
        by_lot = members[np.argsort(lots[members], kind="stable")]
        drawn[by_lot[: min(int(np.floor(share * len(members) + 0.5)), len(members) - 1)]] = True
    return drawn


def _lot(product_id: str, seed: int) -> int:
    return int.from_bytes(blake2b(f"{seed}:{product_id}".encode(), digest_size=8).digest(), "big")
