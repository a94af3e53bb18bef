"""Single cells of Parquet files, read on the executors: walked through forwards, so that little is in memory."""

from __future__ import annotations

import threading
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from backend.catalogue.sources.parquet.bounds import rows_at_once
from backend.catalogue.sources.parquet.files import UNREADABLE, open_parquet, read_footer
from backend.catalogue.sources.pictures.files import gone
from backend.errors import ImageRejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backend.catalogue.sources.tables.files import TableFile

_STEP_ROWS = 32  # pictures at once
_BUFFER_BYTES = 1 << 20  # a row group is streamed, however large it is
_KEPT_WALKS = 2
_ANEW = 1 << 62  # a walk that is behind every row has to start again


def read_cells(table: TableFile, locators: Sequence[str], column: str) -> dict[str, Any]:
    """Return a column's values at ``/file#row``, by locator; a row or a file that is gone is left out.

    Rows that cannot be read are ``ImageRejected``.

    Raises:
        DatasetUnavailable: The whole table is gone.
        CatalogueError: The zip that it is in cannot be read any more.
    """
    if not table.path.exists():
        raise gone(table.path)
    found: dict[str, Any] = {}
    wanted = sorted({_parsed(locator): locator for locator in locators}.items())
    for name, group in groupby(wanted, key=lambda item: item[0][0]):
        rows = {row: locator for (_, row), locator in group}
        try:
            values = _in_file(table, name, list(rows), column)
        except FileNotFoundError:
            continue
        except UNREADABLE:
            values = [(row, _damaged()) for row in rows]
        found |= {rows[row]: value for row, value in values}
    return found


def _damaged() -> ImageRejected:
    return ImageRejected(
        "The picture cannot be read: its Parquet file is damaged.",
        code="damaged",
        next_step="Export the table again, then retry.",
    )


def _parsed(locator: str) -> tuple[str, int]:
    name, _, row = locator.removeprefix("/").rpartition("#")
    return name, int(row)


def _in_file(table: TableFile, name: str, rows: Sequence[int], column: str) -> list[tuple[int, Any]]:
    """Read rows of one file, given in their order."""
    changed_ns = (table.path / name if table.path.is_dir() else table.path).stat().st_mtime_ns
    found: list[tuple[int, Any]] = []
    start = 0
    footer = read_footer(_place(table, name))
    if column not in footer.schema.names:
        return [(row, None) for row in rows]  # a file from before the table had this column
    for number in range(footer.metadata.num_row_groups):
        size = footer.metadata.row_group(number).num_rows
        inside = [row - start for row in rows if start <= row < start + size]
        if inside:
            values = _walk(table, name, changed_ns, number, column).take(inside)
            found += [(start + row, value) for row, value in zip(inside, values, strict=True)]
        start += size
    return found


def _place(table: TableFile, name: str) -> Any:
    return table.path / name if table.path.is_dir() else table.parquet()


class _Walk:
    """One column of one row group, from its first row to its last; asked for an earlier row, it starts again.

    The parts of a source are asked for in the order of their rows, so that one walk serves many of them.
    """

    def __init__(self, place: Any, group: int, column: str) -> None:
        self._place, self._group, self._column = place, group, column
        self._lock = threading.Lock()  # the app shows previews in many threads
        self._batches: Iterator[Any] = iter(())
        self._start, self._values = _ANEW, pa.nulls(0)

    def take(self, rows: Sequence[int]) -> list[Any]:
        with self._lock:
            return [self._try_at(row) for row in rows]

    def _try_at(self, row: int) -> Any:
        try:
            return self._at(row)
        except UNREADABLE:
            self._start = _ANEW
            return _damaged()

    def _at(self, row: int) -> Any:
        if row < self._start:
            file = open_parquet(self._place, buffer_size=_BUFFER_BYTES)
            rows = rows_at_once(self._place, file.metadata, self._group, self._column, _STEP_ROWS)
            self._batches = file.iter_batches(rows, row_groups=[self._group], columns=[self._column])
            self._start, self._values = 0, pa.nulls(0)
        while row >= self._start + len(self._values):
            self._start += len(self._values)
            self._values = next(self._batches).column(self._column)
        return self._values[row - self._start].as_py()


@lru_cache(maxsize=_KEPT_WALKS)
def _walk(table: TableFile, name: str, _changed_ns: int, group: int, column: str) -> _Walk:
    return _Walk(_place(table, name), group, column)
