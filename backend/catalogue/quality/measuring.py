"""Measure the pictures of a catalogue where Spark runs, into the Delta table ``quality`` beside ``products``.

A row of ``quality`` belongs to the bytes of a picture, not to a product or a version: what was measured once stays
known for every version, old and new, and equal pictures share it.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.delta import delta_log, delta_table
from backend.catalogue.delta.locks import commit_lock
from backend.catalogue.items import PRODUCTS, QUALITY, QUALITY_COLUMNS
from backend.catalogue.pictured import place_of_pictures
from backend.catalogue.quality.measures import measure_batches
from backend.catalogue.schemas import PRODUCT_SCHEMA, QUALITY_SCHEMA, ddl
from backend.errors import CatalogueNotFound
from backend.imaging.pixels import MAX_PIXELS
from backend.spark.watch import Watch

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from backend.progress import Progress

logger = logging.getLogger(__name__)

_KEY = "image_sha256"
_NAMES = [name for name, _, _ in QUALITY_COLUMNS]
_MEASURED_DDL = ddl((*QUALITY_COLUMNS, ("reason", "string", True)))
_AT_ONCE = 1_000_000  # pictures of one commit; their hashes are sent to every executor
_PICTURES_A_BATCH = 256  # held by a worker at once; a picture of a shop has some 100 kB
_PARTS_A_CORE = 4  # so that the progress moves and the last core does not wait long
_LOGGED = 20
_WRITING = 0.9  # share of the time that the measuring takes


def measure_quality(spark: SparkSession, folder: Path, *, progress: Progress, max_pixels: int = MAX_PIXELS) -> int:
    """Measure the pictures of the newest version that nobody measured yet; none left, nothing is committed.

    A picture that cannot be measured is logged and left out; the next call tries it again.

    Args:
        spark: A session with Delta.
        folder: Folder of the catalogue.
        progress: Told the pictures done, asked whether to stop.
        max_pixels: Largest width x height that is decoded.

    Returns:
        How many pictures were measured.

    Raises:
        CatalogueNotFound: There is no catalogue in the folder.
        CatalogueBusy, StorageFull, CatalogueError, Cancelled: As :func:`delta_table.spark_errors` says.
    """
    version = delta_log.newest_version(folder / PRODUCTS)
    if not version:  # version 0 is the empty table
        raise CatalogueNotFound(f"There is no catalogue {folder.name}.", next_step="Load it first.")
    fresh = unmeasured(folder, version)
    watch = Watch(_session(spark), progress, total=max(len(fresh), 1), unit="pictures")
    count = 0
    with delta_table.spark_errors(folder.name, progress):
        for start in range(0, len(fresh), _AT_ONCE):
            some = fresh[start : start + _AT_ONCE]
            pictures = _pictures(watch, folder, version, some)
            span = (start / len(fresh), (start + len(some)) / len(fresh))
            count += _measured(watch, folder, pictures, span=span, max_pixels=max_pixels)
    progress.report(watch.total, watch.total, unit="pictures", note="Measured")
    return count


def unmeasured(folder: Path, version: int) -> pa.Array:
    """Return the hashes of a version's first pictures that are not in ``quality``; no JVM: it reads two columns."""
    products = delta_log.rows_of(delta_log.open_table(folder / PRODUCTS, version), PRODUCT_SCHEMA)
    hashes = products.table([_KEY])[_KEY].unique()
    if not delta_log.newest_version(folder / QUALITY):
        return hashes
    known = delta_log.rows_of(delta_log.open_table(folder / QUALITY), QUALITY_SCHEMA).table([_KEY])[_KEY]
    return hashes.filter(pc.invert(pc.is_in(hashes, value_set=known.combine_chunks())))


def unmeasured_count(folder: Path) -> int:
    """Count the pictures of the newest version that are not measured: after a measuring, those that cannot be read."""
    return len(unmeasured(folder, delta_log.newest_version(folder / PRODUCTS) or 0))


def _session(spark: SparkSession) -> SparkSession:
    """Return a session of the same Spark with settings of its own: small batches, and several tasks a core."""
    own = spark.newSession()
    own.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(_PICTURES_A_BATCH))
    own.conf.set("spark.sql.files.minPartitionNum", str(_PARTS_A_CORE * spark.sparkContext.defaultParallelism))
    return own


def _pictures(watch: Watch, folder: Path, version: int, wanted: pa.Array) -> DataFrame:
    """Return hash and picture of those of ``wanted`` hashes; nothing runs yet."""
    from pyspark.sql import functions as F  # noqa: N812 - as everybody writes it

    path, at = place_of_pictures(folder, version)
    reader = watch.spark.read.format("delta").option("versionAsOf", at)
    pictures = reader.load(str(path)).select(_KEY, "image")
    watch.tasks = pictures.rdd.getNumPartitions()
    # Broadcast, so that no picture travels to where its hash is.
    hashes = F.broadcast(watch.spark.createDataFrame(pa.table({_KEY: wanted})))
    return pictures.join(hashes, _KEY, "left_semi")


def _measured(watch: Watch, folder: Path, pictures: DataFrame, *, span: tuple[float, float], max_pixels: int) -> int:
    """Measure pictures and commit what came of it; returns how many were measured."""
    found = pictures.mapInArrow(partial(measure_batches, max_pixels=max_pixels), _MEASURED_DDL)
    rows = found.dropDuplicates([_KEY]).persist()  # measured once, and counted before anything is committed
    measured = rows.where("reason IS NULL").select(_NAMES)
    start, stop = span
    middle = start + _WRITING * (stop - start)
    try:
        total = watch.run(rows.count, start, middle, "Measuring pictures")
        failed = rows.where("reason IS NOT NULL").select(_KEY, "reason").limit(_LOGGED).collect()
        count = total if not failed else measured.count()
        if failed:
            reasons = "; ".join(f"{row[_KEY][:12]}: {row['reason']}" for row in failed)
            logger.warning("%d pictures of %s cannot be measured: %s", total - count, folder.name, reasons)
        if count:
            with commit_lock(folder, watch.progress):
                merge = partial(_merge, measured, folder / QUALITY, job=watch.progress.job)
                watch.run(merge, middle, stop, "Writing the table quality")
    finally:
        rows.unpersist()
    return int(count)


def _merge(rows: DataFrame, path: Path, *, job: str) -> None:
    """Put in what is not there; whoever measured the same pictures meanwhile was right too."""
    from delta.tables import DeltaTable

    spark = rows.sparkSession
    delta_table.ensure(spark, path, QUALITY_COLUMNS)
    note = {"action": "quality", "load": uuid4().hex, "job": job}
    with delta_table.commit_note(spark, note), delta_table.unmaterialised(spark):
        target = DeltaTable.forPath(spark, str(path)).alias("t")
        target.merge(rows.alias("s"), f"t.{_KEY} = s.{_KEY}").whenNotMatchedInsertAll().execute()
