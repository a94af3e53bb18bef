"""A table given back keeps its layout and its rows; what it says was changed was changed, and nothing else."""

from __future__ import annotations

import csv
import io
import json
import resource

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.catalogue.loading.load_warnings import counted
from backend.catalogue.sources.locations import detect, open_source
from backend.catalogue.sources.mended import CHANGES, save_mended, write_mended
from backend.catalogue.sources.tables.reading import reading_of
from backend.errors import Cancelled, CatalogueError, StorageFailed
from backend.progress import NullProgress
from tests.support.shop_exports import EXPORTS, SHOPIFY_HEADER, WOO_HEADER, table

# Read again from a CSV, these are other files: without a count above their header, or with a part that is told by its name.
NO_CSV = {"in-shop", "online-products"}


def opened(path):
    return open_source(detect(path), path, columns=None, label_from="folder", version=None)


def mended(source):
    text = io.StringIO(newline="")
    done = write_mended(source, text, NullProgress())
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
    assert not [kind for kind in counted(second) if kind.startswith(("bad_", "open_"))]
    assert mended(again)[0].changed == 0


def test_a_cell_that_cannot_be_read_is_emptied_and_a_text_is_cleaned(tmp_path):
    rows = [
        {"Type": "simple", "SKU": "A", "Name": "Cap &amp; <b>Co</b>", "Stock": "1.5", "Images": "https://a.test/1.jpg"},
        {"Type": "simple", "SKU": "B", "Name": "Cap", "Stock": "2"},
    ]
    (tmp_path / "woo.csv").write_bytes(table(WOO_HEADER, *rows))
    done, (cap, lacking), _ = mended(opened(tmp_path / "woo.csv"))
    assert done.as_dict() == {"rows": 2, "changed": 1, "cells": 2, "left_out": 1}
    assert (cap["Stock"], cap["Name"]) == ("", "Cap & Co")
    assert cap[CHANGES] == "Stock: “1.5” cannot be read and is removed; Name: was “Cap &amp; <b>Co</b>”"
    assert lacking[CHANGES] == "not loaded: The table gives no picture for it."


def test_a_value_that_is_made_of_two_columns_is_emptied_where_it_stands_and_told_where_that_is_not_certain(tmp_path):
    row = {"Handle": "mug", "Title": "Mug", "Variant SKU": "M", "Variant Price": "ask us"}
    cup = {**row, "Handle": "cup", "Variant SKU": "C", "Variant Compare At Price": "ask us"}
    (tmp_path / "shopify.csv").write_bytes(table(SHOPIFY_HEADER, row, cup))
    found, doubtful = mended(opened(tmp_path / "shopify.csv"))[1]
    assert found["Variant Price"] == ""
    assert "Variant Price: “ask us” cannot be read and is removed" in found[CHANGES]
    assert (doubtful["Variant Price"], doubtful["Variant Compare At Price"]) == ("ask us", "ask us")
    assert "price: “ask us” cannot be read" in doubtful[CHANGES]


_SHOPIFY = {
    "Handle": "Handle",
    "Title": "Title",
    "price": "Variant Price",
    "stock": "Variant Inventory Qty",
    "id": "Variant SKU",
}
_WOO = {"Title": "Name", "price": "Regular price", "stock": "Stock", "id": "SKU"}


@given(
    st.sampled_from([(SHOPIFY_HEADER, _SHOPIFY), (WOO_HEADER, _WOO)]),
    st.lists(
        st.tuples(
            st.sampled_from(["12.50", "", "ask us", "1.299,00 €", "n/a", "19,90"]),
            st.sampled_from(["3", "-2", "1.5", "", ">10", "in stock"]),
            st.sampled_from(["Mug", "<b>Mug</b> &amp; co", 'M\u00ad\u200bug, "blue"', "Mug\nand cup"]),
        ),
        min_size=1,
        max_size=37,
    ),
)
@hypothesis_settings(max_examples=40, deadline=None)
def test_a_corrected_table_of_any_size_loads_again_with_no_warning(tmp_path_factory, layout, rows):
    header, names = layout
    folder = tmp_path_factory.mktemp("shop")
    made = []
    for number, (price, stock, title) in enumerate(rows):
        values = {"id": f"S-{number}", "price": price, "stock": stock, "Title": title, "Handle": f"h-{number}"}
        made.append({column: values[name] for name, column in names.items()})
    (folder / "shop.csv").write_bytes(table(header, *made))
    source = opened(folder / "shop.csv")
    done = save_mended(source, folder / "again.csv", NullProgress())
    first, again = source.listed(), opened(folder / "again.csv")
    second = again.listed()
    assert (again.profile, done.rows) == (source.profile, len(rows))
    assert second["warning"].null_count == len(rows) == second.num_rows
    for column in ("product_id", "title", "price", "stock"):
        assert second[column].to_pylist() == first[column].to_pylist(), column


class _Stops(NullProgress):
    def report(self, *_, **__):
        raise Cancelled("Stopped.")


def test_what_was_there_stays_until_the_new_table_is_whole(tmp_path):
    rows = [{"SKU": str(number), "Name": "Mug", "Type": "simple"} for number in range(1001)]
    (tmp_path / "woo.csv").write_bytes(table(WOO_HEADER, *rows))
    target = tmp_path / "made" / "shop.csv"
    assert save_mended(opened(tmp_path / "woo.csv"), target, NullProgress()).rows == 1001
    before = target.read_bytes()
    with pytest.raises(Cancelled):
        save_mended(opened(tmp_path / "woo.csv"), target, _Stops())
    assert target.read_bytes() == before
    assert [path.name for path in target.parent.iterdir()] == ["shop.csv"]
    (tmp_path / "none.csv").write_text(WOO_HEADER + "\n")
    with pytest.raises(CatalogueError, match="has no rows"):
        save_mended(opened(tmp_path / "none.csv"), target, NullProgress())
    assert target.read_bytes() == before


def test_a_disk_that_refuses_is_said_and_leaves_nothing(tmp_path):
    rows = [{"SKU": str(number), "Name": "Mug" * 20, "Type": "simple"} for number in range(200)]
    (tmp_path / "woo.csv").write_bytes(table(WOO_HEADER, *rows))
    (tmp_path / "made").mkdir()
    source = opened(tmp_path / "woo.csv")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StorageFailed, match="limit on file size"):
            save_mended(source, tmp_path / "made" / "shop.csv", NullProgress())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "made").iterdir())


def test_a_table_with_the_pictures_in_it_is_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": ["a"], "image": [b"\x89PNG"]}), tmp_path / "own.parquet")
    with pytest.raises(CatalogueError, match="contains the pictures themselves"):
        mended(opened(tmp_path / "own.parquet"))
