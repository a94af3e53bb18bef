"""The products of a version together with their pictures, wherever these are.

Pictures are kept once, by the hash of their bytes, in a table that belongs to no version. Earlier versions of Twinset
stored each picture in the row of its product; such a version of a catalogue is read as it was written.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.delta import delta_log
from backend.catalogue.delta.stored_rows import StoredRows
from backend.catalogue.items import PICTURE_BYTES, PRODUCTS
from backend.catalogue.schemas import BYTES_SCHEMA, PICTURED_SCHEMA, PRODUCT_SCHEMA
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow.dataset as ds
    from deltalake import DeltaTable
    from numpy.typing import NDArray

IMAGE, HASH = "image", "image_sha256"
_MOST_BYTES = 2**31 - 1  # that an Arrow array of ordinary binaries holds
_KEPT_GROUPS = 4  # of pictures that were read last: rows beside each other mostly have theirs in one
_FEW = 1_000  # pictures to be looked for: then all others are passed by, and no table of them is made


def has_pictures(products: DeltaTable) -> bool:
    """Tell whether the version a table of products is opened at has the picture in each row, as earlier ones do."""
    return IMAGE in {field.name for field in products.schema().fields}


def place_of_pictures(folder: Path, version: int) -> tuple[Path, int]:
    """Return table and version in which a catalogue's version has its pictures, in columns image_sha256 and image."""
    products = folder / PRODUCTS
    if has_pictures(delta_log.open_table(products, version)):
        return products, version
    return folder / PICTURE_BYTES, delta_log.newest_version(folder / PICTURE_BYTES) or 0


class ProductRows(StoredRows):
    """The products of one version; a column ``image`` may be asked for like any other.

    Args:
        files, masks, schema: As :class:`StoredRows`; a schema with ``image`` is that of an earlier version.
        folder: Folder of the catalogue.
    """

    def __init__(
        self, files: Sequence[Path], masks: Mapping[Path, NDArray[np.bool_]], schema: pa.Schema, folder: Path
    ) -> None:
        super().__init__(files, masks, schema)
        self._own, self._folder = IMAGE in schema.names, folder
        self._read_last: OrderedDict[int, pa.ChunkedArray] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, table: DeltaTable, folder: Path) -> ProductRows:
        """Return the products of the version that a table is opened at."""
        schema = PICTURED_SCHEMA if has_pictures(table) else PRODUCT_SCHEMA
        return cls(delta_log.files_of(table), delta_log.masks_of(table), schema, folder)

    def masked(self, masks: Mapping[Path, NDArray[np.bool_]]) -> ProductRows:
        """Return the products without those that are masked; only files with a mask are left."""
        return ProductRows(list(masks), masks, self.schema, self._folder)

    @cached_property
    def pictures(self) -> StoredRows:
        """Where the pictures are: rows with image_sha256 and image, among them those of all these products."""
        if self._own:
            return self
        return delta_log.rows_of(delta_log.open_table(self._folder / PICTURE_BYTES), BYTES_SCHEMA)

    def places(self, hashes: pa.ChunkedArray) -> NDArray[np.int64]:
        """Return where pictures stand in :attr:`pictures`, by their hashes (N,); int64 (N,).

        Raises:
            CatalogueError: One is not there.
        """
        held, wanted = self._held, hashes.combine_chunks()
        if len(wanted) <= _FEW:
            found = np.flatnonzero(np.asarray(pc.is_in(held, value_set=wanted), dtype=np.bool_))
            at = pc.index_in(wanted, value_set=held.take(pa.array(found)).combine_chunks())
            places = at if at.null_count else pa.array(found).take(at)
        else:
            places = pc.index_in(wanted, value_set=held.combine_chunks())
        if places.null_count:
            raise CatalogueError(
                f"{places.null_count:,} pictures of the catalogue {self._folder.name} are missing.",
                next_step="Load the products again.",
            )
        return np.asarray(places, dtype=np.int64)

    def stored_places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where the first pictures of the products at these positions are in :attr:`pictures`."""
        return rows if self._own else self.places(super().table([HASH])[HASH].take(pa.array(rows)))

    def table(self, columns: Sequence[str], *, only: ds.Expression | None = None) -> pa.Table:
        """Return columns of all rows that pass ``only``, in their order; pictures all at once, for few of them."""
        return self._pictured(super().table(self._stored(columns), only=only), columns)

    def batches(
        self, columns: Sequence[str], *, only: ds.Expression | None = None, batch_size: int
    ) -> Iterator[pa.RecordBatch]:
        """Stream columns, pictures too, with at most ``batch_size`` rows at once and few in memory."""
        for batch in super().batches(self._stored(columns), only=only, batch_size=batch_size):
            yield from self._pictured(pa.Table.from_batches([batch]), columns).combine_chunks().to_batches()

    def take(self, positions: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
        """Return the rows at these positions, in their order; memory grows with the row groups touched."""
        return self._pictured(super().take(positions, self._stored(columns)), columns)

    # ------------------------------------------------------------------------------------------- inside

    @cached_property
    def _held(self) -> pa.ChunkedArray:
        return self.pictures.table([HASH])[HASH]

    def _stored(self, columns: Sequence[str]) -> list[str]:
        """Return the columns to read for those asked for: where pictures are elsewhere, their hashes."""
        if self._own or IMAGE not in columns:
            return list(columns)
        return list(dict.fromkeys([*(name for name in columns if name != IMAGE), HASH]))

    def _pictured(self, rows: pa.Table, columns: Sequence[str]) -> pa.Table:
        if not self._own and IMAGE in columns:
            rows = rows.append_column(IMAGE, self._images(self.places(rows[HASH])))
        return rows.select(list(columns))

    def _images(self, places: NDArray[np.int64]) -> pa.Array:
        """Read pictures, a row group after the other; the last ones stay for whoever asks for rows beside these."""
        starts, groups = self.pictures.starts, self.pictures.row_groups
        owners = np.searchsorted(starts, places, side="right") - 1
        parts = [pa.array([], pa.binary())]
        with self._lock:
            for owner in np.unique(owners):
                mine = places[owners == owner] - starts[owner]
                found = self._group_images(int(owner), int(starts[owner]), groups[owner].size)
                parts.append(found.take(pa.array(mine)).combine_chunks())
        if sum(part.nbytes for part in parts) > _MOST_BYTES:
            parts = [part.cast(pa.large_binary()) for part in parts]
        back = np.argsort(np.argsort(owners, kind="stable"), kind="stable")
        return pa.concat_arrays(parts).take(pa.array(back))

    def _group_images(self, number: int, start: int, size: int) -> pa.ChunkedArray:
        if number not in self._read_last:
            self._read_last[number] = self.pictures.take(np.arange(start, start + size), [IMAGE])[IMAGE]
        self._read_last.move_to_end(number)
        while len(self._read_last) > _KEPT_GROUPS:
            self._read_last.popitem(last=False)
        return self._read_last[number]
