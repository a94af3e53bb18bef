"""What Arrow is told of the table's constraints is what Delta is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from backend.catalogue.items import PRODUCT_COLUMNS, PRODUCT_CONSTRAINTS
from backend.catalogue.loading.constraints import _conditions, broken_constraint, require_storable
from backend.catalogue.schemas import PRODUCT_SCHEMA
from backend.errors import CatalogueError

GOOD = {
    "product_id": "p1",
    "image": b"bytes",
    "image_sha256": "a" * 64,
    "width": 1,
    "height": 1,
    "channels": 3,
    "label": "Bag",
    "split": "train",
    "source": "shop",
    "ingested_at": datetime(2026, 11, 24, tzinfo=UTC),
}


def rows(**changes):
    return pa.Table.from_pylist([GOOD, {**GOOD, **changes}], schema=PRODUCT_SCHEMA)


def test_every_constraint_of_the_table_has_its_twin():
    assert list(_conditions()) == [name for name, _ in PRODUCT_CONSTRAINTS]


@pytest.mark.parametrize("changes", [{}, {"price": 0.0, "stock": 0}, {"label": "", "split": "gallery-only"}])
def test_good_rows_break_none(changes):
    assert broken_constraint(rows(**changes)) is None
    require_storable(rows(**changes))


@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
        ("split", "tset", "split_known"),
        ("price", -1.0, "price_not_negative"),
        ("stock", -1, "stock_not_negative"),
        ("image_sha256", "abc", "sha256_complete"),
        ("width", 0, "size_positive"),
        ("channels", 4, "channels_known"),
        ("image", b"", "picture_not_empty"),
        ("product_id", "", "id_not_empty"),
        ("label", "", "unlabelled_gallery_only"),
        *((name, None, f"NOT NULL {name}") for name, _, nullable in PRODUCT_COLUMNS if not nullable),
    ],
)
def test_a_bad_row_breaks_the_one_that_delta_names(column, value, constraint):
    assert broken_constraint(rows(**{column: value})) == constraint
    with pytest.raises(CatalogueError, match=constraint):
        require_storable(rows(**{column: value}))
