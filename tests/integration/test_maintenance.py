"""Real Delta tables with deletion vectors: restored, compacted, vacuumed, and told apart version by version."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, QueryBuilder
from hypothesis import Phase, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from backend.catalogue.delta import delta_log, delta_table
from backend.catalogue.delta.delta_log import files_of, masks_of, newest_version, open_table, rows_of
from backend.catalogue.delta.log_replay import files_present, states
from backend.catalogue.items import (
    PICTURE_BYTES,
    PRODUCT_CONSTRAINTS,
    PRODUCTS,
    QUALITY,
    QUALITY_COLUMNS,
    QUARANTINE,
    QUARANTINE_COLUMNS,
)
from backend.catalogue.loading import moving
from backend.catalogue.schemas import PICTURED_SCHEMA, QUALITY_SCHEMA, QUARANTINE_SCHEMA
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.upkeep import change_rows
from backend.catalogue.upkeep.changes import changes_between, changes_towards
from backend.catalogue.upkeep.history import history, readable_versions
from backend.catalogue.upkeep.maintenance import compact, restore, restore_preview, vacuum
from backend.catalogue.upkeep.retention import plan_vacuum
from backend.errors import Cancelled, CatalogueError, CatalogueNotFound
from backend.progress import NullProgress
from tests.support.holding import held_elsewhere
from tests.support.stored_catalogues import hold_pictures

pytestmark = pytest.mark.spark

QUIET = NullProgress()
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def products(ids, *, picture="red", price=9.5):
    images = [f"{name} {picture} ".encode() * 50 for name in ids]
    values = {
        "product_id": list(ids),
        "image": images,
        "image_sha256": [hashlib.sha256(image).hexdigest() for image in images],
        "price": [price] * len(images),
    }
    fixed = {
        "width": 8,
        "height": 8,
        "channels": 3,
        "label": "Bag",
        "split": "train",
        "source": "t",
        "ingested_at": NOW,
    }
    values |= {name: [value] * len(images) for name, value in fixed.items()}
    return pa.table({f.name: pa.array(values.get(f.name, [None] * len(images)), f.type) for f in PICTURED_SCHEMA})


def rejected(ids):
    values = {"product_id": ids, "reason": ["no_picture: It has none."] * len(ids), "source": ["t"] * len(ids)}
    values["ingested_at"] = [NOW] * len(ids)
    return pa.table({f.name: pa.array(values.get(f.name, [None] * len(ids)), f.type) for f in QUARANTINE_SCHEMA})


def append(frame, path, note):
    with delta_table.commit_note(frame.sparkSession, note):
        frame.write.format("delta").mode("append").save(str(path))


class Stopped(NullProgress):
    """Cancels at the first word that it hears."""

    def report(self, done, total, *, unit="", note=""):
        raise Cancelled(note)


class Shop:
    """A catalogue that Spark keeps; every step returns the new version of its products."""

    def __init__(self, spark, catalogues):
        self.spark, self.catalogues, self.folder = spark, catalogues, catalogues / "shop"
        self.path = self.folder / PRODUCTS
        moving.ensure(spark, self.folder)
        delta_table.ensure(spark, self.folder / QUARANTINE, QUARANTINE_COLUMNS)

    @property
    def version(self):
        return newest_version(self.path)

    def frame(self, table):
        """Put the pictures where they are kept, and return the rest of the rows as a data frame."""
        return self.spark.createDataFrame(hold_pictures(self.folder, table))

    def insert(self, table, *, files=1, **note):
        frame = self.frame(table).repartitionByRange(files, "product_id")
        append(frame, self.path, {"action": "ingest", **note})
        return self.version

    def overwrite(self, table, **note):
        delta_table.replace_content(self.frame(table), self.path, note={"action": "ingest", **note})
        return self.version

    def reject(self, ids):
        delta_table.replace_content(self.spark.createDataFrame(rejected(ids)), self.folder / QUARANTINE, note={})
        return newest_version(self.folder / QUARANTINE)

    def merge(self, table):
        """Update products by id, or insert them."""
        from delta.tables import DeltaTable

        target = DeltaTable.forPath(self.spark, str(self.path)).alias("t")
        merge = target.merge(self.frame(table).alias("s"), "t.product_id = s.product_id")
        merge.whenMatchedUpdateAll().whenNotMatchedInsertAll().execute()
        return self.version

    def sql(self, statement):
        self.spark.sql(statement.replace("SHOP", f"delta.`{self.path}`")).collect()
        return self.version

    def content(self, version):
        """The hash of all rows of a version, pictures too."""
        table = open_snapshot(self.catalogues, "shop", version).columns(PICTURED_SCHEMA.names)
        return hashlib.sha256(json.dumps(table.to_pylist(), default=repr).encode()).hexdigest()


@pytest.fixture
def shop(spark, tmp_path):
    return Shop(spark, tmp_path / "home, with space ü" / "catalogues")


IDS = [f"p{number:03d}" for number in range(200)]
VERSIONS = list(range(1, 14))


@pytest.fixture(scope="module")
def original(spark, tmp_path_factory):
    """Every operation that a catalogue may see, in 13 versions; read-only."""
    shop = Shop(spark, tmp_path_factory.mktemp("original") / "home, with space ü")
    shop.insert(products(IDS[:120]), files=2)  # 1
    shop.insert(products(IDS[120:]))  # 2
    shop.merge(products([*IDS[:10], "q0"], picture="blue", price=1.0))  # 3: vectors, and files for the feed
    shop.sql("DELETE FROM SHOP WHERE product_id >= 'p190'")  # 4: a vector alone
    shop.sql("UPDATE SHOP SET withdrawn_at = timestamp'2026-11-20' WHERE product_id BETWEEN 'p050' AND 'p059'")  # 5
    shop.sql("RESTORE TABLE SHOP TO VERSION AS OF 4")  # 6: shrinks vectors
    shop.sql("DELETE FROM SHOP WHERE product_id = 'p005'")  # 7
    shop.sql("OPTIMIZE SHOP")  # 8
    shop.sql("DELETE FROM SHOP WHERE product_id = 'p100'")  # 9
    shop.sql("RESTORE TABLE SHOP TO VERSION AS OF 5")  # 10: whole files with vectors come and go
    shop.sql("REORG TABLE SHOP APPLY (PURGE)")  # 11
    shop.overwrite(products(IDS[:150], price=3.0))  # 12
    shop.merge(products(IDS[100:160], price=3.0))  # 13: the same and new ones
    assert shop.version == VERSIONS[-1]
    return shop


@pytest.fixture
def eventful(spark, original, tmp_path):
    """A copy of that catalogue, which moves with its folder."""
    shutil.copytree(original.folder, tmp_path / "catalogues" / "shop")
    return Shop(spark, tmp_path / "catalogues")


def net(folder, one, other):
    table = folder / PRODUCTS
    state = {s.version: s for s in states(table)}
    between = [state[version] for version in range(one + 1, other + 1)]
    return change_rows._feed_is_usable(between, files_present(table))


def told(changes):
    return [(change.product_id, change.kind, change.changed_columns) for change in changes.page(limit=1000)]


def test_the_changes_between_any_two_versions_are_the_difference_of_their_rows(original, monkeypatch):
    shop, versions = original, VERSIONS
    names = ["product_id", "image_sha256", "price", "withdrawn_at"]
    rows = {
        version: {
            row["product_id"]: row for row in open_snapshot(shop.catalogues, "shop", version).columns(names).to_pylist()
        }
        for version in versions
    }
    monkeypatch.setattr(change_rows, "_feed_rows", lambda *a, real=change_rows._feed_rows: real(*a[:3], 10**6))
    fed = 0
    for one in versions:
        for other in versions[one:]:
            fed += net(shop.folder, one, other)
            found = {change[0]: change[1:] for change in told(changes_between(shop.catalogues, "shop", one, other))}
            assert found == expected(rows[one], rows[other]), (one, other)
    assert fed > 20  # of 78; a restore beyond a compaction is not told by the feed
    assert not net(shop.folder, 9, 10)


def expected(before, after):
    found = {}
    for name in {*before, *after}:
        was, now = before.get(name), after.get(name)
        if was is None or now is None:
            found[name] = ("new" if was is None else "gone", ())
            continue
        pairs = (("image", "image_sha256"), ("price", "price"))
        columns = tuple(column for column, key in pairs if was[key] != now[key])
        if (was["withdrawn_at"] is None) != (now["withdrawn_at"] is None):
            found[name] = ("withdrawn" if now["withdrawn_at"] else "returned", columns)
        elif columns:
            found[name] = ("changed", columns)
    return found


NAMES = ["product_id", "price", "image_sha256"]
ORDERS = st.permutations(["append", "merge", "delete", "restore", "delete", "compact"])


def step(shop, kind, ids, number):
    if kind == "append":
        shop.insert(products([f"{name}-{number}" for name in ids]), files=2)
    elif kind == "merge":
        shop.merge(products([*ids, f"m{number}"], picture="blue", price=float(number)))
    elif kind == "delete":
        shop.sql(f"DELETE FROM SHOP WHERE product_id IN ({', '.join(map(repr, ids))})")
    elif kind == "restore" and shop.version > 1:
        restore(shop.spark, shop.folder, 1 + (number + len(ids)) % (shop.version - 1), progress=QUIET)
    elif kind == "compact":
        compact(shop.spark, shop.folder, progress=QUIET)


@pytest.mark.slow
@given(ORDERS, st.lists(st.sets(st.sampled_from(IDS[:12]), min_size=1, max_size=5), min_size=6, max_size=6))
@profile(max_examples=2, phases=[Phase.generate])  # to shrink would take minutes
def test_any_order_of_changes_is_the_same_to_us_to_deltalake_and_to_spark(spark, tmp_path_factory, kinds, ids):
    shop = Shop(spark, tmp_path_factory.mktemp("any-order"))
    shop.insert(products(IDS[:12]), files=2)
    for number, (kind, some) in enumerate(zip(kinds, ids, strict=True)):
        step(shop, kind, sorted(some), number)
    replayed = {state.version: state.rows for state in states(shop.path)}
    assert sorted(replayed) == list(range(shop.version + 1))
    for version in range(1, shop.version + 1):
        ours = open_snapshot(shop.catalogues, "shop", version).columns(NAMES).to_pylist()
        query = (
            QueryBuilder().register("t", DeltaTable(shop.path, version)).execute(f"select {', '.join(NAMES)} from t")
        )
        reader = spark.read.format("delta").option("versionAsOf", version).load(str(shop.path))
        sparks = [row.asDict() for row in reader.select(NAMES).collect()]
        theirs = query.read_all().to_struct_array().to_pylist()
        assert replayed[version] == len(ours)
        assert by_id(ours) == by_id(theirs) == by_id(sparks)


def by_id(rows):
    """The same product may have been appended twice."""
    return sorted((tuple(row[name] for name in NAMES) for row in rows), key=repr)


def test_the_history_tells_rows_and_words_as_the_tables_have_them(original):
    shop, versions = original, VERSIONS
    entries = {entry.version: entry for entry in history(shop.folder)}
    assert sorted(entries) == [0, *versions]
    for version in versions:
        assert entries[version].rows == len(rows_of(open_table(shop.path, version))), version
        assert entries[version].is_readable
    assert [entries[version].action for version in (0, 1, 3, 6, 8, 11)] == [
        *("Created", "Loaded", "Merged", "Restored version 4", "Compacted", "Compacted")
    ]


# ------------------------------------------------------------------------------------------------- restore


def test_a_restore_brings_rows_and_quarantine_back_as_a_new_version(shop):
    first = shop.insert(products(IDS[:20]), quarantine_version=shop.reject(["bad"]))
    shop.merge(products(["p001", "n001"], picture="blue"))
    shop.sql("DELETE FROM SHOP WHERE product_id = 'p002'")
    last = shop.insert(products(["n002"]), quarantine_version=shop.reject(["worse", "worst"]))
    preview = restore_preview(shop.catalogues, "shop", first)
    assert (preview.from_version, preview.to_version) == (last, first)
    assert told(preview) == [
        ("n001", "gone", ()),
        ("n002", "gone", ()),
        ("p001", "changed", ("image",)),
        ("p002", "new", ()),
    ]
    changed = preview.page("changed")[0]
    assert (changed.before.image[:9], changed.after.image[:8]) == (b"p001 blue", b"p001 red")
    version = restore(shop.spark, shop.folder, first, progress=QUIET, note={"asked": "by a test"})
    assert version == shop.version == last + 1
    assert shop.content(version) == shop.content(first)
    assert [row.product_id for row in open_snapshot(shop.catalogues, "shop").rejected(limit=9)] == ["bad"]
    newest = history(shop.folder)[0]
    assert (newest.action, newest.operation, newest.rows) == (f"Restored version {first}", "RESTORE", 20)
    note = delta_log.note_of(delta_log.commit_of(shop.path, version))
    assert (note["action"], note["restored"], note["job"], note["asked"]) == ("restore", first, "", "by a test")
    assert told(changes_between(shop.catalogues, "shop", last, version)) == told(preview)
    # What was undone is still there, and can be brought back as well.
    assert shop.content(restore(shop.spark, shop.folder, last, progress=QUIET)) == shop.content(last)


def test_a_restore_beyond_an_upgrade_keeps_the_guarantees_of_today(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(moving, "PRODUCT_CONSTRAINTS", PRODUCT_CONSTRAINTS[:1])  # one costs as much as the other
    path = tmp_path / "shop" / PRODUCTS
    old = spark.createDataFrame(products(["a", "b"])).drop("withdrawn_at")
    old.limit(0).write.format("delta").save(str(path))
    old.write.format("delta").mode("append").save(str(path))
    shop = Shop(spark, tmp_path)
    shop.insert(products(["c"]))
    restore(spark, shop.folder, 1, progress=QUIET)
    table = open_table(path)
    configuration = table.metadata().configuration
    assert "withdrawn_at" in {field.name for field in table.schema().fields}
    assert configuration["delta.enableChangeDataFeed"] == "true"
    assert configuration["delta.logRetentionDuration"] == "interval 36500 days"
    assert f"delta.constraints.{PRODUCT_CONSTRAINTS[0][0]}" in configuration
    assert open_snapshot(tmp_path, "shop").columns(["product_id"])["product_id"].to_pylist() == ["a", "b"]


def test_what_cannot_be_restored_is_said_so_and_changes_nothing(shop):
    shop.insert(products(["a"]))
    last = shop.overwrite(products(["b"]))
    for version, said in ((last, "is the newest"), (0, "no version 0"), (9, "no version 9")):
        with pytest.raises(CatalogueError, match=said):
            restore(shop.spark, shop.folder, version, progress=QUIET)
        with pytest.raises(CatalogueError, match=said):
            restore_preview(shop.catalogues, "shop", version)
    for path in files_of(open_table(shop.path, 1)):
        path.unlink()
    with pytest.raises(CatalogueNotFound, match=r"Version 1 .* can no longer be read"):
        restore(shop.spark, shop.folder, 1, progress=QUIET)
    assert shop.version == last
    with pytest.raises(CatalogueNotFound, match="no catalogue nowhere"):
        restore(shop.spark, shop.catalogues / "nowhere", 1, progress=QUIET)
    assert not (shop.catalogues / "nowhere").exists()


def test_whoever_is_committing_is_waited_for(shop):
    shop.insert(products(["a"]))
    last = shop.overwrite(products(["b"]))
    with (
        held_elsewhere(shop.folder / ".commit-lock", "is being written"),
        pytest.raises(Cancelled, match="is being written by process 4711 on far"),
    ):
        restore(shop.spark, shop.folder, 1, progress=Stopped())
    assert shop.version == last


# ------------------------------------------------------------------------------------------------- compact


def test_a_compaction_leaves_fewer_files_no_vectors_and_the_same_rows(shop):
    for start in range(0, 100, 20):
        shop.insert(products(IDS[start : start + 20]), quarantine_version=shop.reject([f"bad{start}"]))
    shop.sql("DELETE FROM SHOP WHERE product_id LIKE '%7'")
    before = shop.version
    assert masks_of(open_table(shop.path))
    report = compact(shop.spark, shop.folder, progress=QUIET)
    assert report == {
        "version": shop.version,
        "files_before": 11,
        "files_after": 3,
        "tables": {
            PRODUCTS: {"files_before": 5, "files_after": 1},
            PICTURE_BYTES: {"files_before": 5, "files_after": 1},
            QUARANTINE: {"files_before": 1, "files_after": 1},
        },
    }
    assert not masks_of(open_table(shop.path))
    assert shop.content(shop.version) == shop.content(before)
    assert changes_between(shop.catalogues, "shop", before, shop.version).total == 0
    assert history(shop.folder)[0].action == "Compacted"
    assert [row.product_id for row in open_snapshot(shop.catalogues, "shop").rejected(limit=9)] == ["bad80"]
    again = compact(shop.spark, shop.folder, progress=QUIET)
    assert (again["version"], again["files_before"], again["files_after"]) == (report["version"], 3, 3)


def test_a_single_deleted_row_is_purged_from_a_large_file(shop):
    shop.insert(products(IDS))
    shop.sql("DELETE FROM SHOP WHERE product_id = 'p003'")
    report = compact(shop.spark, shop.folder, progress=QUIET)
    assert report["version"] == 3
    assert not masks_of(open_table(shop.path))
    assert history(shop.folder)[0].rows == 199


def test_row_groups_stay_small(shop):
    table = products(IDS)
    image = pa.array([np.random.default_rng(seed).bytes(20_000) for seed in range(len(IDS))], pa.binary())
    table = table.set_column(table.schema.get_field_index("image"), table.schema.field("image"), image)
    names = pa.array([hashlib.sha256(one).hexdigest() for one in image.to_pylist()])
    table = table.set_column(table.schema.get_field_index("image_sha256"), table.schema.field("image_sha256"), names)
    for start in (0, 100):
        shop.insert(table.slice(start, 100))
    compact(shop.spark, shop.folder, progress=QUIET)
    (file,) = files_of(open_table(shop.folder / PICTURE_BYTES))
    assert pq.read_metadata(file).num_row_groups > 1


# ------------------------------------------------------------------------------------------------- vacuum


def test_a_vacuum_keeps_what_is_named_and_removes_the_rest(eventful):
    shop, versions = eventful, VERSIONS
    protected = (3, 5, 9)
    before = {version: shop.content(version) for version in versions}
    plan = plan_vacuum(shop.folder, keep_days=0, protected=protected)
    assert readable_versions(shop.folder) == versions
    report = vacuum(shop.spark, shop.folder, keep_days=0, protected=protected, progress=QUIET)
    assert (report["files_removed"], report["bytes_freed"]) == (plan.count, plan.bytes)
    assert (tuple(report["versions_removed"]), tuple(report["protected"])) == (plan.lost, plan.protected)
    assert report["files_removed"] > 0 < report["bytes_freed"]
    assert (report["oldest_readable"], report["protected"]) == (readable_versions(shop.folder)[0], [3, 5, 9])
    left = readable_versions(shop.folder)
    assert {*left} >= {*protected, versions[-1]}
    assert sorted([*left, *report["versions_removed"]]) == versions
    assert 11 in report["versions_removed"]
    assert {version: shop.content(version) for version in left} == {version: before[version] for version in left}
    assert shop.version == versions[-1]  # a vacuum makes no version
    for version in report["versions_removed"]:
        with pytest.raises(CatalogueNotFound, match=f"Version {version} .* can no longer be read"):
            changes_between(shop.catalogues, "shop", version, versions[-1])
        with pytest.raises(CatalogueNotFound, match="can no longer be read"):
            restore(shop.spark, shop.folder, version, progress=QUIET)
    assert {entry.version for entry in history(shop.folder) if not entry.is_readable} == {*report["versions_removed"]}
    assert not [path for path in shop.path.glob(".*.crc") if not (shop.path / path.name[1:-4]).exists()]
    # What changed since a named version is still told, by comparing; and it can be restored.
    assert changes_towards(shop.catalogues, "shop", 3, versions[-1]).total > 0
    assert shop.content(restore(shop.spark, shop.folder, 5, progress=QUIET)) == before[5]
    again = vacuum(shop.spark, shop.folder, keep_days=0, protected=[*protected, versions[-1]], progress=QUIET)
    assert (again["files_removed"], again["versions_removed"]) == (0, [])


def test_spark_reads_the_kept_versions_too(eventful):
    shop, versions = eventful, VERSIONS
    vacuum(shop.spark, shop.folder, keep_days=0, protected=[9], progress=QUIET)
    pictures = shop.spark.read.format("delta").load(str(shop.folder / PICTURE_BYTES))
    for version in (9, versions[-1]):
        frame = shop.spark.read.format("delta").option("versionAsOf", version).load(str(shop.path))
        assert frame.count() == len(rows_of(open_table(shop.path, version)))
        assert frame.join(pictures, "image_sha256").where("length(image) > 0").count() == frame.count()


def test_the_quarantine_of_a_named_version_stays_with_it(shop):
    first = shop.insert(products(["a"]), quarantine_version=shop.reject(["bad"]))
    shop.insert(products(["b"]), quarantine_version=shop.reject(["worse"]))
    last = shop.insert(products(["c"]), quarantine_version=shop.reject(["worst"]))
    report = vacuum(shop.spark, shop.folder, keep_days=0, protected=[first], progress=QUIET)
    assert report["files_removed"] == 1  # the quarantine of version 2; its products are those of version 3 as well
    for version, found in ((first, "bad"), (last, "worst")):
        rows = open_snapshot(shop.catalogues, "shop", version).rejected(limit=9)
        assert [row.product_id for row in rows] == [found]


def test_young_versions_stay(shop):
    shop.insert(products(["a"]))
    shop.overwrite(products(["b"]))
    report = vacuum(shop.spark, shop.folder, keep_days=0.5, protected=[], progress=QUIET)
    assert (report["files_removed"], report["oldest_readable"]) == (0, 1)
    assert readable_versions(shop.folder) == [1, 2]


def test_the_settings_of_the_session_are_as_before(shop):
    conf = shop.spark.conf
    names = ("retentionDurationCheck.enabled", "vacuum.logging.enabled", "commitInfo.userMetadata")
    keys = [f"spark.databricks.delta.{name}" for name in names]
    before = [conf.get(key, None) for key in keys]
    shop.insert(products(["a"]))
    shop.overwrite(products(["b"]))
    compact(shop.spark, shop.folder, progress=QUIET)
    vacuum(shop.spark, shop.folder, keep_days=0, protected=[], progress=QUIET)
    assert [conf.get(key, None) for key in keys] == before
    assert not shop.spark.catalog.listTables()


def test_measurements_are_compacted_and_vacuumed_with_the_rest(shop):
    shop.insert(products(["a"]))
    path = shop.folder / QUALITY
    delta_table.ensure(shop.spark, path, QUALITY_COLUMNS)
    for number in range(3):
        values = {"image_sha256": str(number), "phash": "0f"}
        row = {f.name: [values.get(f.name, 0.5)] for f in QUALITY_SCHEMA}
        append(shop.spark.createDataFrame(pa.table(row, QUALITY_SCHEMA)), path, {})
    report = compact(shop.spark, shop.folder, progress=QUIET)
    assert report["tables"][QUALITY] == {"files_before": 3, "files_after": 1}
    assert vacuum(shop.spark, shop.folder, keep_days=0, protected=[], progress=QUIET)["files_removed"] == 3
    assert len(rows_of(open_table(path))) == 3


def test_a_cancelled_user_gets_no_half_done_work(shop):
    shop.insert(products(["a"]))
    last = shop.overwrite(products(["b"]))
    for task in (
        lambda: restore(shop.spark, shop.folder, 1, progress=Stopped()),
        lambda: compact(shop.spark, shop.folder, progress=Stopped()),
        lambda: vacuum(shop.spark, shop.folder, keep_days=0, protected=[], progress=Stopped()),
    ):
        with pytest.raises(Cancelled):
            task()
    assert (shop.version, readable_versions(shop.folder)) == (last, [1, last])
