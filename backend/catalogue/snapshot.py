"""A catalogue at one version, read without a JVM: counts, pages of pictures, columns, and streams for training.

The Delta log gives the list of files, and pyarrow reads them; what the page of a catalogue needs comes in milliseconds.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from backend.bundles.bundle import CatalogueRef
from backend.catalogue.delta import delta_log
from backend.catalogue.fields import TEXTS
from backend.catalogue.items import (
    DISPLAY_COLUMNS,
    FURTHER,
    PICTURES,
    PRODUCTS,
    QUARANTINE,
    CatalogueSummary,
    Product,
    Rejected,
)
from backend.catalogue.noted import noted_version
from backend.catalogue.pictured import ProductRows
from backend.catalogue.schemas import PICTURE_SCHEMA, QUARANTINE_SCHEMA
from backend.errors import CatalogueNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from deltalake import DeltaTable
    from numpy.typing import NDArray

    from backend.catalogue.delta.stored_rows import StoredRows

_PRODUCT_FIELDS = ("product_id", "label", "split", "image", *DISPLAY_COLUMNS, "withdrawn_at")
_REJECTED_FIELDS = ("product_id", "reason", "image", "label", "split", "source", *DISPLAY_COLUMNS, "source_row")
_KEYS = ("product_id", "label", "split", "withdrawn_at")
_SEARCHED = ("product_id", "label", *TEXTS)
_KEPT_PAGES = 16
_NEXT = "Load it on the Catalogue page, or with `python -m backend catalogue ingest`."


def list_catalogues(catalogues_dir: Path) -> list[str]:
    """Return the names of the catalogues that hold a load, in alphabetical order; other folders are passed over."""
    if not catalogues_dir.is_dir():
        return []
    folders = sorted(path for path in catalogues_dir.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [path.name for path in folders if (delta_log.newest_version(path / PRODUCTS) or 0) > 0]


def open_snapshot(catalogues_dir: Path, name: str, version: int | None = None) -> Snapshot:
    """Open a catalogue at its newest version, or at the one asked for.

    Raises:
        CatalogueNotFound: There is no such catalogue, or it has no such version.
        CatalogueError: The name cannot be one.
    """
    folder = delta_log.catalogue_folder(catalogues_dir, name)
    newest = delta_log.newest_version(folder / PRODUCTS)
    if not newest:  # version 0 is the empty table
        raise CatalogueNotFound(f"There is no catalogue {name}.", next_step=_NEXT)
    if version is not None and not 1 <= version <= newest:
        raise CatalogueNotFound(
            f"The catalogue {name} has no version {version}.", next_step=f"Its versions are 1 to {newest}."
        )
    return Snapshot(folder, delta_log.open_table(folder / PRODUCTS, version))


class Snapshot:
    """A catalogue at one version: it does not change while it is read; threads may share it.

    Build it with :func:`open_snapshot`. Ids, labels and splits are read once; pictures only for what is asked.
    """

    def __init__(self, folder: Path, table: DeltaTable) -> None:
        self._folder = folder
        self._commit = delta_log.commit_of(folder / PRODUCTS, table.version())
        self._rows = ProductRows.of(table, folder)
        self._pages: OrderedDict[tuple[Any, ...], tuple[list[Product], int]] = OrderedDict()
        self._lock = threading.RLock()
        self.name = folder.name
        self.version = int(table.version())

    def __repr__(self) -> str:
        return f"Snapshot({self.name!r}, version={self.version})"

    @property
    def ref(self) -> CatalogueRef:
        """Name and version, as everything downstream quotes them."""
        return CatalogueRef(self.name, self.version)

    @property
    def catalogues_dir(self) -> Path:
        """Folder of all catalogues, from which another process can open the same version."""
        return self._folder.parent

    @property
    def rows(self) -> ProductRows:
        """The products as they are stored, by file and row group, for what reads them in parts."""
        return self._rows

    def summary(self) -> CatalogueSummary:
        """Return the catalogue in counts."""
        by_label: dict[str, dict[str, int]] = {}
        by_split: dict[str, int] = {}
        for label, split, count in self._counts():
            by_label.setdefault(label, {})[split] = count
            by_split[split] = by_split.get(split, 0) + count
        committed = datetime.fromtimestamp(self._commit.get("timestamp", 0) / 1000, UTC)
        quarantine = self._quarantine()
        return CatalogueSummary(
            name=self.name,
            version=self.version,
            committed_at=committed.isoformat(timespec="seconds"),
            rows=sum(by_split.values()),
            quarantined=len(quarantine) if quarantine else 0,
            withdrawn=len(self._keys) - int(self._on_sale.sum()),
            by_split=by_split,
            by_label=by_label,
        )

    def page(
        self,
        *,
        offset: int,
        limit: int,
        split: str | None = None,
        label: str | None = None,
        search: str = "",
        only: tuple[str, ...] | None = None,
    ) -> tuple[list[Product], int]:
        """Return some of the products that match, with their pictures, ordered by product_id.

        Args:
            offset: Products to pass over.
            limit: Products to return, at most.
            split: Only this split.
            label: Only this label.
            search: Only products with this text in id, label or any field of text; case does not matter.
            only: Only products with these ids.

        Returns: The products, and how many match in all.
        """
        key = (offset, limit, split, label, search, only)
        with self._lock:
            if key not in self._pages:
                matching = self._matching(split, label, search.strip(), only)
                self._pages[key] = (self._products_at(matching[offset : offset + limit]), len(matching))
            self._pages.move_to_end(key)
            if len(self._pages) > _KEPT_PAGES:
                self._pages.popitem(last=False)
            products, total = self._pages[key]
        return list(products), total

    def ids(self, split: str | None = None, label: str | None = None, search: str = "") -> list[str]:
        """Return the ids of all products that match, as :meth:`page` finds them."""
        ids = self._keys["product_id"].take(pa.array(self._matching(split, label, search.strip(), None)))
        return list(ids.to_pylist())

    def product(self, product_id: str) -> Product:
        """Return one product.

        Raises:
            CatalogueNotFound: There is no such product.
        """
        found = self.products([product_id])
        if not found:
            raise CatalogueNotFound(
                f"The catalogue {self.name} has no product {product_id}.", next_step="Choose one on its page."
            )
        return found[0]

    def products(self, ids: Sequence[str]) -> list[Product]:
        """Return the products with these ids, in that order; ids that it does not have are passed over."""
        positions = pc.index_in(pa.array(list(ids), pa.string()), value_set=self._keys["product_id"].combine_chunks())
        return self._products_at(np.asarray(positions.drop_null(), dtype=np.int64))

    def columns(
        self, names: Sequence[str], *, splits: Sequence[str] | None = None, on_sale_only: bool = False
    ) -> pa.Table:
        """Return columns of all products, or of those in some splits, ordered by product_id.

        It is all in memory at once: for columns without pictures. ``on_sale_only`` leaves out withdrawn products.
        """
        table = self._rows.table(list(names))
        keep = self._order
        if splits is not None:
            keep = keep[self._in_splits(splits)[keep]]
        if on_sale_only:
            keep = keep[self._on_sale[keep]]
        return table.take(pa.array(keep)) if len(keep) != table.num_rows or not self._is_ordered else table

    def batches(
        self, *, splits: Sequence[str] | None, columns: Sequence[str], batch_size: int, on_sale_only: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """Stream columns, pictures too, in stored order, with at most ``batch_size`` rows at once and few in memory."""
        only = None if splits is None else ds.field("split").isin(list(splits))
        if on_sale_only:
            on_sale = ds.field("withdrawn_at").is_null()
            only = on_sale if only is None else only & on_sale
        return self._rows.batches(columns, only=only, batch_size=batch_size)

    def further_pictures(self) -> pa.Table:
        """Return the pictures of all products beside their first ones: columns of the table ``pictures``, in any order."""
        version = noted_version(self._folder, self.version, PICTURES)
        if not version:  # as an earlier version of Twinset made it
            return PICTURE_SCHEMA.empty_table()
        rows = delta_log.rows_of(delta_log.open_table(self._folder / PICTURES, version), PICTURE_SCHEMA)
        return rows.table(PICTURE_SCHEMA.names, only=ds.field("role") == FURTHER)

    def rejected(self, *, limit: int, offset: int = 0) -> list[Rejected]:
        """Return rows of the quarantine as this version left it, in the order of reason and id, with their bytes."""
        quarantine = self._quarantine()
        if quarantine is None:
            return []
        order = quarantine.table(["reason", "product_id"])
        by_reason = pc.sort_indices(order, sort_keys=[("reason", "ascending"), ("product_id", "ascending")])
        wanted = np.asarray(by_reason, dtype=np.int64)[offset : offset + limit]
        return [Rejected(**row) for row in quarantine.take(wanted, _REJECTED_FIELDS).to_pylist()]

    def rejected_by_reason(self) -> dict[str, int]:
        """Count the rows of the quarantine by the first word of their reason."""
        quarantine = self._quarantine()
        reasons = quarantine.table(["reason"])["reason"].to_pylist() if quarantine else []
        return dict(sorted(Counter(reason.partition(":")[0] for reason in reasons).items()))

    # ------------------------------------------------------------------------------------------- inside

    def _products_at(self, positions: NDArray[np.int64]) -> list[Product]:
        rows = self._rows.take(positions, _PRODUCT_FIELDS).to_pylist()
        withdrawn = [row.pop("withdrawn_at") is not None for row in rows]
        return [Product(**row, is_withdrawn=gone) for row, gone in zip(rows, withdrawn, strict=True)]

    @cached_property
    def _keys(self) -> pa.Table:
        """Ids, labels, splits and what is on sale, in stored order."""
        return self._rows.table(list(_KEYS)).combine_chunks()

    @cached_property
    def _on_sale(self) -> NDArray[np.bool_]:
        return np.asarray(pc.is_null(self._keys["withdrawn_at"]), dtype=np.bool_)

    @cached_property
    def _is_ordered(self) -> bool:
        ids = self._keys["product_id"]
        return pc.all(pc.less(ids.slice(0, max(len(ids) - 1, 0)), ids.slice(1))).as_py() is not False

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """Stored positions in the order of product_id; our own loads are stored so."""
        if self._is_ordered:
            return np.arange(len(self._keys), dtype=np.int64)
        return np.asarray(pc.sort_indices(self._keys["product_id"]), dtype=np.int64)

    @cached_property
    def _search_columns(self) -> list[pa.ChunkedArray]:
        columns: list[pa.ChunkedArray] = self._rows.table(list(_SEARCHED)).columns
        return columns

    def _in_splits(self, splits: Sequence[str]) -> NDArray[np.bool_]:
        return np.asarray(pc.is_in(self._keys["split"], pa.array(list(splits), pa.string())))

    def _matching(
        self, split: str | None, label: str | None, search: str, only: tuple[str, ...] | None
    ) -> NDArray[np.int64]:
        matches = np.ones(len(self._keys), dtype=np.bool_)
        if split is not None:
            matches &= self._in_splits([split])
        if label is not None:
            matches &= np.asarray(pc.equal(self._keys["label"], label))
        if only is not None:
            matches &= np.asarray(pc.is_in(self._keys["product_id"], pa.array(only, pa.string())))
        if search:
            found = [pc.match_substring(column, search, ignore_case=True) for column in self._search_columns]
            matches &= np.any([np.asarray(pc.fill_null(hits, fill_value=False)) for hits in found], axis=0)
        matching: NDArray[np.int64] = self._order[matches[self._order]]
        return matching

    def _counts(self) -> list[tuple[str, str, int]]:
        grouped = self._keys.group_by(["label", "split"]).aggregate([("product_id", "count")])
        rows = [(row["label"], row["split"], int(row["product_id_count"])) for row in grouped.to_pylist()]
        return sorted(rows)

    def _quarantine(self) -> StoredRows | None:
        """Return the quarantine as this version left it, which the note of its commit names, or of one before it."""
        version = noted_version(self._folder, self.version, QUARANTINE)
        if not version:  # none, or the empty table
            return None
        return delta_log.rows_of(delta_log.open_table(self._folder / QUARANTINE, version), QUARANTINE_SCHEMA)
