"""The table ``products``: made by Spark; the first load taken in as it was checked, every later one by a MERGE."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.catalogue.delta import delta_table
from backend.catalogue.items import DETAIL_COLUMNS, PRODUCT_COLUMNS, PRODUCT_CONSTRAINTS
from backend.catalogue.loading.load_plan import DELETE, DETAILS, INSERT, MARK, PICTURE
from backend.catalogue.loading.product_files import append_files
from backend.catalogue.schemas import ddl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from backend.catalogue.loading.load_plan import LoadPlan
    from backend.catalogue.loading.staging import StagedLoad

_NAMES = [name for name, _, _ in PRODUCT_COLUMNS]
_BROADCAST_ROWS = 2_000_000  # ids and actions; about 100 bytes each


def ensure(spark: SparkSession, path: Path) -> None:
    """Make the table, or bring an older one up to date."""
    delta_table.ensure(spark, path, PRODUCT_COLUMNS, PRODUCT_CONSTRAINTS)


def writer(
    spark: SparkSession, path: Path, load: StagedLoad, plan: LoadPlan, *, is_first: bool
) -> Callable[[Mapping[str, object]], None]:
    """Return what writes a load in one commit, given the commit's note."""
    if plan.is_empty:  # the quarantine alone changed: the products say so, and are touched no further
        return lambda note: touch(spark, path, note)
    if is_first:
        return lambda note: append_files(path, [Path(file) for file in load.files], note=note)
    return lambda note: merge(_changes(spark, load, plan), path, note=note)


def touch(spark: SparkSession, path: Path, note: Mapping[str, object]) -> None:
    """Make a commit that changes no row and carries a note."""
    with delta_table.commit_note(spark, note):
        version = note.get("quarantine_version", 0)
        spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('twinset.quarantine_version' = '{version}')")


def merge(changes: DataFrame, path: Path, *, note: Mapping[str, object]) -> None:
    """MERGE rows of products and their ``action`` by product_id, in one commit that carries ``note``."""
    from delta.tables import DeltaTable

    whole: dict[str, Any] = {name: f"s.{name}" for name in _NAMES}
    details: dict[str, Any] = {name: f"s.{name}" for name in (*DETAIL_COLUMNS, "source", "ingested_at")}
    whole_actions = f"s.action IN ('{INSERT}', '{PICTURE}')"
    spark = changes.sparkSession
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


def _changes(spark: SparkSession, load: StagedLoad, plan: LoadPlan) -> DataFrame:
    """Return the rows to merge: with pictures where one is written, with the details alone where not."""
    from pyspark.sql import functions as F  # noqa: N812 - as everybody writes it

    with_picture = plan.actions.filter(_is_in(plan.actions, (INSERT, PICTURE)))
    without = plan.actions.filter(_is_in(plan.actions, (DETAILS, MARK, DELETE)))
    values = {"source": F.lit(load.meta["source"]), "ingested_at": F.lit(load.meta["ingested_at"]).cast("timestamp")}
    parts = []
    if without.num_rows:
        rows: DataFrame = spark.createDataFrame(without)
        columns = [
            F.col(name) if name in without.column_names else values.get(name, F.lit(None)).cast(kind).alias(name)
            for name, kind, _ in PRODUCT_COLUMNS
        ]
        parts.append(rows.select(*columns, "action"))
    if with_picture.num_rows:
        decided: DataFrame = spark.createDataFrame(with_picture.select(["product_id", "action"]))
        if with_picture.num_rows <= _BROADCAST_ROWS:
            decided = F.broadcast(decided)
        pictures = spark.read.schema(ddl(PRODUCT_COLUMNS)).parquet(*load.files)
        parts.append(pictures.join(decided, "product_id").select(*_NAMES, "action"))
    return parts[0] if len(parts) == 1 else parts[0].unionByName(parts[1])


def _is_in(actions: pa.Table, wanted: tuple[str, ...]) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_in(actions["action"], pa.array(wanted))
