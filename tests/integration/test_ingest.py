"""Real Spark writing real Delta tables: versions, guarantees, rejects, conflicts, a full disk, and a cancelled load."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from delta.tables import DeltaTable

from backend.catalogue.delta import delta_table
from backend.catalogue.delta.delta_log import files_of
from backend.catalogue.items import PRODUCT_COLUMNS, PRODUCT_CONSTRAINTS, PRODUCTS, QUARANTINE, LoadCounts
from backend.catalogue.loading.ingest import check_source, commit_checked, ingest
from backend.catalogue.loading.quarantine_export import TABLE, export_quarantine
from backend.catalogue.loading.staged_rejects import StagedRejects
from backend.catalogue.snapshot import list_catalogues, open_snapshot
from backend.catalogue.sources import fashion_mnist
from backend.catalogue.sources.built_in import FashionMnistSource
from backend.catalogue.sources.sources import entry_table
from backend.catalogue.splits import SplitPlan
from backend.errors import Cancelled, CatalogueBusy, CatalogueError, CatalogueNotFound, StorageFull
from backend.imaging.pixels import decode, encode_png
from backend.imaging.spec import PixelSpec
from backend.progress import NullProgress
from tests.fixtures.base import settings_for
from tests.support.disks import disk_of

pytestmark = pytest.mark.spark

PICTURES = [encode_png(p) for p in np.random.default_rng(9).integers(0, 256, (40, 16, 16, 3), np.uint8)]
SMALL = [(f"p{i:03d}", "Bag", "train", PICTURES[i]) for i in range(40)]


@dataclass(frozen=True)
class Rows:
    """A source with these very rows: (product_id, label, split, picture, …); it may wait at a pipe before it reads.

    A fifth value is a price.
    """

    rows: tuple[tuple, ...]
    name: str = "rows"
    pipe: str = ""

    def entries(self) -> pa.Table:
        columns = {name: [row[at] for row in self.rows] for at, name in enumerate(("product_id", "label", "split"))}
        prices = [row[4] if len(row) > 4 else None for row in self.rows]
        return entry_table({**columns, "price": prices, "position": range(len(self.rows))})

    def read(self, entries: pa.RecordBatch) -> list[bytes | None]:
        if self.pipe:
            Path(self.pipe).read_bytes()  # until somebody opens the other end
        return [self.rows[position][3] for position in entries.column("position").to_pylist()]


@pytest.fixture(scope="module", autouse=True)
def _ship_this_module():
    """Executors have `backend` and nothing of the tests, so the sources above travel by value."""
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


class Listener(NullProgress):
    """Keeps what it hears; calls ``when`` at every report, which may raise."""

    def __init__(self, when=lambda done, note: None):
        self.heard: list[tuple[float, float, str, str]] = []
        self.when = when

    def report(self, done, total, *, unit="", note=""):
        self.heard.append((done, total, unit, note))
        self.when(done, note)


@pytest.fixture
def load(spark, settings):
    def run(source, *, progress=None, **options):
        options = {"catalogue": "shop", **options}
        return ingest(spark, source, settings, progress=progress or NullProgress(), **options)

    return run


def table_of(settings, name=PRODUCTS):
    return deltalake.DeltaTable(settings.catalogues_dir / "shop" / name)


# ------------------------------------------------------------------------------------------- what is written


def test_what_is_read_is_what_the_files_hold(load, settings, idx_folder):
    listener = Listener()
    report = load(FashionMnistSource(idx_folder.path), progress=listener)
    assert (report.catalogue, report.version, report.kept, report.rejected) == ("shop", 1, 400, {})
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    rows = snapshot.columns([*(name for name, _, _ in PRODUCT_COLUMNS), "image"]).to_pylist()
    assert [row["product_id"] for row in rows] == sorted(
        [f"fm-train-{i:05d}" for i in range(300)] + [f"fm-test-{i:05d}" for i in range(100)]
    )
    pixels = {"train": idx_folder.train_images, "test": idx_folder.test_images}
    labels = {"train": idx_folder.train_labels, "test": idx_folder.test_labels}
    for row in rows:
        _, part, number = row["product_id"].split("-")
        assert (decode(row["image"], PixelSpec(28, 28, 1)).pixels[..., 0] == pixels[part][int(number)]).all()
        assert row["label"] == fashion_mnist.LABELS[labels[part][int(number)]]
        assert row["split"] in ({"train", "validation"} if part == "train" else {"test"})
        assert (row["width"], row["height"], row["channels"], row["source"]) == (28, 28, 1, "fashion-mnist")
        assert row["image_sha256"] == hashlib.sha256(row["image"]).hexdigest()
    assert len({row["ingested_at"] for row in rows}) == 1
    drawn = Counter(row["label"] for row in rows if row["split"] == "validation")
    sizes = Counter(fashion_mnist.LABELS[label] for label in idx_folder.train_labels)
    assert drawn == {label: int(0.1 * count + 0.5) for label, count in sizes.items()}
    _check_progress(listener.heard)


def _check_progress(heard):
    assert heard.pop(0) == (0, 1, "", "Listing the products")
    done = [at for at, _, _, _ in heard]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 400)
    assert {(total, unit) for _, total, unit, _ in heard} == {(400, "products")}
    assert {note for _, _, _, note in heard} >= {"Reading and checking pictures", "Writing the table products"}


def test_every_file_holds_a_sorted_run_of_ids_so_that_a_page_reads_few_row_groups(load, settings, idx_folder):
    load(FashionMnistSource(idx_folder.path))
    files = files_of(table_of(settings))
    runs = [pq.read_table(path, columns=["product_id"])["product_id"].to_pylist() for path in files]
    assert (
        sorted(name for run in runs for name in run)
        == open_snapshot(settings.catalogues_dir, "shop").columns(["product_id"])["product_id"].to_pylist()
    )
    assert sum(a > b for run in runs for a, b in pairwise(run)) <= 8  # as many tasks as two cores get


def test_a_table_has_its_guarantees_and_keeps_them_through_every_load(load, settings, spark):
    path = settings.catalogues_dir / "shop" / PRODUCTS
    for version in (1, 2):
        assert load(Rows(tuple(SMALL[: 20 * version]))).version == version
        table = table_of(settings)
        configuration = table.metadata().configuration
        assert configuration["delta.enableChangeDataFeed"] == configuration["delta.enableDeletionVectors"] == "true"
        assert {
            f"delta.constraints.{name}": rule for name, rule in PRODUCT_CONSTRAINTS
        }.items() <= configuration.items()
        fields = json.loads(table.schema().to_json())["fields"]
        assert [(f["name"], f["nullable"]) for f in fields] == [(name, null) for name, _, null in PRODUCT_COLUMNS]
    frame = spark.read.format("delta").load(str(path)).limit(1)
    with pytest.raises(Exception, match="NOT NULL constraint violated"):
        frame.selectExpr("* EXCEPT (source)", "CAST(NULL AS string) AS source").write.format("delta").mode(
            "append"
        ).save(str(path))


@pytest.mark.parametrize(
    ("column", "value", "constraint"),
    [
        ("split", "'tset'", "split_known"),
        ("price", "-1.0D", "price_not_negative"),
        ("stock", "-1", "stock_not_negative"),
        ("image_sha256", "'abc'", "sha256_complete"),
        ("width", "0", "size_positive"),
        ("channels", "4", "channels_known"),
        ("product_id", "''", "id_not_empty"),
        ("label", "''", "unlabelled_gallery_only"),
    ],
)
def test_delta_refuses_what_a_constraint_forbids_whoever_writes(shop, spark, column, value, constraint):
    frame = spark.read.format("delta").load(str(shop)).where("split = 'train'").limit(1)
    with pytest.raises(Exception, match=f"CHECK constraint {constraint} "):
        frame.selectExpr(f"* EXCEPT ({column})", f"{value} AS {column}").write.format("delta").mode("append").save(
            str(shop)
        )


@pytest.fixture(scope="module")
def shop(spark, tmp_path_factory):
    """A loaded table whose content no test changes."""
    settings = settings_for(tmp_path_factory.mktemp("constraints"))
    ingest(spark, Rows(tuple(SMALL[:4])), settings, catalogue="shop", progress=NullProgress())
    return settings.catalogues_dir / "shop" / PRODUCTS


def test_a_table_of_an_earlier_release_is_brought_up_to_date(load, settings, spark):
    path = settings.catalogues_dir / "shop" / PRODUCTS
    builder = DeltaTable.createIfNotExists(spark).location(str(path))
    for name, kind, nullable in PRODUCT_COLUMNS[:-1]:
        builder = builder.addColumn(name, kind, nullable=nullable)
    builder.property("delta.enableChangeDataFeed", "true").execute()
    load(Rows(tuple(SMALL[:5])))
    assert open_snapshot(settings.catalogues_dir, "shop").summary().rows == 5
    configuration = table_of(settings).metadata().configuration
    assert configuration["delta.enableDeletionVectors"] == "true"
    assert sum(name.startswith("delta.constraints.") for name in configuration) == len(PRODUCT_CONSTRAINTS)


# ------------------------------------------------------------------------------------------- what is merged


def changed_shop():
    """The small shop after a while: p000 to p004 gone, p010 with another picture, p011 with a price, p040 new."""
    rows = dict(enumerate(SMALL[5:], start=5))
    rows[10] = (*SMALL[10][:3], encode_png(np.full((16, 16, 3), 7, np.uint8)))
    rows[11] = (*SMALL[11], 12.5)
    rows[40] = ("p040", "Bag", "train", encode_png(np.full((16, 16, 3), 9, np.uint8)))
    return Rows(tuple(rows.values()))


def test_a_repeated_load_commits_nothing(load, settings):
    first = load(Rows((*SMALL, *BAD)))
    again = load(Rows((*SMALL, *BAD)))
    assert (first.version, first.counts.new, first.base_version) == (1, 41, None)
    assert again.counts == LoadCounts(unchanged=41)
    assert (again.version, again.base_version, again.rejected) == (1, 1, first.rejected)
    assert [commit["version"] for commit in table_of(settings).history()] == [1, 0]
    assert [commit["version"] for commit in table_of(settings, QUARANTINE).history()] == [1, 0]


@pytest.mark.parametrize(("gone", "left", "withdrawn"), [("keep", 41, 0), ("mark", 41, 5), ("delete", 36, 0)])
def test_new_changed_unchanged_and_gone_are_counted_and_merged(load, settings, gone, left, withdrawn):
    load(Rows(tuple(SMALL)))
    before = {row["product_id"]: row for row in _rows(settings)}
    report = load(changed_shop(), gone=gone)
    assert report.counts == LoadCounts(new=1, changed=2, unchanged=33, gone=5)
    assert (report.version, report.gone_policy) == (2, gone)
    summary = open_snapshot(settings.catalogues_dir, "shop").summary()
    assert (summary.rows, summary.withdrawn) == (left, withdrawn)
    after = {row["product_id"]: row for row in _rows(settings)}
    touched = {"p010", "p011", "p040", *([f"p{i:03d}" for i in range(5)] if gone != "keep" else [])}
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == touched
    assert (after["p011"]["price"], after["p011"]["image_sha256"]) == (12.5, before["p011"]["image_sha256"])
    assert after["p010"]["image_sha256"] != before["p010"]["image_sha256"]
    repeated = load(changed_shop(), gone=gone)
    assert (repeated.version, repeated.counts.new, repeated.counts.changed) == (2, 0, 0)


def _rows(settings):
    names = [name for name, kind, _ in PRODUCT_COLUMNS if kind != "binary"]
    return open_snapshot(settings.catalogues_dir, "shop").columns(names).to_pylist()


def test_no_unchanged_picture_is_rewritten(load, settings, spark):
    load(Rows(tuple(SMALL)))
    files = {path.name for path in files_of(table_of(settings))}
    load(changed_shop(), gone="delete")
    metrics = DeltaTable.forPath(spark, str(settings.catalogues_dir / "shop" / PRODUCTS)).history(1).first()
    assert int(metrics.operationMetrics["numTargetRowsCopied"]) == 0
    assert files < {path.name for path in files_of(table_of(settings))}  # the old files stay, some with fewer rows
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    for product in snapshot.page(offset=0, limit=100)[0]:
        digest = hashlib.sha256(product.image).hexdigest()
        assert (
            digest
            == snapshot.columns(["product_id", "image_sha256"])
            .filter(pc.field("product_id") == product.product_id)["image_sha256"][0]
            .as_py()
        )


def test_a_withdrawn_product_that_comes_back_is_on_sale_again(load, settings):
    load(Rows(tuple(SMALL)))
    load(Rows(tuple(SMALL[5:])), gone="mark")
    assert open_snapshot(settings.catalogues_dir, "shop").product("p002").is_withdrawn
    assert load(Rows(tuple(SMALL[5:])), gone="mark").counts == LoadCounts(unchanged=35)
    report = load(Rows(tuple(SMALL)), gone="mark")
    assert report.counts == LoadCounts(changed=5, unchanged=35)
    assert open_snapshot(settings.catalogues_dir, "shop").summary().withdrawn == 0


def test_a_product_whose_new_picture_is_bad_stays_as_it_was(load, settings):
    load(Rows(tuple(SMALL)))
    report = load(Rows((*SMALL[1:], ("p000", "Bag", "train", b"broken"))), gone="delete")
    assert (report.counts, report.rejected) == (LoadCounts(unchanged=39), {"not_an_image": 1})
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    assert snapshot.product("p000").image == PICTURES[0]
    assert snapshot.summary().quarantined == 1


def test_a_commit_tells_who_made_it_and_what_it_did(load, settings):
    load(Rows(tuple(SMALL)))
    listener = Listener()
    listener.job = "job-7"
    load(changed_shop(), progress=listener, gone="mark", splits=SplitPlan(seed=8))
    history = table_of(settings).history()
    assert [(commit["version"], commit["operation"]) for commit in history] == [
        (2, "MERGE"),
        (1, "WRITE"),
        (0, "CREATE TABLE"),
    ]
    note = json.loads(history[0]["userMetadata"])
    expected = {"source": "rows", "job": "job-7", "new": 1, "changed": 2, "unchanged": 33, "gone": 5}
    assert {name: note[name] for name in expected} == expected
    assert note["splits"]["seed"] == 8
    newest, first = (open_snapshot(settings.catalogues_dir, "shop", version) for version in (None, 1))
    assert (newest.summary().rows, first.summary().rows) == (41, 40)
    assert first.product("p010").image == PICTURES[10]
    assert list_catalogues(settings.catalogues_dir) == ["shop"]


def test_the_change_feed_tells_what_a_second_load_changed(load, settings, spark):
    load(Rows(tuple(SMALL)))
    load(changed_shop(), gone="delete")
    feed = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 2)
    changes = feed.load(str(settings.catalogues_dir / "shop" / PRODUCTS)).groupBy("_change_type").count().collect()
    assert {row["_change_type"]: row["count"] for row in changes} == {
        "insert": 1,
        "update_preimage": 2,
        "update_postimage": 2,
        "delete": 5,
    }


# ------------------------------------------------------------------------------------------- looked at before


def test_a_check_commits_nothing_and_its_commit_does_just_that(spark, load, settings):
    load(Rows(tuple(SMALL)))
    options = {"catalogue": "shop", "progress": NullProgress()}
    report = check_source(spark, Rows((*changed_shop().rows, *BAD)), settings, **options)
    assert (report.version, report.base_version) == (None, 1)
    assert report.counts == LoadCounts(new=2, changed=3, unchanged=33, gone=4)  # p001 is a coat now
    assert report.rejected["damaged"] == 1
    assert table_of(settings).version() == 1
    done = commit_checked(spark, settings, report.staged, gone="delete", progress=NullProgress())
    assert (done.version, done.counts, done.rejected) == (2, report.counts, report.rejected)
    assert open_snapshot(settings.catalogues_dir, "shop").summary().rows == 38
    with pytest.raises(CatalogueNotFound, match="no checked load"):
        commit_checked(spark, settings, report.staged, gone="delete", progress=NullProgress())
    assert list(settings.staging_dir.iterdir()) == []


def test_a_check_that_the_catalogue_has_left_behind_is_refused(spark, load, settings):
    report = check_source(spark, Rows(tuple(SMALL)), settings, catalogue="shop", progress=NullProgress())
    load(Rows(tuple(SMALL[:3])))
    with pytest.raises(CatalogueBusy, match="since this source was checked") as caught:
        commit_checked(spark, settings, report.staged, gone="keep", progress=NullProgress())
    assert "Check the source again" in caught.value.next_step
    assert open_snapshot(settings.catalogues_dir, "shop").summary().rows == 3


def test_duplicates_and_leaks_are_counted_before_anything_is_committed(spark, settings):
    twins = [("a", "Bag", "train", PICTURES[0]), ("b", "Bag", "test", PICTURES[0]), ("c", "Bag", "train", PICTURES[1])]
    twins += [("d", "Bag", "train", PICTURES[1]), ("e", "Bag", "gallery-only", PICTURES[2])]
    plan = SplitPlan(validation_share=0.0)
    report = check_source(spark, Rows(tuple(twins)), settings, catalogue="x", splits=plan, progress=NullProgress())
    assert (report.duplicates, report.leaks) == (4, 1)
    assert report.by_split == {"gallery-only": 1, "test": 1, "train": 3}


# ------------------------------------------------------------------------------------------- what is rejected


BAD = (
    ("broken", "Bag", "train", PICTURES[0][:-30]),
    ("p001", "Coat", "test", PICTURES[1]),
    ("absent", "Bag", "train", None),
    (None, "Bag", "train", PICTURES[2]),
    ("unlabelled", None, "train", PICTURES[35]),
    ("lost", "Bag", "tset", PICTURES[4]),
    ("text", "Bag", "train", b"no picture"),
)


def test_rejected_rows_are_kept_with_reason_and_bytes_and_stop_nothing(load, settings):
    report = load(Rows((*SMALL, *BAD)))
    assert report.kept == 41
    assert any("1 products have no label" in note for note in report.notes)
    assert report.rejected == {
        "damaged": 1,
        "duplicate_id": 1,
        "no_id": 1,
        "no_picture": 1,
        "not_an_image": 1,
        "unknown_split": 1,
    }
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    assert snapshot.summary().quarantined == 6
    assert snapshot.product("p001").label == "Bag"
    assert (snapshot.product("unlabelled").label, snapshot.product("unlabelled").split) == ("", "gallery-only")
    rejected = {row.code: row for row in snapshot.rejected(limit=100)}
    assert snapshot.rejected_by_reason() == report.rejected
    assert rejected["damaged"].product_id == "broken"
    assert "cannot be read completely" in rejected["damaged"].sentence
    assert rejected["duplicate_id"].label == "Coat"
    assert [row.code for row in snapshot.rejected(limit=2, offset=1)] == ["duplicate_id", "no_id"]
    assert (rejected["damaged"].image, rejected["no_picture"].image) == (PICTURES[0][:-30], None)


def test_rejected_rows_leave_when_they_are_mended_wherever_from(load, settings):
    load(Rows((*SMALL, *BAD)))
    mended = Rows((("broken", "Bag", "train", PICTURES[36]), ("worse", "Bag", "train", b"no")), name="mended.zip")
    report = load(mended)
    assert (report.counts.new, report.rejected) == (1, {"not_an_image": 1})
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    assert snapshot.product("broken").image == PICTURES[36]
    left = {(row.source, row.product_id) for row in snapshot.rejected(limit=100)}
    assert left == {("rows", name) for name in ("p001", "absent", None, "lost", "text")} | {("mended.zip", "worse")}


def test_the_quarantine_travels_as_a_zip_with_table_and_pictures(load, settings):
    load(Rows((*SMALL, *BAD)))
    archive = zipfile.ZipFile(io.BytesIO(export_quarantine(open_snapshot(settings.catalogues_dir, "shop"))))
    rows = {row["product_id"]: row for row in csv.DictReader(io.StringIO(archive.read(TABLE).decode()))}
    assert set(rows) == {"broken", "p001", "absent", "", "lost", "text"}
    assert archive.read(rows["broken"]["image"]) == PICTURES[0][:-30]
    assert rows["broken"]["reason"].startswith("damaged: ")
    assert rows["absent"]["image"] == ""
    assert len(archive.namelist()) == 1 + 5


def test_a_clean_load_empties_the_quarantine_and_the_old_version_keeps_its_own(load, settings):
    load(Rows((*SMALL, *BAD)))
    assert load(Rows(tuple(SMALL))).rejected == {}
    newest, first = (open_snapshot(settings.catalogues_dir, "shop", version) for version in (None, 1))
    assert (newest.version, newest.summary().quarantined, newest.rejected(limit=10)) == (2, 0, [])
    assert first.summary().quarantined == len(first.rejected(limit=10)) == 6


def test_a_source_without_one_usable_picture_commits_nothing(load, settings):
    with pytest.raises(CatalogueError, match="None of the 2 products is usable: 1 no_picture, 1 not_an_image"):
        load(Rows((BAD[2], BAD[6])))
    assert list_catalogues(settings.catalogues_dir) == []


def test_a_check_without_one_usable_picture_lists_the_rejected_rows_and_cannot_be_committed(spark, settings):
    source = Rows((BAD[2], BAD[6]))
    report = check_source(spark, source, settings, catalogue="shop", progress=NullProgress())
    assert (report.kept, report.rejected) == (0, {"no_picture": 1, "not_an_image": 1})
    assert report.notes[-1].startswith("No product can be used")
    listed = StagedRejects(settings, report.staged)
    assert {row.product_id: row.reason.partition(":")[0] for row in listed.rejected(limit=10)} == {
        BAD[2][0]: "no_picture",
        BAD[6][0]: "not_an_image",
    }
    assert zipfile.ZipFile(io.BytesIO(export_quarantine(listed))).read(TABLE).count(b"\n") == 3
    with pytest.raises(CatalogueError, match="None of the 2 products is usable"):
        commit_checked(spark, settings, report.staged, gone="keep", progress=NullProgress())
    assert list_catalogues(settings.catalogues_dir) == []


def test_a_source_that_breaks_on_an_executor_is_said_so(load, tmp_path, idx_folder):
    for name in (fashion_mnist.TRAIN_LABELS, fashion_mnist.TEST_LABELS, fashion_mnist.TRAIN_IMAGES):
        (tmp_path / name).write_bytes((idx_folder.path / name).read_bytes())
    (tmp_path / fashion_mnist.TEST_IMAGES).write_bytes(b"no gzip")
    with pytest.raises(CatalogueError, match=r"catalogue shop could not be loaded: .*cannot be unpacked"):
        load(FashionMnistSource(tmp_path))


# ------------------------------------------------------------------------------------------- who else writes


def test_a_load_that_another_writer_overtook_says_so_and_goes_on(load, settings, spark):
    load(Rows(tuple(SMALL[:10])))
    intruders = []

    def intrude(_done, note):
        if note.startswith("Preparing") and not intruders:
            table = DeltaTable.forPath(spark, str(settings.catalogues_dir / "shop" / PRODUCTS))
            intruders.append(table.delete("product_id = 'p003'"))

    listener = Listener(intrude)
    report = load(Rows(tuple(SMALL)), progress=listener)
    assert (report.version, report.counts) == (3, LoadCounts(new=31, unchanged=9))
    assert any("lost to a writer (DELETE, version 2)" in note for note in report.notes)
    assert any("lost to a writer (DELETE, version 2). Trying again (2 of 5)" in note for *_, note in listener.heard)
    assert open_snapshot(settings.catalogues_dir, "shop").summary().rows == 40


def test_a_picture_that_was_held_when_it_was_checked_is_read_again_if_it_is_no_more(load, settings, spark):
    load(Rows(tuple(SMALL[:10])))
    intruders = []

    def intrude(_done, note):
        if note.startswith("Reading") and not intruders:
            table = DeltaTable.forPath(spark, str(settings.catalogues_dir / "shop" / PRODUCTS))
            intruders.append(table.delete("product_id = 'p003'"))

    report = load(Rows(tuple(SMALL[:10])), progress=Listener(intrude))
    assert (report.version, report.counts) == (3, LoadCounts(new=1, unchanged=9))
    assert open_snapshot(settings.catalogues_dir, "shop").product("p003").image == PICTURES[3]


def test_two_commits_at_the_same_moment_make_one_winner(spark, load, settings, tmp_path):
    load(Rows(tuple(SMALL[:10])))
    path = settings.catalogues_dir / "shop" / PRODUCTS
    begun, go = str(tmp_path / "begun"), str(tmp_path / "go")
    os.mkfifo(begun)
    os.mkfifo(go)

    def held_back(batches):
        Path(begun).write_bytes(b"")
        Path(go).read_bytes()
        yield from batches

    stored = spark.read.format("delta").load(str(path))
    slow = stored.where("product_id < 'p003'").coalesce(1).mapInArrow(held_back, stored.schema)
    outcome = []

    def write_slowly():
        try:
            with delta_table.spark_errors("shop", NullProgress()):
                delta_table.replace_content(slow, path, note={})
        except CatalogueError as error:
            outcome.append(error)

    thread = threading.Thread(target=write_slowly)
    thread.start()
    Path(begun).read_bytes()
    delta_table.replace_content(stored.where("product_id >= 'p003'"), path, note={})
    Path(go).write_bytes(b"")
    thread.join()
    (error,) = outcome
    assert isinstance(error, CatalogueBusy)
    assert "Another writer changed the catalogue shop" in error.message
    assert open_snapshot(settings.catalogues_dir, "shop").summary().rows == 7


# ------------------------------------------------------------------------------------------- what ends a load


def test_a_cancelled_load_ends_its_jobs_and_leaves_the_last_version(load, settings, spark, tmp_path):
    load(Rows(tuple(SMALL[:10])))
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)

    class Stopped(NullProgress):
        def check_cancelled(self):
            if spark.sparkContext.statusTracker().getActiveStageIds():
                raise Cancelled("The user asked to stop.")

    with pytest.raises(Cancelled):
        load(Rows(tuple(SMALL), pipe=pipe), progress=Stopped())
    assert list(spark.sparkContext.statusTracker().getActiveJobsIds()) == []
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    assert (snapshot.version, snapshot.summary().rows) == (1, 10)
    assert load(Rows(tuple(SMALL))).version == 2


def test_a_first_load_that_is_cancelled_leaves_no_catalogue(load, settings):
    def stop(_done, note):
        if note.startswith("Writing the table products"):
            raise Cancelled("The user asked to stop.")

    with pytest.raises(Cancelled):
        load(Rows(tuple(SMALL)), progress=Listener(stop))
    assert list(settings.staging_dir.iterdir()) == []
    assert list_catalogues(settings.catalogues_dir) == []
    with pytest.raises(CatalogueNotFound):
        open_snapshot(settings.catalogues_dir, "shop")
    assert load(Rows(tuple(SMALL))).version == 1


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 3 MB."""
    with disk_of(tmp_path / "disk", "3m") as place:
        yield place


