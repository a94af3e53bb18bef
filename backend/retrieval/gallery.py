"""The gallery of a bundle: what is shown of every item that can be answered, in the order of its vectors.

:func:`build_gallery` makes it. Pictures stream through: in memory are, at any time, two batches of pictures, and the
ids and vectors of all.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backend import bundle
from backend.catalogue.items import DISPLAY_COLUMNS, GALLERY_SPLITS
from backend.errors import RetrievalError, StorageFull, is_disk_full
from backend.retrieval.filters import check_filters
from backend.retrieval.gallery_rows import QUERY_SCHEMA, SCHEMA, decoded_ahead, write_sorted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.snapshot import Snapshot
    from backend.progress import Progress
    from backend.retrieval.embedder import Embedder
    from backend.retrieval.filters import Filters

_REBUILD = "Build the index of this model again."
BATCH = 512  # pictures decoded and embedded at once


@dataclass(frozen=True, slots=True)
class GalleryItem:
    """One gallery item as screens show it; ``price`` and the texts are None where the catalogue has none."""

    position: int
    product_id: str
    label: str
    title: str | None
    category: str | None
    brand: str | None
    colour: str | None
    price: float | None
    stock: int | None


class Gallery:
    """The items of an index, by position.

    Args:
        table: Columns of ``SCHEMA``, one row an item.
    """

    def __init__(self, table: pa.Table) -> None:
        if table.schema.names != SCHEMA.names:
            raise RetrievalError(f"The gallery has the columns {table.schema.names}.", next_step=_REBUILD)
        self._table = table
        self._codes: dict[str, tuple[dict[str, int], NDArray[np.int32]]] = {}

    @classmethod
    def load(cls, folder: Path) -> Gallery:
        """Read the gallery of a bundle that has been verified.

        Raises:
            RetrievalError: The bundle has no index yet, or the file is no gallery.
        """
        path = folder / bundle.GALLERY
        if not path.is_file():
            raise _no_index(folder)
        try:
            return cls(pq.read_table(path))
        except (pa.ArrowException, OSError) as error:
            raise RetrievalError(f"{path.name} of {folder.name} cannot be read.", next_step=_REBUILD) from error

    @property
    def size(self) -> int:
        """Number of items."""
        return int(self._table.num_rows)

    def item(self, position: int) -> GalleryItem:
        """Return what is shown of the item at a position."""
        names = ("product_id", "label", *DISPLAY_COLUMNS)
        return GalleryItem(position, **{name: self._table.column(name)[position].as_py() for name in names})

    def thumbnail(self, position: int) -> bytes:
        """Return an item's picture for screens: PNG or WEBP bytes."""
        return bytes(self._table.column("thumbnail")[position].as_py())

    @property
    def labels(self) -> NDArray[np.str_]:
        """Label of every item, (N,)."""
        return np.asarray(self._table.column("label").to_pylist(), dtype=np.str_)

    @property
    def ids(self) -> list[str]:
        """Product id of every item, ascending."""
        return list(self._table.column("product_id").to_pylist())

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
        if name == "price_min":
            return np.greater_equal(self._numbers("price"), value)
        if name == "price_max":
            return np.less_equal(self._numbers("price"), value)
        if name == "in_stock":
            has_stock = self._numbers("stock") > 0
            return has_stock if value else ~has_stock
        numbers, codes = self._encoded(name)
        wanted = [numbers[text] for text in value if text in numbers]
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


def load_vectors(folder: Path) -> NDArray[np.float32]:
    """Open the embeddings of a bundle memory-mapped, float32 (N, D), in the order of its gallery.

    Raises:
        RetrievalError: The bundle has no index yet, or the file holds no float32 matrix.
    """
    path = folder / bundle.VECTORS
    if not path.is_file():
        raise _no_index(folder)
    try:
        vectors: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise RetrievalError(f"{path.name} of {folder.name} cannot be read.", next_step=_REBUILD) from error
    if vectors.ndim != 2 or vectors.dtype != np.float32:
        raise RetrievalError(f"{path.name} of {folder.name} is no float32 matrix.", next_step=_REBUILD)
    return vectors


def _no_index(folder: Path) -> RetrievalError:
    return RetrievalError(f"{folder.name} has no index yet.", next_step="Build it: `python -m backend index`.")


# ---------------------------------------------------------------------------------------------- the use cases


