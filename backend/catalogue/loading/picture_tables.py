"""The tables ``picture_bytes`` and ``pictures``: every picture once by its hash, and which pictures a product has.

Both are committed before ``products``, whose commit makes a load visible. Rows of ``picture_bytes`` belong to no version:
what a load that failed left there is used by the next one that brings the same pictures, or removed by a tidy. The
version of ``pictures`` that belongs to a version of the products is noted on the commit of these.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backend.catalogue.delta import delta_log, delta_table
from backend.catalogue.delta.log_replay import states
from backend.catalogue.items import (
    BYTES_COLUMNS,
    BYTES_CONSTRAINTS,
    PICTURE_BYTES,
    PICTURE_COLUMNS,
    PICTURE_CONSTRAINTS,
    PICTURES,
)
from backend.catalogue.loading.constraints import require_storable
from backend.catalogue.loading.load_plan import DELETE
from backend.catalogue.loading.product_files import GroupedWriter, append_files, written_files
from backend.catalogue.schemas import BYTES_SCHEMA, PICTURE_SCHEMA, stored_schema
from backend.errors import CatalogueBusy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from pyspark.sql import SparkSession

    from backend.catalogue.loading.load_plan import LoadPlan
    from backend.catalogue.loading.staging import StagedLoad

_STORED_BYTES, _STORED_PICTURES = stored_schema(BYTES_COLUMNS), stored_schema(PICTURE_COLUMNS)
_FILE_BYTES = 128 << 20  # of pictures in a file that is written here
_WHOLE_BYTES = 16 << 20  # a smaller file of a later load is written together with others
_READ_ROWS = 256
_HASH = "image_sha256"
_GONE = "gone"


def ensure(spark: SparkSession, folder: Path) -> None:
    """Make both tables, or bring older ones up to date."""
    delta_table.ensure(spark, folder / PICTURE_BYTES, BYTES_COLUMNS, BYTES_CONSTRAINTS)
    delta_table.ensure(spark, folder / PICTURES, PICTURE_COLUMNS, PICTURE_CONSTRAINTS)


# ---------------------------------------------------------------------------------------- the bytes


def held_hashes(folder: Path) -> pa.Array:
    """Return the hashes of all pictures that a catalogue holds, for whichever version."""
    rows = delta_log.rows_of(delta_log.open_table(folder / PICTURE_BYTES), BYTES_SCHEMA)
    return rows.table([_HASH])[_HASH].combine_chunks()


def _add_bytes(folder: Path, load: StagedLoad, *, note: Mapping[str, object]) -> None:
    """Take in the pictures of a load that are not held; files with nothing else in them are taken as they are."""
    path, held = folder / PICTURE_BYTES, held_hashes(folder)
    files = [load.folder / name for name in load.files]
    hashes = [pq.read_table(file, columns=[_HASH])[_HASH].combine_chunks() for file in files]
    fresh = fresh_ones(pa.concat_arrays([pa.array([], pa.string()), *hashes]), held)
    masks = np.split(fresh, np.cumsum([len(one) for one in hashes])[:-1]) if files else []
    whole, some = [], list[tuple["Path", "NDArray[np.bool_]"]]()
    for file, mask in zip(files, masks, strict=True):
        if mask.all() and (not len(held) or file.stat().st_size >= _WHOLE_BYTES):
            whole.append(file)
        elif mask.any():
            some.append((file, mask))
    parts = (part for file, mask in some for part in _rows_of(file, mask))
    if taken := [*whole, *written_bytes(path, parts)]:
        append_files(path, taken, note=note)


def written_bytes(path: Path, parts: Iterable[pa.Table]) -> list[Path]:
    """Write pictures, columns of the table, as files of a moderate size in its folder, which no commit names yet."""
    files: list[Path] = []
    size = _FILE_BYTES
    with ExitStack() as stack:
        for rows in parts:
            if size >= _FILE_BYTES:
                stack.close()
                files.append(path / f"part-{uuid4()}.parquet")
                writer, size = stack.enter_context(GroupedWriter(files[-1], _STORED_BYTES)), 0
            require_storable(rows, BYTES_COLUMNS, BYTES_CONSTRAINTS)
            writer.add(rows.cast(_STORED_BYTES))
            size += rows.nbytes
    return [file for file in files if file.exists()]


def fresh_ones(hashes: pa.Array, held: pa.Array) -> NDArray[np.bool_]:
    """Tell which of the hashes (N,) are not held, each at its first place only; bool (N,)."""
    codes = hashes.dictionary_encode().indices.to_numpy()
    first = np.zeros(len(hashes), dtype=np.bool_)
    first[np.unique(codes, return_index=True)[1]] = True
    return first & ~np.asarray(pc.is_in(hashes, value_set=held), dtype=np.bool_)


def _rows_of(file: Path, mask: NDArray[np.bool_]) -> Iterator[pa.Table]:
    start = 0
    with pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches(_READ_ROWS):
            wanted = mask[start : start + batch.num_rows]
            start += batch.num_rows
            if wanted.any():
                yield pa.Table.from_batches([batch]).filter(pa.array(wanted))


# ---------------------------------------------------------------------------------------- which product shows them


def write_pictures(
    spark: SparkSession, folder: Path, load: StagedLoad, plan: LoadPlan, base: int, *, note: Mapping[str, object]
) -> int:
    """Bring ``pictures`` from its version ``base`` to what a load makes of it; returns the version that holds that.

    The bytes come first. Where no picture changes, neither table is touched.

    Raises:
        CatalogueBusy: A picture that the catalogue held when the source was checked is gone.
    """
    fresh, gone = plan.shown, plan.of(DELETE)["product_id"]
    if not fresh.num_rows and not len(gone):
        return base
    if fresh.num_rows:
        _add_bytes(folder, load, note=note)
        _require_held(folder, fresh)
    path = folder / PICTURES
    _go_back(spark, path, base)
    require_storable(fresh, PICTURE_COLUMNS, PICTURE_CONSTRAINTS)
    outdated, is_merged = _outdated(path, plan, gone)
    if not is_merged:
        append_files(path, written_files(load.folder, PICTURES, fresh.cast(_STORED_PICTURES)), note=note)
    else:
        kinds = [pa.array([kind] * len(rows), pa.string()) for kind, rows in (("", fresh), (_GONE, outdated))]
        parts = [rows.append_column("kind", kind) for kind, rows in zip(kinds, (fresh, outdated), strict=True)]
        _merge(spark, path, written_files(load.folder, PICTURES, pa.concat_tables(parts)), note)
    return delta_log.version_of_load(path, str(note["load"]))


def _require_held(folder: Path, fresh: pa.Table) -> None:
    missing = pc.invert(pc.is_in(fresh[_HASH], value_set=held_hashes(folder)))
    if count := pc.sum(missing).as_py():
        raise CatalogueBusy(f"{count:,} pictures must be read again.", next_step="Check the source again.")


def begin_anew(spark: SparkSession, folder: Path, rows: pa.Table, *, note: Mapping[str, object]) -> int:
    """Put these rows in the place of all of ``pictures``; returns the version that holds them."""
    path = folder / PICTURES
    _go_back(spark, path, 0)
    append_files(path, written_files(path, f"part-{uuid4()}", rows.cast(_STORED_PICTURES)), note=note)
    return delta_log.version_of_load(path, str(note["load"]))


def _go_back(spark: SparkSession, path: Path, base: int) -> None:
    """Undo what loads that failed left behind ``base``: the next version is made from what the products quote."""
    from delta.tables import DeltaTable

    if any(state.commit.changes_data for state in states(path) if state.version > base):
        DeltaTable.forPath(spark, str(path)).restoreToVersion(base)


def _outdated(path: Path, plan: LoadPlan, gone: pa.ChunkedArray) -> tuple[pa.Table, bool]:
    """Return the rows that a load takes out, and whether there are any rows already of what it writes."""
    held = delta_log.rows_of(delta_log.open_table(path), PICTURE_SCHEMA).table(PICTURE_SCHEMA.names)
    is_gone = pc.is_in(held["product_id"], value_set=gone.combine_chunks())
    is_shown = pc.is_in(held["product_id"], value_set=plan.shown["product_id"].combine_chunks())
    mine = held.filter(pc.or_(is_gone, is_shown) if plan.replaces_further else is_gone)
    kept = {*_keys(plan.shown)}
    outdated = mine.filter(pa.array([key not in kept for key in _keys(mine)], pa.bool_()))
    return outdated, bool(pc.any(pc.or_(is_gone, is_shown)).as_py())


def _keys(rows: pa.Table) -> Iterable[tuple[str, int]]:
    return zip(rows["product_id"].to_pylist(), rows["position"].to_pylist(), strict=True)


def _merge(spark: SparkSession, path: Path, files: Sequence[Path], note: Mapping[str, object]) -> None:
    from delta.tables import DeltaTable

    values = {name: f"s.{name}" for name in PICTURE_SCHEMA.names}
    changes = spark.read.parquet(*map(str, files)).alias("s")
    with delta_table.commit_note(spark, note), delta_table.unmaterialised(spark):
        (
            DeltaTable.forPath(spark, str(path))
            .alias("t")
            .merge(changes, "t.product_id = s.product_id AND t.position = s.position")
            .whenMatchedDelete(f"s.kind = '{_GONE}'")
            .whenMatchedUpdate(set={name: values[name] for name in ("role", _HASH)})
            .whenNotMatchedInsert(f"s.kind <> '{_GONE}'", values=values)
            .execute()
        )
