"""Pictures measured in Spark into the Delta table ``quality``: once each, by hash, and nothing twice."""

from __future__ import annotations

import hashlib
import logging
import shutil
from dataclasses import asdict

import deltalake
import numpy as np
import pyarrow as pa
import pytest
from delta.tables import DeltaTable
from pyspark.sql import functions as F  # noqa: N812

from backend.catalogue.delta import delta_log, delta_table
from backend.catalogue.items import PICTURE_BYTES, PRODUCTS, QUALITY, QUALITY_COLUMNS
from backend.catalogue.loading import moving
from backend.catalogue.quality import measuring
from backend.catalogue.quality.measures import measure
from backend.catalogue.quality.measuring import measure_quality, unmeasured
from backend.catalogue.quality.view import FLAGS, open_quality
from backend.catalogue.schemas import PICTURED_SCHEMA, PRODUCT_SCHEMA, QUALITY_SCHEMA
from backend.catalogue.snapshot import open_snapshot
from backend.errors import Cancelled, CatalogueError, CatalogueNotFound
from backend.imaging.pixels import encode_png
from backend.progress import NullProgress
from tests.support.stored_catalogues import hold_pictures

pytestmark = pytest.mark.spark


class Listener(NullProgress):
    """Keeps what it hears; raises ``Cancelled`` once it has heard of a step."""

    job = "job-7"

    def __init__(self, cancelled_at=None):
        self.heard = []
        self.cancelled_at = cancelled_at

    def report(self, done, total, *, unit="", note=""):
        self.heard.append((done, total, unit, note))

    def check_cancelled(self):
        if self.cancelled_at and any(note == self.cancelled_at for *_, note in self.heard):
            raise Cancelled("Stopped.")


@pytest.fixture(scope="module")
def template(spark, sample_snapshot, tmp_path_factory):
    """A catalogue of 24 of the sample's products, and a 25th behind a deletion vector; not measured."""
    folder = tmp_path_factory.mktemp("template") / "shop"
    rows = sample_snapshot.columns(PICTURED_SCHEMA.names).slice(0, 25)
    moving.ensure(spark, folder)
    delta_table.replace_content(frame_of(spark, folder, rows), folder / PRODUCTS, note={})
    gone = rows["product_id"][7].as_py()
    DeltaTable.forPath(spark, str(folder / PRODUCTS)).delete(f"product_id = '{gone}'")
    assert delta_log.masks_of(delta_log.open_table(folder / PRODUCTS))
    return folder


@pytest.fixture
def shop(template, settings):
    """A copy of the template."""
    folder = settings.catalogues_dir / "shop"
    shutil.copytree(template, folder)
    return folder


def frame_of(spark, folder, rows):
    """Rows as a data frame, their pictures held; a column of nulls alone has no type of its own."""
    frame = spark.createDataFrame(hold_pictures(folder, rows).drop_columns(["withdrawn_at"]))
    return frame.withColumn("withdrawn_at", F.lit(None).cast("timestamp")).select(PRODUCT_SCHEMA.names)


def picture(seed):
    return encode_png(np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8))


def sha256_of(data):
    return hashlib.sha256(data).hexdigest()


def put(spark, folder, **pictures):
    """Add products with these pictures, which need not be any."""
    (template,) = (
        delta_log.rows_of(delta_log.open_table(folder / PRODUCTS), PRODUCT_SCHEMA).take(
            np.array([0]), PRODUCT_SCHEMA.names
        )
    ).to_pylist()
    rows = [
        {**template, "product_id": name, "image": data, "image_sha256": sha256_of(data)}
        for name, data in pictures.items()
    ]
    frame = frame_of(spark, folder, pa.Table.from_pylist(rows, PICTURED_SCHEMA))
    frame.write.format("delta").mode("append").save(str(folder / PRODUCTS))


def measured(folder):
    """Rows of the table by hash."""
    rows = (
        delta_log.rows_of(delta_log.open_table(folder / QUALITY), QUALITY_SCHEMA)
        .table(QUALITY_SCHEMA.names)
        .to_pylist()
    )
    by_hash = {row["image_sha256"]: row for row in rows}
    assert len(by_hash) == len(rows)
    return by_hash


def test_every_picture_is_measured_once_as_it_would_be_here(spark, shop, settings):
    listener = Listener()
    snapshot = open_snapshot(settings.catalogues_dir, "shop")
    products = snapshot.columns(["image_sha256", "image"]).to_pylist()
    pictures = {row["image_sha256"]: row["image"] for row in products}
    assert measure_quality(spark, shop, progress=listener) == len(pictures) == 24
    found = measured(shop)
    assert found.keys() == pictures.keys()
    for sha256 in list(pictures)[::5]:
        row, expected = found[sha256], asdict(measure(pictures[sha256]))
        assert row["phash"] == expected["phash"]
        names = ("brightness", "contrast", "sharpness", "entropy")
        assert [row[name] for name in names] == pytest.approx([expected[name] for name in names], rel=1e-6)
    assert listener.heard[0][1:] == (len(pictures), "pictures", "Measuring pictures")
    assert listener.heard[-1] == (len(pictures), len(pictures), "pictures", "Measured")
    done = [heard[0] for heard in listener.heard]
    assert done == sorted(done)

    table = open_quality(snapshot, shop)
    assert (table.measured, table.missing) == (len(products), 0)
    assert set(table.flag_counts()) == set(FLAGS)
    assert snapshot.version == delta_log.newest_version(shop / PRODUCTS)  # the products are not touched