@dataclass(slots=True)
class _Embedded:
    """What is kept in memory of the pictures read so far."""

    ids: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)  # of each row: (batch, row in it)


@dataclass(frozen=True, slots=True)
class EmbeddedSplit:
    """The M readable pictures of some splits, in stored order: ids, labels (M,) and embeddings (M, D)."""

    ids: tuple[str, ...]
    labels: NDArray[np.str_]
    vectors: NDArray[np.float32]


def build_gallery(
    snapshot: Snapshot,
    embedder: Embedder,
    folder: Path,
    *,
    splits: Sequence[str] = GALLERY_SPLITS,
    progress: Progress,
) -> bundle.IndexInfo:
    """Embed the pictures of these splits and index them in the bundle, sorted by product id.

    A picture that cannot be read is left out, logged and counted in the progress note; it never stops the build.
    Everything is made beside the bundle and moved in at the end: cancelled or failed, the bundle is as before.

    Raises:
        RetrievalError: No picture of these splits can be read.
        BundleError: The folder is no bundle.
        StorageFull: There is no space for the index.
        Cancelled: The user asked to stop.
    """
    manifest = bundle.read_manifest(folder)
    try:
        with bundle.workplace(folder, "index") as place:
            spill = place / "spill.arrow"
            with pa.OSFile(str(spill), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
                embedded = _embed(snapshot, embedder, SCHEMA, splits, progress, keep=writer.write_batch)
            order = np.asarray(pc.sort_indices(pa.array(embedded.ids, pa.string())))
            np.save(place / bundle.VECTORS, np.concatenate(embedded.vectors)[order])
            write_sorted(spill, [embedded.places[at] for at in order], place / bundle.GALLERY)
            progress.check_cancelled()
            for name in (bundle.VECTORS, bundle.GALLERY):
                (place / name).replace(folder / name)
    except (OSError, pa.ArrowException) as error:
        if is_disk_full(error):
            raise StorageFull("The disk is full.", next_step="Free some space and build the index again.") from error
        raise
    info = bundle.IndexInfo("exact", len(embedded.ids), tuple(splits), snapshot.ref)
    bundle.write_manifest(folder, replace(manifest, index=info))
    return info


def embed_split(
    snapshot: Snapshot, embedder: Embedder, *, splits: Sequence[str] = ("test",), progress: Progress
) -> EmbeddedSplit:
    """Embed the pictures of these splits as queries; unreadable ones are left out as in :func:`build_gallery`.

    Raises:
        RetrievalError: No picture of these splits can be read.
        Cancelled: The user asked to stop.
    """
    embedded = _embed(snapshot, embedder, QUERY_SCHEMA, splits, progress)
    return EmbeddedSplit(tuple(embedded.ids), np.asarray(embedded.labels), np.concatenate(embedded.vectors))


def _embed(
    snapshot: Snapshot,
    embedder: Embedder,
    schema: pa.Schema,
    splits: Sequence[str],
    progress: Progress,
    *,
    keep: Callable[[pa.RecordBatch], None] | None = None,
) -> _Embedded:
    """Run all pictures of these splits through the network once; ``keep`` gets their rows as they come."""
    total = sum(count for split, count in snapshot.summary().by_split.items() if split in splits)
    columns = [*(name for name in schema.names if name != "thumbnail"), "image"]
    # A gallery holds what can be bought; a query may be anything.
    batches = snapshot.batches(splits=splits, columns=columns, batch_size=BATCH, on_sale_only=keep is not None)
    found = _Embedded()
    skipped = 0
    for number, part in enumerate(decoded_ahead(batches, embedder.spec, schema)):
        progress.check_cancelled()
        found.ids += part.rows.column("product_id").to_pylist()
        found.labels += part.rows.column("label").to_pylist()
        found.places += [(number, row) for row in range(part.rows.num_rows)]
        if keep:
            keep(part.rows)
        if len(part.pixels):
            found.vectors.append(embedder.embed(part.pixels))
        skipped += len(part.unreadable)
        done = len(found.ids) + skipped
        note = f"{skipped:,} unreadable, left out" if skipped else ""
        progress.report(done, max(total, done), unit="pictures", note=note)
    if not found.ids:
        raise RetrievalError(
            f"{snapshot.name} has no readable picture in {', '.join(splits)}.",
            next_step="Look at the catalogue page: is the catalogue loaded, and are its splits what you expect?",
        )
    return found
