"""What is known of a gallery's products costs as much memory as its texts, however long one of them is."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backend.bundles import bundle
from backend.catalogue.snapshot import open_snapshot
from backend.projection.columns import coded, points_of, rows_by_label
from backend.projection.reading import open_reading
from backend.retrieval.gallery.gallery_rows import SCHEMA
from tests.fixtures.endpoint import shop_rows, write_projection_bundle
from tests.ui.conftest import write_catalogue

PRODUCTS, LONG = 2_000, 10_000
AS_WIDE_AS_THE_LONGEST = PRODUCTS * LONG * 4  # bytes; what NumPy's texts of fixed width take


@pytest.mark.parametrize("long", ["title", "label", "brand"])
def test_one_long_text_does_not_widen_all_others(settings, tmp_path, long):
    write_projection_bundle(tmp_path / "m")
    base = {**shop_rows()[0], "split": "train", "thumbnail": b""}
    rows = [{**base, "product_id": f"p{i:04d}", "label": f"l{i % 7}"} for i in range(PRODUCTS)]
    rows[5][long] = "x" * LONG
    table = pa.Table.from_pylist([{name: row.get(name) for name in SCHEMA.names} for row in rows], SCHEMA)
    pq.write_table(table, tmp_path / "m" / bundle.GALLERY)
    vectors = np.eye(8, dtype=np.float32)[np.arange(PRODUCTS) % 8]
    np.save(tmp_path / "m" / bundle.VECTORS, vectors)
    write_catalogue(settings, "shop")
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    tracemalloc.start()
    reading = open_reading(tmp_path / "m", tmp_path / "maps", needs_map=False)
    points = points_of(tmp_path / "m", reading.manifest, vectors, np.roll(np.arange(PRODUCTS), 1), snapshot)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < AS_WIDE_AS_THE_LONGEST / 10
    texts = {"title": points.titles, "label": points.labels, "brand": points.columns["brand"].names}[long]
    assert "x" * LONG in texts


def test_texts_are_coded_by_frequency_and_what_has_none_comes_last():
    names, codes = coded(["", "b", "", "", "a", "b", "c"])
    assert names == ["b", "a", "c", ""]
    assert codes.tolist() == [3, 0, 3, 3, 1, 0, 2]


def test_rows_by_label_leave_out_what_has_none():
    found = rows_by_label(np.asarray(["b", "", "a", "b"], dtype=object))
    assert {name: rows.tolist() for name, rows in found.items()} == {"a": [2], "b": [0, 3]}
    assert rows_by_label(np.asarray([], dtype=object)) == {}