def test_the_table_has_its_columns_its_commit_a_note_and_the_session_its_settings(spark, shop):
    def settings_of():
        return {row["key"]: row["value"] for row in spark.sql("SET").collect()}

    before = settings_of()
    measure_quality(spark, shop, progress=Listener())
    assert settings_of() == before
    table = deltalake.DeltaTable(shop / QUALITY)
    fields = [(field.name, field.type.type, field.nullable) for field in table.schema().fields]
    assert fields == list(QUALITY_COLUMNS)
    note = delta_log.note_of(delta_log.commit_of(shop / QUALITY, table.version()))
    assert (note["action"], note["job"]) == ("quality", "job-7")
    assert table.version() == 1  # made, and filled in one commit
    assert delta_log.version_of_load(shop / QUALITY, note["load"]) == 1


def test_measuring_again_does_nothing_and_new_pictures_are_measured_alone(spark, shop, monkeypatch):
    measure_quality(spark, shop, progress=NullProgress())
    version, before = delta_log.newest_version(shop / QUALITY), measured(shop)
    assert measure_quality(spark, shop, progress=NullProgress()) == 0
    assert delta_log.newest_version(shop / QUALITY) == version

    known = next(iter(before))
    put(spark, shop, new=picture(1), again=picture(1), other=picture(2))
    fresh = unmeasured(shop, delta_log.newest_version(shop / PRODUCTS))
    assert sorted(fresh.to_pylist()) == sorted({sha256_of(picture(1)), sha256_of(picture(2))})
    monkeypatch.setattr(measuring, "_AT_ONCE", 1)  # a commit for each
    assert measure_quality(spark, shop, progress=NullProgress()) == 2
    after = measured(shop)
    assert after.keys() - before.keys() == set(fresh.to_pylist())
    assert after[known] == before[known]
    assert delta_log.newest_version(shop / QUALITY) == version + 2


def test_what_another_job_measured_meanwhile_is_not_put_in_twice(spark, shop, monkeypatch):
    measure_quality(spark, shop, progress=NullProgress())
    everything = measured(shop)
    hashes = pa.array(sorted(everything))
    monkeypatch.setattr(measuring, "unmeasured", lambda *_: hashes)  # as it saw it before the other committed
    assert measure_quality(spark, shop, progress=NullProgress()) == len(everything)
    assert measured(shop) == everything


def test_a_picture_that_cannot_be_measured_is_logged_and_left_out(spark, shop, caplog):
    put(spark, shop, broken=b"no picture at all", fine=picture(3))
    with caplog.at_level(logging.WARNING):
        assert measure_quality(spark, shop, progress=NullProgress()) == 25
    (record,) = [record for record in caplog.records if record.name == measuring.__name__]
    assert "1 pictures of shop cannot be measured" in record.message
    assert f"{sha256_of(b'no picture at all')[:12]}: not_an_image" in record.message
    assert sha256_of(picture(3)) in measured(shop)
    assert measuring.unmeasured_count(shop) == 1
    version = delta_log.newest_version(shop / QUALITY)
    assert measure_quality(spark, shop, progress=NullProgress()) == 0  # it is tried again, and nothing is committed
    assert delta_log.newest_version(shop / QUALITY) == version


def test_pictures_that_are_too_large_are_left_out(spark, shop):
    assert measure_quality(spark, shop, progress=NullProgress(), max_pixels=100) == 0
    assert delta_log.newest_version(shop / QUALITY) is None


def test_a_cancelled_measuring_commits_nothing_and_the_next_one_works(spark, shop):
    with pytest.raises(Cancelled):
        measure_quality(spark, shop, progress=Listener(cancelled_at="Measuring pictures"))
    assert delta_log.newest_version(shop / QUALITY) is None
    assert measure_quality(spark, shop, progress=NullProgress()) == 24


def test_what_is_no_catalogue_is_told(spark, settings):
    with pytest.raises(CatalogueNotFound, match="no catalogue nothing"):
        measure_quality(spark, settings.catalogues_dir / "nothing", progress=NullProgress())


def test_what_spark_cannot_read_is_a_catalogue_error(spark, shop, monkeypatch):
    hashes = unmeasured(shop, delta_log.newest_version(shop / PRODUCTS))
    monkeypatch.setattr(measuring, "unmeasured", lambda *_: hashes)
    for file in (shop / PICTURE_BYTES).glob("*.parquet"):
        file.write_bytes(b"PAR1 damaged PAR1")
    with pytest.raises(CatalogueError, match="shop"):
        measure_quality(spark, shop, progress=NullProgress())
    assert delta_log.newest_version(shop / QUALITY) is None
