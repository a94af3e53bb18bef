"""The log of a stranger's Delta table: nothing outside of its folder is read, however the log names it."""

from __future__ import annotations

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from backend.catalogue.delta.log_bounds import require_inside
from backend.catalogue.sources.preview import preview
from backend.catalogue.sources.tables.listing import TableSource
from backend.errors import CatalogueError
from tests.support.delta_logs import VECTOR

COLUMNS = (("product_id", "sku"), ("image", "image"))
_LEADS_OUT = [
    "../outside.parquet",
    "part=1/../../outside.parquet",
    "%2e%2e/outside.parquet",
    "%252e%252e/outside.parquet",
    "/etc/passwd",
    "file:///etc/passwd",
    "file:/etc/passwd",
    "s3://bucket/a.parquet",
    "http://127.0.0.1:9/a.parquet",
]


@pytest.fixture
def table(tmp_path):
    """A table of two rows, and a file beside it that is none of its own."""
    pq.write_table(pa.table({"sku": ["secret"], "image": ["a.png"]}), tmp_path / "outside.parquet")
    write_deltalake(tmp_path / "table", pa.table({"sku": ["A", "B"], "image": ["a.png", "b.png"]}))
    return tmp_path / "table"


def log(table, *actions, version=1):
    path = table / "_delta_log" / f"{version:020d}.json"
    path.write_text("\n".join(map(json.dumps, actions)))


def add(path, **more):
    facts = {"partitionValues": {}, "size": 1_000, "modificationTime": 1, "dataChange": True}
    return {"add": {"path": path, **facts, **more}}


def vector(kind, told):
    return {"storageType": kind, "pathOrInlineDv": told, "offset": 1, "sizeInBytes": 31, "cardinality": 1}


def refused(table, words="has a file outside its folder"):
    for ask in (lambda: preview("delta", table), TableSource(table, COLUMNS, "delta").entries):
        with pytest.raises(CatalogueError, match=words) as caught:
            ask()
        assert caught.value.next_step


def own(table):
    return os.path.relpath(DeltaTable(table).file_uris()[0].removeprefix("file://"), table)


def test_a_table_of_its_own_is_read(table):
    require_inside(table)
    assert preview("delta", table).total == 2


@pytest.mark.parametrize("path", _LEADS_OUT)
def test_a_data_file_elsewhere_is_refused(table, path):
    log(table, add(path))
    refused(table)


@pytest.mark.parametrize("path", _LEADS_OUT)
def test_a_deletion_vector_elsewhere_is_refused(table, path):
    log(table, add(own(table), deletionVector=vector("p", path)))
    refused(table)


def test_a_deletion_vector_whose_folder_climbs_out_is_refused(table):
    log(table, add(own(table), deletionVector=vector("u", f"../elsewhere{VECTOR}")))
    refused(table)


def test_a_deletion_vector_that_is_a_link_is_refused(table, tmp_path):
    (tmp_path / "vector.bin").write_bytes(b"\1")
    (table / "vector.bin").symlink_to(tmp_path / "vector.bin")
    log(table, add(own(table), deletionVector=vector("p", f"file://{table}/vector.bin")))
    refused(table)


def test_a_data_file_that_is_a_link_is_refused(table, tmp_path):
    (table / "linked.parquet").symlink_to(tmp_path / "outside.parquet")
    log(table, add("linked.parquet"))
    refused(table)


@pytest.mark.parametrize("name", ["_delta_log", "_delta_log/00000000000000000000.json", "_delta_log/_last_checkpoint"])
def test_a_log_that_is_a_link_is_refused(table, tmp_path, name):
    real = tmp_path / "real"
    if (table / name).exists():
        (table / name).rename(real)
    else:
        real.write_text('{"version": 0, "size": 1}')
    (table / name).symlink_to(real)
    refused(table)


def test_a_log_with_a_pipe_is_refused_and_not_waited_for(table):
    os.mkfifo(table / "_delta_log" / f"{1:020d}.json")
    refused(table)


@pytest.mark.parametrize("path", ["../outside.parquet", "/etc/passwd"])
def test_a_checkpoint_that_names_what_lies_elsewhere_is_refused(table, path):
    DeltaTable(table).create_checkpoint()
    (checkpoint,) = (table / "_delta_log").glob("*.checkpoint.parquet")
    read = pq.read_table(checkpoint)
    rows = [{**row, "add": row["add"] and {**row["add"], "path": path}} for row in read.to_pylist()]
    pq.write_table(pa.Table.from_pylist(rows, read.schema), checkpoint)
    (table / "_delta_log" / f"{0:020d}.json").unlink()
    refused(table)


@pytest.mark.parametrize("path", ["../../../outside.parquet", "file:///etc/passwd", "s3://bucket/part.parquet"])
def test_a_part_of_a_checkpoint_elsewhere_is_refused(table, path):
    part = {"sidecar": {"path": path, "sizeInBytes": 1, "modificationTime": 1}}
    name = "00000000000000000001.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"
    (table / "_delta_log" / name).write_text(json.dumps(part))
    refused(table)


@pytest.mark.parametrize("text", ["{", "[1]", '{"add": 1}', '{"add": {}}', "[" * 100_000, "\x00"])
def test_a_damaged_log_is_said_in_words(table, text):
    (table / "_delta_log" / f"{1:020d}.json").write_text(text)
    refused(table, "is damaged|cannot be read")
