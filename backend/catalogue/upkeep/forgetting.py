"""Take pictures out of a catalogue that no version shows which can still be read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.delta import delta_log
from backend.catalogue.delta.commit_files import commit_files
from backend.catalogue.delta.log_replay import states
from backend.catalogue.delta.stored_rows import StoredRows
from backend.catalogue.items import PICTURE_BYTES, PICTURES, PRODUCTS
from backend.catalogue.loading.picture_tables import written_bytes
from backend.catalogue.loading.product_files import taken_in
from backend.catalogue.pictured import HASH
from backend.catalogue.schemas import BYTES_SCHEMA, PICTURE_SCHEMA
from backend.catalogue.upkeep.retention import noted_by

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.upkeep.retention import VacuumPlan

_BATCH_ROWS = 256


def forget_pictures(folder: Path, plan: VacuumPlan, *, job: str = "") -> int:
    """Write the files of ``picture_bytes`` anew that hold pictures which nothing needs after a vacuum; returns how many.

    Needed is what products show at a version that can be read then. Where a picture was replaced, the file with the
    former row of its product holds it back until a compaction has written that file anew. The commit lock is held.

    Raises:
        CatalogueBusy: Another writer committed at the same time.
    """
    path = folder / PICTURE_BYTES
    if delta_log.newest_version(path) is None:
        return 0
    table = delta_log.open_table(path)
    needed = _needed(folder, plan.still)
    masks = {file: mask for file in delta_log.files_of(table) if not (mask := _mask(file, needed)).all()}
    if masks:
        named = states(path)[-1].files or {}
        removed = [file for name, file in named.items() if path / name in masks]
        note = {"load": uuid4().hex, "job": job, "action": "forget"}
        added = [taken_in(file, path) for file in written_bytes(path, _kept(masks))]
        commit_files(path, added, removed, note=note)
    return sum(int((~mask).sum()) for mask in masks.values())


def _needed(folder: Path, versions: Collection[int]) -> pa.Array:
    """Return the hashes of all pictures that these versions of a catalogue show."""
    path, products = folder / PICTURES, states(folder / PRODUCTS)
    paths = {path for state in products if state.version in versions for path in state.files or {}}
    found = [StoredRows([folder / PRODUCTS / path for path in sorted(paths)], schema=PICTURE_SCHEMA)]
    noted = sorted(noted_by(products, versions, PICTURES) - {0})
    found += [delta_log.rows_of(delta_log.open_table(path, version), PICTURE_SCHEMA) for version in noted]
    return pa.chunked_array(
        [chunk for rows in found for chunk in rows.table([HASH])[HASH].chunks], pa.string()
    ).unique()


def _mask(file: Path, needed: pa.Array) -> NDArray[np.bool_]:
    hashes = StoredRows([file], schema=BYTES_SCHEMA).table([HASH])[HASH]
    return np.asarray(pc.is_in(hashes, value_set=needed), dtype=np.bool_)


def _kept(masks: Mapping[Path, NDArray[np.bool_]]) -> Iterator[pa.Table]:
    for file, mask in masks.items():
        start = 0
        for batch in StoredRows([file], schema=BYTES_SCHEMA).batches(BYTES_SCHEMA.names, batch_size=_BATCH_ROWS):
            wanted = mask[start : start + batch.num_rows]
            start += batch.num_rows
            yield pa.Table.from_batches([batch]).filter(pa.array(wanted))
