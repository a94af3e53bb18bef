"""The Delta table: rows that changed are replaced in one commit, whose Change Data Feed names these rows and no other.

It is written without a JVM: a refresh replaces some thousand rows, and to start Spark for that takes longer than the rest
of it. Files hold neighbouring ids, so that a reader who looks for one product opens one file.
"""

from __future__ import annotations

import json
import os
import time
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backend.catalogue.delta import delta_log
from backend.catalogue.delta.commit_files import commit_files, create_table
from backend.catalogue.delta.log_replay import FEED_FOLDER, files_present, states
from backend.errors import CatalogueBusy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backend.catalogue.delta.log_replay import DataFile

# What a row says, and then with what it was found: versions stay those of the time when the row became what it is.
SAYS = pa.schema(
    [
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("similar_id", pa.string(), nullable=False),
        pa.field("similarity", pa.float32(), nullable=False),
        pa.field("rank_before", pa.int32()),
        pa.field("rules", pa.string()),
    ]
)
FOUND_WITH = pa.schema(
    [
        pa.field("model", pa.string()),
        pa.field("model_version", pa.int32()),
        pa.field("index_generation", pa.int32()),
        pa.field("catalogue_version", pa.int64()),
        pa.field("rules_version", pa.int32()),
    ]
)
SCHEMA = pa.schema([*SAYS, *FOUND_WITH])
KEPT_DAYS = 30
_CHANGE = "_change_type"
_PROPERTIES = {"delta.enableChangeDataFeed": "true"}
_STORED = {pa.string(): "string", pa.int32(): "integer", pa.int64(): "long", pa.float32(): "float"}
_PRODUCTS_A_FILE = 5_000
_MOST_RANKS = 4_096  # above any rank, so that product and rank make one number
_DAY_S = 86_400.0
_REPEATED = [name for name in SCHEMA.names if name != "similarity"]


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a commit did, in rows."""

    version: int
    inserted: int
    updated: int
    deleted: int


def note_of(table: Path) -> dict[str, Any]:
    """Return what the newest commit of ours says of the table; empty where there is none."""
    for version in range(delta_log.newest_version(table) or 0, 0, -1):
        if note := delta_log.note_of(delta_log.commit_of(table, version)):
            return note
    return {}


def replace_rows(
    table: Path, rows: pa.Table, is_asked: pa.Array | None, *, found_with: Mapping[str, Any], note: Mapping[str, object]
) -> Replaced:
    """Put the rows of some products in the place of those that the table has of them; the lock is held.

    A row that says what it said stays as it is. Killed at any time, the table is the old one or the new one.

    Args:
        table: Its folder; the table is made where there is none.
        rows: Columns of ``SAYS``, ordered by product and rank.
        is_asked: Ids of the products whose rows are replaced; None: all there are.
        found_with: Values of ``FOUND_WITH`` for rows that are new or different.
        note: What the commit says of the table.
    """
    if delta_log.newest_version(table) is None:
        fields = [{"name": one.name, "type": _STORED[one.type], "nullable": one.nullable} for one in SCHEMA]
        with suppress(CatalogueBusy):  # made at the same time
            create_table(table, fields, _PROPERTIES)
    values = [pa.repeat(pa.scalar(found_with[one.name], one.type), len(rows)) for one in FOUND_WITH]
    fresh = pa.table([*rows.select(SAYS.names).columns, *values], schema=SCHEMA)
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # Arrow and Parquet work beside each other
        files = (states(table)[-1].files or {}).values()
        held = sorted(pool.map(partial(_read, table), files), key=lambda one: one.first)
        held = held or [_Held("", SCHEMA.empty_table(), None)]
        parts = list(pool.map(partial(_replaced, table, is_asked), held, _parted(fresh, held)))
    feed = [told for part in parts for told in part.feed]
    # Where rows only come, the files that come tell it.
    is_told = any(part.updated or part.deleted for part in parts)
    added = [file for part in parts for file in part.added]
    added += [_written(table, pa.concat_tables(feed), f"{FEED_FOLDER}/cdc-")] if is_told else []
    commit_files(table, added, [file for part in parts for file in part.removed], note=note, operation="MERGE")
    _remove_unread(table)
    counts = (sum(getattr(part, name) for part in parts) for name in ("inserted", "updated", "deleted"))
    return Replaced(int(delta_log.newest_version(table) or 0), *counts)


@dataclass(frozen=True, slots=True)
class _Part:
    """What becomes of one file: files that come and go, rows of the feed, and rows by what became of them."""

    added: list[dict[str, Any]]
    removed: list[DataFile]
    feed: list[pa.Table]
    inserted: int
    updated: int
    deleted: int


def _replaced(table: Path, is_asked: pa.Array | None, held: _Held, fresh: pa.Table) -> _Part:
    before = held.rows
    is_theirs = np.ones(len(before), np.bool_) if is_asked is None else _in(before["product_id"], is_asked)
    old = before.filter(pa.array(is_theirs))
    partner = _partners(old, fresh)
    has_partner = partner >= 0
    is_same = has_partner.copy()
    is_same[has_partner] = _same(old.filter(pa.array(has_partner)), fresh.take(pa.array(partner[has_partner])))
    is_new = np.ones(len(fresh), np.bool_)
    is_new[partner[has_partner]] = False
    is_updated = has_partner & ~is_same
    counts = int(is_new.sum()), int(is_updated.sum()), int((~has_partner).sum())
    if not any(counts):
        return _Part([], [], [], 0, 0, 0)
    comes = fresh.take(pa.array(np.concatenate([np.flatnonzero(is_new), partner[is_updated]])))
    told = {
        "insert": fresh.filter(pa.array(is_new)),
        "update_preimage": old.filter(pa.array(is_updated)),
        "update_postimage": fresh.take(pa.array(partner[is_updated])),
        "delete": old.filter(pa.array(~has_partner)),
    }
    feed = [one.append_column(_CHANGE, pa.repeat(kind, len(one))) for kind, one in told.items() if len(one)]
    left = pa.concat_tables([before.filter(pa.array(~is_theirs)), old.filter(pa.array(is_same)), comes])
    rows = left.take(pc.sort_indices(left, [("product_id", "ascending"), ("rank", "ascending")]))
    return _Part(_divided(table, rows), [] if held.file is None else [held.file], feed, *counts)


def _divided(table: Path, rows: pa.Table) -> list[dict[str, Any]]:
    """Write rows, into several files where there are many; returns what the log says of these."""
    ids = rows["product_id"].combine_chunks()
    if not len(ids):
        return []
    starts = np.flatnonzero(np.r_[True, np.asarray(pc.not_equal(ids[1:], ids[:-1]))])
    step = _PRODUCTS_A_FILE if len(starts) > 2 * _PRODUCTS_A_FILE else len(starts)
    cuts = [int(start) for start in starts[::step]]
    added = []
    for start, stop in zip(cuts, [*cuts[1:], len(rows)], strict=True):
        part = rows.slice(start, stop - start)
        ends = {"product_id": part["product_id"][0].as_py()}, {"product_id": part["product_id"][-1].as_py()}
        stats = {"numRecords": len(part), "minValues": ends[0], "maxValues": ends[1]}
        now = time.time_ns() // 1_000_000
        added.append(_written(table, part, "part-") | {"modificationTime": now, "stats": json.dumps(stats)})
    return added


def _written(table: Path, rows: pa.Table, name: str) -> dict[str, Any]:
    path = table / f"{name}{uuid4().hex}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path, use_dictionary=_REPEATED)
    return {"path": path.relative_to(table).as_posix(), "size": path.stat().st_size}


@dataclass(frozen=True, slots=True)
class _Held:
    """The rows of a file, and the id that they begin with."""

    first: str
    rows: pa.Table
    file: DataFile | None


def _read(table: Path, file: DataFile) -> _Held:
    rows = pq.read_table(table / file.path, schema=SCHEMA)
    return _Held(rows["product_id"][0].as_py() if len(rows) else "", rows, file)


def _parted(fresh: pa.Table, held: Sequence[_Held]) -> Iterator[pa.Table]:
    """Give the rows that belong into each file by their ids."""
    firsts = [one.first for one in held][1:]
    ids = fresh["product_id"].combine_chunks().dictionary_encode()
    file_of = np.asarray([bisect_right(firsts, one) for one in ids.dictionary.to_pylist()], dtype=np.int64)
    files = file_of[ids.indices.to_numpy()] if len(fresh) else np.empty(0, np.int64)
    for number in range(len(held)):
        yield fresh.filter(pa.array(files == number))


def _in(ids: pa.ChunkedArray, wanted: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(pc.is_in(ids, value_set=wanted), dtype=np.bool_)


def _partners(old: pa.Table, fresh: pa.Table) -> NDArray[np.int64]:
    """Return for each old row where the fresh one of its product and rank is; -1 where there is none."""
    places = fresh["product_id"].combine_chunks().dictionary_encode()
    numbers = np.asarray(pc.fill_null(pc.index_in(old["product_id"], value_set=places.dictionary), -1), np.int64)
    theirs = places.indices.to_numpy().astype(np.int64) * _MOST_RANKS + fresh["rank"].to_numpy()
    mine = np.where(numbers >= 0, numbers * _MOST_RANKS + old["rank"].to_numpy(), -1)
    order = np.argsort(theirs)
    found = np.searchsorted(theirs[order], mine)
    inside = found < len(order)
    at = np.where(inside, order[np.where(inside, found, 0)] if len(order) else 0, 0)
    is_there = inside & (mine >= 0) & (theirs[at] == mine if len(order) else False)
    return np.where(is_there, at, -1)


def _same(old: pa.Table, fresh: pa.Table) -> NDArray[np.bool_]:
    """Tell which rows say the same; two nulls are the same."""
    found = np.ones(len(old), np.bool_)
    for name in SAYS.names:
        one, other = old[name], fresh[name]
        is_equal = pc.fill_null(pc.equal(one, other), fill_value=False)
        found &= np.asarray(pc.or_(is_equal, pc.and_(pc.is_null(one), pc.is_null(other))), dtype=np.bool_)
    return found


def _remove_unread(table: Path) -> None:
    """Remove the files of versions that were replaced a month ago, and those that a killed writer left."""
    history, since = states(table), time.time() - KEPT_DAYS * _DAY_S
    named = set(history[-1].paths)
    for state, after in zip(history, [*history[1:], None], strict=True):
        if after is None or after.commit.timestamp_s >= since:
            named |= {*state.paths, *state.commit.feed}
    for path in files_present(table):
        if path not in named:
            (table / path).unlink(missing_ok=True)