def test_a_full_disk_is_said_to_be_full_and_the_last_version_stays(spark, settings, small_disk):
    settings = replace(settings, home=small_disk)
    rng = np.random.default_rng(1)
    large = [encode_png(rng.integers(0, 256, (120, 120, 3), np.uint8)) for _ in range(100)]
    options = {"catalogue": "shop", "progress": NullProgress()}
    ingest(spark, Rows(tuple(SMALL)), settings, **options)
    with pytest.raises(StorageFull, match="disk is full; the catalogue shop stays") as caught:
        ingest(spark, Rows(tuple((f"x{i}", "Bag", "train", p) for i, p in enumerate(large))), settings, **options)
    assert "TWINSET_HOME" in caught.value.next_step
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    assert (snapshot.version, snapshot.summary().rows) == (1, 40)


# ------------------------------------------------------------------------------------------- who reads


def test_the_sample_is_a_shop(sample_snapshot):
    summary = sample_snapshot.summary()
    assert (summary.rows, summary.version, summary.quarantined) == (240, 1, 0)
    assert len(summary.by_label) >= 12
    products, total = sample_snapshot.page(offset=0, limit=24, split="test")
    assert total == summary.by_split["test"]
    assert all(p.title and p.brand and p.colour and p.price > 0 and p.stock is not None for p in products)
    assert all(decode(p.image, PixelSpec(48, 48, 3)).info.channels == 3 for p in products)


def test_reading_starts_no_jvm_and_loads_no_heavy_library(sample_snapshot, shared_settings):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from backend.catalogue.snapshot import open_snapshot\n"
        "folder = Path(sys.argv[1])\n"
        "snapshot = open_snapshot(folder, sys.argv[2])\n"
        "products, total = snapshot.page(offset=0, limit=24, search='a')\n"
        "snapshot.summary(), snapshot.rejected(limit=5), snapshot.product(products[0].product_id)\n"
        "rows = sum(b.num_rows for b in snapshot.batches(splits=None, columns=['image'], batch_size=64))\n"
        "print(rows, [m for m in ('pyspark', 'py4j', 'tensorflow', 'mlflow', 'streamlit') if m in sys.modules])"
    )
    # By name: in this shared home, catalogues of other tests may stand before the sample in the alphabet.
    arguments = [str(shared_settings.catalogues_dir), sample_snapshot.name]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "240 []"
