"""What the driver decides from the list alone: order, splits, and who is rejected for what."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from backend.catalogue.entries import CHECKED_ENTRY_SCHEMA, check_entries
from backend.catalogue.sources import ENTRY_SCHEMA
from backend.errors import CatalogueError


def listed(rows):
    """Entries from (product_id, label, split)."""
    columns = {"product_id": 0, "label": 1, "split": 2}
    values = {name: [row[at] for row in rows] for name, at in columns.items()}
    empty = {field.name: pa.nulls(len(rows), field.type) for field in ENTRY_SCHEMA if field.name not in values}
    table = pa.table({**empty, **values, "position": range(len(rows))})
    return table.select(ENTRY_SCHEMA.names).cast(ENTRY_SCHEMA)


def checked(rows, **options):
    return check_entries(listed(rows), **{"validation_share": 0.0, "seed": 7, **options})


def test_entries_come_ordered_by_id():
    table = checked([("b", "bag", "train"), ("c", "bag", "test"), ("a", "bag", "gallery-only")])
    assert table.schema == CHECKED_ENTRY_SCHEMA
    assert table["product_id"].to_pylist() == ["a", "b", "c"]
    assert table["position"].to_pylist() == [2, 0, 1]
    assert table["reason"].null_count == 3


def test_unusable_entries_get_their_reason_and_stay():
    table = checked([(None, "bag", "train"), ("", "bag", "train"), ("a", None, "train"), ("b", "bag", "tset")])
    reasons = {row["position"]: row["reason"] for row in table.to_pylist()}
    assert [reasons[i].split(":")[0] for i in range(4)] == ["no_id", "no_id", "no_label", "unknown_split"]
    assert "'tset'" in reasons[3]


def test_the_first_usable_product_of_an_id_is_kept():
    table = checked([("a", None, "train"), ("a", "bag", "train"), ("a", "coat", "train"), ("a", "bag", "test")])
    reasons = {row["position"]: (row["reason"] or "kept").split(":")[0] for row in table.to_pylist()}
    assert reasons == {0: "no_label", 1: "kept", 2: "duplicate_id", 3: "duplicate_id"}


def test_validation_is_drawn_from_usable_train_products_only():
    rows = [(f"t{i:03d}", "bag", "train") for i in range(100)] + [(f"x{i:03d}", "bag", "test") for i in range(50)]
    rows += [(f"t{i:03d}", "bag", "train") for i in range(20)]  # twenty duplicates
    table = checked(rows, validation_share=0.2)
    drawn = [row for row in table.to_pylist() if row["split"] == "validation"]
    assert len(drawn) == 20
    assert all(row["reason"] is None and row["product_id"].startswith("t") for row in drawn)


def test_the_order_of_the_source_changes_nothing_but_duplicates():
    rows = [(f"t{i:03d}", ("bag", "coat")[i % 2], "train") for i in range(100)]
    shuffled = [rows[i] for i in np.random.default_rng(3).permutation(100)]
    one, other = (checked(r, validation_share=0.1).drop_columns(["position"]) for r in (rows, shuffled))
    assert one.equals(other)


def test_a_source_without_products_is_refused():
    with pytest.raises(CatalogueError, match="no products"):
        checked([])
