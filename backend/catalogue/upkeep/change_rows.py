"""The rows in which two versions of a catalogue may differ, without pictures: from the Change Data Feed, or compared.

Rows that are the same in both versions may be among them, in both or in neither of the two tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.delta import delta_log
from backend.catalogue.delta.log_replay import files_present, states
from backend.catalogue.delta.stored_rows import StoredRows
from backend.catalogue.items import DETAIL_COLUMNS, FURTHER_HASH, PRODUCTS
from backend.catalogue.schemas import PRODUCT_SCHEMA
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import stat_result
    from pathlib import Path

    from backend.catalogue.delta.log_replay import Commit, TableState

_COLUMNS = ("product_id", "image_sha256", FURTHER_HASH, *DETAIL_COLUMNS, "withdrawn_at")
SCHEMA = pa.schema([PRODUCT_SCHEMA.field(name) for name in _COLUMNS])
_KIND, _VERSION = "_change_type", "_commit_version"
_BEFORE = ("delete", "update_preimage")


def rows_between(folder: Path, older: int, newer: int) -> tuple[pa.Table, pa.Table]:
    """Return the rows as they are at the older and at the newer version; both can be read.

    Returns:
        Two tables of product_id, image_sha256, details and withdrawn_at; a product is at most once in each.

    Raises:
        CatalogueError: A file is damaged.
    """
    if older == newer:
        return SCHEMA.empty_table(), SCHEMA.empty_table()
    table = folder / PRODUCTS
    found = {state.version: state for state in states(table)}
    between = [found[version] for version in range(older + 1, newer + 1)]
    if _feed_is_usable(between, files_present(table)):
        # Longer than both versions together, the feed is the longer way.
        most = sum(found[version].rows or 0 for version in (older, newer))
        rows = _feed_rows(table, older + 1, newer, most)
        if rows is not None:
            return _first_and_last(rows)
    return _rows_apart(table, older, newer)


# ---------------------------------------------------------------------------------------- from the feed


def _feed_is_usable(between: Sequence[TableState], present: Mapping[str, stat_result]) -> bool:
    """Tell whether the feed was kept through these versions, is still there, and deltalake reads it rightly."""
    return all(state.has_feed and _is_in_the_feed(state.commit, present) for state in between)


def _is_in_the_feed(commit: Commit, present: Mapping[str, stat_result]) -> bool:
    """Tell whether deltalake can say what a commit changed.

    Where a commit has no files for the feed, its added and removed files tell; deltalake reads those rightly but for
    a file that comes or goes as a whole while it has a deletion vector: then it gives the deleted rows for the others.
    """
    if not commit.changes_data:
        return True
    if commit.feed:
        return all(path in present for path in commit.feed)
    files = (*commit.added, *commit.removed)
    alone = {file.path for file in commit.added} ^ {file.path for file in commit.removed}
    if any(file.vector and file.path in alone for file in files):
        return False
    return all(path in present for file in files for path in file.paths)


def _feed_rows(table: Path, first: int, last: int, most: int) -> pa.Table | None:
    """Return the feed's rows with their kind and version; None where there are more than ``most``."""
    parts, count = [], 0
    for part in _feed_batches(table, first, last):
        parts.append(part)
        count += len(part)
        if count > most:
            return None
    schema = SCHEMA.append(pa.field(_KIND, pa.string())).append(pa.field(_VERSION, pa.int64()))
    return pa.concat_tables(parts) if parts else schema.empty_table()


def _feed_batches(table: Path, first: int, last: int) -> Iterator[pa.Table]:
    opened = delta_log.open_table(table, last)
    present = {field.name for field in opened.schema().fields}
    columns = [name for name in _COLUMNS if name in present]
    try:
        reader = opened.load_cdf(starting_version=first, ending_version=last, columns=[*columns, _KIND, _VERSION])
        for batch in reader:
            yield _as_rows({name: _as_arrow(batch.column(name)) for name in batch.schema.names}, batch.num_rows)
    except Exception as error:  # the Arrow stream knows no other
        raise CatalogueError(
            f"The changes of {table.parent.name} from version {first} to {last} cannot be read: {error}"
        ) from error


def _as_arrow(column: Any) -> pa.Array:
    """Hand a column to pyarrow, which does not know the string views that deltalake gives."""
    from arro3.core import Array, DataType

    found = Array.from_arrow(column)
    return pa.array(found.cast(DataType.string()) if DataType.is_string_view(found.type) else found)


def _as_rows(columns: Mapping[str, pa.Array], count: int) -> pa.Table:
    kept = [
        columns[field.name].cast(field.type) if field.name in columns else pa.nulls(count, field.type)
        for field in SCHEMA
    ]
    kind_and_version = [columns[_KIND].cast(pa.string()), columns[_VERSION].cast(pa.int64())]
    return pa.table([*kept, *kind_and_version], names=[*_COLUMNS, _KIND, _VERSION])


def _first_and_last(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Net the feed: what each product was before its first change, and is after its last.

    A commit may delete and insert the same product, as a restore and an overwrite do: that is one change.
    """
    if not len(rows):
        return SCHEMA.empty_table(), SCHEMA.empty_table()
    ids = rows["product_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    versions = rows[_VERSION].to_numpy()
    firsts = np.full(ids.max() + 1, np.iinfo(np.int64).max)
    lasts = np.full(ids.max() + 1, -1, dtype=np.int64)
    np.minimum.at(firsts, ids, versions)
    np.maximum.at(lasts, ids, versions)
    is_before = np.asarray(pc.is_in(rows[_KIND], pa.array(_BEFORE)), dtype=np.bool_)
    before = rows.filter(pa.array(is_before & (versions == firsts[ids])))
    after = rows.filter(pa.array(~is_before & (versions == lasts[ids])))
    return before.select(list(_COLUMNS)), after.select(list(_COLUMNS))


# ---------------------------------------------------------------------------------------- by comparing


def _rows_apart(table: Path, older: int, newer: int) -> tuple[pa.Table, pa.Table]:
    """Return the rows of each version, but for the files that are the same in both."""
    one, other = (delta_log.rows_of(delta_log.open_table(table, version), PRODUCT_SCHEMA) for version in (older, newer))
    shared = {path for path in {*one.files} & {*other.files} if _same_mask(one, other, path)}
    parts = []
    for rows in (one, other):
        files = [path for path in rows.files if path not in shared]
        masks = {path: mask for path, mask in rows.masks.items() if path not in shared}
        parts.append(StoredRows(files, masks, PRODUCT_SCHEMA).table(_COLUMNS))
    return parts[0], parts[1]


def _same_mask(one: StoredRows, other: StoredRows, path: Path) -> bool:
    mine, theirs = one.masks.get(path), other.masks.get(path)
    if mine is None or theirs is None:
        return mine is theirs
    return np.array_equal(mine, theirs)
