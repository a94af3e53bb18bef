"""Move the pictures of a catalogue that an earlier version of Twinset made out of the rows of its products.

It happens once, before the catalogue is written to, and when it is tidied. Versions up to then stay as they are, and can
be read until they are removed; for the Change Data Feed nothing has changed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa

from backend.catalogue.delta import delta_log, delta_table
from backend.catalogue.delta.commit_files import commit_files, metadata_of
from backend.catalogue.delta.log_replay import states
from backend.catalogue.items import (
    BYTES_CONSTRAINTS,
    PICTURE_BYTES,
    PICTURES,
    PRODUCT_COLUMNS,
    PRODUCT_CONSTRAINTS,
    PRODUCTS,
)
from backend.catalogue.loading import picture_tables
from backend.catalogue.loading.further import picture_rows
from backend.catalogue.loading.product_files import append_files, taken_in, written_files
from backend.catalogue.noted import key
from backend.catalogue.pictured import HASH, IMAGE, has_pictures
from backend.catalogue.schemas import BYTES_SCHEMA
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from deltalake import DeltaTable
    from pyspark.sql import SparkSession

    from backend.catalogue.delta.stored_rows import StoredRows

MOVED = "MOVE PICTURES"  # what the log calls it
_BATCH_ROWS = 256


def ensure(spark: SparkSession, folder: Path, *, job: str = "") -> None:
    """Make the tables of products and pictures, or bring older ones up to date; the commit lock is held.

    Raises:
        CatalogueBusy: Another writer committed at the same time.
        CatalogueError: The log of an old table does not tell which files are in use.
    """
    path = folder / PRODUCTS
    delta_table.ensure(spark, path, PRODUCT_COLUMNS, PRODUCT_CONSTRAINTS)
    picture_tables.ensure(spark, folder)
    table = delta_log.open_table(path)
    if has_pictures(table):
        _move(spark, folder, table, {"load": uuid4().hex, "job": job, "action": "pictures"})


def _move(spark: SparkSession, folder: Path, table: DeltaTable, note: dict[str, object]) -> None:
    path, bytes_path = folder / PRODUCTS, folder / PICTURE_BYTES
    rows, state = delta_log.rows_of(table), states(path)[-1]
    if state.files is None:
        raise CatalogueError(
            f"The log of {path} does not show which files are in use, so its pictures cannot be moved.",
            next_step="Load the catalogue again under another name.",
        )
    if files := picture_tables.written_bytes(bytes_path, _unheld(rows, folder)):
        append_files(bytes_path, files, note=note)
    kept = rows.table([name for name in rows.schema.names if name != IMAGE])
    version = picture_tables.begin_anew(spark, folder, picture_rows(kept), note=note)
    fields = [one for one in json.loads(table.schema().to_json())["fields"] if one["name"] != IMAGE]
    stored = pa.schema([kept.schema.field(one["name"]).with_nullable(one["nullable"]) for one in fields])
    commit_files(
        path,
        [taken_in(file, path) for file in written_files(path, f"part-{uuid4()}", kept.cast(stored))],
        list(state.files.values()),
        note={**note, key(PICTURES): version},
        metadata=_metadata(table, fields),
        operation=MOVED,
        moves_only=True,
    )


def _unheld(rows: StoredRows, folder: Path) -> Iterator[pa.Table]:
    """Stream the pictures of products that are not held yet, each once."""
    fresh = picture_tables.fresh_ones(rows.table([HASH])[HASH].combine_chunks(), picture_tables.held_hashes(folder))
    start = 0
    for batch in rows.batches(BYTES_SCHEMA.names, batch_size=_BATCH_ROWS):
        wanted = fresh[start : start + batch.num_rows]
        start += batch.num_rows
        if wanted.any():
            yield pa.Table.from_batches([batch]).filter(pa.array(wanted))


def _metadata(table: DeltaTable, fields: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the log says of a table without its pictures and what was demanded of these."""
    known = table.metadata()
    own = {name for name, _ in PRODUCT_CONSTRAINTS}
    foreign = {f"delta.constraints.{name}" for name, _ in BYTES_CONSTRAINTS if name not in own}
    configuration = {name: value for name, value in known.configuration.items() if name not in foreign}
    stays = {"id": known.id, "partitionColumns": known.partition_columns, "createdTime": known.created_time}
    return {**stays, **metadata_of(fields, configuration)}
