"""The table ``products``: made by Spark; the first load written as files, every later one by a MERGE. No picture is in it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from backend.catalogue.delta import delta_table
from backend.catalogue.items import PRODUCT_COLUMNS, PRODUCT_CONSTRAINTS
from backend.catalogue.loading.constraints import require_storable
from backend.catalogue.loading.load_plan import CHANGEABLE, DELETE, DETAILS, INSERT, MARK, PICTURE
from backend.catalogue.loading.product_files import append_files, written_files
from backend.catalogue.schemas import stored_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pyspark.sql import SparkSession

    from backend.catalogue.loading.load_plan import LoadPlan
    from backend.catalogue.loading.staging import StagedLoad

_STORED = stored_schema(PRODUCT_COLUMNS)


def writer(
    spark: SparkSession, path: Path, load: StagedLoad, plan: LoadPlan, *, is_first: bool
) -> Callable[[Mapping[str, object]], None]:
    """Return what writes a load in one commit, given the commit's note."""
    if plan.is_empty:  # the quarantine alone changed: the products say so, and are touched no further
        return lambda note: touch(spark, path, note)
    rows = _rows(load, plan)
    if is_first:
        return lambda note: _append(load.folder, path, rows, note)
    files = written_files(load.folder, "changes", rows.append_column("action", plan.actions["action"]))
    return lambda note: _merge(spark, files, path, note)


def touch(spark: SparkSession, path: Path, note: Mapping[str, object]) -> None:
    """Make a commit that changes no row and carries a note."""
    with delta_table.commit_note(spark, note):
        version = note.get("quarantine_version", 0)
        spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('twinset.quarantine_version' = '{version}')")


def _rows(load: StagedLoad, plan: LoadPlan) -> pa.Table:
    """Return the rows that a plan names, with what it says of them and the load's source and time; all else is null."""
    count = plan.actions.num_rows
    same = {"source": load.meta["source"], "ingested_at": datetime.fromisoformat(load.meta["ingested_at"])}
    given = {name: plan.actions[name] for name in plan.actions.column_names}
    given |= {name: pa.array([value] * count, _STORED.field(name).type) for name, value in same.items()}
    columns = [given.get(field.name, pa.nulls(count, field.type)) for field in _STORED]
    return pa.Table.from_arrays(columns, names=_STORED.names)


def _append(place: Path, path: Path, rows: pa.Table, note: Mapping[str, object]) -> None:
    """Write the rows of a first load as files beside its pictures, and take those in."""
    require_storable(rows, PRODUCT_COLUMNS, PRODUCT_CONSTRAINTS)
    append_files(path, written_files(place, "products", rows.cast(_STORED)), note=note)


def _merge(spark: SparkSession, files: list[Path], path: Path, note: Mapping[str, object]) -> None:
    """MERGE files of products and their ``action`` by product_id, in one commit that carries ``note``."""
    from delta.tables import DeltaTable

    whole: dict[str, Any] = {name: f"s.{name}" for name in _STORED.names}
    details: dict[str, Any] = {name: f"s.{name}" for name in (*CHANGEABLE, "source", "ingested_at")}
    whole_actions = f"s.action IN ('{INSERT}', '{PICTURE}')"
    changes = spark.read.parquet(*map(str, files))
    with delta_table.commit_note(spark, note), delta_table.unmaterialised(spark):
        (
            DeltaTable.forPath(spark, str(path))
            .alias("t")
            .merge(changes.alias("s"), "t.product_id = s.product_id")
            .whenMatchedDelete(f"s.action = '{DELETE}'")
            .whenMatchedUpdate(f"s.action = '{MARK}'", set={"withdrawn_at": "s.ingested_at"})
            .whenMatchedUpdate(f"s.action = '{DETAILS}'", set={**details, "withdrawn_at": "NULL"})
            .whenMatchedUpdate(whole_actions, set=whole)
            .whenNotMatchedInsert(whole_actions, values=whole)
            .execute()
        )
