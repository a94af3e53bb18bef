"""Real Spark writing real Delta tables: versions, guarantees, rejects, conflicts, a full disk, and a cancelled load."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backend.catalogue import delta_table, fashion_mnist
from backend.catalogue.delta_log import files_of
from backend.catalogue.ingest import ingest
from backend.catalogue.items import PRODUCT_COLUMNS, PRODUCTS, QUARANTINE
from backend.catalogue.snapshot import list_catalogues, open_snapshot
from backend.catalogue.sources import ENTRY_SCHEMA, FashionMnistSource
from backend.errors import Cancelled, CatalogueBusy, CatalogueError, CatalogueNotFound, StorageFull
from backend.imaging import decode, encode_png
from backend.pixel_spec import PixelSpec
from backend.progress import NullProgress

pytestmark = pytest.mark.spark

PICTURES = [encode_png(p) for p in np.random.default_rng(9).integers(0, 256, (40, 16, 16, 3), np.uint8)]
SMALL = [(f"p{i:03d}", "Bag", "train", PICTURES[i]) for i in range(40)]


@dataclass(frozen=True)
class Rows:
    """A source with these very rows: (product_id, label, split, picture); it may wait at a pipe before it reads."""

    rows: tuple[tuple[str | None, str | None, str | None, bytes | None], ...]
    name: str = "rows"
    pipe: str = ""

    def entries(self) -> pa.Table:
        names = ("product_id", "label", "split")
        values = {name: [row[at] for row in self.rows] for at, name in enumerate(names)}
        columns = [values.get(field.name, [None] * len(self.rows)) for field in ENTRY_SCHEMA]
        columns[-1] = list(range(len(self.rows)))
        return pa.table(dict(zip(ENTRY_SCHEMA.names, columns, strict=True)), schema=ENTRY_SCHEMA)

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
        options = {"catalogue": "shop", "validation_share": 0.1, "seed": 7, **options}
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
    rows = snapshot.columns([name for name, _, _ in PRODUCT_COLUMNS]).to_pylist()
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
    done = [at for at, _, _, _ in heard]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 400)
    assert {(total, unit) for _, total, unit, _ in heard} == {(400, "products")}
    assert {note for _, _, _, note in heard} >= {"Reading and checking pictures", "Writing the table products"}


def test_rows_lie_in_the_order_of_their_ids(load, settings, idx_folder):
    load(FashionMnistSource(idx_folder.path))
    stored = pa.Table.from_batches(
        open_snapshot(settings.catalogues_dir, "shop").batches(splits=None, columns=["product_id"], batch_size=50)
    )["product_id"].to_pylist()
    assert stored == sorted(stored)
    assert len(stored) == 400


def test_a_table_has_its_guarantees_and_keeps_them_through_every_load(load, settings, spark):
    for version in (1, 2):
        assert load(Rows(tuple(SMALL))).version == version
        table = table_of(settings)
        assert table.metadata().configuration["delta.enableChangeDataFeed"] == "true"
        fields = json.loads(table.schema().to_json())["fields"]
        assert [(f["name"], f["nullable"]) for f in fields] == [(name, null) for name, _, null in PRODUCT_COLUMNS]
    frame = spark.read.format("delta").load(str(settings.catalogues_dir / "shop" / PRODUCTS)).limit(1)
    with pytest.raises(Exception, match="NOT NULL constraint violated"):
        frame.selectExpr("* EXCEPT (label)", "CAST(NULL AS string) AS label").write.format("delta").mode("append").save(
            str(settings.catalogues_dir / "shop" / PRODUCTS)
        )


def test_a_load_is_one_commit_a_table_and_the_old_content_stays_a_version(load, settings):
    load(Rows(tuple(SMALL[:30])))
    report = load(Rows(tuple(SMALL[20:])), seed=8, validation_share=0.5)
    assert report.version == 2
    history = table_of(settings).history()
    assert [(commit["version"], commit["operation"]) for commit in history] == [
        (2, "WRITE"),
        (1, "WRITE"),
        (0, "CREATE TABLE"),
    ]
    note = json.loads(history[0]["userMetadata"])
    assert (note["source"], note["seed"], note["validation_share"]) == ("rows", 8, 0.5)
    assert [commit["version"] for commit in table_of(settings, QUARANTINE).history()] == [0]
    newest, first = (open_snapshot(settings.catalogues_dir, "shop", version) for version in (None, 1))
    assert newest.summary().by_split == {"train": 10, "validation": 10}
    assert first.summary().by_split == {"train": 27, "validation": 3}
    assert newest.page(offset=0, limit=1)[0][0].product_id == "p020"
    assert list_catalogues(settings.catalogues_dir) == ["shop"]


def test_the_change_feed_tells_what_a_second_load_changed(load, settings, spark):
    load(Rows(tuple(SMALL[:3])), validation_share=0.0)
    load(Rows(tuple(SMALL[2:5])), validation_share=0.0)
    feed = spark.read.format("delta").option("readChangeFeed", "true").option("startingVersion", 2)
    changes = feed.load(str(settings.catalogues_dir / "shop" / PRODUCTS)).groupBy("_change_type").count().collect()
    assert {row["_change_type"]: row["count"] for row in changes} == {"insert": 3, "delete": 3}


# ------------------------------------------------------------------------------------------- what is rejected


BAD = (
    ("broken", "Bag", "train", PICTURES[0][:-30]),
    ("p001", "Coat", "test", PICTURES[1]),
    ("absent", "Bag", "train", None),
    (None, "Bag", "train", PICTURES[2]),
    ("unlabelled", None, "train", PICTURES[3]),
    ("lost", "Bag", "tset", PICTURES[4]),
    ("text", "Bag", "train", b"no picture"),
)


def test_rejected_rows_are_kept_with_reason_and_bytes_and_stop_nothing(load, settings):
    report = load(Rows((*SMALL, *BAD)))
    assert report.kept == 40
    assert report.rejected == {
        "damaged": 1,
        "duplicate_id": 1,
        "no_id": 1,
        "no_label": 1,
        "no_picture": 1,
        "not_an_image": 1,
        "unknown_split": 1,
    }
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    assert snapshot.summary().quarantined == 7
    assert snapshot.product("p001").label == "Bag"
    rejected = {row["reason"].split(":")[0]: row for row in snapshot.rejected(limit=100)}
    assert rejected["damaged"]["product_id"] == "broken"
    assert "cannot be read to its end" in rejected["damaged"]["reason"]
    assert rejected["duplicate_id"]["label"] == "Coat"
    assert len(snapshot.rejected(limit=2)) == 2
    stored = pq.read_table([str(path) for path in files_of(table_of(settings, QUARANTINE))])
    images = dict(zip(stored["product_id"].to_pylist(), stored["image"].to_pylist(), strict=True))
    assert (images["broken"], images["absent"], images["p001"]) == (PICTURES[0][:-30], None, PICTURES[1])


def test_a_clean_load_empties_the_quarantine_and_the_old_version_keeps_its_own(load, settings):
    load(Rows((*SMALL, *BAD)))
    assert load(Rows(tuple(SMALL))).rejected == {}
    newest, first = (open_snapshot(settings.catalogues_dir, "shop", version) for version in (None, 1))
    assert (newest.summary().quarantined, newest.rejected(limit=10)) == (0, [])
    assert first.summary().quarantined == len(first.rejected(limit=10)) == 7


def test_a_source_without_one_usable_picture_commits_nothing(load, settings):
    with pytest.raises(CatalogueError, match="None of the 2 products is usable: 1 no_picture, 1 not_an_image"):
        load(Rows((BAD[2], BAD[6])))
    assert list_catalogues(settings.catalogues_dir) == []


def test_a_source_that_breaks_on_an_executor_is_said_so(load, tmp_path, idx_folder):
    for name in (fashion_mnist.TRAIN_LABELS, fashion_mnist.TEST_LABELS, fashion_mnist.TRAIN_IMAGES):
        (tmp_path / name).write_bytes((idx_folder.path / name).read_bytes())
    (tmp_path / fashion_mnist.TEST_IMAGES).write_bytes(b"no gzip")
    with pytest.raises(CatalogueError, match=r"could not load the catalogue shop: .*cannot be unpacked"):
        load(FashionMnistSource(tmp_path))


# ------------------------------------------------------------------------------------------- who else writes


def test_a_load_that_another_writer_overtook_is_refused(load, settings, spark):
    from delta.tables import DeltaTable

    load(Rows(tuple(SMALL[:10])))
    intruders = []

    def intrude(_done, note):
        if note.startswith("Reading") and not intruders:
            table = DeltaTable.forPath(spark, str(settings.catalogues_dir / "shop" / PRODUCTS))
            intruders.append(table.delete("product_id = 'p003'"))

    with pytest.raises(CatalogueBusy, match="to version 2 while this load") as caught:
        load(Rows(tuple(SMALL)), progress=Listener(intrude))
    assert "start this load again" in caught.value.next_step
    assert open_snapshot(settings.catalogues_dir, "shop").summary().rows == 9


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
    assert list_catalogues(settings.catalogues_dir) == []
    with pytest.raises(CatalogueNotFound):
        open_snapshot(settings.catalogues_dir, "shop")
    assert load(Rows(tuple(SMALL))).version == 1


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 3 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"this machine does not let us mount a small disk: {done.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)  # the JVM may hold a file of the failed load open


def test_a_full_disk_is_said_to_be_full_and_the_last_version_stays(spark, settings, small_disk):
    settings = replace(settings, home=small_disk)
    rng = np.random.default_rng(1)
    large = [encode_png(rng.integers(0, 256, (120, 120, 3), np.uint8)) for _ in range(100)]
    options = {"catalogue": "shop", "validation_share": 0.0, "seed": 1, "progress": NullProgress()}
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
        "from backend.catalogue.snapshot import list_catalogues, open_snapshot\n"
        "folder = Path(sys.argv[1])\n"
        "snapshot = open_snapshot(folder, list_catalogues(folder)[0])\n"
        "products, total = snapshot.page(offset=0, limit=24, search='a')\n"
        "snapshot.summary(), snapshot.rejected(limit=5), snapshot.product(products[0].product_id)\n"
        "rows = sum(b.num_rows for b in snapshot.batches(splits=None, columns=['image'], batch_size=64))\n"
        "print(rows, [m for m in ('pyspark', 'py4j', 'tensorflow', 'mlflow', 'streamlit') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(shared_settings.catalogues_dir)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "240 []"
