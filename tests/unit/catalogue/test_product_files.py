"""Files that Python wrote become a table's own: whole row groups, true bounds, one commit or none."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from backend.catalogue.delta import delta_log
from backend.catalogue.loading.product_files import ROW_GROUP_BYTES, GroupedWriter, append_files
from backend.catalogue.schemas import PICTURED_SCHEMA
from backend.errors import CatalogueBusy
from tests.unit.catalogue.test_constraints import GOOD


def products(numbers, size=100):
    changes = [{"product_id": f"p{n:05d}", "image": bytes(size), "price": float(n) if n % 2 else None} for n in numbers]
    return pa.Table.from_pylist([{**GOOD, **change} for change in changes], schema=PICTURED_SCHEMA)


def written(path, *tables):
    with GroupedWriter(path, PICTURED_SCHEMA) as writer:
        for table in tables:
            writer.add(table)
    return path


@pytest.fixture
def table(tmp_path):
    DeltaTable.create(tmp_path / "products", PICTURED_SCHEMA)
    return tmp_path / "products"


def group_rows(path):
    footer = pq.read_metadata(path)
    return [footer.row_group(number).num_rows for number in range(footer.num_row_groups)]


def test_small_pictures_share_a_row_group_and_large_ones_are_spread(tmp_path):
    small = written(tmp_path / "small.parquet", products(range(300)), products(range(300, 600)))
    assert group_rows(small) == [600]
    large = written(tmp_path / "large.parquet", products(range(8), size=ROW_GROUP_BYTES // 2))
    assert group_rows(large) == [2, 2, 2, 2]
    assert pq.read_table(large)["product_id"].to_pylist() == [f"p{n:05d}" for n in range(8)]


def test_without_rows_there_is_no_file(tmp_path):
    assert not written(tmp_path / "none.parquet", products([])).exists()


def test_files_are_taken_in_by_one_commit_and_stay(table, tmp_path):
    files = [written(tmp_path / f"{n}.parquet", products(range(n, n + 3))) for n in (0, 3)]
    append_files(table, files, note={"load": "x"})
    stored = delta_log.rows_of(delta_log.open_table(table), PICTURED_SCHEMA)
    assert sorted(stored.table(["product_id"])["product_id"].to_pylist()) == [f"p{n:05d}" for n in range(6)]
    assert all(file.exists() for file in files)
    commit = DeltaTable(table).history(1)[0]
    assert (commit["version"], json.loads(commit["userMetadata"])) == (1, {"load": "x"})


def test_the_log_says_how_many_rows_a_file_has_and_between_what_they_lie(table, tmp_path):
    append_files(table, [written(tmp_path / "a.parquet", products(range(5)))], note={})
    action = stats_of(table)
    assert action["numRecords"] == 5
    assert (action["minValues"]["product_id"], action["maxValues"]["product_id"]) == ("p00000", "p00004")
    assert (action["minValues"]["price"], action["maxValues"]["price"], action["nullCount"]["price"]) == (1.0, 3.0, 3)
    assert "brand" not in action["minValues"]
    assert action["nullCount"]["brand"] == 5


def stats_of(table):
    lines = (table / "_delta_log" / f"{1:020d}.json").read_text("utf-8").splitlines()
    return json.loads(next(json.loads(line)["add"]["stats"] for line in lines if "add" in json.loads(line)))


def test_a_commit_that_another_writer_made_first_is_lost_and_leaves_nothing(table, tmp_path, monkeypatch):
    opened = delta_log.open_table(table)
    write_deltalake(table, products([9]).cast(PICTURED_SCHEMA), mode="append")
    monkeypatch.setattr(delta_log, "open_table", lambda _path: opened)  # as if it came in between
    before = sorted(path.name for path in table.glob("*.parquet"))
    with pytest.raises(CatalogueBusy):
        append_files(table, [written(tmp_path / "a.parquet", products(range(5)))], note={})
    assert delta_log.newest_version(table) == 1
    assert sorted(path.name for path in table.glob("*.parquet")) == before
