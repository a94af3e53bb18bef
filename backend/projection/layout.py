"""The arrangement of a map: UMAP's attraction and repulsion, in parallel and yet reproducible.

umap-learn moves both ends of an edge at once, so that it is either parallel or the same every time. Here every point
is moved by one thread alone, against the positions that all others had at the start of the epoch, with random numbers
that belong to the point and the epoch. So the result does not depend on how many threads there are.

Source: McInnes, Healy, Melville, "UMAP: Uniform Manifold Approximation and Projection", 2018, arXiv:1802.03426.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.progress import Progress

NEGATIVES = 5.0  # points that push away, for each that pulls
_MOST = 4.0  # no step is longer than this, before the learning rate
_NEAR = 0.001


@dataclass(frozen=True, slots=True)
class Curve:
    """How attraction falls with distance on the map: 1 / (1 + a d^(2b))."""

    a: float
    b: float


@dataclass(frozen=True, slots=True)
class Edges:
    """A symmetric weighted graph of N points, by row: ends of row i stand from ``starts[i]`` to ``starts[i + 1]``.

    Attributes:
        starts: int32 (N + 1,).
        ends: int32 (E,).
        weights: Membership strengths in (0, 1]; float32 (E,).
    """

    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    weights: NDArray[np.float32]


def arrange(
    start: NDArray[np.float32], edges: Edges, curve: Curve, *, epochs: int, seed: int, progress: Progress
) -> NDArray[np.float32]:
    """Move points from where they start until near ones are together; float32 (N, 2) or (N, 3).

    Args:
        start: Where they start, float32 (N, 2) or (N, 3), about ten wide.
        edges: What holds them together.
        curve: How it falls with distance.
        epochs: Rounds; an edge of weight w takes part in w / max(w) of them.
        seed: Of what is drawn to push away.
        progress: Hears how many rounds are done, and may cancel.

    Raises:
        Cancelled: The user asked to stop.
    """
    every = (edges.weights.max() / edges.weights).astype(np.float32)
    due, due_push = every.copy(), every / np.float32(NEGATIVES)
    seen = np.ascontiguousarray(start, dtype=np.float32)
    moved = seen.copy()
    for epoch in range(epochs):
        progress.check_cancelled()
        rate = np.float32(1.0 - max(epoch - 1, 0) / epochs)
        _move(
            moved,
            seen,
            edges.starts,
            edges.ends,
            every,
            due,
            due_push,
            np.uint64(seed),
            np.float32(curve.a),
            np.float32(curve.b),
            rate,
            np.float32(epoch),
        )
        seen, moved = moved, seen
        progress.report(epoch + 1, epochs, unit="rounds", note="arranging")
    return seen


@numba.njit(inline="always")
def _step(value: float) -> float:
    return min(max(value, -_MOST), _MOST)


@numba.njit(inline="always")
def _state(seed: int, point: int, epoch: int) -> Any:
    state = np.uint64(seed) ^ (np.uint64(point) * np.uint64(0x9E3779B97F4A7C15))
    state ^= np.uint64(epoch + 1) * np.uint64(0xD1B54A32D192ED03)
    state = (state ^ (state >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return (state ^ (state >> np.uint64(33))) | np.uint64(1)


@numba.njit(inline="always")
def _apart(first: NDArray[np.float32], second: NDArray[np.float32]) -> Any:
    total = np.float32(0.0)
    for axis in range(first.shape[0]):
        total += (first[axis] - second[axis]) * (first[axis] - second[axis])
    return total


@numba.njit(inline="always")
def _pushed(  # noqa: PLR0917 - as below
    mine: NDArray[np.float32], seen: NDArray[np.float32], pushes: int, state: Any, a: float, b: float, rate: float
) -> Any:
    """Push a point away from others drawn at random, in place; returns the state of the draw."""
    for _ in range(pushes):
        state ^= state << np.uint64(13)
        state ^= state >> np.uint64(7)
        state ^= state << np.uint64(17)
        drawn = seen[np.int64(state % np.uint64(seen.shape[0]))]
        square = _apart(mine, drawn)
        if square > 0.0:
            push = 2.0 * b / ((_NEAR + square) * (a * square**b + 1.0))
            for axis in range(mine.shape[0]):
                mine[axis] += rate * _step(push * (mine[axis] - drawn[axis]))
    return state


@numba.njit(parallel=True, fastmath=True, cache=True)
def _move(  # noqa: PLR0913, PLR0917 - compiled: all that it works on comes as arrays and numbers
    moved: NDArray[np.float32],
    seen: NDArray[np.float32],
    starts: NDArray[np.int32],
    ends: NDArray[np.int32],
    every: NDArray[np.float32],
    due: NDArray[np.float32],
    due_push: NDArray[np.float32],
    seed: int,
    a: float,
    b: float,
    rate: float,
    epoch: float,
) -> None:
    """Write into ``moved`` where every point goes from ``seen``; ``due`` is the epoch in which an edge is next."""
    points = seen.shape[0]
    for point in numba.prange(points):
        state = _state(seed, point, int(epoch))
        mine = moved[point]
        mine[:] = seen[point]
        for edge in range(starts[point], starts[point + 1]):
            if due[edge] > epoch:
                continue
            other = seen[ends[edge]]
            square = _apart(mine, other)
            if square > 0.0:
                pull = -2.0 * a * b * square ** (b - 1.0) / (a * square**b + 1.0)
                for axis in range(mine.shape[0]):
                    mine[axis] += rate * _step(pull * (mine[axis] - other[axis]))
            due[edge] += every[edge]
            between = every[edge] / NEGATIVES
            pushes = int((epoch - due_push[edge]) / between)
            state = _pushed(mine, seen, pushes, state, a, b, rate)
            due_push[edge] += pushes * between
