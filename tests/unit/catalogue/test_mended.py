"""A table given back keeps its layout and its rows; what it says was changed was changed, and nothing else."""

from __future__ import annotations

import csv
import io
import json

import pytest

from backend.catalogue.loading.load_warnings import counted
from backend.catalogue.sources.locations import detect, open_source
from backend.catalogue.sources.mended import CHANGES, write_mended
from backend.catalogue.sources.tables.reading import reading_of
from backend.errors import CatalogueError
from tests.support.shop_exports import EXPORTS, SHOPIFY_HEADER, WOO_HEADER, table

# Read again from a CSV, these are other files: without a count above their header, or with a part that is told by its name.
NO_CSV = {"in-shop", "online-products"}


def opened(path):
    return open_source(detect(path), path, columns=None, label_from="folder", version=None)


def mended(source):
    text = io.StringIO(newline="")
    done = write_mended(source, text)
    return done, list(csv.DictReader(io.StringIO(text.getvalue(), newline=""))), text.getvalue()


@pytest.mark.parametrize("name", EXPORTS)
def test_every_row_is_there_as_it_was_but_for_what_is_said(tmp_path, name):
    for file, data in EXPORTS[name].files.items():
        (tmp_path / file).write_bytes(data)
    source = opened(tmp_path / next(iter(EXPORTS[name].files)))
    done, rows, _ = mended(source)
    before = list(source.rows())
    assert done.rows == len(rows) == len(before) == reading_of(source.entries()).rows
    for row, was in zip(rows, before, strict=True):
        said = row.pop(CHANGES)
        assert list(row) == [column for column in source.available() if column in row]
        for column, cell in row.items():
            value = was.values.get(column)
            text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            assert cell == text or f"{column}: " in said


@pytest.mark.parametrize("name", [name for name, one in EXPORTS.items() if one.profile not in NO_CSV])
def test_what_is_given_back_is_read_as_the_same_products_with_nothing_to_mend(tmp_path, name):
    for file, data in EXPORTS[name].files.items():
        (tmp_path / file).write_bytes(data)
    source = opened(tmp_path / next(iter(EXPORTS[name].files)))
    if not source.path.name.endswith((".csv", ".tsv")):
        pytest.skip("its rows are no cells")
    (tmp_path / "again.csv").write_text(mended(source)[2], encoding="utf-8-sig", newline="")
    again = opened(tmp_path / "again.csv")
    assert again.profile == source.profile
    first, second = source.entries(), again.entries()
    for column in ("product_id", "group_id", "title", "price", "stock", "locator", "more_pictures"):
        assert second[column].to_pylist() == first[column].to_pylist(), column
    assert {kind for kind in counted(second) if kind.startswith("bad_")} <= {"bad_currency"}
    assert mended(again)[0].changed == 0


def test_a_cell_that_cannot_be_read_is_emptied_and_a_text_is_cleaned(tmp_path):
    rows = [
        {"Type": "simple", "SKU": "A", "Name": "Cap &amp; <b>Co</b>", "Stock": "1.5", "Images": "https://a.test/1.jpg"},
        {"Type": "simple", "SKU": "B", "Name": "Cap", "Stock": "2"},
    ]
    (tmp_path / "woo.csv").write_bytes(table(WOO_HEADER, *rows))
    done, (cap, lacking), _ = mended(opened(tmp_path / "woo.csv"))
    assert done.as_dict() == {"rows": 2, "changed": 1, "left_out": 1}
    assert (cap["Stock"], cap["Name"]) == ("", "Cap & Co")
    assert cap[CHANGES] == "Stock: “1.5” cannot be read and is removed; Name: was “Cap &amp; <b>Co</b>”"
    assert lacking[CHANGES] == "not loaded: The table gives no picture for it."


def test_a_value_that_is_made_of_two_columns_is_told_and_both_stay(tmp_path):
    row = {"Handle": "mug", "Title": "Mug", "Variant SKU": "M", "Variant Price": "ask us"}
    (tmp_path / "shopify.csv").write_bytes(table(SHOPIFY_HEADER, row))
    (found,) = mended(opened(tmp_path / "shopify.csv"))[1]
    assert found["Variant Price"] == "ask us"
    assert "price: “ask us” cannot be read" in found[CHANGES]


def test_a_table_with_the_pictures_in_it_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": ["a"], "image": [b"\x89PNG"]}), tmp_path / "own.parquet")
    with pytest.raises(CatalogueError, match="contains the pictures themselves"):
        mended(opened(tmp_path / "own.parquet"))
