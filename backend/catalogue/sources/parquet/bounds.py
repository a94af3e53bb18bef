"""Parquet files from strangers, judged by what their ends and the heads of their pages say, before a value is read.

A file of some kB may say that it has millions of rows, unpack to gigabytes, or hold one long text that all of its rows
refer to. Its end says rows and sizes; the heads of its pages say what each page unpacks to and how many values a
dictionary has. Both are a few bytes each, and must agree: what reads the file goes by the pages.

Specification: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from backend.catalogue.sources.parquet.footer import DAMAGE, Thrift
from backend.catalogue.sources.tables.files import require_size
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow.parquet as pq

MAX_END_BYTES = 32_000_000
MAX_RATIO, FREE_BYTES = 100, 256_000_000  # how much more than the file, and what any file, may unpack to
MAX_TEXT_BYTES = 2_000_000_000  # of all rows together, as far as it is kept
MANY_ROWS, _ROWS_PER_BYTE = 200_000, 8  # so many rows take their space, however well they are packed
FREE_PAGE_BYTES, MAX_PAGE_BYTES, _MOST_PAGES = 64_000_000, 1_000_000_000, 500_000
BATCH_BYTES = 256_000_000  # of texts or pictures that are in memory at once
_HEAD_BYTES, _LONGEST_HEAD = 256, 1 << 24  # a head may hold the least and the greatest value
_KEPT = 4096
_EXPORT = "Export the table again, then retry."


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a file takes, as its end and its pages say.

    Attributes:
        rows: Rows.
        packed: Bytes of its columns as they are in the file.
        unpacked: Bytes of their pages once unpacked.
        text: About how many bytes its texts have once each row has its own.
        longest: No text of a dictionary is longer, summed over the columns.
    """

    rows: int
    packed: int
    unpacked: int
    text: int
    longest: int


def require_short_end(file: pa.NativeFile) -> None:
    """Refuse a file whose end, which is parsed at once, is too long.

    Raises:
        CatalogueError: It is.
    """
    size = file.size()
    file.seek(max(size - 8, 0))
    if (length := int.from_bytes(file.read(4), "little")) > MAX_END_BYTES and length < size:
        raise CatalogueError(
            f"The footer of the Parquet file has {length / 1e6:,.0f} MB; {MAX_END_BYTES // 1_000_000} MB are allowed.",
            next_step="Write the table again with larger row groups.",
        )


def require_modest(name: str, sizes: list[Sizes]) -> None:
    """Refuse a table, all of its files together, that takes more than tables of products do.

    Raises:
        CatalogueError: It does.
    """
    rows, packed = sum(each.rows for each in sizes), sum(each.packed for each in sizes)
    unpacked, text = sum(each.unpacked for each in sizes), sum(each.text for each in sizes)
    require_size(name, rows=rows)
    if rows > MANY_ROWS and rows > _ROWS_PER_BYTE * packed:
        raise CatalogueError(
            f"{name} claims {rows:,} rows in {packed:,} bytes: they cannot be different products.",
            next_step=_EXPORT,
        )
    if unpacked > max(FREE_BYTES, MAX_RATIO * packed):
        raise CatalogueError(
            f"{name} would unpack to {unpacked / 1e6:,.0f} MB from {packed / 1e6:,.1f} MB, more than {MAX_RATIO} times "
            "as much.",
            next_step=_EXPORT,
        )
    if text > MAX_TEXT_BYTES:
        raise too_much_text(name, text)


def too_much_text(name: str, size: int) -> CatalogueError:
    """Say that the texts of a table are too large."""
    return CatalogueError(
        f"The texts in {name} come to {size / 1e9:,.1f} GB or more; at most {MAX_TEXT_BYTES / 1e9:,.0f} GB can be "
        "loaded at once.",
        next_step="Leave out columns with long texts, or split the table into smaller files.",
    )


def sizes_of(place: Path | pa.Buffer, metadata: pq.FileMetaData) -> Sizes:
    """Read what a file takes; that of a file on disk is known from then on.

    Raises:
        CatalogueError: It has too many columns, or its end and its pages do not agree.
        pyarrow.ArrowException, OSError: It cannot be read.
    """
    if not isinstance(place, Path):
        return _sizes(pa.BufferReader(place), metadata)
    facts = place.stat()
    key = (str(place), facts.st_mtime_ns, facts.st_size)
    found = _known(key)
    if not found:
        with pa.OSFile(str(place)) as file:
            found.append(_sizes(file, metadata))
    return found[0]


