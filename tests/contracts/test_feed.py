"""What every reader must do: the same pixel table, byte for byte, whatever lies in the files, and nothing left behind."""

from __future__ import annotations

import sys
import threading
import time

import numpy as np
import pytest

from backend.catalogue.delta.delta_log import masks_of, open_table
from backend.catalogue.items import PRODUCTS
from backend.catalogue.loading.ingest import ingest
from backend.catalogue.snapshot import open_snapshot
from backend.catalogue.sources.built_in import SampleSource
from backend.errors import Cancelled, CatalogueError, ConfigurationError, EnvironmentUnready
from backend.feeding import arrow
from backend.feeding.arrow import decode_split
from backend.feeding.batches import BatchPlan, PixelFeed
from backend.feeding.readers import READERS, reader_for
from backend.feeding.shards import Shard, shard_plan
from backend.feeding.split_index import index_split
from backend.imaging.spec import PixelSpec
from backend.progress import NullProgress
from tests.fixtures.models import Listener
from tests.support.pictures import all_decoded
from tests.support.stored_catalogues import hide, picture_rows, store

SPEC = PixelSpec(12, 12, 1, "dark")
LABELS = ("bag", "coat", "shoe")
RANKS = 3


@pytest.fixture(params=READERS)
def reader(request):
    return request.param


@pytest.fixture(autouse=True)
def no_thread_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture(scope="module")
def rows():
    """90 products to train with, labels in turn, and some of other splits between them."""
    mixed = []
    for part in range(3):
        mixed += picture_rows(LABELS * 10, first=100 * part)
        mixed += picture_rows(LABELS, split="validation", first=100 * part + 50)
        mixed += picture_rows(LABELS, split="test", first=100 * part + 60)
    return mixed


@pytest.fixture(scope="module", params=[False, True], ids=["pictures apart", "pictures in the rows"])
def in_rows(request):
    """How pictures are stored; the second is how earlier versions did."""
    return request.param


@pytest.fixture(scope="module")
def stored(rows, in_rows, tmp_path_factory):
    """The rows in two files, in no order of their ids."""
    return store(tmp_path_factory.mktemp("feed"), rows[60:], rows[:60][::-1], in_rows=in_rows)


@pytest.fixture(scope="module")
def changed(rows, in_rows, tmp_path_factory):
    """The rows after a product was deleted, one has a new picture, one a new label and one left the split.

    Their former rows are still in the files, behind deletion vectors. Returned with the rows that are there.
    """
    folder = tmp_path_factory.mktemp("changed")
    picture = {**rows[3], "image": picture_rows(["any"], first=999)[0]["image"]}
    label, moved = {**rows[4], "label": "shoe"}, {**rows[40], "split": "validation"}
    fresh = [picture, label, moved]
    changed = {row["product_id"] for row in fresh}
    snapshot = hide(
        store(folder, rows[:60], rows[60:], fresh, in_rows=in_rows), folder, changed | {rows[8]["product_id"]}
    )
    assert snapshot.rows.masks
    there = [row for row in rows if row["product_id"] not in changed | {rows[8]["product_id"]}]
    return snapshot, [*there, *fresh]


def assert_holds(table, rows, split="train", spec=SPEC):
    expected = sorted((row for row in rows if row["split"] == split), key=lambda row: row["product_id"])
    assert table.product_ids.tolist() == [row["product_id"] for row in expected]
    assert table.labels.tolist() == [row["label"] for row in expected]
    np.testing.assert_array_equal(table.pixels, all_decoded([row["image"] for row in expected], spec))


def decoded(snapshot, path, reader, **options):
    return decode_split(snapshot, "train", SPEC, path, progress=NullProgress(), reader=reader, **options)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_picture_of_the_split_is_there_once_and_no_other(stored, rows, reader, split, tmp_path):
    table = decode_split(stored, split, SPEC, tmp_path / "pixels", progress=NullProgress(), reader=reader)
    assert_holds(table, rows, split)
    assert isinstance(table.pixels, np.memmap)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_former_rows_behind_deletion_vectors_are_left_out(changed, reader, split, tmp_path):
    snapshot, rows = changed
    table = decode_split(snapshot, split, SPEC, tmp_path / "pixels", progress=NullProgress(), reader=reader)
    assert_holds(table, rows, split)


def test_an_earlier_version_is_read_as_it_was(changed, rows, reader, tmp_path):
    snapshot, _ = changed
    earlier = open_snapshot(snapshot.rows.files[0].parents[2], snapshot.name, 2)
    assert_holds(decoded(earlier, tmp_path / "pixels", reader), rows)


