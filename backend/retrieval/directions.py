"""Principal directions: the few orthogonal ones along which rows of numbers vary most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def energy_and_directions(products: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split what rows of D numbers hold by directions, largest share first.

    Args:
        products: Sum over the rows of their outer products, symmetric float64 (D, D).

    Returns:
        Energy along each direction, (D,), and the directions as orthonormal columns, (D, D). A direction's sign is
        whichever the decomposition found: for those who need a fixed one there is :func:`leading_directions`.
    """
    energies, directions = np.linalg.eigh(products)
    return energies[::-1], directions[:, ::-1]


def leading_directions(
    products: NDArray[np.float64], count: int, *, mean: NDArray[np.float64] | None = None, rows: float = 1.0
) -> NDArray[np.float64]:
    """Return the directions in which rows of D numbers vary most (principal component analysis).

    Args:
        products: Sum over the rows of their outer products, or the mean of these; symmetric float64 (D, D).
        count: Directions wanted.
        mean: The rows' mean, float64 (D,), to look at how they differ from it; left out, they are taken as they are.
        rows: How many are summed in ``products``; 1 where it is their mean.

    Returns:
        Orthonormal columns, float64 (D, ``count``), or (D, D) where more are wanted than there are. Signs are such that
        the largest entry of each is positive, so that the same rows give the same directions on every machine.

    Example:
        >>> leading_directions(np.array([[1.0, 0.0], [0.0, 4.0]]), 1).ravel().tolist()
        [0.0, 1.0]
    """
    around = products if mean is None else products - rows * np.outer(mean, mean)
    leading = energy_and_directions(around)[1][:, :count]
    signs = np.sign(leading[np.abs(leading).argmax(axis=0), np.arange(leading.shape[1])])
    directions: NDArray[np.float64] = leading * signs
    return directions
