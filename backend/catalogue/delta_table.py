"""The Delta tables of a catalogue, as Spark writes them: made once, replaced in one commit, errors translated."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backend.errors import CatalogueBusy, CatalogueError, StorageFull, WorkbenchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from backend.progress import Progress

# Change Data Feed for whoever follows the catalogue. No deletion vectors: the reader without a JVM takes files whole.
_PROPERTIES = {"delta.enableChangeDataFeed": "true", "delta.enableDeletionVectors": "false"}
# About 1 MB of pictures in a row group, so that a page of thumbnails reads a small part of a file.
_ROW_GROUP_BYTES = 1 << 20
_CONFLICT = re.compile(
    r"DELTA_CONCURRENT|DELTA_(METADATA|PROTOCOL)_CHANGED|io\.delta\.exceptions\.|FileAlreadyExistsException"
)


def create(spark: SparkSession, path: Path, columns: tuple[tuple[str, str, bool], ...]) -> None:
    """Make an empty table unless there is one; a table keeps its NOT NULL columns through every later load.

    Args:
        spark: A session with Delta.
        path: Folder of the table.
        columns: Name, Spark SQL type, may be null.
    """
    from delta.tables import DeltaTable

    builder = DeltaTable.createIfNotExists(spark).location(str(path))
    for name, kind, nullable in columns:
        builder = builder.addColumn(name, kind, nullable=nullable)
    for name, value in _PROPERTIES.items():
        builder = builder.property(name, value)
    builder.execute()


def replace_content(frame: DataFrame, path: Path, *, note: dict[str, object]) -> None:
    """Put ``frame`` in the place of all rows, in one commit that carries ``note`` as its user metadata."""
    spark = frame.sparkSession
    before = spark.conf.get("parquet.block.size", None)
    spark.conf.set("parquet.block.size", str(_ROW_GROUP_BYTES))
    try:
        writer = frame.write.format("delta").mode("overwrite").option("userMetadata", json.dumps(note))
        writer.save(str(path))
    finally:
        spark.conf.unset("parquet.block.size")
        if before is not None:
            spark.conf.set("parquet.block.size", before)


@contextmanager
def spark_errors(catalogue: str, progress: Progress) -> Iterator[None]:
    """Translate what Spark, Delta and the disk raise, and let a cancelled user hear of nothing else.

    Raises:
        Cancelled: The user asked to stop, whatever else broke on the way.
        CatalogueBusy: Another writer won.
        StorageFull: The disk is full.
        CatalogueError: Anything else, with Spark's own first words.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError, OSError) as error:
        progress.check_cancelled()
        raise _translated(_text(error), catalogue) from error


def _translated(text: str, catalogue: str) -> WorkbenchError:
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return StorageFull(
            f"The disk is full; the catalogue {catalogue} stays at its last version.",
            next_step="Free some space, or set TWINSET_HOME to another disk, then load it again.",
        )
    if _CONFLICT.search(text):
        return CatalogueBusy(
            f"Another writer changed the catalogue {catalogue} while it was loaded; nothing of this load was kept.",
            next_step="Wait for the other load to end, then start this one again.",
        )
    return CatalogueError(f"Spark could not load the catalogue {catalogue}: {_first_words(text)}")


def _text(error: BaseException) -> str:
    from py4j.protocol import Py4JError

    try:
        return str(error)  # a Java error asks its JVM for its text
    except (Py4JError, OSError):
        return "the JVM ended, perhaps for lack of memory"


def _first_words(text: str) -> str:
    """Return the line that says what happened: the last of a Python traceback, the first of a Java one."""
    told = re.findall(r"^(?:: )?(?:\w+\.)*[A-Z]\w+: (.+)$", text, flags=re.MULTILINE)
    if told:
        return str(told[-1] if "Traceback (most recent call last)" in text else told[0])[:500]
    return (text.strip().splitlines() or ["no reason given"])[0][:500]
