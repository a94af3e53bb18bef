"""Keep a catalogue in order: restore an older version, compact small files, remove what nobody needs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from backend.catalogue.delta import delta_log, delta_table
from backend.catalogue.delta.locks import commit_lock
from backend.catalogue.delta.log_replay import states
from backend.catalogue.items import PICTURE_BYTES, PICTURES, PRODUCTS, QUALITY, QUARANTINE
from backend.catalogue.loading import moving
from backend.catalogue.noted import noted_versions
from backend.catalogue.pictured import has_pictures
from backend.catalogue.upkeep.changes import ChangeSet, changes_towards
from backend.catalogue.upkeep.forgetting import forget_pictures
from backend.catalogue.upkeep.history import catalogue_states, require_readable
from backend.catalogue.upkeep.retention import VacuumPlan, plan_vacuum
from backend.errors import CatalogueError
from backend.spark.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from pyspark.sql import SparkSession

    from backend.catalogue.upkeep.retention import Removable
    from backend.progress import Progress

_TABLES = (PRODUCTS, PICTURES, PICTURE_BYTES, QUARANTINE, QUALITY)
# Large enough for few files, small enough that a change without deletion vectors, and a task, stay cheap.
_FILE_SIZES = {
    "spark.databricks.delta.optimize.minFileSize": str(64 << 20),
    "spark.databricks.delta.optimize.maxFileSize": str(128 << 20),
}
# The plan has weighed the retention already; and removing files makes no version of the products.
_BY_PLAN = {
    "spark.databricks.delta.retentionDurationCheck.enabled": "false",
    "spark.databricks.delta.vacuum.logging.enabled": "false",
}
_INVENTORY = "twinset_removable"


def restore_preview(catalogues_dir: Path, name: str, version: int) -> ChangeSet:
    """Tell what a restore of ``version`` would do to the newest one; needs no Spark.

    Raises:
        CatalogueNotFound: There is no such catalogue or version, or a vacuum has removed its files.
        CatalogueError: It is the newest version.
    """
    folder = delta_log.catalogue_folder(catalogues_dir, name)
    return changes_towards(catalogues_dir, name, _restorable(folder, version), version)


def restore(
    spark: SparkSession, folder: Path, version: int, *, progress: Progress, note: Mapping[str, object] | None = None
) -> int:
    """Bring an older version of a catalogue back, pictures and quarantine included, as a new version; return that.

    Args:
        spark: A session with Delta.
        folder: Folder of the catalogue.
        version: The version to bring back. What came after it stays in the history.
        progress: Told how far it is, asked whether to stop.
        note: Further entries for the note of the commit.

    Raises:
        CatalogueNotFound: There is no such version, or a vacuum has removed its files.
        CatalogueError: It is the newest version, or Spark failed.
        CatalogueBusy: Another writer won.
    """
    _restorable(folder, version)
    path, load = folder / PRODUCTS, uuid4().hex

    def write() -> None:
        from delta.tables import DeltaTable

        with delta_table.commit_note(spark, full):
            DeltaTable.forPath(spark, str(path)).restoreToVersion(version)
        # An old version brings its old columns, properties and constraints back with it, and may have pictures in its rows.
        moving.ensure(spark, folder, job=progress.job)

    with commit_lock(folder, progress), delta_table.spark_errors(folder.name, progress):
        _restorable(folder, version)  # whoever held the lock before may have changed that
        full = {**(note or {}), "action": "restore", "restored": version, "load": load, "job": progress.job}
        full |= noted_versions(folder, version)
        Watch(spark, progress, unit="versions").run(write, 0.0, 1.0, f"Restoring version {version}")
    progress.report(1, 1, unit="versions", note="Committed")
    found = delta_log.version_of_load(path, load)
    has_moved = has_pictures(delta_log.open_table(path, found))
    return delta_log.newest_version(path) or found if has_moved else found


def compact(spark: SparkSession, folder: Path, *, progress: Progress) -> dict[str, Any]:
    """Write the small files of a catalogue's tables together, without the rows that were deleted in them.

    A table that has nothing to gain gets no commit. No version changes what it holds. Pictures that an earlier version
    of Twinset stored with their products are moved into a table of their own first.

    Returns:
        ``version``, the newest of the products; ``files_before`` and ``files_after`` in all, and by table.

    Raises:
        CatalogueNotFound: There is no catalogue in the folder.
        CatalogueError: Spark failed.
        CatalogueBusy: Another writer won; nothing was changed.
    """
    catalogue_states(folder)
    note = {"action": "compact", "load": uuid4().hex, "job": progress.job}
    with commit_lock(folder, progress), delta_table.spark_errors(folder.name, progress):
        if has_pictures(delta_log.open_table(folder / PRODUCTS)):
            Watch(spark, progress).run(
                partial(moving.ensure, spark, folder, job=progress.job), 0.0, 0.0, "Moving pictures"
            )
        tables = [name for name in _TABLES if delta_log.newest_version(folder / name)]
        before = {name: _file_count(folder / name) for name in tables}
        watch = Watch(spark, progress, total=sum(before.values()), unit="files")
        with delta_table.commit_note(spark, note), delta_table.configured(spark, _FILE_SIZES):
            for at, name in enumerate(tables):
                place, start, step = f"delta.`{folder / name}`", at / len(tables), 1 / len(tables)
                title = f"Compacting the table {name}"
                watch.run(partial(_run, spark, f"OPTIMIZE {place}"), start, start + step / 2, title)
                purge = partial(_run, spark, f"REORG TABLE {place} APPLY (PURGE)")
                watch.run(purge, start + step / 2, start + step, title)
    after = {name: _file_count(folder / name) for name in tables}
    progress.report(watch.total, watch.total, unit="files", note="Compacted")
    return {
        "version": delta_log.newest_version(folder / PRODUCTS),
        "files_before": sum(before.values()),
        "files_after": sum(after.values()),
        "tables": {name: {"files_before": before[name], "files_after": after[name]} for name in tables},
    }


def vacuum(
    spark: SparkSession,
    folder: Path,
    *,
    keep_days: float,
    protected: Collection[int],
    progress: Progress,
) -> dict[str, Any]:
    """Remove the files of a catalogue that no kept version needs; see :mod:`backend.catalogue.upkeep.retention`.

    Args:
        spark: A session with Delta.
        folder: Folder of the catalogue.
        keep_days: Versions that were the newest within so many days stay.
        protected: Versions of the products that stay whatever their age, with their pictures and quarantine.
        progress: Told how far it is, asked whether to stop.

    Returns:
        ``files_removed``, ``bytes_freed``, ``versions_removed``, ``oldest_readable``, ``protected``.

    Raises:
        CatalogueNotFound: There is no catalogue in the folder.
        CatalogueError: ``keep_days`` is out of range, or Spark failed.
    """
    catalogue_states(folder)
    with commit_lock(folder, progress), delta_table.spark_errors(folder.name, progress):
        forget_pictures(folder, plan_vacuum(folder, keep_days=keep_days, protected=protected), job=progress.job)
        plan = plan_vacuum(folder, keep_days=keep_days, protected=protected)
        watch, hours = Watch(spark, progress, total=max(plan.count, 1), unit="files"), keep_days * 24
        with delta_table.configured(spark, _BY_PLAN):
            for at, name in enumerate(plan.files):
                share, title = at / len(plan.files), f"Removing old files of the table {name}"
                watch.run(partial(_remove, spark, folder / name, plan.files[name], hours), share, share, title)
    removed = [file.size for files in _gone(folder, plan).values() for file in files]
    progress.report(plan.count, max(plan.count, 1), unit="files", note="Vacuumed")
    return {
        "files_removed": len(removed),
        "bytes_freed": sum(removed),
        "versions_removed": list(plan.lost),
        "oldest_readable": plan.oldest_readable,
        "protected": list(plan.protected),
    }


def _restorable(folder: Path, version: int) -> int:
    """Return the newest version, which must be another one."""
    require_readable(folder, version)
    newest = delta_log.newest_version(folder / PRODUCTS) or 0
    if version == newest:
        raise CatalogueError(
            f"Version {version} is the newest of the catalogue {folder.name}: there is nothing to restore.",
            next_step="Choose an older version.",
        )
    return newest


def _file_count(table: Path) -> int:
    return len(states(table)[-1].files or {})


def _run(spark: SparkSession, statement: str) -> None:
    spark.sql(statement).collect()


def _remove(spark: SparkSession, table: Path, files: Sequence[Removable], hours: float) -> None:
    """Let Delta remove the files that the plan names; it checks each against its own log and clock once more."""
    import pyarrow as pa

    inventory = pa.table(
        {
            "path": pa.array([f"file:{(table / file.path).absolute().as_posix()}" for file in files], pa.string()),
            "length": pa.array([file.size for file in files], pa.int64()),
            "isDir": pa.array([False] * len(files), pa.bool_()),
            "modificationTime": pa.array([file.modified_ms for file in files], pa.int64()),
        }
    )
    spark.createDataFrame(inventory).createOrReplaceTempView(_INVENTORY)
    listed = f"SELECT * FROM {_INVENTORY}"  # noqa: S608 - a name of ours
    try:
        _run(spark, f"VACUUM delta.`{table}` USING INVENTORY ({listed}) RETAIN {hours:.6f} HOURS")
    finally:
        spark.catalog.dropTempView(_INVENTORY)


def _gone(folder: Path, plan: VacuumPlan) -> Mapping[str, Sequence[Removable]]:
    return {name: [f for f in files if not (folder / name / f.path).exists()] for name, files in plan.files.items()}
