"""Rows of a table's Parquet files by position, reading no more than the row groups they lie in."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class StoredRows:
    """All rows of some Parquet files; a position counts through the files in the order of their names."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = sorted(files, key=lambda path: path.name)

    @cached_property
    def dataset(self) -> ds.Dataset:
        """The same rows, in the same order, as a dataset to scan."""
        return ds.dataset([str(path) for path in self._files], format="parquet")

    def take(self, positions: NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
        """Return the rows at these positions, in their order; memory grows with the row groups touched."""
        starts, groups = self._row_groups
        owners = np.searchsorted(starts, positions, side="right") - 1
        parts, origins = [], []
        for owner in np.unique(owners):
            mine = np.flatnonzero(owners == owner)
            path, number = groups[owner]
            with pq.ParquetFile(path) as file:
                rows = file.read_row_group(number, columns=list(columns))
            parts.append(rows.take(pa.array(positions[mine] - starts[owner])))
            origins.append(mine)
        if not parts:
            return self.dataset.schema.empty_table().select(list(columns))
        back = np.argsort(np.concatenate(origins), kind="stable")
        return pa.concat_tables(parts).take(pa.array(back)).select(list(columns))

    @cached_property
    def _row_groups(self) -> tuple[NDArray[np.int64], list[tuple[Path, int]]]:
        """Return the first position of every row group, and the file and number it is."""
        groups, sizes = [], []
        for path in self._files:
            metadata = pq.read_metadata(path)
            for number in range(metadata.num_row_groups):
                groups.append((path, number))
                sizes.append(metadata.row_group(number).num_rows)
        return np.concatenate([[0], np.cumsum(sizes[:-1], dtype=np.int64)]).astype(np.int64), groups
