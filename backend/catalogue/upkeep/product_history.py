"""What became of one product, version by version: what changed about it, when, and by what; read without a JVM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.dataset as ds

from backend.catalogue.delta import delta_log
from backend.catalogue.delta.delta_log import catalogue_folder
from backend.catalogue.items import DETAIL_COLUMNS, PRODUCTS, Product
from backend.catalogue.schemas import PRODUCT_SCHEMA
from backend.catalogue.upkeep.change_rows import SCHEMA
from backend.catalogue.upkeep.changes import Change, columns_of, differences
from backend.catalogue.upkeep.history import HistoryEntry, history

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

LOOKED_AT = 60  # versions; a product's page is to be there at once
_STILL = frozenset({"OPTIMIZE", "REORG", "VACUUM START", "VACUUM END"})  # rows are the same before and after


@dataclass(frozen=True, slots=True)
class Happened:
    """What a version did to a product.

    Attributes:
        entry: The version.
        before: The version that it is compared with; 0 where the product, or all before, is not known.
        change: What differs; its products come without their pictures.
    """

    entry: HistoryEntry
    before: int
    change: Change


@dataclass(frozen=True, slots=True)
class ProductHistory:
    """What became of a product, newest first.

    Attributes:
        happened: The versions that changed it; the last one is that in which it is first seen.
        oldest: The oldest version that was looked at: what was before is not known.
    """

    happened: tuple[Happened, ...]
    oldest: int

    @property
    def gone(self) -> Happened | None:
        """Since when the catalogue does not hold it any more; None where it does, or never did."""
        return next((one for one in self.happened[:1] if one.change.kind == "gone"), None)

    @property
    def withdrawn(self) -> Happened | None:
        """Since when it is withdrawn; None where it is on sale, gone, or was withdrawn when it was first seen."""
        back = next((one for one in self.happened if one.change.kind not in ("changed", "gone")), None)
        return back if back is not None and back.change.kind == "withdrawn" and self.gone is None else None


def product_history(catalogues_dir: Path, name: str, product_id: str, *, limit: int = LOOKED_AT) -> ProductHistory:
    """Return what became of a product over the newest ``limit`` versions that can be read.

    Raises:
        CatalogueNotFound: There is no such catalogue.
        CatalogueError: Its log or a file is damaged.
    """
    folder = catalogue_folder(catalogues_dir, name)
    entries = [one for one in history(folder, limit=limit) if one.version and one.is_readable][::-1]
    found: list[Happened] = []
    before, last = SCHEMA.empty_table(), 0
    for entry in entries:
        if entry.operation in _STILL and last:
            continue
        after = _row(folder / PRODUCTS, entry.version, product_id)
        for row in differences(before, after).to_pylist():
            change = Change(product_id, row["kind"], _product(before), _product(after), columns_of(row["columns"]))
            found.append(Happened(entry, last, change))
        before, last = after, entry.version
    return ProductHistory(tuple(found[::-1]), entries[0].version if entries else 0)


def _row(table: Path, version: int, product_id: str) -> pa.Table:
    """Return the product's row at a version, as :data:`SCHEMA` has it: one, or none."""
    rows = delta_log.rows_of(delta_log.open_table(table, version), PRODUCT_SCHEMA)
    return rows.table(SCHEMA.names, only=ds.field("product_id") == product_id)


def _product(rows: pa.Table) -> Product | None:
    """Return the product of a row, without its picture."""
    row: dict[str, Any] | None = next(iter(rows.to_pylist()), None)
    if row is None:
        return None
    details = {name: row[name] for name in DETAIL_COLUMNS}
    return Product(product_id=row["product_id"], image=b"", is_withdrawn=row["withdrawn_at"] is not None, **details)