@lru_cache(maxsize=_KEPT)
def _known(_key: tuple[str, int, int]) -> list[Sizes]:
    return []  # filled by whoever asks first


def rows_at_once(place: Path | pa.Buffer, metadata: pq.FileMetaData, group: int, name: str, most: int) -> int:
    """Return how many rows of a column to read at once, so that their values are not too much for the memory.

    In a dictionary they may all be its longest; otherwise they are taken as large as the average.
    """
    found = metadata.row_group(group)
    largest = 1
    with pa.OSFile(str(place)) if isinstance(place, Path) else pa.BufferReader(place) as file:
        for at in range(metadata.num_columns):
            column = found.column(at)
            if column.path_in_schema.split(".")[0] == name and column.num_values:
                chunk = next(_pages(file, _start_of(column), file.size()), (0, 0, False))
                largest += chunk[0] if chunk[2] else column.total_uncompressed_size // column.num_values
    return max(1, min(most, BATCH_BYTES // largest))


def _start_of(column: Any) -> int:
    offsets = [column.data_page_offset, column.dictionary_page_offset if column.has_dictionary_page else None]
    return int(min(offset for offset in offsets if offset is not None))


def _sizes(file: pa.NativeFile, metadata: pq.FileMetaData) -> Sizes:
    require_size("The Parquet file", columns=metadata.num_columns)
    texts = {at for at in range(metadata.num_columns) if _is_text(metadata.schema.column(at))}
    packed = unpacked = text = 0
    longest: dict[int, int] = {}
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for at in range(metadata.num_columns):
            column = group.column(at)
            chunk = _chunk(file, column)
            packed += column.total_compressed_size
            unpacked += max(column.total_uncompressed_size, chunk.unpacked)
            if at in texts and chunk.dictionary:
                text += column.num_values * (chunk.dictionary // max(chunk.entries, 1))
                longest[at] = max(longest.get(at, 0), chunk.dictionary - 4 * chunk.entries)
    return Sizes(metadata.num_rows, packed, unpacked, text, sum(longest.values()))


def _is_text(column: Any) -> bool:
    """Tell whether a column is text that is read with its row, rather than a picture or a list."""
    is_bytes = column.physical_type == "BYTE_ARRAY" and column.max_repetition_level == 0
    return bool(is_bytes and column.logical_type.type != "NONE")


@dataclass(slots=True)
class _Chunk:
    """What the pages of one column in one row group say: bytes in all, and bytes and entries of the dictionary."""

    unpacked: int = 0
    dictionary: int = 0
    entries: int = 0


def _chunk(file: pa.NativeFile, column: Any) -> _Chunk:
    found = _Chunk()
    start = _start_of(column)
    for unpacked, entries, is_dictionary in _pages(file, start, start + column.total_compressed_size):
        found.unpacked += unpacked
        if is_dictionary:
            found.dictionary, found.entries = unpacked, entries
    return found


def _pages(file: pa.NativeFile, at: int, stop: int) -> Iterator[tuple[int, int, bool]]:
    """Yield the bytes that each page unpacks to, how many entries it has as a dictionary, and whether it is one."""
    end, count = min(stop, file.size()), 0
    while at < end:
        head, size = _head(file, at)
        dictionary = head.get(_DICTIONARY)
        unpacked, packed = int(head.get(_UNPACKED, 0)), int(head.get(_PACKED, 0))
        count += 1
        if unpacked < 0 or packed < 0 or count > _MOST_PAGES:
            raise pa.ArrowInvalid("its pages are damaged")
        if unpacked > min(max(FREE_PAGE_BYTES, MAX_RATIO * packed), MAX_PAGE_BYTES):
            raise CatalogueError(
                f"A page of the Parquet file would unpack to {unpacked / 1e6:,.0f} MB from {packed / 1e6:,.1f} MB.",
                next_step=_EXPORT,
            )
        yield unpacked, int(dictionary.get(1, 0)) if dictionary else 0, dictionary is not None
        at += size + packed


_UNPACKED, _PACKED, _DICTIONARY = 2, 3, 7  # fields of a page's head


def _head(file: pa.NativeFile, at: int) -> tuple[dict[int, Any], int]:
    """Parse the head of the page at a byte; return its fields, and its length."""
    size = _HEAD_BYTES
    while True:
        file.seek(at)
        data = file.read(size)
        thrift = Thrift(data)
        try:
            found = thrift.struct()
        except DAMAGE:
            found = None
        if found is not None and thrift.at <= len(data):
            return found, thrift.at
        if len(data) < size or size >= _LONGEST_HEAD:
            raise pa.ArrowInvalid("a page header is damaged")
        size *= 8
