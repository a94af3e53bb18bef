"""A collection as a file: CSV for a spreadsheet, a zip file that loads as products, and a CSV read as a collection."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

from backend.access.person import Role
from backend.access.use_case import use_case, words
from backend.catalogue.fields import details_of
from backend.catalogue.items import DISPLAY_COLUMNS
from backend.catalogue.sources.tables.csv_table import CsvTable
from backend.catalogue.sources.tables.files import TableFile
from backend.errors import CatalogueError
from backend.files import sheet_text
from backend.files.sheet_text import unguarded
from backend.imaging.pixels import kind_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from backend.catalogue.items import Product
    from backend.catalogue.snapshot import Snapshot
    from backend.merchandising.collections.collection import Collection

ID, COMMENT, IMAGE, LABEL = "product_id", "comment", "image", "label"
_CALLED = (ID, "product id", "product", "sku", "id")
_AT_ONCE = 64  # products with their pictures in memory


def products_of(one: Collection, snapshot: Snapshot) -> Iterator[Product]:
    """Give the products of a collection in their order; those that the catalogue does not have are passed over."""
    for start in range(0, len(one.products), _AT_ONCE):
        yield from snapshot.products(one.products[start : start + _AT_ONCE])


def gone(one: Collection, known: frozenset[str]) -> list[str]:
    """Return the products of a collection that are not among those that can be answered, in their order."""
    return [name for name in one.products if name not in known]


@use_case(
    "collections.export",
    Role.MERCHANDISER,
    about=lambda one, snapshot: words(catalogue=snapshot.name, version=snapshot.version, collection=one.id, kind="csv"),
)
def as_csv(one: Collection, snapshot: Snapshot) -> str:
    """Return a collection as CSV: id, comment and what is known of each product; those that are gone have no more than that.

    Text that a spreadsheet would run as a formula is marked as text. Columns that nothing is known for are left out.
    """
    rows = {product.product_id: _row(product) for product in products_of(one, snapshot)}
    return _written([rows.get(name, {ID: name}) for name in one.products], one)


@use_case(
    "collections.export",
    Role.MERCHANDISER,
    about=lambda one, snapshot: words(catalogue=snapshot.name, version=snapshot.version, collection=one.id, kind="zip"),
)
def as_zip(one: Collection, snapshot: Snapshot) -> bytes:
    """Return a collection as a zip file with a table and its pictures, which can be loaded as products.

    Products that the catalogue does not have are left out: they have no picture.
    """
    buffer, rows = io.BytesIO(), []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for number, product in enumerate(products_of(one, snapshot), 1):
            name = f"images/{number:04d}.{(kind_of(product.image) or 'PNG').lower()}"
            archive.writestr(name, product.image)
            rows.append({**_row(product), IMAGE: name})
        archive.writestr("collection.csv", _written(rows, one), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def from_csv(path: Path) -> dict[str, str]:
    """Read a CSV with a column of product ids, and comments where there is a column of that name.

    Returns:
        The comment on each product, in the order of the rows; empty where there is none. An id again counts once.

    Raises:
        CatalogueError: The file cannot be read as CSV, or has no column of ids; the message says which row is wrong.
    """
    table = CsvTable(TableFile(path))
    columns = {" ".join(name.lower().replace("_", " ").split()): name for name in reversed(list(table.columns()))}
    ids = next((columns[name] for name in (one.replace("_", " ") for one in _CALLED) if name in columns), "")
    if not ids:
        raise CatalogueError(f"{path.name} has no column of product ids.", next_step=f"Call a column {ID}.")
    found: dict[str, str] = {}
    for number, row in enumerate(table.rows(None), 2):
        if row.problem and row.problem.startswith("empty_row"):
            continue
        name = "" if row.problem else unguarded(str(row.values.get(ids) or "").strip())
        if not name:
            raise CatalogueError(f"Row {number:,} of {path.name} has no product id.", next_step="Correct or remove it.")
        found.setdefault(name, unguarded(str(row.values.get(columns.get(COMMENT, "")) or "").strip()))
    return found


def _row(product: Product) -> dict[str, Any]:
    return {ID: product.product_id, LABEL: product.label, **details_of(product)}


def _written(rows: Sequence[dict[str, Any]], one: Collection) -> str:
    comments = one.comment_of
    filled = {name for row in rows for name, value in row.items() if value not in {None, ""}}
    columns = [ID, *(name for name in (IMAGE, LABEL, *DISPLAY_COLUMNS) if name in filled)]
    cells = ([*(row.get(name) for name in columns), comments.get(row[ID], "")] for row in rows)
    return sheet_text.as_csv([[*columns, COMMENT], *cells])
