"""A table's versions replayed from its log: hand-written logs with deletion vectors, and logs without a beginning."""

from __future__ import annotations

import json
import os

import deltalake
import pyarrow as pa
import pytest

from backend.catalogue.delta.log_replay import files_present, states
from backend.errors import CatalogueError
from tests.support.delta_logs import FEED_OFF, FEED_ON, VECTOR, VECTOR_FILE, add, commit, remove, write_log


def test_every_version_is_told_by_what_came_before_it(tmp_path):
    write_log(
        tmp_path,
        commit(FEED_ON),
        commit(add("a%20b.parquet", 100), add("c.parquet", 50), at_s=1.0),
        commit(add("a%20b.parquet", 100, deleted=9), remove("a%20b.parquet"), {"cdc": {"path": "_change_data/x"}}),
        commit(
            add("d.parquet", 141, dataChange=False),
            *(remove(p, dataChange=False) for p in ("a%20b.parquet", "c.parquet")),
        ),
        commit(FEED_OFF),
    )
    found = states(tmp_path)
    assert [state.version for state in found] == [0, 1, 2, 3, 4]
    assert [state.rows for state in found] == [0, 150, 141, 141, 141]
    assert [state.has_feed for state in found] == [True, True, True, True, False]
    assert found[2].paths == {"a b.parquet", "c.parquet", VECTOR_FILE}
    assert found[3].paths == found[4].paths == {"d.parquet"}
    assert found[2].commit.feed == ("_change_data/x",)
    assert found[1].commit.timestamp_s == 1.0
    assert [state.commit.changes_data for state in found] == [False, True, True, False, False]


def test_a_version_is_readable_while_its_files_and_vectors_are_there(tmp_path):
    marked = commit(add("a.parquet", 5, deleted=1), remove("a.parquet"))
    write_log(tmp_path, commit(), commit(add("a.parquet", 5)), marked)
    readable = lambda: [state.is_readable(files_present(tmp_path)) for state in states(tmp_path)]  # noqa: E731
    assert readable() == [True, False, False]
    (tmp_path / "a.parquet").touch()
    assert readable() == [True, True, False]
    (tmp_path / VECTOR_FILE).touch()
    assert readable() == [True, True, True]


@pytest.mark.parametrize(
    ("kind", "told", "file"),
    [
        ("u", VECTOR, VECTOR_FILE),
        ("u", f"ab{VECTOR}", f"ab/{VECTOR_FILE}"),
        ("p", "file:///far/away.bin", "/far/away.bin"),
        ("i", "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", ""),
    ],
)
def test_a_vector_lies_where_its_name_says(tmp_path, kind, told, file):
    action = add("a.parquet", 5, deleted=2)
    action["add"]["deletionVector"] |= {"storageType": kind, "pathOrInlineDv": told}
    write_log(tmp_path, commit(action))
    (state,) = states(tmp_path)
    assert state.files["a.parquet"].vector_path == file
    assert state.files["a.parquet"].vector
    assert state.rows == 3


def test_rows_that_nobody_counted_are_not_told(tmp_path):
    uncounted = {"add": {"path": "b.parquet", "size": 1, "dataChange": True}}
    write_log(tmp_path, commit(add("a.parquet", 5), uncounted))
    assert states(tmp_path)[0].rows is None


def test_hidden_files_and_the_log_are_none_of_the_table(tmp_path):
    write_log(tmp_path, commit())
    for name in ("a.parquet", ".a.parquet.crc", "_SUCCESS", "ab/d.bin", "_change_data/c.parquet", "_temporary/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(files_present(tmp_path)) == ["_change_data/c.parquet", "a.parquet", "ab/d.bin"]
    assert files_present(tmp_path / "nowhere") == {}
    assert states(tmp_path / "nowhere") == []


def test_another_table_in_the_same_place_is_read_anew(tmp_path):
    write_log(tmp_path, commit(add("a.parquet", 5)))
    assert states(tmp_path)[0].rows == 5
    file = tmp_path / "_delta_log" / f"{0:020d}.json"
    file.write_text(json.dumps(add("a.parquet", 7)))
    os.utime(file, (1, 1))
    assert states(tmp_path)[0].rows == 7


@pytest.mark.parametrize("text", ["{no json", "[1, 2]"])
def test_a_damaged_log_is_said_to_be_damaged(tmp_path, text):
    write_log(tmp_path, commit())
    (tmp_path / "_delta_log" / f"{0:020d}.json").write_text(text)
    with pytest.raises(CatalogueError, match="is damaged"):
        states(tmp_path)


@pytest.fixture
def long_table(tmp_path):
    """Versions 0 to 6, with 10 more rows each, and a checkpoint at version 3."""
    configuration = {"delta.enableChangeDataFeed": "true"}
    for version in range(7):
        rows = pa.table({"x": list(range(10))})
        deltalake.write_deltalake(tmp_path, rows, mode="append", configuration=configuration)
        if version == 3:
            deltalake.DeltaTable(tmp_path).create_checkpoint()
    return tmp_path


@pytest.mark.parametrize("oldest", [2, 3, 4])
def test_a_log_without_its_beginning_is_told_from_the_checkpoint_on(long_table, oldest):
    whole = states(long_table)
    for version in range(oldest):
        (long_table / "_delta_log" / f"{version:020d}.json").unlink()
    left = states(long_table)
    assert [state.version for state in left] == list(range(oldest, 7))
    told = [state for state in left if state.version >= 3]
    assert [(state.rows, state.paths, state.has_feed) for state in told] == [
        (state.rows, state.paths, True) for state in whole if state.version >= max(3, oldest)
    ]
    present = files_present(long_table)
    assert [state.is_readable(present) for state in left] == [state.version >= 3 for state in left]


def test_a_log_with_neither_beginning_nor_checkpoint_tells_no_files(long_table):
    for version in range(5):
        (long_table / "_delta_log" / f"{version:020d}.json").unlink()
    left = states(long_table)
    assert [(state.version, state.rows, state.files) for state in left] == [(5, None, None), (6, None, None)]
