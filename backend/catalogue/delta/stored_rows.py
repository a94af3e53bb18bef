"""Rows of a table's Parquet files by position, reading no more than the row groups they are in.

A file may have a deletion vector: a mask of the rows that are still there. A position counts the rows that are there,
through the files in the order of their names.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from backend.catalogue.sources.parquet.files import UNREADABLE, dataset, open_parquet, read_footer
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import pyarrow.dataset as ds
    from numpy.typing import NDArray

_READ_ROWS = 1024  # at once, of a file with a mask


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group of a file.

    Attributes:
        path: The file.
        number: Its place in the file.
        rows: Which of its rows are there, ascending; None: all.
        size: How many are there.
    """

    path: Path
    number: int
    rows: NDArray[np.int64] | None
    size: int


@contextmanager
def _sentences() -> Iterator[None]:
    """Say in a sentence what pyarrow and the disk raise."""
    try:
        yield
    except UNREADABLE as error:
        raise CatalogueError(
            f"The files of the table cannot be read: {error}",
            next_step="Look for lost or damaged files; another version of the catalogue may be whole.",
        ) from error


class StoredRows:
    """All rows of some Parquet files, as one table.

    Args:
        files: The files.
        masks: For files with a deletion vector, whether each row is still there; a mask may be shorter than its file,
            and what it does not reach is there.
        schema: Columns that a file may lack: then they are null.

    Whatever reads rows raises a CatalogueError where a file is gone, damaged or of columns of other types.
    """

    def __init__(
        self, files: Sequence[Path], masks: Mapping[Path, NDArray[np.bool_]] | None = None, schema: pa.Schema = None
    ) -> None:
        self._files = sorted(files, key=lambda path: path.name)
        self._masks = dict(masks or {})
        self._schema = schema

    @property
    def files(self) -> list[Path]:
        """The files, in the order of their rows."""
        return list(self._files)

    @property
    def masks(self) -> dict[Path, NDArray[np.bool_]]:
        """The masks of the files that have one."""
        return dict(self._masks)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Position of the first row of each row group."""
        return self._row_groups[0]

    @property
    def row_groups(self) -> list[RowGroup]:
        """The row groups that have rows, in the order of their rows."""
        return list(self._row_groups[1])

    @cached_property
    def schema(self) -> pa.Schema:
        """Columns of the rows."""
        return self._schema if self._schema is not None else self._dataset(self._files).schema

    def __len__(self) -> int:
        return sum(group.size for group in self._row_groups[1])

    def table(self, columns: Sequence[str], *, only: ds.Expression | None = None) -> pa.Table:
        """Return columns of all rows that pass ``only``, in their order; for columns without pictures."""
        names = list(columns)
        parts = []
        with _sentences():
            for paths, masked in self._runs():
                if masked:
                    part = self._dataset(paths).to_table(columns=self._with_filtered(names, only))
                    part = part.filter(pa.array(self._mask(paths[0], len(part))))
                    parts.append((part if only is None else part.filter(only)).select(names))
                else:
                    parts.append(self._dataset(paths).to_table(columns=names, filter=only))
        return pa.concat_tables(parts) if parts else self.schema.empty_table().select(names)

    def batches(
        self, columns: Sequence[str], *, only: ds.Expression | None = None, batch_size: int
    ) -> Iterator[pa.RecordBatch]:
        """Stream columns, pictures too, with at most ``batch_size`` rows at once and few in memory."""
        with _sentences():
            for paths, masked in self._runs():
                if masked:
                    yield from self._masked_batches(paths[0], list(columns), only, batch_size)
                    continue
                scanner = self._dataset(paths).scanner(
                    columns=list(columns), filter=only, batch_size=batch_size, batch_readahead=4, fragment_readahead=1
                )
                yield from (batch for batch in scanner.to_batches() if batch.num_rows)

    def take(self, positions: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
        """Return the rows at these positions, in their order; memory grows with the row groups touched."""
        starts, groups = self._row_groups
        owners = np.searchsorted(starts, positions, side="right") - 1
        parts, origins = [], []
        for owner in np.unique(owners):
            mine = np.flatnonzero(owners == owner)
            group = groups[owner]
            rows = positions[mine] - starts[owner]
            places = rows if group.rows is None else group.rows[rows]
            with _sentences():
                parts.append(self._read_group(group, columns).take(pa.array(places)))
            origins.append(mine)
        if not parts:
            return self.schema.empty_table().select(list(columns))
        back = np.argsort(np.concatenate(origins), kind="stable")
        return pa.concat_tables(parts).take(pa.array(back)).select(list(columns))

    # ------------------------------------------------------------------------------------------- inside

    def _dataset(self, paths: Sequence[Path]) -> ds.Dataset:
        return dataset(paths, self._schema)

    def _runs(self) -> list[tuple[list[Path], bool]]:
        """Cut the files into runs that are read at once: those without a mask together, each other one alone."""
        runs: list[tuple[list[Path], bool]] = []
        for masked, found in groupby(self._files, key=self._masks.__contains__):
            paths = list(found)
            runs += [([path], True) for path in paths] if masked else [(paths, False)]
        return runs

    def _mask(self, path: Path, size: int) -> NDArray[np.bool_]:
        mask = self._masks[path][:size]
        return np.concatenate([mask, np.ones(size - len(mask), dtype=np.bool_)])

    def _masked_batches(
        self, path: Path, columns: list[str], only: ds.Expression | None, batch_size: int
    ) -> Iterator[pa.RecordBatch]:
        mask = self._mask(path, read_footer(path).metadata.num_rows)
        start = 0
        scanner = self._dataset([path]).scanner(
            columns=self._with_filtered(columns, only), batch_size=min(batch_size, _READ_ROWS)
        )
        for batch in scanner.to_batches():
            rows = pa.Table.from_batches([batch]).filter(pa.array(mask[start : start + batch.num_rows]))
            start += batch.num_rows
            yield from (rows if only is None else rows.filter(only)).select(columns).combine_chunks().to_batches()

    def _with_filtered(self, columns: list[str], only: ds.Expression | None) -> list[str]:
        """Return the columns to read so that ``only`` can be asked afterwards: all that are narrow, if need be."""
        if only is None:
            return columns
        narrow = [field.name for field in self.schema if field.type != pa.binary()]
        return list(dict.fromkeys([*columns, *narrow]))

    def _read_group(self, group: RowGroup, columns: Sequence[str]) -> pa.Table:
        with open_parquet(group.path) as file:
            present = [name for name in columns if name in file.schema_arrow.names]
            rows = file.read_row_group(group.number, columns=present)
        for name in columns:
            if name not in present:
                rows = rows.append_column(name, pa.nulls(len(rows), self.schema.field(name).type))
        target = self.schema
        return pa.table([rows.column(name).cast(target.field(name).type) for name in columns], names=list(columns))

    @cached_property
    def _row_groups(self) -> tuple[NDArray[np.int64], list[RowGroup]]:
        """Return the first position of every row group, and the row groups."""
        groups = []
        for path in self._files:
            with _sentences():
                metadata = read_footer(path).metadata
            mask = self._mask(path, metadata.num_rows) if path in self._masks else None
            start = 0
            for number in range(metadata.num_row_groups):
                size = metadata.row_group(number).num_rows
                rows = None if mask is None else np.flatnonzero(mask[start : start + size]).astype(np.int64)
                groups.append(RowGroup(path, number, rows, size if rows is None else len(rows)))
                start += size
        groups = [group for group in groups if group.size]
        sizes = np.array([group.size for group in groups], dtype=np.int64)
        return np.concatenate([[0], np.cumsum(sizes[:-1])]).astype(np.int64), groups
