"""Products that are found by any of their pictures: the first one has its place in the index, the others stand beside it.

An answer names a product once, at the distance of its nearest picture. What is scored, mapped and compared with each
other are first pictures, as they always were; so further ones change nothing in a bundle but files of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backend.bundles import bundle
from backend.bundles.plain_arrays import open_matrix, read_arrays
from backend.errors import BundleError
from backend.retrieval.indexes.exact import ExactIndex
from backend.retrieval.indexes.index import Neighbours, check_search, has_no_long_vector
from backend.retrieval.indexes.weighed import WeighedIndex

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.retrieval.indexes.index import Index, Ranked

FILES = (bundle.FURTHER, bundle.FURTHER_VECTORS, bundle.FURTHER_THUMBNAILS)
_DIGEST = 32  # bytes of a hash
_PICTURES_EACH = 4  # asked for at once for each product wanted


@dataclass(frozen=True, slots=True)
class Further:
    """M further pictures of products.

    Attributes:
        owners: Positions of the products in the gallery, ascending; int32 (M,).
        positions: Place of each picture among those of its product, from 1, ascending for each; int32 (M,).
        hashes: SHA-256 of each picture; uint8 (M, 32).
        vectors: Their embeddings, float32 (M, D).
    """

    owners: NDArray[np.int32]
    positions: NDArray[np.int32]
    hashes: NDArray[np.uint8]
    vectors: NDArray[np.float32]

    def save(self, folder: Path) -> None:
        """Write them as the files of a bundle."""
        with (folder / bundle.FURTHER).open("wb") as stream:
            np.savez(stream, owners=self.owners, positions=self.positions, hashes=self.hashes)
        np.save(folder / bundle.FURTHER_VECTORS, self.vectors)

    @classmethod
    def load(cls, folder: Path, *, size: int, dimensions: int) -> Further | None:
        """Read those of a bundle that has been verified; None where it has none.

        Raises:
            BundleError: A file is none of ours, or does not fit N items of D dimensions.
        """
        if not (folder / bundle.FURTHER).exists():
            return None
        try:
            stored: dict[str, NDArray[Any]] = read_arrays(folder / bundle.FURTHER)
            vectors = open_matrix(folder / bundle.FURTHER_VECTORS)
            found = cls(stored["owners"], stored["positions"], stored["hashes"], vectors)
        except (OSError, ValueError, KeyError) as error:
            raise _unfit(folder, "cannot be read") from error
        count = len(vectors)
        kinds = [array.dtype.str for array in (found.owners, found.positions, found.hashes)]
        shapes = [array.shape for array in (found.owners, found.positions, found.hashes, vectors)]
        if kinds != ["<i4", "<i4", "|u1"] or shapes != [(count,), (count,), (count, _DIGEST), (count, dimensions)]:
            raise _unfit(folder, f"do not belong to embeddings of {dimensions} dimensions")
        owners = found.owners.astype(np.int64)
        if count and not (owners[0] >= 0 and owners[-1] < size and (np.diff(owners) >= 0).all()):
            raise _unfit(folder, f"do not belong to {size} items")
        if not has_no_long_vector(vectors):
            raise _unfit(folder, "contain vectors that are not unit vectors")
        return found

    def pictures_of(self, position: int) -> int:
        """Return how many pictures a product has, its first one counted; one at the end that cannot be read is not."""
        rows = self.rows_of(position)
        return int(self.positions[rows[-1]]) + 1 if rows else 1

    def rows_of(self, position: int) -> range:
        """Return the rows of a product's further pictures."""
        return range(*(int(np.searchsorted(self.owners, position, side)) for side in ("left", "right")))


def _unfit(folder: Path, why: str) -> BundleError:
    return BundleError(
        f"The further pictures of {folder.name} {why}.", next_step="Build the index of this model again."
    )


