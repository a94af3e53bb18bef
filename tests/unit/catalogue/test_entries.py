"""What the driver decides from the list alone: order, splits, and who is rejected for what."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from backend.catalogue.loading.entries import CHECKED_ENTRY_SCHEMA, check_entries
from backend.catalogue.sources.sources import entry_table
from backend.catalogue.splits import SplitPlan
from backend.errors import CatalogueError


def listed(rows):
    """Entries from (product_id, label, split)."""
    columns = dict(zip(("product_id", "label", "split"), zip(*rows, strict=True), strict=True)) if rows else {}
    return entry_table({**columns, "position": range(len(rows))})


def checked(rows, held=None, **options):
    return check_entries(listed(rows), SplitPlan(**{"validation_share": 0.0, **options}), held)


def holding(rows):
    """What a catalogue holds, from (product_id, image_sha256, label, split)."""
    names = ("product_id", "image_sha256", "label", "split")
    return pa.table({name: pa.array([row[at] for row in rows], pa.string()) for at, name in enumerate(names)})


def test_entries_come_ordered_by_id():
    table = checked([("b", "bag", "train"), ("c", "bag", "test"), ("a", "bag", "gallery-only")])
    assert table.schema == CHECKED_ENTRY_SCHEMA
    assert table["product_id"].to_pylist() == ["a", "b", "c"]
    assert table["position"].to_pylist() == [2, 0, 1]
    assert table["reason"].null_count == 3


def test_unusable_entries_get_their_reason_and_stay():
    table = checked([(None, "bag", "train"), ("", "bag", "train"), ("b", "bag", "tset")])
    reasons = {row["position"]: row["reason"] for row in table.to_pylist()}
    assert [reasons[i].split(":")[0] for i in range(3)] == ["no_id", "no_id", "unknown_split"]
    assert "'tset'" in reasons[2]


def test_a_text_taken_for_an_id_is_refused_before_arrays_grow_as_wide_as_it():
    table = checked([("é" * 257, "bag", "train"), ("é" * 256, "bag", "train")])
    assert [(reason or "").split(":")[0] for reason in table["reason"].to_pylist()] == ["", "long_id"]


def test_what_the_source_itself_rejects_keeps_its_reason():
    entries = listed([("a", "bag", "train"), ("b", "bag", "train")])
    reasons = pa.array([None, "bad_price: '12..3' is no price."])
    entries = entries.set_column(entries.schema.get_field_index("reason"), "reason", reasons)
    assert check_entries(entries, SplitPlan())["reason"].to_pylist() == reasons.to_pylist()


def test_a_product_without_a_label_is_usable_and_only_shown():
    table = checked([("a", None, "train"), ("b", "  ", None), ("c", " bag ", None)])
    assert table["reason"].null_count == 3
    assert [(row["label"], row["split"]) for row in table.to_pylist()] == [
        ("", "gallery-only"),
        ("", "gallery-only"),
        ("bag", "train"),
    ]


def test_what_the_catalogue_holds_keeps_its_split_while_its_label_stays():
    held = holding([("a", "1" * 64, "bag", "test"), ("b", "2" * 64, "coat", "test")])
    rows = [("a", "bag", "train"), ("b", "bag", "train"), ("c", "bag", "train")]
    table = checked(rows, held)
    assert table["split"].to_pylist() == ["test", "train", "train"]
    assert table["known_sha256"].to_pylist() == ["1" * 64, "2" * 64, None]
    assert checked(rows, held, redraw=True)["split"].to_pylist() == ["train"] * 3


def test_a_class_kept_out_of_training_leaves_it_also_where_it_is_held():
    held = holding([("a", "1" * 64, "bag", "train"), ("b", "2" * 64, "bag", "test")])
    table = checked([("a", "bag", None), ("b", "bag", None), ("c", "coat", None)], held, unseen=("bag",))
    assert table["split"].to_pylist() == ["gallery-only", "test", "train"]


def test_the_first_usable_product_of_an_id_is_kept():
    table = checked([("a", "bag", "tset"), ("a", "bag", "train"), ("a", "coat", "train"), ("a", "bag", "test")])
    reasons = {row["position"]: (row["reason"] or "kept").split(":")[0] for row in table.to_pylist()}
    assert reasons == {0: "unknown_split", 1: "kept", 2: "duplicate_id", 3: "duplicate_id"}


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
