"""The kinds of index that a bundle may have, in its files and in memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, get_args

from backend.bundles import bundle
from backend.bundles.plain_arrays import open_matrix
from backend.errors import BundleError, RetrievalError
from backend.retrieval.indexes.approximate import ApproximateIndex, make_cells
from backend.retrieval.indexes.cells import KEPT_UP_TO, Cells
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.indexes.index import has_no_long_vector

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from backend.bundles.bundle import Manifest
    from backend.progress import Progress
    from backend.retrieval.indexes.index import Index

Kind = Literal["exact", "approximate"]
KINDS: tuple[Kind, ...] = get_args(Kind)
EXACT: Kind = "exact"
_REBUILD = "Build the index of this model again."


def load_vectors(folder: Path) -> NDArray[np.float32]:
    """Open the embeddings of a bundle memory-mapped, float32 (N, D), in the order of its gallery.

    Raises:
        RetrievalError: The bundle has no index yet.
        BundleError: The file holds no float32 matrix.
    """
    path = folder / bundle.VECTORS
    if not os.path.lexists(path):
        raise no_index(folder)
    try:
        return open_matrix(path)
    except (OSError, ValueError) as error:
        raise BundleError(f"{path.name} of {folder.name} cannot be read: {error}.", next_step=_REBUILD) from error


def no_index(folder: Path) -> RetrievalError:
    """The error for a bundle that has no index."""
    return RetrievalError(f"{folder.name} has no index yet.", next_step="Build it: `python -m backend index`.")


def check_kind(kind: str) -> Kind:
    """Return a kind of index by its name.

    Raises:
        RetrievalError: There is no such kind.
    """
    for known in KINDS:
        if kind == known:
            return known
    raise RetrievalError(f"There is no index kind {kind!r}.", next_step=f"Kinds are {' and '.join(KINDS)}.")


def open_index(folder: Path, manifest: Manifest) -> Index:
    """Open the index of a bundle that has been verified.

    Raises:
        RetrievalError: The bundle has no index yet.
        BundleError: One of its files is none of ours, or the kind is unknown.
    """
    vectors = load_vectors(folder)
    kind = manifest.index.kind if manifest.index else EXACT
    if kind not in KINDS:
        raise BundleError(f"{folder.name} has an index of the unknown kind {kind!r:.40}.", next_step=_REBUILD)
    if not has_no_long_vector(vectors):
        raise BundleError(
            f"{bundle.VECTORS} of {folder.name} contains vectors that are not unit vectors.", next_step=_REBUILD
        )
    if kind == EXACT:
        return ExactIndex(vectors)
    cells = Cells.load(folder / bundle.CELLS, size=len(vectors), dimensions=vectors.shape[1])
    return ApproximateIndex(vectors, cells)


def write_index(
    place: Path, kind: str, progress: Progress, *, before: Path | None = None, moved: int = 0
) -> tuple[str, ...]:
    """Write what a kind needs beside the vectors that are in ``place``; returns the names of the files.

    Args:
        place: A folder with ``vectors.npy``.
        kind: The kind of index.
        progress: Told what is done.
        before: A bundle with an earlier state of the same gallery, whose cells are kept while they fit.
        moved: Items that came or went since then.
    """
    if check_kind(kind) == EXACT:
        return ()
    progress.report(0, 1, note="Dividing the gallery into cells")
    vectors = load_vectors(place)
    make_cells(vectors, _kept(before, vectors, moved), moved=moved).save(place / bundle.CELLS)
    progress.report(1, 1, note="Divided the gallery into cells")
    return (bundle.CELLS,)


def _kept(before: Path | None, vectors: NDArray[np.float32], moved: int) -> Cells | None:
    """Return the earlier cells, unless so much has moved that other centres would serve better."""
    if before is None or not (before / bundle.CELLS).is_file():
        return None
    size = len(load_vectors(before))
    cells = Cells.load(before / bundle.CELLS, size=size, dimensions=vectors.shape[1])
    has_grown = len(cells.centres) == 1 and len(vectors) > size
    return None if has_grown or cells.moved + moved > KEPT_UP_TO * len(vectors) else cells
