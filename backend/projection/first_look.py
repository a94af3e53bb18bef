"""An instant first look at a gallery: its principal components, with NumPy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.retrieval.directions import leading_directions

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 16_384


def principal_components(vectors: NDArray[np.float32], count: int = 3) -> NDArray[np.float32]:
    """Return the directions in which embeddings differ most; float32 (N, count), largest first.

    The directions' signs are fixed, so that a map does not flip.

    Example:
        >>> principal_components(np.array([[1, 0], [-1, 0]], dtype=np.float32), 1).ravel().tolist()
        [1.0, -1.0]
    """
    mean = np.zeros(vectors.shape[1], dtype=np.float64)
    products = np.zeros((vectors.shape[1],) * 2, dtype=np.float64)
    for at in range(0, len(vectors), _BLOCK):
        block = np.asarray(vectors[at : at + _BLOCK], dtype=np.float64)
        mean += block.sum(axis=0)
        products += block.T @ block
    mean /= len(vectors)
    wanted = leading_directions(products, count, mean=mean, rows=len(vectors))
    found = np.zeros((len(vectors), count), dtype=np.float32)  # fewer directions than asked for stay flat
    found[:, : wanted.shape[1]] = (vectors - mean.astype(np.float32)) @ wanted.astype(np.float32)
    return found
