"""The gallery of a bundle: what is shown of every item that can be answered, in the order of its vectors.

:func:`build_gallery` makes it; :mod:`backend.retrieval.refresh` brings it up to date.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.bundles import bundle
from backend.catalogue.fields import Details
from backend.catalogue.items import DISPLAY_COLUMNS, GALLERY_SPLITS
from backend.catalogue.stock import sold_out
from backend.errors import RetrievalError
from backend.files.storage import disk_watched
from backend.retrieval.filters import FLAG_FILTERS, NUMBER_FILTERS, check_filters
from backend.retrieval.gallery.embedding import BATCH, WITH_PICTURES, embed_batches
from backend.retrieval.gallery.further_pictures import embedded_here, write_further
from backend.retrieval.gallery.further_thumbnails import FurtherThumbnails
from backend.retrieval.gallery.gallery_file import GalleryFile
from backend.retrieval.gallery.gallery_rows import SCHEMA, write_sorted
from backend.retrieval.gallery.thumbnails import Thumbnails
from backend.retrieval.indexes.index_files import described, put_in_place
from backend.retrieval.indexes.kinds import EXACT, load_vectors

__all__ = ["Gallery", "GalleryItem", "build_gallery", "load_vectors"]

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot
    from backend.progress import Progress
    from backend.retrieval.embedder import Embedder
    from backend.retrieval.filters import Filters
    from backend.retrieval.gallery.embedding import Embedded
    from backend.retrieval.indexes.kinds import Kind

_SHOWN_COLUMNS = ["product_id", "label", *DISPLAY_COLUMNS]
_SHOWN = 40  # characters of a foreign text that a message quotes


@dataclass(frozen=True, slots=True)
class GalleryItem(Details):
    """One gallery item as screens show it; ``price`` and the texts are None where the catalogue has none."""

    position: int
    product_id: str
    label: str


class Gallery:
    """The items of an index, by position; threads may share it.

    Args:
        file: One row an item. Pictures are read when they are asked for, the others at once.
        further: Those beside the first ones.
    """

    def __init__(self, file: GalleryFile, further: FurtherThumbnails | None = None) -> None:
        self._table = file.read([name for name in SCHEMA.names if name != "thumbnail"]).combine_chunks()
        self._shown = [self._table.column(name) for name in _SHOWN_COLUMNS]
        self._thumbnails, self._further = Thumbnails(file), further
        self._codes: dict[str, tuple[dict[str, int], NDArray[np.int32]]] = {}

    @classmethod
    def load(cls, folder: Path) -> Gallery:
        """Read the gallery of a bundle.

        Raises:
            RetrievalError: The bundle has no index yet.
            BundleError: The file is no gallery.
        """
        return cls(GalleryFile(folder), FurtherThumbnails(folder))

    @property
    def size(self) -> int:
        """Number of items."""
        return int(self._table.num_rows)

    def item(self, position: int) -> GalleryItem:
        """Return what is shown of the item at a position."""
        return self.items([position])[0]

    def items(self, positions: Sequence[int]) -> list[GalleryItem]:
        """Return what is shown of the items at these positions, in their order."""
        if not positions:  # as what an answer hides mostly is
            return []
        # Cell by cell, which for a few takes half the time of taking rows.
        cells = [[column[position].as_py() for position in positions] for column in self._shown]
        rows = zip(positions, *cells, strict=True)
        return [
            GalleryItem(position, product_id, label, **dict(zip(DISPLAY_COLUMNS, row, strict=True)))
            for position, product_id, label, *row in rows
        ]

    def thumbnail(self, position: int) -> bytes:
        """Return an item's picture for screens: PNG or WEBP bytes."""
        return self._thumbnails.at(position)

    def picture(self, position: int, sha256: str | None) -> bytes:
        """Return the picture of an item with this hash as :meth:`thumbnail` does; its first one where it is not kept."""
        further = self._further.get(sha256) if sha256 and self._further else None
        return further or self.thumbnail(position)

    def preload(self) -> None:
        """Read all pictures, so that nobody waits for one later."""
        self._thumbnails.preload()

    @property
    def labels(self) -> NDArray[np.object_]:
        """Label of every item, (N,)."""
        return np.asarray(self._table.column("label").to_pylist(), dtype=np.object_)

    @property
    def splits(self) -> NDArray[np.str_]:
        """Split of every item, (N,)."""
        return np.asarray(self._table.column("split").to_pylist(), dtype=np.str_)

    @property
    def ids(self) -> list[str]:
        """Product id of every item, ascending."""
        return list(self._table.column("product_id").to_pylist())

    @property
    def id_column(self) -> pa.Array:
        """The same without making Python texts of them."""
        return self._table.column("product_id").combine_chunks()

    @property
    def has_groups(self) -> bool:
        """Whether any item is one of the variants of a product."""
        return bool(self._table.column("group_id").null_count < self.size)

    def codes(self, name: str) -> tuple[list[str], NDArray[np.int32]]:
        """Return a text column as its different texts and, for every item, the number of its own, (N,); -1 for none."""
        known, codes = self._encoded(name)
        return list(known), codes

    def group(self, position: int) -> str | None:
        """Return the group of the item at a position; None where it is in none."""
        found: str | None = self._table.column("group_id")[position].as_py()
        return found

    def position(self, product_id: str) -> int:
        """Return where a product is.

        Raises:
            RetrievalError: It is not in the gallery.
        """
        found = int(pc.index(self._table.column("product_id"), product_id).as_py())
        if found < 0:
            raise RetrievalError(
                f"There is no product {product_id[:_SHOWN]!r} in the gallery.",
                next_step="Use an id from an earlier answer.",
            )
        return found

    def positions(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return where products are, (P,); raises RetrievalError where one is not in the gallery."""
        return np.asarray([self.position(name) for name in ids], dtype=np.int64)

    def places(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return where products are, (P,); -1 for those that are not in the gallery."""
        found = pc.index_in(pa.array(ids, pa.string()), value_set=self._table.column("product_id"))
        places: NDArray[np.int64] = found.fill_null(-1).to_numpy().astype(np.int64)
        return places

    @property
    def sold_out(self) -> NDArray[np.bool_]:
        """Which items are known to be out of stock, bool (N,): what is not known is not taken for that."""
        return sold_out(self._table)

    def allowed(self, filters: Filters | None) -> NDArray[np.bool_] | None:
        """Return which items pass all filters, bool (N,); None where there is no filter.

        Raises:
            RetrievalError: A filter is unknown or its value has the wrong type; see ``backend.retrieval.filters``.
        """
        if not filters:
            return None
        mask = np.ones(self.size, dtype=np.bool_)
        for name, value in check_filters(filters).items():
            mask &= self._passing(name, value)
        return mask

    def _passing(self, name: str, value: Any) -> NDArray[np.bool_]:
        if name in NUMBER_FILTERS:
            column, _, end = name.rpartition("_")
            numbers = self._numbers(column)
            return np.greater_equal(numbers, value) if end == "min" else np.less_equal(numbers, value)
        if name in FLAG_FILTERS:
            has_any = self._numbers(name.removeprefix("in_")) > 0
            return has_any if value else ~has_any
        if name == "product_id":  # a million ids need no dictionary: those that are wanted are fewer
            found: NDArray[np.bool_] = np.asarray(pc.is_in(self._table.column(name), pa.array(value, pa.string())))
            return found
        known, codes = self._encoded(name)
        wanted = [known[text] for text in value if text in known]
        return np.isin(codes, wanted)

    def _numbers(self, name: str) -> NDArray[np.float64]:
        """Return a numeric column with NaN for what is not known; NaN passes no comparison."""
        values: NDArray[np.float64] = self._table.column(name).cast(pa.float64()).to_numpy()
        return values

    def _encoded(self, name: str) -> tuple[dict[str, int], NDArray[np.int32]]:
        """Return a text column as numbers, made once: comparing numbers is what keeps a filter under a millisecond."""
        if name not in self._codes:
            encoded = self._table.column(name).combine_chunks().dictionary_encode()
            codes: NDArray[np.int32] = encoded.indices.fill_null(-1).to_numpy().astype(np.int32)
            self._codes[name] = ({text: at for at, text in enumerate(encoded.dictionary.to_pylist())}, codes)
        return self._codes[name]


# ---------------------------------------------------------------------------------------------- the use cases


def build_gallery(
    snapshot: Snapshot,
    embedder: Embedder,
    folder: Path,
    *,
    splits: Sequence[str] = GALLERY_SPLITS,
    kind: Kind = EXACT,
    progress: Progress,
) -> bundle.IndexInfo:
    """Embed the pictures of these splits, further ones too, and index them in the bundle, sorted by product id.

    One pass serves both: all of them are searched, and scores are taken on those that are not of the test split.
    A picture that cannot be read is left out, logged and counted in the progress note; it never stops the build.
    Everything is made beside the bundle and moved in at the end: cancelled or failed, the bundle is as before.

    Raises:
        RetrievalError: No picture of these splits can be read.
        BundleError: The folder is no bundle.
        StorageFull: There is no space for the index.
        Cancelled: The user asked to stop.
    """
    bundle.read_manifest(folder)
    with disk_watched("build the index again"), bundle.workplace(folder, "index") as place:
        spill = place / "spill.arrow"
        with pa.OSFile(str(spill), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
            embedded = _embed(snapshot, embedder, splits, writer.write_batch, progress)
        order = np.asarray(pc.sort_indices(pa.array(embedded.ids, pa.string())))
        np.save(place / bundle.VECTORS, np.concatenate(embedded.vectors)[order])
        write_sorted(spill, [embedded.places[at] for at in order], place / bundle.GALLERY)
        write_further(snapshot, place, embedded_here(snapshot, lambda: embedder, place, progress))
        return put_in_place(folder, place, described(place, kind, splits, snapshot.ref), progress=progress)


def _embed(
    snapshot: Snapshot,
    embedder: Embedder,
    splits: Sequence[str],
    keep: Callable[[pa.RecordBatch], None],
    progress: Progress,
) -> Embedded:
    """Run all pictures of these splits that can be bought through the network once; ``keep`` gets rows as they come."""
    total = sum(count for split, count in snapshot.summary().by_split.items() if split in splits)
    batches = snapshot.batches(splits=splits, columns=WITH_PICTURES, batch_size=BATCH, on_sale_only=True)
    found = embed_batches(batches, embedder, SCHEMA, total=total, progress=progress, keep=keep)
    if not found.ids:
        raise RetrievalError(
            f"{snapshot.name} has no readable picture in {', '.join(splits)}.",
            next_step="Check on the Catalogue page that the catalogue is loaded and that its splits are as expected.",
        )
    return found
