"""Parquet files and Delta tables as sources: product columns streamed, pictures read by row and nothing beside them.

A row is found again by its file and its number in it, so that whoever reads pictures needs no list of files, and a
Delta table may go on to other versions meanwhile.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backend.catalogue.delta import delta_log
from backend.catalogue.delta.log_bounds import require_inside
from backend.catalogue.sources.parquet.bounds import (
    BATCH_BYTES,
    MAX_TEXT_BYTES,
    require_modest,
    sizes_of,
    too_much_text,
)
from backend.catalogue.sources.parquet.cells import read_cells
from backend.catalogue.sources.parquet.files import UNREADABLE, open_parquet, read_footer, unreadable
from backend.catalogue.sources.tables.rows import Row
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from backend.catalogue.sources.parquet.bounds import Sizes
    from backend.catalogue.sources.parquet.files import Footer
    from backend.catalogue.sources.tables.files import TableFile

_BATCH_ROWS = 1024
# A table of this size is read in half a second.
_SMALL_BYTES = 256_000_000
_HALF_FLOAT = struct.Struct("<e")


@dataclass(frozen=True, slots=True)
class _Part:
    """One Parquet file of a table.

    Attributes:
        name: Its path from the table on.
        place: What pyarrow reads it from.
        keep: Whether each row is still there; null: all are.
        constants: Columns that have one value in the whole file, and are not in it.
    """

    name: str
    place: Any
    keep: NDArray[np.bool_] | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)


class _Texts:
    """Counts the bytes of a table's rows as they are read, and gives texts back that came as a dictionary's."""

    def __init__(self, name: str) -> None:
        self._name, self._size = name, 0

    def whole(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch with each row's own texts.

        Raises:
            CatalogueError: They come to too much, those of the batches before among them.
        """
        expanded = 0
        for column in batch.columns:
            if isinstance(column, pa.DictionaryArray) and _is_bytes(column.dictionary.type):
                expanded += pc.sum(pc.binary_length(column.dictionary).take(column.indices)).as_py() or 0
        self._size += batch.nbytes + expanded
        if expanded > BATCH_BYTES or self._size > MAX_TEXT_BYTES:
            raise too_much_text(self._name, max(self._size, MAX_TEXT_BYTES))
        return batch


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a file is read: ``is_careful`` where a text in a dictionary may be too long to have it once for each row."""

    part: _Part
    is_careful: bool
    texts: _Texts


@dataclass(frozen=True, slots=True)
class ParquetTable:
    """A Parquet file, one in a zip, a folder of them, or a Delta table at one of its versions."""

    file: TableFile
    kind: Literal["parquet", "delta"]
    version: int | None = None

    def columns(self) -> Mapping[str, bool]:
        """Columns by name, and whether they hold encoded pictures; lists and the like are left out.

        Raises:
            CatalogueError: There is no such table, or it is damaged.
        """
        found: dict[str, bool] = {}
        for part, footer, _ in self._judged():
            for column in footer.schema:
                if (is_picture := _is_picture(column.type)) or _is_plain(column.type):
                    found.setdefault(column.name, is_picture)
            for name in part.constants:
                found.setdefault(name, False)
        return found

    def rows(self, image: str | None) -> Iterator[Row]:
        """Stream all rows, without any column of bytes; rows that a Delta table has deleted are passed over.

        Raises:
            CatalogueError: As :meth:`columns`.
        """
        before = 0
        texts = _Texts(self.file.name)
        for part, footer, sizes in self._judged():
            reading = _Reading(part, is_careful=sizes.longest * _BATCH_ROWS > BATCH_BYTES, texts=texts)
            for number, values in _values(reading, footer, image):
                yield Row(before + number, {**values, **part.constants}, f"/{part.name}#{number}")
            before += footer.metadata.num_rows

    def cheap_positions(self) -> list[int]:
        """Return where reading a picture costs least: where the row groups begin. Empty where it costs little anyway.

        Raises:
            CatalogueError: As :meth:`columns`.
        """
        parts = self._parts()
        if sum(part.place.stat().st_size for part in parts if isinstance(part.place, Path)) <= _SMALL_BYTES:
            return []
        found = [0]
        for part in parts:
            metadata = _opened(part).metadata
            for number in range(metadata.num_row_groups):
                found.append(found[-1] + metadata.row_group(number).num_rows)
        return found[:-1]

    def cells(self, locators: Sequence[str], image: str) -> dict[str, Any]:
        """Return what these rows have in the column ``image``: bytes, a struct with bytes, text, or null.

        A row whose bytes cannot be read is an ``ImageRejected``.

        Raises:
            DatasetUnavailable: The table is gone.
        """
        return read_cells(self.file, locators, image)

    # ------------------------------------------------------------------------------------------- inside

    def _judged(self) -> list[tuple[_Part, Footer, Sizes]]:
        """Open all files, and refuse a table that takes too much before a value of it is read."""
        opened = [(part, _opened(part)) for part in self._parts()]
        found = [(part, footer, _sizes(part, footer)) for part, footer in opened]
        require_modest(self.file.name, [sizes for _, _, sizes in found])
        return found

    def _parts(self) -> list[_Part]:
        path = self.file.path
        if self.kind == "delta":
            parts = _delta_parts(path, self.version)
        elif path.is_dir():
            found = (file.relative_to(path).as_posix() for file in path.rglob("*.parquet") if file.is_file())
            names = sorted(found)
            parts = [_Part(name, path / name, constants=_constants_in(name)) for name in names if not _is_hidden(name)]
        else:
            parts = [_Part(self.file.name, self.file.parquet())]
        if not parts:
            raise CatalogueError(f"The table {path} has no rows.", next_step="Choose another one.")
        for part in parts:
            if isinstance(part.place, Path) and not _is_below(part.place, path):
                raise CatalogueError(
                    f"The table {path} has a file outside its folder: {part.name}.",
                    next_step="Load a full copy of the table.",
                )
        return parts


def _delta_parts(path: Path, version: int | None) -> list[_Part]:
    require_inside(path)
    table = delta_log.open_table(path, version)
    masks = delta_log.masks_of(table)
    actions = table.get_add_actions(flatten=True)
    columns = {name: actions.column(name).to_pylist() for name in actions.schema.names if _is_place(name)}
    parts = []
    for at, address in enumerate(columns.pop("path")):
        name = unquote(address)
        keep = masks.get(path / name, masks.get(path / unquote(name)))
        constants = {column.removeprefix("partition."): values[at] for column, values in columns.items()}
        parts.append(_Part(name, path / name, keep, constants))
    return sorted(parts, key=lambda part: part.name)


def _is_place(name: str) -> bool:
    return name == "path" or name.startswith("partition.")


def _constants_in(name: str) -> dict[str, str | None]:
    """Return the columns that are in the names of folders: ``label=bag/part-0.parquet``."""
    pairs = [folder.partition("=") for folder in name.split("/")[:-1]]
    values = {key: unquote(value) for key, mark, value in pairs if mark}
    return {key: None if value == "__HIVE_DEFAULT_PARTITION__" else value for key, value in values.items()}


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))


def _is_below(file: Path, table: Path) -> bool:
    return file.resolve().is_relative_to(table.resolve())


def _opened(part: _Part) -> Footer:
    """Read the end of a file: its columns and number of rows."""
    try:
        return read_footer(part.place)
    except FileNotFoundError as error:
        raise CatalogueError(
            f"{part.name} is missing from the table.", next_step="Restore it, or choose a version that includes it."
        ) from error
    except UNREADABLE as error:
        raise unreadable(part.name, error) from error


def _sizes(part: _Part, footer: Footer) -> Sizes:
    try:
        return sizes_of(part.place, footer.metadata)
    except UNREADABLE as error:
        raise unreadable(part.name, error) from error


def _values(reading: _Reading, footer: Footer, image: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number and values of each row that is there; of a struct with bytes, its path only."""
    fields = {column.name: column.type for column in footer.schema}
    wanted = [name for name, kind in fields.items() if _is_plain(kind)]
    inner = f"{image}.path" if image in fields and _has_path(fields[image]) else None
    part = reading.part
    there = np.ones(footer.metadata.num_rows, dtype=np.bool_)
    if part.keep is not None:
        there[: len(part.keep)] = part.keep[: len(there)]
    for number, row in enumerate(_plain_rows(reading, [*wanted, *([inner] if inner else [])], len(there))):
        if there[number]:
            if inner and image is not None:
                row[image] = (row[image] or {}).get("path")
            for name in footer.half_floats:
                row[name] = None if row[name] is None else _HALF_FLOAT.unpack(row[name])[0]
            yield number, row


def _plain_rows(reading: _Reading, wanted: Sequence[str], size: int) -> Iterator[dict[str, Any]]:
    if not wanted:  # nothing but pictures
        yield from ({} for _ in range(size))
        return
    try:
        with open_parquet(reading.part.place, dictionaries=wanted if reading.is_careful else ()) as file:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=list(wanted)):
                yield from reading.texts.whole(batch).to_pylist()
    except UNREADABLE as error:
        raise unreadable(reading.part.name, error) from error


def _is_picture(kind: pa.DataType) -> bool:
    """Bytes, or a struct with a field ``bytes``, as common image data sets have it."""
    if pa.types.is_struct(kind):
        at = kind.get_field_index("bytes")
        return at >= 0 and _is_binary(kind.field(at).type)
    return _is_binary(kind)


def _has_path(kind: pa.DataType) -> bool:
    return _is_picture(kind) and pa.types.is_struct(kind) and kind.get_field_index("path") >= 0


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_binary(kind))


def _is_plain(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return not (pa.types.is_nested(inner) or _is_binary(inner))
