"""Embeddings that are in several arrays, memory-mapped or not, as one gallery; nothing is copied but what is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backend.errors import EvaluationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backend.progress import Progress

_CHUNK_CELLS = 8_000_000


@dataclass(frozen=True, slots=True)
class VectorParts:
    """N embeddings: all rows of the parts, one after the other, or those of them that ``chosen`` names.

    Attributes:
        parts: float32 (n, D) each.
        chosen: Rows of all parts together that belong to the gallery, in its order; None means all.
    """

    parts: tuple[NDArray[np.float32], ...]
    chosen: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        shapes = [part.shape for part in self.parts]
        if not shapes or any(len(shape) != 2 or shape[1] != shapes[0][-1] for shape in shapes):
            raise EvaluationError(f"Need (N, D), got {', '.join(map(str, shapes)) or 'nothing'}.")

    def __len__(self) -> int:
        return sum(map(len, self.parts)) if self.chosen is None else len(self.chosen)

    @property
    def dimensions(self) -> int:
        """Dimensions D of an embedding."""
        return int(self.parts[0].shape[1])

    def only(self, rows: NDArray[np.int64]) -> VectorParts:
        """Return the gallery of these rows of this one, int64 (n,)."""
        return VectorParts(self.parts, rows if self.chosen is None else self.chosen[rows])

    def rows(self) -> NDArray[np.float32]:
        """Return the embeddings themselves, float32 (N, D); a copy, unless they are the whole of one part."""
        if self.chosen is None and len(self.parts) == 1:
            return self.parts[0]
        wanted = np.arange(len(self)) if self.chosen is None else self.chosen
        out = np.empty((len(wanted), self.dimensions), dtype=np.float32)
        start = 0
        for part in self.parts:
            mine = np.flatnonzero((wanted >= start) & (wanted < start + len(part)))
            out[mine] = part[wanted[mine] - start]
            start += len(part)
        return out

    def similarities(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosine similarity of each query (q, D) with every embedding, float32 (q, N)."""
        found = [queries @ part.T for part in self.parts]
        table = found[0] if len(found) == 1 else np.concatenate(found, axis=1)
        return table if self.chosen is None else table[:, self.chosen]


def nearest_other(
    gallery: NDArray[np.float32],
    positions: NDArray[np.int64],
    *,
    progress: Progress,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Find the nearest other item of some of a gallery's own items.

    Args:
        gallery: L2-normalised embeddings, float32 (N, D), N >= 2.
        positions: Those that ask; int64 (Q,).
        progress: Hears how many are done, and may cancel.

    Returns:
        Position and cosine similarity of the nearest item that is not the asking one; (Q,) each.
    """
    found = np.empty(len(positions), dtype=np.int64)
    similarity = np.empty(len(positions), dtype=np.float32)
    step = max(1, _CHUNK_CELLS // len(gallery))
    for start in range(0, len(positions), step):
        progress.check_cancelled()
        own = positions[start : start + step]
        table = gallery[own] @ gallery.T
        table[np.arange(len(own)), own] = -np.inf
        best = table.argmax(axis=1)
        found[start : start + step] = best
        similarity[start : start + step] = table[np.arange(len(own)), best]
        progress.report(min(start + step, len(positions)), len(positions), unit="queries", note="calibrating")
    return found, similarity


def nearest_similarity(
    queries: NDArray[np.float32], gallery: VectorParts, *, progress: Progress
) -> NDArray[np.float32]:
    """Return the cosine similarity of the nearest gallery item of each query (Q, D), float32 (Q,)."""
    out = np.empty(len(queries), dtype=np.float32)
    step = max(1, _CHUNK_CELLS // len(gallery))
    for start in range(0, len(queries), step):
        progress.check_cancelled()
        out[start : start + step] = gallery.similarities(queries[start : start + step]).max(axis=1)
    return out
