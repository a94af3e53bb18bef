"""The CHECK constraints of a catalogue's tables for rows that are in Python's hands, before they become a file of one.

Spark checks what it writes itself. Files that Python wrote are checked before, by the same conditions, written once more
for Arrow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from backend.catalogue.items import ROLES, SPLITS, UNLABELLED
from backend.errors import CatalogueError

if TYPE_CHECKING:
    import pyarrow as pa

    from backend.catalogue.delta.delta_table import Columns, Constraints


def _conditions() -> dict[str, pc.Expression]:
    """Return the twin of every condition of a constraint in :mod:`backend.catalogue.items`, by its name."""
    field = pc.field
    return {
        "id_not_empty": pc.utf8_length(field("product_id")) > 0,
        "picture_not_empty": pc.binary_length(field("image")) > 0,
        "sha256_complete": pc.utf8_length(field("image_sha256")) == 64,
        "size_positive": (field("width") > 0) & (field("height") > 0),
        "channels_known": field("channels").isin([1, 3]),
        "position_not_negative": field("position") >= 0,
        "role_known": field("role").isin(list(ROLES)),
        "split_known": field("split").isin(list(SPLITS)),
        "unlabelled_gallery_only": (field("label") != UNLABELLED) | (field("split") == "gallery-only"),
        "price_not_negative": field("price").is_null() | (field("price") >= 0),
        "stock_not_negative": field("stock").is_null() | (field("stock") >= 0),
        "sale_price_not_negative": field("sale_price").is_null() | (field("sale_price") >= 0),
    }


def broken_constraint(rows: pa.Table, columns: Columns, constraints: Constraints) -> str | None:
    """Return the name of the first constraint that a row breaks, ``NOT NULL <column>`` among them; None if all hold."""
    for name, _, nullable in columns:
        if not nullable and rows[name].null_count:
            return f"NOT NULL {name}"
    conditions = _conditions()
    for name, _ in constraints:
        if rows.filter(conditions[name]).num_rows != rows.num_rows:
            return name
    return None


def require_storable(rows: pa.Table, columns: Columns, constraints: Constraints) -> None:
    """Refuse rows that a table would refuse.

    Raises:
        CatalogueError: A row breaks a constraint.
    """
    if broken := broken_constraint(rows, columns, constraints):
        raise CatalogueError(
            f"A row breaks the table's constraint {broken}; nothing was kept.", next_step="Report this, please."
        )