def test_the_same_seed_gives_the_same_batches_whichever_reads(changed, tmp_path):
    snapshot, _ = changed
    epochs = []
    for name in READERS:
        table = decoded(snapshot, tmp_path / name, name)
        _, numbers = np.unique(table.labels, return_inverse=True)
        feed = PixelFeed(table.pixels, numbers.astype(np.int32), BatchPlan(3, 4, 0, "flip-shift", 7))
        epochs.append([(batch.pixels.tobytes(), batch.labels.tolist()) for batch in feed.epoch(1)])
    assert epochs[0] == epochs[1]
    assert len(epochs[0]) > 3


@pytest.mark.parametrize("rows_per_group", [6, 1000], ids=["row groups", "rows"])
def test_shards_are_disjoint_and_cover_the_split_with_every_class(rows, reader, rows_per_group, tmp_path):
    snapshot = store(tmp_path, [row for row in rows if row["split"] == "train"], rows_per_group=rows_per_group)
    plan = shard_plan(snapshot, "train", RANKS)
    assert plan.mode == ("row groups" if rows_per_group == 6 else "rows")
    shards = [decoded(snapshot, tmp_path / f"{rank}", reader, shard=Shard(rank, RANKS)) for rank in range(RANKS)]
    whole = decoded(snapshot, tmp_path / "whole", reader)
    ids = np.concatenate([shard.product_ids for shard in shards])
    assert sorted(ids.tolist()) == whole.product_ids.tolist()
    for rank, shard in enumerate(shards):
        assert shard.product_ids.tolist() == plan.shard(rank).product_ids.tolist()
        assert set(shard.labels.tolist()) == set(LABELS)
        at = np.searchsorted(whole.product_ids, shard.product_ids)
        np.testing.assert_array_equal(shard.pixels, whole.pixels[at])
        assert shard.labels.tolist() == whole.labels[at].tolist()


def test_a_shard_of_a_changed_catalogue_has_no_former_rows(changed, reader, tmp_path):
    snapshot, rows = changed
    shards = [decoded(snapshot, tmp_path / f"{rank}", reader, shard=Shard(rank, 2)) for rank in range(2)]
    ids = sorted(np.concatenate([shard.product_ids for shard in shards]).tolist())
    assert ids == sorted(row["product_id"] for row in rows if row["split"] == "train")


def test_no_more_pictures_than_asked_for_come_at_once(changed, reader):
    snapshot, _ = changed
    index = index_split(snapshot, "train")
    batches = list(reader_for(reader).pictures(index, batch_size=5))
    assert max(map(len, batches)) <= 5
    assert sorted(np.concatenate([batch.rows for batch in batches]).tolist()) == list(range(len(index)))


def test_an_iterator_that_is_left_takes_its_threads_along(stored, reader):
    pictures = reader_for(reader).pictures(index_split(stored, "train"), batch_size=2)
    next(pictures)
    pictures.close()


def test_pictures_that_cannot_be_read_are_left_out_and_listed(rows, reader, tmp_path, monkeypatch):
    monkeypatch.setattr(arrow, "BATCH", 4)  # so that rows are moved over each other
    bad = {rows[at]["product_id"] for at in (0, 1, 17, 29)}
    damaged = [{**row, "image": b"no picture"} if row["product_id"] in bad else row for row in rows]
    table = decoded(store(tmp_path, damaged), tmp_path / "pixels", reader)
    assert table.unreadable == tuple(sorted(bad))
    assert_holds(table, [row for row in rows if row["product_id"] not in bad])
    assert isinstance(table.pixels, np.memmap)


def test_a_cancelled_decoding_stops(stored, reader, tmp_path, monkeypatch):
    monkeypatch.setattr(arrow, "BATCH", 4)

    class Impatient(Listener):
        def check_cancelled(self):
            if self.reports:
                raise Cancelled("The user asked to stop.")

    heard = Impatient()
    with pytest.raises(Cancelled):
        decode_split(stored, "train", SPEC, tmp_path / "pixels", progress=heard, reader=reader)
    assert len(heard.reports) == 1


def test_a_file_that_is_gone_is_told_as_a_sentence(rows, reader, tmp_path):
    snapshot = store(tmp_path, rows)
    snapshot.rows.pictures.files[0].unlink()
    with pytest.raises(CatalogueError, match=r"cannot be read: .*part-"):
        decoded(snapshot, tmp_path / "pixels", reader)


def test_a_file_that_is_damaged_is_told_as_a_sentence(rows, reader, tmp_path, capfd):
    snapshot = store(tmp_path, rows)
    assert snapshot.rows.pictures.row_groups  # the end of the file has been read
    file = snapshot.rows.pictures.files[0]
    whole = file.read_bytes()
    at = whole.index(rows[5]["image"]) - 200
    file.write_bytes(whole[:4] + bytes(at - 4) + whole[at:])
    with pytest.raises(CatalogueError, match="cannot be read"):
        decoded(snapshot, tmp_path / "pixels", reader)
    capfd.readouterr()  # Petastorm's workers say it, too


