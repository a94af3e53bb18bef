"""Parquet files of a catalogue's tables, written by Python as Spark would write them, and taken into a table as they are.

Pictures never pass through a JVM, and a first load has nothing to be merged with: checked files become the table's own.
Only the log's entry is missing, which is written here, too. The table itself, with its constraints, was made by Spark.
"""

from __future__ import annotations

import json
import os
import shutil
from math import ceil
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from backend.catalogue.delta.commit_files import commit_files
from backend.catalogue.fields import PRODUCT_FIELDS
from backend.errors import CatalogueBusy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

# About 1 MB of pictures in a row group, so that a page of thumbnails reads a small part of a file.
ROW_GROUP_BYTES = 1 << 20
_FILE_ROWS, _ADDED_ROWS = 250_000, 1_024  # of a file without pictures, and of what is added to it at once
_LONGEST_BOUND = 32  # characters; a longer smallest or largest text says little and fills the log
_HASH = "image_sha256"  # each is another: a dictionary of them would only be read first
_BOUNDED = ("product_id", "label", "split", *(one.name for one in PRODUCT_FIELDS if one.is_bounded), "width", "height")


class GroupedWriter:
    """Writes tables to a Parquet file in row groups of about :data:`ROW_GROUP_BYTES`; without rows there is no file.

    Args:
        path: The file.
        schema: Its columns; pictures are stored as they are, everything else is compressed.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._waiting: list[pa.Table] = []
        self._bytes = 0
        self._writer: pq.ParquetWriter | None = None

    def add(self, rows: pa.Table) -> None:
        """Take rows; they are written when a row group is full."""
        if rows.num_rows:
            self._waiting.append(rows)
            self._bytes += rows.nbytes
            if self._bytes >= ROW_GROUP_BYTES:
                self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._waiting and kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        if self._writer is None:
            packed = {field.name: "NONE" if pa.types.is_binary(field.type) else "SNAPPY" for field in self._schema}
            texts = [field.name for field in self._schema if field.type != pa.binary() and field.name != _HASH]
            self._writer = pq.ParquetWriter(self._path, self._schema, compression=packed, use_dictionary=texts)
        rows = pa.concat_tables(self._waiting).combine_chunks()
        groups = min(rows.num_rows, max(1, round(self._bytes / ROW_GROUP_BYTES)))
        self._writer.write_table(rows, row_group_size=ceil(rows.num_rows / groups))
        self._waiting, self._bytes = [], 0


def written_files(folder: Path, name: str, rows: pa.Table) -> list[Path]:
    """Write rows without pictures as files in a folder; returns these."""
    files = []
    for start in range(0, rows.num_rows, _FILE_ROWS):
        files.append(folder / f"{name}-{start // _FILE_ROWS:05d}.parquet")
        part = rows.slice(start, _FILE_ROWS)
        with GroupedWriter(files[-1], rows.schema) as writer:
            for at in range(0, part.num_rows, _ADDED_ROWS):
                writer.add(part.slice(at, _ADDED_ROWS))
    return files


def append_files(path: Path, files: Sequence[Path], *, note: Mapping[str, object]) -> None:
    """Make checked files part of a table, in one commit right after its newest version, which carries ``note``.

    The files stay where they are as well: a commit that is lost can be tried again.

    Args:
        path: Folder of the table.
        files: Files with the table's columns, whose rows hold its constraints.
        note: User metadata of the commit.

    Raises:
        CatalogueBusy: Another writer committed at the same time.
    """
    actions = [taken_in(file, path) for file in files]
    try:
        commit_files(path, actions, note=note)
    except (CatalogueBusy, OSError):  # nothing was committed
        for action in actions:
            (path / action["path"]).unlink(missing_ok=True)
        raise


def taken_in(file: Path, folder: Path) -> dict[str, Any]:
    """Put a file into the table's folder, by a second name for it where the disk can, and describe it for the log.

    A file that was written there stays as it is.
    """
    target = file if file.parent == folder else folder / f"part-{uuid4()}.parquet"
    if target != file:
        try:
            os.link(file, target)
        except OSError:  # another disk, or one without links
            shutil.copyfile(file, target)
    facts = target.stat()
    stats = json.dumps(_stats(target))
    return {"path": target.name, "size": facts.st_size, "modificationTime": facts.st_mtime_ns // 10**6, "stats": stats}


def _stats(file: Path) -> dict[str, Any]:
    """Return what Delta keeps of a file: its number of rows, and bounds by which a reader may pass it by."""
    footer = pq.read_metadata(file)
    stats: dict[str, Any] = {"numRecords": footer.num_rows, "minValues": {}, "maxValues": {}, "nullCount": {}}
    for name in (name for name in _BOUNDED if name in footer.schema.names):
        place = footer.schema.names.index(name)
        groups = [footer.row_group(group).column(place).statistics for group in range(footer.num_row_groups)]
        stats["nullCount"][name] = sum(group.null_count for group in groups)
        bounds = [(group.min, group.max) for group in groups if group.has_min_max]
        if bounds and stats["nullCount"][name] + sum(group.num_values for group in groups) == footer.num_rows:
            low, high = min(low for low, _ in bounds), max(high for _, high in bounds)
            if not isinstance(high, str) or max(len(low), len(high)) <= _LONGEST_BOUND:
                stats["minValues"][name], stats["maxValues"][name] = low, high
    return stats