class PicturesIndex:
    """An index of products that have further pictures; an :class:`backend.retrieval.indexes.index.Index`.

    Further pictures are all compared, whatever the kind of the index is.

    Args:
        index: Of the first pictures, N items.
        further: The others.
    """

    def __init__(self, index: Index, further: Further) -> None:
        self.first, self.further = index, further
        self._others = ExactIndex(further.vectors)

    @property
    def size(self) -> int:
        """Number N of products."""
        return self.first.size

    @property
    def dimensions(self) -> int:
        """Dimensions D of an embedding."""
        return self.first.dimensions

    @property
    def exact(self) -> Index:
        """The same embeddings, of which a search misses none."""
        return PicturesIndex(self.first.exact, self.further)

    def embeddings(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings of the first pictures of these products, float32 (P, D)."""
        return self.first.embeddings(positions)

    def search(self, queries: NDArray[np.float32], *, k: int, allowed: NDArray[np.bool_] | None = None) -> Neighbours:
        """Find the k products nearest to every query, each by its nearest picture."""
        check_search(self, queries, k=k, allowed=allowed)
        found = self.first.search(queries, k=k, allowed=allowed)
        mine = None if allowed is None else allowed[self.further.owners]
        # What is asked for again below, where one product has many pictures, is asked for by itself.
        more = self._others.search(queries, k=_PICTURES_EACH * k, allowed=mine)
        rows = [
            self._merged(
                query, (found.positions[at], found.distances[at]), (more.positions[at], more.distances[at]), k, mine
            )
            for at, query in enumerate(queries)
        ]
        shape = found.positions.shape
        positions = np.array([positions for positions, _ in rows], dtype=np.int64).reshape(shape)
        return Neighbours(positions, np.array([distances for _, distances in rows], dtype=np.float32).reshape(shape))

    def _merged(
        self, query: NDArray[np.float32], first: Ranked, more: Ranked, k: int, mine: NDArray[np.bool_] | None
    ) -> Ranked:
        fetched, (rows, distances) = _PICTURES_EACH * k, more
        while len(rows) == fetched and len(np.unique(self.further.owners[rows])) < k:
            fetched *= _PICTURES_EACH
            found = self._others.search(query[None], k=fetched, allowed=mine)
            rows, distances = found.positions[0], found.distances[0]
        owners = self.further.owners[rows].astype(np.int64)
        both = np.concatenate([first[0], owners]), np.concatenate([first[1], distances])
        order = np.lexsort(both)  # by distance, then by position
        _, firsts = np.unique(both[0][order], return_index=True)
        kept = order[np.sort(firsts)[: len(first[0])]]
        return both[0][kept], both[1][kept]


def with_further(index: Index, folder: Path) -> Index:
    """Return an index with the further pictures of its bundle, which has been verified; itself where there are none."""
    further = Further.load(folder, size=index.size, dimensions=index.dimensions)
    return index if further is None else PicturesIndex(index, further)


def likeness(index: Index, positions: NDArray[np.int64], queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how alike products (P,) are to queries (Q, D) of an index's weight, each by its likest picture; (P, Q)."""
    found: NDArray[np.float32] = index.embeddings(positions) @ queries.T
    inner = getattr(index, "inner", index)
    if isinstance(inner, PicturesIndex):
        asked = index.weigh(queries) if isinstance(index, WeighedIndex) else queries
        for place, position in enumerate(positions.tolist()):
            if rows := inner.further.rows_of(position):
                others = inner.further.vectors[rows.start : rows.stop] @ asked.T
                found[place] = np.maximum(found[place], others.max(axis=0))
    return found


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a product: its place among ``count``, and its hash; of the first one, 0 and None."""

    place: int = 0
    sha256: str | None = None
    count: int = 1


ONLY_PICTURE = Picture()


def shown_picture(index: Index, position: int, queries: NDArray[np.float32]) -> Picture:
    """Return which picture of a product is the likest to any of some queries (Q, D) of the model's own weight."""
    if not isinstance(index, PicturesIndex) or not (rows := index.further.rows_of(position)):
        return ONLY_PICTURE
    count = index.further.pictures_of(position)
    first = index.embeddings(np.array([position])) @ queries.T
    others = (index.further.vectors[rows.start : rows.stop] @ queries.T).max(axis=1)
    best = int(others.argmax())
    if float(others[best]) <= float(first.max()):
        return Picture(count=count)
    row = rows.start + best
    return Picture(int(index.further.positions[row]), index.further.hashes[row].tobytes().hex(), count)