def test_an_empty_split_is_an_empty_table(stored, reader, tmp_path):
    table = decode_split(stored, "gallery-only", SPEC, tmp_path / "none", progress=NullProgress(), reader=reader)
    assert table.pixels.shape == (0, *SPEC.shape)


def test_a_folder_with_a_space_and_an_umlaut_is_read(rows, reader, tmp_path):
    folder = tmp_path / "Größe 1"
    folder.mkdir()
    assert_holds(decoded(store(folder, rows), tmp_path / "pixels", reader), rows)


def test_a_reader_that_does_not_exist_is_refused(stored, tmp_path):
    with pytest.raises(ConfigurationError, match="no reader 'tfrecord'"):
        decoded(stored, tmp_path / "pixels", "tfrecord")


# ------------------------------------------------------------------------------------------------- Petastorm alone


def test_petastorm_says_when_it_is_not_installed(stored, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "petastorm", None)
    with pytest.raises(EnvironmentUnready, match="Petastorm cannot be used here") as caught:
        decoded(stored, tmp_path / "pixels", "petastorm")
    assert "Arrow" in caught.value.next_step


def test_petastorm_that_ends_before_its_last_row_group_is_asked_again(rows, tmp_path, monkeypatch):
    """Regression: between its two questions whether all is done, the last row groups are handed out."""
    from petastorm.workers_pool.thread_pool import ThreadPool

    ask, hand_out = ThreadPool.all_workers_done, ThreadPool.ventilate

    def ask_slowly(pool):
        done = ask(pool)
        time.sleep(0.2 * done)
        return done

    def hand_out_late(pool, **item):
        time.sleep(0.02)
        hand_out(pool, **item)

    monkeypatch.setattr(ThreadPool, "all_workers_done", ask_slowly)
    monkeypatch.setattr(ThreadPool, "ventilate", hand_out_late)
    snapshot = store(tmp_path, rows, rows_per_group=1000)
    assert_holds(decoded(snapshot, tmp_path / "pixels", "petastorm"), rows)


def test_petastorm_says_when_it_would_misread_a_path(rows, tmp_path):
    folder = tmp_path / "no. #1"
    folder.mkdir()
    with pytest.raises(CatalogueError, match="misinterprets part of the path"):
        decoded(store(folder, rows), tmp_path / "pixels", "petastorm")


def test_petastorm_says_when_former_rows_cannot_be_told_apart(rows, tmp_path):
    unnamed = [{**row, "image_sha256": None} for row in rows]
    snapshot = hide(store(tmp_path, unnamed, in_rows=True), tmp_path, ["p0000"])
    with pytest.raises(CatalogueError, match="no hashes"):
        decoded(snapshot, tmp_path / "pixels", "petastorm")


# ------------------------------------------------------------------------------------------------- as Spark writes


@pytest.fixture(scope="module")
def by_spark(spark, shared_settings):
    """A catalogue that Spark loaded, and in which it changed and deleted rows."""
    ingest(spark, SampleSource(90), shared_settings, catalogue="feed-vectors", progress=NullProgress())
    folder = shared_settings.catalogues_dir / "feed-vectors" / PRODUCTS
    spark.sql(f"UPDATE delta.`{folder}` SET price = 1.0 WHERE product_id LIKE '%3'")
    spark.sql(f"DELETE FROM delta.`{folder}` WHERE product_id LIKE '%7'")
    assert masks_of(open_table(folder))
    return open_snapshot(shared_settings.catalogues_dir, "feed-vectors")


@pytest.mark.spark
@pytest.mark.parametrize("ranks", [1, 2])
def test_what_spark_changed_and_deleted_is_read_as_it_is_now(by_spark, reader, ranks, tmp_path):
    there = by_spark.columns(["product_id", "label", "split", "image"], splits=["train"]).to_pylist()
    assert not any(row["product_id"].endswith("7") for row in there)
    spec = PixelSpec(24, 24, 3)
    tables = [
        decode_split(
            by_spark,
            "train",
            spec,
            tmp_path / f"{rank}",
            progress=NullProgress(),
            reader=reader,
            shard=Shard(rank, ranks),
        )
        for rank in range(ranks)
    ]
    assert sum(map(len, tables)) == len(there)
    for table in tables:
        mine = set(table.product_ids.tolist())
        assert_holds(table, [row for row in there if row["product_id"] in mine], spec=spec)
