"""The Delta tables of a catalogue: made once, written by Spark and kept up to date, errors translated."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from backend.catalogue.delta import delta_log
from backend.catalogue.delta.commit_files import create_table
from backend.catalogue.loading.product_files import ROW_GROUP_BYTES
from backend.errors import CatalogueBusy, CatalogueError, WorkbenchError
from backend.files.storage import disk_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from backend.progress import Progress

# Change Data Feed for whoever follows the catalogue; deletion vectors, so that a change rewrites no unchanged picture;
# a log that never forgets a version: what a model was trained on is told by it. What vacuum may remove is decided by
# :mod:`backend.catalogue.upkeep.maintenance`.
_PROPERTIES = {
    "delta.enableChangeDataFeed": "true",
    "delta.enableDeletionVectors": "true",
    **delta_log.KEEPS_ALL,
}
_NOTE = "spark.databricks.delta.commitInfo.userMetadata"
_CONFLICT = re.compile(
    r"DELTA_CONCURRENT|DELTA_(METADATA|PROTOCOL)_CHANGED|io\.delta\.exceptions\.|FileAlreadyExistsException"
)
_STORED_TYPES = {"int": "integer"}  # as the log calls what SQL calls otherwise
Columns = tuple[tuple[str, str, bool], ...]
Constraints = tuple[tuple[str, str], ...]


def ensure(spark: SparkSession, path: Path, columns: Columns, constraints: Constraints = ()) -> None:
    """Make an empty table unless there is one; bring an older one up to these columns, properties and constraints.

    A new table, and one that is as it should be, need no Spark.

    Args:
        spark: A session with Delta.
        path: Folder of the table.
        columns: Name, Spark SQL type, may be null.
        constraints: Name and condition of each CHECK constraint.
    """
    if delta_log.newest_version(path) is None:
        _create(path, columns, constraints)
        return
    table = delta_log.open_table(path)
    present = {field.name for field in table.schema().fields}
    configuration = table.metadata().configuration
    place = f"delta.`{path}`"
    missing = [f"{name} {kind}" for name, kind, _ in columns if name not in present]
    if missing:
        spark.sql(f"ALTER TABLE {place} ADD COLUMNS ({', '.join(missing)})")
    if properties := {name: value for name, value in _PROPERTIES.items() if configuration.get(name) != value}:
        pairs = ", ".join(f"'{name}' = '{value}'" for name, value in properties.items())
        spark.sql(f"ALTER TABLE {place} SET TBLPROPERTIES ({pairs})")
    for name, condition in constraints:
        if f"delta.constraints.{name}" not in configuration:
            spark.sql(f"ALTER TABLE {place} ADD CONSTRAINT {name} CHECK ({condition})")


def _create(path: Path, columns: Columns, constraints: Constraints) -> None:
    fields = [
        {"name": name, "type": _STORED_TYPES.get(kind, kind), "nullable": nullable} for name, kind, nullable in columns
    ]
    checks = {f"delta.constraints.{name}": condition for name, condition in constraints}
    with suppress(CatalogueBusy):  # somebody else made it
        create_table(path, fields, {**_PROPERTIES, **checks})


@contextmanager
def commit_note(spark: SparkSession, note: Mapping[str, object]) -> Iterator[None]:
    """Have every commit inside carry ``note`` as its user metadata, and be cut into small row groups."""
    with configured(spark, {_NOTE: json.dumps(dict(note)), "parquet.block.size": str(ROW_GROUP_BYTES)}):
        yield


@contextmanager
def unmaterialised(spark: SparkSession) -> Iterator[None]:
    """Have MERGE read its source where it is: ours are files that nobody changes, and a copy of them costs."""
    with configured(spark, {"spark.databricks.delta.merge.materializeSource": "none"}):
        yield


def replace_content(frame: DataFrame, path: Path, *, note: Mapping[str, object]) -> None:
    """Put ``frame`` in the place of all rows, in one commit that carries ``note`` as its user metadata."""
    with commit_note(frame.sparkSession, note):
        frame.write.format("delta").mode("overwrite").save(str(path))


@contextmanager
def configured(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Set Spark's configuration for the actions inside, and put it back as it was."""
    before = {name: spark.conf.get(name, None) for name in values}
    for name, value in values.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, value)


@contextmanager
def spark_errors(catalogue: str, progress: Progress) -> Iterator[None]:
    """Translate what Spark, Delta and the disk raise, and let a cancelled user hear of nothing else.

    Raises:
        Cancelled: The user asked to stop, whatever else broke on the way.
        CatalogueBusy: Another writer won.
        StorageFailed: The disk is full, or refuses.
        CatalogueError: Anything else, with Spark's own first words.
    """
    from deltalake.exceptions import DeltaError
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError, DeltaError, OSError) as error:
        progress.check_cancelled()
        so = f"; the catalogue {catalogue} stays at its last version"
        raise disk_error(error, "load it again, or set TWINSET_HOME to another disk", so=so) or _translated(
            _text(error), catalogue
        ) from error


def _translated(text: str, catalogue: str) -> WorkbenchError:
    if _CONFLICT.search(text):
        return CatalogueBusy(
            f"Another writer changed the catalogue {catalogue} during this load; nothing from this load was kept.",
            next_step="Wait for the other load to finish, then start this one again.",
        )
    return CatalogueError(f"The catalogue {catalogue} could not be loaded: {_first_words(text)}")


def _text(error: BaseException) -> str:
    from py4j.protocol import Py4JError

    try:
        return str(error)  # a Java error asks its JVM for its text
    except (Py4JError, OSError):
        return "the loading process ended, possibly because it ran out of memory"


def _first_words(text: str) -> str:
    """Return the line that says what happened: the last of a Python traceback, the first of a Java one."""
    messages = re.findall(r"^(?:: )?(?:\w+\.)*[A-Z]\w+: (.+)$", text, flags=re.MULTILINE)
    if messages:
        return str(messages[-1] if "Traceback (most recent call last)" in text else messages[0])[:500]
    return (text.strip().splitlines() or ["no reason given"])[0][:500]
