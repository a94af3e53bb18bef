"""The pictures of a product beside its first one: which the catalogue knows, and what a load makes of them.

A product carries one hash over all of them, so that whoever compares two versions sees that they changed without
reading the table ``pictures``. A source that names none at all leaves them as they are.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.delta import delta_log
from backend.catalogue.items import FIRST, FURTHER, PICTURES
from backend.catalogue.noted import noted_version
from backend.catalogue.schemas import PICTURE_SCHEMA

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MORE, KNOWN_MORE = "more_pictures", "known_more"  # of an entry: where they lie; hashes that the catalogue has of them
MORE_HASHES = "more_sha256"  # of a checked row: what was read, in order
HASHES = pa.list_(pa.string())


def names_further(rows: pa.Table) -> bool:
    """Tell whether a source names further pictures of any product."""
    return MORE in rows.column_names and rows[MORE].null_count < rows.num_rows


def with_known(entries: pa.Table, folder: Path, version: int | None) -> pa.Table:
    """Give entries the hashes of their further pictures that a version of the catalogue has, so that none is read twice."""
    noted = noted_version(folder, version, PICTURES) if version and names_further(entries) else 0
    if not noted:
        return entries.append_column(KNOWN_MORE, pa.nulls(entries.num_rows, HASHES))
    rows = delta_log.rows_of(delta_log.open_table(folder / PICTURES, noted), PICTURE_SCHEMA)
    held = rows.table(["product_id", "role", "image_sha256"])
    known = held.filter(pc.equal(held["role"], FURTHER)).group_by("product_id").aggregate([("image_sha256", "list")])
    at = pc.index_in(entries["product_id"], value_set=known["product_id"].combine_chunks())
    return entries.append_column(KNOWN_MORE, known["image_sha256_list"].combine_chunks().take(at.combine_chunks()))


def digests(rows: pa.Table) -> pa.Array:
    """Return one hash over the further pictures of each row, in their order; null where it has none."""
    values = [
        hashlib.sha256("".join(one).encode()).hexdigest() if one else None for one in rows[MORE_HASHES].to_pylist()
    ]
    return pa.array(values, pa.string())


def picture_rows(rows: pa.Table) -> pa.Table:
    """Return the rows of ``pictures`` for checked rows: the first picture of each, then all others."""
    rows = rows.combine_chunks()
    first = _rows(rows["product_id"], np.zeros(len(rows), dtype=np.int32), FIRST, rows["image_sha256"])
    if MORE_HASHES not in rows.column_names:
        return first
    lists = rows[MORE_HASHES].combine_chunks()
    owners = np.asarray(pc.list_parent_indices(lists), dtype=np.int64)
    positions = np.arange(len(owners)) - np.searchsorted(owners, owners) + 1
    ids = rows["product_id"].take(pa.array(owners))
    return pa.concat_tables([first, _rows(ids, positions.astype(np.int32), FURTHER, pc.list_flatten(lists))])


def _rows(ids: pa.ChunkedArray, positions: NDArray[np.int32], role: str, hashes: pa.ChunkedArray) -> pa.Table:
    values = [ids, pa.array(positions), pa.array([role] * len(ids), pa.string()), hashes]
    return pa.Table.from_arrays(values, names=PICTURE_SCHEMA.names).cast(PICTURE_SCHEMA)
