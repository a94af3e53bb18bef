"""Delta tables that other writers went on with: our own after deltalake's deletes and merges, and newer features."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from backend.catalogue.delta.delta_log import masks_of, open_table
from backend.catalogue.items import PRODUCTS
from backend.catalogue.loading.commit import held_by
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources.tables.listing import TableSource
from backend.catalogue.upkeep.changes import changes_between
from backend.catalogue.upkeep.history import history
from backend.errors import CatalogueError
from backend.feeding.arrow import decode_split
from backend.imaging.spec import PixelSpec
from backend.progress import NullProgress
from backend.tuning.snapshot import open_for_choice
from tests.support.pictures import by_id, encoded, pictures_of
from tests.support.stored_catalogues import hide, picture_rows, product_table, store

LABELS = ("bag", "coat", "shoe")
IDS = [f"p{number:04d}" for number in range(40)]


@pytest.fixture
def deleted(tmp_path):
    """30 products in two files, one behind a deletion vector, one deleted by deltalake; which rewrites its file."""
    rows = picture_rows(LABELS * 10)
    hide(store(tmp_path, rows[:20], rows[20:], in_rows=True), tmp_path, ["p0003"])
    DeltaTable(tmp_path / "stored" / PRODUCTS).delete("product_id = 'p0001'")
    snapshot = open_snapshot(tmp_path, "stored")
    assert any(_is_view(file) for file in snapshot.rows.files)
    return tmp_path, snapshot, [row for row in rows if row["product_id"] not in {"p0001", "p0003"}]


def _is_view(file):
    try:
        pq.read_metadata(file)
    except pa.ArrowInvalid:
        return True
    return False


def test_our_own_table_is_read_in_every_way_after_a_foreign_delete(deleted):
    folder, snapshot, rows = deleted
    ids = [row["product_id"] for row in rows]
    products, total = snapshot.page(offset=0, limit=99)
    assert (total, snapshot.summary().rows, len(snapshot.rows)) == (28, 28, 28)
    assert [(one.product_id, one.image) for one in products] == [(row["product_id"], row["image"]) for row in rows]
    assert snapshot.columns(["product_id"])["product_id"].to_pylist() == ids
    batches = snapshot.batches(splits=["train"], columns=["product_id", "image"], batch_size=7)
    streamed = [row for batch in batches for row in batch.to_pylist()]
    assert sorted(row["product_id"] for row in streamed) == ids
    assert sorted(held_by(folder / "stored").rows["product_id"].to_pylist()) == ids
    assert sorted(open_for_choice(folder, "stored").columns(["product_id"])["product_id"].to_pylist()) == ids
    newest = history(folder / "stored")[0]
    assert (newest.rows, newest.is_readable, newest.action) == (28, True, "Products deleted")
    changes = changes_between(folder, "stored", newest.version - 1, newest.version)
    assert [(change.product_id, change.kind) for change in changes.page()] == [("p0001", "gone")]
    assert len(open_snapshot(folder, "stored", newest.version - 1).rows) == 29


def test_a_training_reads_it_and_petastorm_says_that_it_cannot(deleted, tmp_path):
    _, snapshot, rows = deleted
    spec = PixelSpec(12, 12, 1, "dark")
    table = decode_split(snapshot, "train", spec, tmp_path / "pixels", progress=NullProgress())
    assert table.product_ids.tolist() == [row["product_id"] for row in rows]
    with pytest.raises(CatalogueError, match="written by a newer library") as refused:
        decode_split(snapshot, "train", spec, tmp_path / "other", progress=NullProgress(), reader="petastorm")
    assert "Arrow reader" in refused.value.next_step


def test_a_file_of_other_types_is_refused_in_a_sentence(tmp_path):
    snapshot = store(tmp_path, picture_rows(LABELS), in_rows=True)
    (file,) = snapshot.rows.files
    pq.write_table(pq.read_table(file).set_column(6, "label", pa.array([["a"], ["b"], ["c"]])), file)
    fresh = open_snapshot(tmp_path, "stored")
    for read in (fresh.summary, lambda: fresh.page(offset=0, limit=9), lambda: fresh.columns(["label"])):
        with pytest.raises(CatalogueError, match="cannot be read"):
            read()


# ------------------------------------------------------------------------------------- any sequence of changes

ids_ = st.lists(st.sampled_from(IDS), min_size=1, max_size=8, unique=True)
steps = st.lists(
    st.tuples(st.sampled_from(["append", "merge", "delete", "update", "hide", "restore", "compact"]), ids_), max_size=6
)


@given(steps)
@profile(max_examples=12)
def test_any_sequence_of_foreign_changes_is_read_as_deltalake_reads_it(tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("foreign")
    store(folder, picture_rows(LABELS * 3), picture_rows(LABELS * 2, first=20), in_rows=True)
    path = folder / "stored" / PRODUCTS
    for number, (step, ids) in enumerate(steps):
        _CHANGES[step](folder, path, ids, number)
        assert _ours(folder) == _theirs(path)
    assert all(entry.is_readable for entry in history(folder / "stored") if entry.version)
    assert len(open_snapshot(folder, "stored", 2).rows) == 15


def _append(_folder, path, ids, number):
    fresh = [f"{name}-{number}" for name in ids]
    rows = picture_rows(["bag"] * len(fresh), first=number)
    write_deltalake(
        path, product_table({**row, "product_id": name} for row, name in zip(rows, fresh, strict=True)), mode="append"
    )


def _merge(_folder, path, ids, number):
    rows = picture_rows(["shoe"] * len(ids), first=500 + number)
    source = product_table({**row, "product_id": name} for row, name in zip(rows, ids, strict=True))
    merge = DeltaTable(path).merge(source, "s.product_id = t.product_id", source_alias="s", target_alias="t")
    merge.when_matched_update_all().when_not_matched_insert_all().execute()


def _delete(_folder, path, ids, _number):
    DeltaTable(path).delete(f"product_id in ({_quoted(ids)})")


def _update(_folder, path, ids, number):
    DeltaTable(path).update(new_values={"title": f"No. {number}"}, predicate=f"product_id in ({_quoted(ids)})")


def _hide(folder, _path, ids, _number):
    """Put rows behind deletion vectors, as Spark does, where they still lie in a file of ours."""
    snapshot = open_snapshot(folder, "stored")
    if not snapshot.rows.masks and not any(_is_view(file) for file in snapshot.rows.files):
        hide(snapshot, folder, ids)


def _restore(_folder, path, ids, number):
    """To one of the older versions with products; deltalake cannot write the protocol of deletion vectors again."""
    table = DeltaTable(path)
    if table.protocol().min_reader_version < 3:
        table.restore(1 + (len(ids) + number) % (table.version() - 1))


def _compact(_folder, path, _ids, _number):
    DeltaTable(path).optimize.compact()


_CHANGES = {
    "append": _append,
    "merge": _merge,
    "delete": _delete,
    "update": _update,
    "hide": _hide,
    "restore": _restore,
    "compact": _compact,
}


def _quoted(ids):
    return ", ".join(f"'{name}'" for name in ids)


def _ours(folder):
    rows = open_snapshot(folder, "stored").columns(["product_id", "label", "title", "image"]).to_pylist()
    return sorted(tuple(row.values()) for row in rows)


def _theirs(path):
    query = "select product_id, label, title, image from t"
    batches = QueryBuilder().register("t", DeltaTable(path)).execute(query).read_all().to_struct_array().to_pylist()
    return sorted(tuple(row.values()) for row in batches)


# ------------------------------------------------------------------------------------- features of newer tables


def featured(folder, *features, writer=(), minimum=(3, 7), configuration=None):
    """A Delta table whose log says that it needs these features."""
    write_deltalake(folder, pa.table({"sku": ["a", "b"], "image": [encoded(1), encoded(2)], "label": ["x", "y"]}))
    (log,) = (folder / "_delta_log").glob("*.json")
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "protocol" in action:
            action["protocol"] = {
                "minReaderVersion": minimum[0],
                "minWriterVersion": minimum[1],
                "readerFeatures": list(features),
                "writerFeatures": [*features, *writer],
            }
        if "metaData" in action:
            action["metaData"]["configuration"] = configuration or {}
    log.write_text("\n".join(map(json.dumps, actions)))
    return TableSource(folder, (("product_id", "sku"), ("image", "image"), ("label", "label")), "delta")


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"writer": ("identityColumns", "generatedColumns", "invariants")}, id="identity"),
        pytest.param({"writer": ("rowTracking", "domainMetadata", "clustering")}, id="row tracking"),
    ],
)
@pytest.mark.parametrize("features", [(), ("typeWidening",), ("typeWidening-preview",), ("v2Checkpoint",)])
@pytest.mark.parametrize("other", [(), ("timestampNtz", "vacuumProtocolCheck")])
def test_features_that_change_nothing_in_the_files_are_read(tmp_path, features, other, more):
    source = featured(tmp_path / "t", *features, *other, **more)
    assert by_id(source.entries())["b"]["label"] == "y"
    assert pictures_of(source) == {"a": encoded(1), "b": encoded(2)}


@pytest.mark.parametrize(
    ("options", "features"),
    [
        pytest.param({}, ["aFeatureOfTomorrow"], id="unknown"),
        pytest.param({}, ["deletionVectors", "typeWidening"], id="vectors and widening"),
        pytest.param({}, ["catalogManaged"], id="catalogue"),
        pytest.param({"minimum": (4, 8)}, [], id="reader version"),
        pytest.param({"minimum": ("x", 8)}, [], id="no version"),
        pytest.param({"configuration": {"delta.columnMapping.mode": "name"}}, ["columnMapping"], id="mapping"),
    ],
)
def test_features_that_cannot_be_read_are_refused_in_a_sentence(tmp_path, options, features):
    source = featured(tmp_path / "t", *features, **options)
    with pytest.raises(CatalogueError) as refused:
        source.entries()
    assert refused.value.next_step
    assert "\n" not in refused.value.message


def test_a_widened_column_is_read(tmp_path):
    folder = tmp_path / "t"
    source = featured(folder, "typeWidening")
    rows = {"sku": ["c"], "image": [encoded(3)], "label": ["z"]}
    write_deltalake(tmp_path / "small", pa.table({**rows, "stock": pa.array([70_000], pa.int32())}))
    # The same table with a column that was short in one file and is an integer in the other.
    (first,) = folder.glob("*.parquet")
    pq.write_table(pq.read_table(first).append_column("stock", pa.array([3, 4], pa.int16())), first)
    (added,) = (tmp_path / "small").glob("*.parquet")
    shutil.copy(added, folder / "wide.parquet")
    log = folder / "_delta_log"
    told = json.loads(next(line for line in (log / f"{0:020d}.json").read_text().splitlines() if "metaData" in line))
    schema = json.loads(told["metaData"]["schemaString"])
    changes = [{"toType": "integer", "fromType": "short"}]
    metadata = {"delta.typeChanges": changes}
    schema["fields"].append({"name": "stock", "type": "integer", "nullable": True, "metadata": metadata})
    told["metaData"]["schemaString"] = json.dumps(schema)
    size = (folder / "wide.parquet").stat().st_size
    add = {"path": "wide.parquet", "size": size, "partitionValues": {}, "modificationTime": 1, "dataChange": True}
    (log / f"{1:020d}.json").write_text(f"{json.dumps(told)}\n{json.dumps({'add': add})}")
    wide = TableSource(source.path, (*source.columns, ("stock", "stock")), "delta")
    assert {name: row["stock"] for name, row in by_id(wide.entries()).items()} == {"a": 3, "b": 4, "c": 70_000}


def test_a_table_that_spark_widened_is_loaded(shared_case):
    path = shared_case("35-delta-type-widening") / "type-widening"
    columns = ("sku", "image", "label", "title", "price", "stock")
    source = TableSource(path, tuple(zip(("product_id", *columns[1:]), columns, strict=True)), "delta")
    entries = source.entries()
    assert (entries.num_rows, entries["reason"].null_count) == (14, 14)
    assert np.unique(entries["stock"].to_numpy()).tolist() == [3, 70_000]


def test_a_mapped_table_of_our_own_is_refused_and_not_read_as_empty_columns(tmp_path):
    store(tmp_path, picture_rows(LABELS), in_rows=True)
    path = tmp_path / "stored" / PRODUCTS
    told = next(
        json.loads(line)
        for line in (path / "_delta_log" / f"{0:020d}.json").read_text().splitlines()
        if "metaData" in line
    )
    schema = json.loads(told["metaData"]["schemaString"])
    for number, field in enumerate(schema["fields"], 1):
        stored = f"col-{number}" if field["name"] == "label" else field["name"]
        field["metadata"] = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": stored}
    told["metaData"]["schemaString"] = json.dumps(schema)
    told["metaData"]["configuration"] = {
        "delta.columnMapping.mode": "name",
        "delta.columnMapping.maxColumnId": str(len(schema["fields"])),
    }
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7}
    protocol |= {"readerFeatures": ["columnMapping"], "writerFeatures": ["columnMapping"]}
    (path / "_delta_log" / f"{2:020d}.json").write_text(f"{json.dumps({'protocol': protocol})}\n{json.dumps(told)}")
    with pytest.raises(CatalogueError, match="column mapping"):
        open_snapshot(tmp_path, "stored")
    assert not masks_of(open_table(path, 1))
