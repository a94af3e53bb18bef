"""Put a new product onto a map that stays as it is, from its neighbours alone; NumPy only, some milliseconds.

It is what umap-learn's ``transform`` does, without its fitted object, which could only be kept as a pickle: membership
strengths of the neighbours, their weighted mean as the start, then rounds of attraction and repulsion in which only the
new point moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.errors import ProjectionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROUNDS = 100
_RATE = 0.25  # a quarter of a map's own: the neighbours stand already
_PUSHES = 5  # points that push away, for each that pulls
_HALVINGS = 64
_TOLERANCE = 1e-5
_LEAST_WIDTH = 1e-3  # of the mean distance
_NEAR, _MOST = 0.001, 4.0


def place(
    near: NDArray[np.int64],
    distances: NDArray[np.float32],
    positions: NDArray[np.float32],
    *,
    curve: tuple[float, float],
    neighbours: int,
    seed: int = 7,
) -> NDArray[np.float32]:
    """Return where one new product is; float32 (2,) or (3,).

    Args:
        near: Its nearest products, nearest first, by place on the map; (k,), k at least 1.
        distances: Their cosine distances; (k,).
        positions: The map; (N, 2) or (N, 3).
        curve: a and b of the map.
        neighbours: Neighbours that the map was drawn with; more than these do not count.
        seed: Of what is drawn to push away; the same product always gets the same place.

    Raises:
        ProjectionError: There is no neighbour, or a distance is not finite.
    """
    near, distances = near[:neighbours], distances[:neighbours]
    if not len(near) or not np.isfinite(distances).all():
        raise ProjectionError(
            "The product cannot be placed: it has no neighbours on this map.",
            next_step="Draw the map again.",
        )
    chords = np.sqrt(2.0 * np.maximum(np.asarray(distances, dtype=np.float64), 0.0))
    strengths = membership(chords, neighbours)
    held = np.asarray(positions[near], dtype=np.float64)
    if chords[0] == 0.0:  # the very product is there
        return np.asarray(positions[near[0]], dtype=np.float32)
    start = (strengths[:, None] * held).sum(axis=0) / strengths.sum()
    return _settled(start, held, strengths, positions, curve, seed).astype(np.float32)


def membership(chords: NDArray[np.float64], neighbours: int) -> NDArray[np.float64]:
    """Return how strongly a new product belongs to each neighbour, in (0, 1]; their sum is about log2(neighbours).

    As umap-learn does it for new products: no neighbour is held to belong wholly.
    """
    target = np.log2(max(neighbours, 2))
    low, high, width = 0.0, np.inf, 1.0
    for _ in range(_HALVINGS):
        total = np.exp(-chords[1:] / width).sum()  # its first neighbour does not count, as there
        if abs(total - target) < _TOLERANCE:
            break
        low, high = (low, width) if total > target else (width, high)
        width = width * 2 if np.isinf(high) else (low + high) / 2
    width = max(width, _LEAST_WIDTH * float(chords.mean()), 1e-12)
    found: NDArray[np.float64] = np.exp(-chords / width)
    return np.maximum(found, np.finfo(np.float64).tiny)


def _settled(
    start: NDArray[np.float64],
    held: NDArray[np.float64],
    strengths: NDArray[np.float64],
    positions: NDArray[np.float32],
    curve: tuple[float, float],
    seed: int,
) -> NDArray[np.float64]:
    """Let the point move; a neighbour of strength s pulls in s / max(s) of the rounds."""
    a, b = curve
    point = start.copy()
    share = strengths / strengths.max()
    turns = np.floor(np.arange(1, ROUNDS + 1)[:, None] * share).astype(np.int64)  # (rounds, k)
    pulls = np.diff(turns, axis=0, prepend=0) > 0
    drawn = np.random.default_rng(seed).integers(0, len(positions), (ROUNDS, len(held), _PUSHES))
    for number in range(ROUNDS):
        rate = _RATE * (1.0 - number / ROUNDS)
        active = pulls[number]
        if not active.any():
            continue
        point = point + rate * _pull(point, held[active], a, b)
        others = np.asarray(positions[drawn[number, active].ravel()], dtype=np.float64)
        point = point + rate * _push(point, others, a, b)
    return point


def _pull(point: NDArray[np.float64], held: NDArray[np.float64], a: float, b: float) -> NDArray[np.float64]:
    apart = point - held
    square = np.maximum((apart**2).sum(axis=1), 1e-12)
    strength = -2.0 * a * b * square ** (b - 1.0) / (a * square**b + 1.0)
    found: NDArray[np.float64] = (strength[:, None] * apart).clip(-_MOST, _MOST).sum(axis=0)
    return found


def _push(point: NDArray[np.float64], others: NDArray[np.float64], a: float, b: float) -> NDArray[np.float64]:
    apart = point - others
    square = (apart**2).sum(axis=1)
    strength = 2.0 * b / ((_NEAR + square) * (a * square**b + 1.0))
    found: NDArray[np.float64] = (strength[:, None] * apart).clip(-_MOST, _MOST).sum(axis=0)
    return found
