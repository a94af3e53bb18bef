"""The cells of an approximate index: every embedding belongs to the centre that it is nearest to.

Only arrays, made the same from the same embeddings: a search looks at the cells around a query instead of at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.bundles.plain_arrays import read_arrays
from backend.errors import BundleError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SEED = 7
MIN_ITEMS = 4_096  # below that, one cell holds all, and the search is exact
_CELLS_PER_ROOT = 1.5  # cells are so many times the root of the number of items
_SAMPLE = 32_768  # embeddings that the centres are found from
_ROUNDS = 12
_BLOCK = 8_192
# A refresh keeps the centres while no more than this share of the items came or went since they were found.
KEPT_UP_TO = 0.2


@dataclass(frozen=True, slots=True)
class Cells:
    """Centres and what belongs to them.

    Attributes:
        centres: Unit vectors, float32 (C, D).
        owners: The cell of each item, int32 (N,).
        probes: Cells that a search for ten neighbours looks at, nearest first.
        moved: Items that came or went since the centres were found.
    """

    centres: NDArray[np.float32]
    owners: NDArray[np.int32]
    probes: int
    moved: int = 0

    def save(self, path: Path) -> None:
        """Write them as an ``.npz`` file without pickle."""
        with path.open("wb") as stream:
            np.savez(
                stream,
                centres=self.centres,
                owners=self.owners,
                probes=np.int64(self.probes),
                moved=np.int64(self.moved),
            )

    @classmethod
    def load(cls, path: Path, *, size: int, dimensions: int) -> Cells:
        """Read the cells of a bundle that has been verified.

        Raises:
            BundleError: The file is missing, is none of ours, or does not fit N items of D dimensions.
        """
        try:
            stored: dict[str, NDArray[Any]] = read_arrays(path)
            cells = cls(stored["centres"], stored["owners"], int(stored["probes"]), int(stored["moved"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _unfit(path, "cannot be read") from error
        if cells.owners.shape != (size,) or cells.owners.dtype != np.int32 or cells.centres.dtype != np.float32:
            raise _unfit(path, f"does not belong to {size} items")
        if cells.centres.ndim != 2 or cells.centres.shape[1] != dimensions or cells.probes < 1:
            raise _unfit(path, f"does not belong to embeddings of {dimensions} dimensions")
        if size and not 0 <= int(cells.owners.min()) <= int(cells.owners.max()) < len(cells.centres):
            raise _unfit(path, "refers to cells that do not exist")
        if not np.isfinite(cells.centres).all():
            raise _unfit(path, "has invalid centroids")
        return cells


def _unfit(path: Path, why: str) -> BundleError:
    return BundleError(f"{path.name} of {path.parent.name} {why}.", next_step="Build the index again.")


def find_centres(vectors: NDArray[np.float32], *, seed: int = SEED) -> NDArray[np.float32]:
    """Find centres (C, D) for embeddings (N, D) by spherical k-means; the same ones for the same embeddings.

    Source: Dhillon and Modha, "Concept decompositions for large sparse text data using clustering", 2001.
    """
    count = _cell_count(len(vectors))
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(vectors), min(len(vectors), _SAMPLE), replace=False))
    sample = np.asarray(vectors[rows])
    centres: NDArray[np.float32] = sample[rng.choice(len(sample), count, replace=False)]
    for _ in range(_ROUNDS if count > 1 else 1):
        owners = owners_of(sample, centres)
        order = np.argsort(owners, kind="stable")
        sizes = np.bincount(owners, minlength=count)
        filled = np.flatnonzero(sizes)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])[filled]
        sums = np.add.reduceat(sample[order], starts, axis=0, dtype=np.float64)
        centres = centres.copy()
        centres[filled] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
        empty = np.flatnonzero(sizes == 0)
        centres[empty] = sample[rng.choice(len(sample), len(empty), replace=False)]
    return centres


def _cell_count(size: int) -> int:
    return int(_CELLS_PER_ROOT * np.sqrt(size)) if size >= MIN_ITEMS else 1


def owners_of(vectors: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the nearest centre of every embedding, int32 (N,); memory does not grow with N."""
    owners = np.empty(len(vectors), dtype=np.int32)
    for start in range(0, len(vectors), _BLOCK):
        owners[start : start + _BLOCK] = np.argmax(vectors[start : start + _BLOCK] @ centres.T, axis=1)
    return owners
