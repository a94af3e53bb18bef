"""Parquet by other writers: what pyarrow 14 does not know of Arrow's types is no reason to refuse the data."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from datetime import datetime, time
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from backend.catalogue.sources.parquet.files import dataset, open_parquet, read_footer
from backend.catalogue.sources.tables.listing import TableSource
from backend.errors import CatalogueError
from tests.support.foreign_parquet import as_half_float, write_with_views
from tests.support.pictures import by_id, encoded, pictures_of

ROWS = 6
MAPPING = (("product_id", "sku"), ("image", "image"), ("label", "label"), ("price", "price"), ("stock", "stock"))


def columns(**more):
    return pa.table(
        {
            "sku": [f"V{i}" for i in range(ROWS)],
            "image": [encoded(i) for i in range(ROWS)],
            "label": ["bag", "hat"] * 3,
            **more,
        }
    )


def source(path, mapping=MAPPING):
    return TableSource(path, mapping, "parquet")


def assert_read(found, *, price=12.5, stock=3):
    entries = found.entries()
    assert entries["reason"].to_pylist() == [None] * ROWS
    first = by_id(entries)["V1"]
    assert (first["label"], first["price"], first["stock"]) == ("hat", price, stock)
    assert pictures_of(found, entries) == {f"V{i}": encoded(i) for i in range(ROWS)}


@pytest.mark.parametrize(
    "price",
    [
        pytest.param(pa.array([12.5] * ROWS), id="plain"),
        pytest.param(pa.array(["12.50"] * ROWS), id="text"),
        pytest.param(pa.array([Decimal("12.50")] * ROWS, pa.decimal128(38, 2)), id="decimal"),
    ],
)
def test_string_views_categories_decimals_and_times_are_read(tmp_path, price):
    more = {
        "price": price,
        "stock": pa.array([3] * ROWS, pa.uint8()),
        "seen": [datetime(2024, 2, 3, 4, 5, 6)] * ROWS,  # noqa: DTZ001
        "at": pa.array([time(1, 2, 3)] * ROWS, pa.time64("ns")),
        "sizes": [["S", "M"]] * ROWS,
        "nothing": pa.nulls(ROWS),
    }
    path = write_with_views(tmp_path / "polars.parquet", columns(**more))
    assert source(path).available() == {
        "sku": False,
        "image": True,
        "label": False,
        "price": False,
        "stock": False,
        "seen": False,
        "at": False,
        "nothing": False,
    }
    assert_read(source(path))


def test_half_floats_are_numbers(tmp_path):
    halves = np.array([3.0, 3.0, 7.0, 0.0, 65504.0, 1.0], dtype="<f2")
    cells = [value.tobytes() for value in halves[:-1]] + [None]
    table = columns(price=[12.5] * ROWS, stock=pa.array(cells, pa.binary(2)))
    path = as_half_float(pq.write_table(table, tmp_path / "h.parquet") or tmp_path / "h.parquet", "stock")
    with pytest.raises(OSError, match="LogicalType"):
        pq.read_table(path)
    assert not source(path).available()["stock"]
    assert_read(source(path))
    assert read_footer(path).half_floats == ["stock"]
    assert [row.values["stock"] for row in source(path)._table().rows("image")][4:] == [65504.0, None]


def test_the_same_in_a_zip_in_a_folder_and_in_many_row_groups(tmp_path):
    table = columns(price=[12.5] * ROWS, stock=[3] * ROWS)
    (tmp_path / "parts").mkdir()
    path = write_with_views(tmp_path / "parts" / "p.parquet", table, row_group_size=2)
    assert_read(source(path.parent))
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        archive.write(path, "p.parquet")
    assert_read(TableSource(tmp_path / "shop.zip", MAPPING, "parquet", member="p.parquet"))


def test_what_cannot_be_read_is_told_from_damage(tmp_path):
    path = tmp_path / "p.parquet"
    path.write_bytes(b"PAR1 no table at all PAR1")
    with pytest.raises(CatalogueError, match="not a Parquet file, or it is damaged"):
        source(path).entries()
    pq.write_table(columns(), path)
    path.write_bytes(path.read_bytes()[:-4] + b"PARE")  # its footer is encrypted
    with pytest.raises(CatalogueError, match=r"not supported|damaged") as refused:
        source(path).entries()
    assert refused.value.next_step


@given(st.data())
@profile(max_examples=40)
def test_any_part_of_a_view_is_that_of_the_data(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("view")
    rows = data.draw(st.lists(st.none() | st.text(max_size=20), min_size=1, max_size=30))
    table = pa.table({"text": pa.array(rows, pa.string()), "number": pa.array(range(len(rows)), pa.int64())})
    size = data.draw(st.integers(1, 30))
    foreign = write_with_views(folder / "foreign.parquet", table, row_group_size=size)
    pq.write_table(table, folder / "own.parquet", row_group_size=size)
    both = dataset([foreign, folder / "own.parquet"], table.schema).to_table()
    assert both.to_pydict() == pa.concat_tables([table, table]).to_pydict()
    with open_parquet(foreign) as file:
        assert file.read(columns=["number"]).to_pydict() == table.select(["number"]).to_pydict()
        assert file.metadata.num_row_groups == -(-len(rows) // size)


@given(st.binary(min_size=0, max_size=300), st.integers(0, 400))
@profile(max_examples=60)
def test_no_damage_to_a_footer_does_worse_than_a_refusal(tmp_path_factory, noise, at):
    path = write_with_views(tmp_path_factory.mktemp("damage") / "p.parquet", columns())
    data = bytearray(path.read_bytes())
    place = max(len(data) - 8 - at, 4)
    data[place : place + len(noise)] = noise[: len(data) - place]
    path.write_bytes(data)
    with suppress(CatalogueError):
        source(path, MAPPING[:3]).entries()


@pytest.mark.parametrize("name", ["polars-1-38", "categorical", "enum", "no128", "all", "float16"])
def test_what_polars_writes_is_loaded(shared_case, name):
    path = shared_case("32-polars-parquet") / f"{name}.parquet"
    found = TableSource(path, MAPPING[:4], "parquet")
    entries = found.entries()
    assert entries.num_rows == ROWS
    assert entries["reason"].null_count == ROWS
    assert {*entries["label"].to_pylist()} <= {"bag", "hat", "shoe"}
    assert all(isinstance(picture, bytes) for picture in pictures_of(found, entries).values())
