"""What Arrow is told of the table's constraints is what Delta is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from backend.catalogue.items import (
    BYTES_COLUMNS,
    BYTES_CONSTRAINTS,
    PICTURE_COLUMNS,
    PICTURE_CONSTRAINTS,
    PRODUCT_COLUMNS,
    PRODUCT_CONSTRAINTS,
)
from backend.catalogue.loading.constraints import _conditions, broken_constraint, require_storable
from backend.catalogue.schemas import arrow_schema
from backend.errors import CatalogueError

GOOD = {
    "product_id": "p1",
    "position": 0,
    "role": "first",
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


TABLES = (
    (PRODUCT_COLUMNS, PRODUCT_CONSTRAINTS),
    (PICTURE_COLUMNS, PICTURE_CONSTRAINTS),
    (BYTES_COLUMNS, BYTES_CONSTRAINTS),
)


def broken(columns, constraints, **changes):
    names = [name for name, _, _ in columns]
    rows = [{name: row.get(name) for name in names} for row in (GOOD, {**GOOD, **changes})]
    return broken_constraint(pa.Table.from_pylist(rows, schema=arrow_schema(columns)), columns, constraints)


def test_every_constraint_of_a_table_has_its_twin():
    assert {*_conditions()} == {name for _, constraints in TABLES for name, _ in constraints}


@pytest.mark.parametrize("changes", [{}, {"price": 0.0, "stock": 0}, {"label": "", "split": "gallery-only"}])
def test_good_rows_break_none(changes):
    assert [broken(*table, **changes) for table in TABLES] == [None, None, None]


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
        ("position", -1, "position_not_negative"),
        ("role", "back", "role_known"),
        *sorted({(name, None, f"NOT NULL {name}") for table, _ in TABLES for name, _, null in table if not null}),
    ],
)
def test_a_bad_row_breaks_the_one_that_delta_names(column, value, constraint):
    concerned = [table for table in TABLES if column in {name for name, _, _ in table[0]}]
    assert {broken(*table, **{column: value}) for table in concerned} == {constraint}


def test_what_a_table_would_refuse_is_not_written():
    rows = pa.Table.from_pylist([{**GOOD, "image": b""}], schema=arrow_schema(BYTES_COLUMNS))
    with pytest.raises(CatalogueError, match="picture_not_empty"):
        require_storable(rows, BYTES_COLUMNS, BYTES_CONSTRAINTS)
