"""The quarantine: rows of sources that cannot be used, each with its bytes and its reason, until they are mended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from backend.catalogue.delta import delta_log, delta_table
from backend.catalogue.items import QUARANTINE, QUARANTINE_COLUMNS
from backend.catalogue.schemas import QUARANTINE_SCHEMA, ddl

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from backend.catalogue.loading.staging import StagedLoad

_NAMES = [name for name, _, _ in QUARANTINE_COLUMNS]
_IDENTITY = ("source", "product_id", "image_sha256", "reason")


@dataclass(frozen=True, slots=True)
class QuarantineChange:
    """What a load does to the quarantine.

    Attributes:
        version: The quarantine's version before it; 0 where it is empty.
        mended: Ids of rows from other sources that this load brings in usable form; they leave.
        is_needed: Whether anything changes at all.
    """

    version: int
    mended: tuple[str, ...]
    is_needed: bool


def plan_quarantine(folder: Path, version: int, load: StagedLoad) -> QuarantineChange:
    """Compare what a load rejects with what the quarantine holds.

    The load's rows take the place of those that the same source left before; rows of other sources stay, except those
    whose product the load brings in usable form.
    """
    rows = load.rows
    rejected = rows.filter(pc.is_valid(rows["reason"]))
    usable = rows.filter(pc.is_null(rows["reason"]))
    held = _held(folder, version)
    source = load.meta["source"]
    others = held.filter(pc.field("source") != source)
    mended = others.filter(pc.is_in(others["product_id"], usable["product_id"].combine_chunks(), skip_nulls=True))
    before = _identities(held.filter(pc.field("source") == source), source)
    after = _identities(rejected, source)
    names = tuple(name for name in mended["product_id"].to_pylist() if name is not None)
    return QuarantineChange(version, names, is_needed=bool(names) or before != after)


def write_quarantine(
    spark: SparkSession, folder: Path, load: StagedLoad, change: QuarantineChange, *, note: Mapping[str, object]
) -> int:
    """Bring the quarantine to what :func:`plan_quarantine` found; returns the version that this commit made."""
    path = folder / QUARANTINE
    delta_table.ensure(spark, path, QUARANTINE_COLUMNS)
    kept = _kept(spark, path, change, str(load.meta["source"]))
    fresh = spark.read.schema(ddl(QUARANTINE_COLUMNS)).parquet(*load.rejected_files) if load.rejected_files else None
    frame = fresh.select(_NAMES) if fresh is not None else kept.limit(0)
    delta_table.replace_content(kept.unionByName(frame), path, note=note)
    return delta_log.version_of_load(path, str(note["load"]))


def _kept(spark: SparkSession, path: Path, change: QuarantineChange, source: str) -> DataFrame:
    from pyspark.sql import functions as F  # noqa: N812 - as everybody writes it

    held = spark.read.format("delta").option("versionAsOf", change.version).load(str(path))
    for name, kind, _ in QUARANTINE_COLUMNS:  # an older version may lack a column
        if name not in held.columns:
            held = held.withColumn(name, F.lit(None).cast(kind))
    stays = F.col("source") != source
    if change.mended:
        stays &= F.coalesce(~F.col("product_id").isin(list(change.mended)), F.lit(True))
    return held.where(stays).select(_NAMES)


def _held(folder: Path, version: int) -> pa.Table:
    if not version:
        return QUARANTINE_SCHEMA.empty_table()
    rows = delta_log.rows_of(delta_log.open_table(folder / QUARANTINE, version), QUARANTINE_SCHEMA)
    return rows.table(list(_IDENTITY))


def _identities(rows: pa.Table, source: str) -> list[tuple[str, ...]]:
    """Return what tells one rejected row from another; texts, so that they can be ordered."""
    columns = [rows[name].to_pylist() if name in rows.column_names else [source] * rows.num_rows for name in _IDENTITY]
    columns[0] = [source] * rows.num_rows
    return sorted(tuple(str(value) for value in row) for row in zip(*columns, strict=True))
