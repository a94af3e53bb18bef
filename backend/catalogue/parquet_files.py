"""Parquet files by any writer, opened so that pyarrow 14 can read them.

Newer writers keep a note on Arrow's types in the end of a file (its footer), and pyarrow refuses a whole file for one
type in it that it does not know: string views, which polars and deltalake write, are ordinary byte arrays in the file.
Half floats are two bytes with a logical type that it does not know either. Where a footer cannot be read as it is, the
file is read through a view whose footer has neither; the data are untouched. Specification:
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MAGIC = b"PAR1"
_TAIL = 8  # bytes behind the footer: its length and the magic
_NOTE, _NO_NOTE = b"ARROW:schema", b"arrow-schema"  # of one length, so that nothing moves
_SCHEMA_FIELD, _NAME_FIELD, _LOGICAL_TYPE_FIELD = 2, 4, 10
_KNOWN_LOGICAL_TYPES = frozenset(range(1, 15)) - {9}
_HALF_FLOAT = 15
UNREADABLE = (pa.ArrowException, OSError)
_NEWER = re.compile(
    r"unrecogni[sz]ed|not recogni[sz]ed|not (yet )?implemented|unsupported|unknown|encrypt", re.IGNORECASE
)
_KEPT = 4096  # files of which is known whether they need a view


@dataclass(frozen=True, slots=True)
class Footer:
    """What the end of a file says.

    Attributes:
        metadata: Row groups and statistics.
        schema: The columns; half floats are float16, though they are read as two bytes.
    """

    metadata: pq.FileMetaData
    schema: pa.Schema

    @property
    def half_floats(self) -> list[str]:
        """Columns of half floats, which come as two bytes."""
        return [field.name for field in self.schema if pa.types.is_float16(field.type)]


def read_footer(place: Path | pa.Buffer) -> Footer:
    """Read the end of a file.

    Raises:
        FileNotFoundError: There is no such file.
        pyarrow.ArrowException, OSError: It is no Parquet file, or cannot be read here.
    """
    source = readable(place)
    halves = source.half_floats if isinstance(source, _View) else frozenset()
    with pq.ParquetFile(source) as file:
        fields = [
            field.with_type(pa.float16()) if field.name in halves and _is_two_bytes(field.type) else field
            for field in file.schema_arrow
        ]
        return Footer(file.metadata, pa.schema(fields))


def open_parquet(place: Path | pa.Buffer, *, buffer_size: int = 0) -> pq.ParquetFile:
    """Open a file for reading; use it as a context manager.

    Raises:
        FileNotFoundError: There is no such file.
        pyarrow.ArrowException, OSError: It is no Parquet file, or cannot be read here.
    """
    return pq.ParquetFile(readable(place), buffer_size=buffer_size)


def readable(place: Path | pa.Buffer) -> Any:
    """Return what pyarrow can read a file from: its place, or a view of it for one reader.

    Raises:
        FileNotFoundError: There is no such file.
    """
    found = _plainer(place)
    return place if found is None else _View(place, found)


def dataset(paths: Sequence[Path], schema: pa.Schema | None) -> ds.Dataset:
    """Return files as one data set; without ``schema``, with the columns of the first one.

    Raises:
        FileNotFoundError: One of them is not there.
    """
    sources = [readable(path) for path in paths]
    if not any(isinstance(source, _View) for source in sources):
        return ds.dataset([str(path) for path in paths], format="parquet", schema=schema)
    kind = ds.ParquetFileFormat()
    opened = (source if isinstance(source, _View) else _source(source) for source in sources)
    fragments = [kind.make_fragment(pa.PythonFile(source, "r")) for source in opened]
    return ds.FileSystemDataset(fragments, schema or fragments[0].physical_schema, kind)


def unreadable(name: str, error: BaseException) -> CatalogueError:
    """Say why a file cannot be read, from what :data:`UNREADABLE` said: damage, or something that is newer than this."""
    if isinstance(error, pa.ArrowNotImplementedError) or _NEWER.search(str(error)):
        return CatalogueError(
            f"{name} uses something of Parquet that cannot be read here: {error}",
            next_step="Save it again with plain columns and Snappy compression, e.g. with pandas or Spark.",
        )
    return CatalogueError(f"{name} is no Parquet file, or it is damaged.", next_step="Export it again, then retry.")


def _is_two_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_binary(kind) and kind.byte_width == 2)


def _plainer(place: Path | pa.Buffer) -> _Plainer | None:
    """Return the footer that a file needs to be read here; None where its own will do, or nothing helps."""
    if not isinstance(place, Path):
        return _plainer_of(place)
    facts = place.stat()
    return _plainer_of_file(place, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=_KEPT)
def _plainer_of_file(path: Path, _modified_ns: int, _size: int) -> _Plainer | None:
    return _plainer_of(path)


def _plainer_of(place: Path | pa.Buffer) -> _Plainer | None:
    try:
        pq.read_metadata(place)
    except FileNotFoundError:
        raise
    except UNREADABLE:
        return _plainer_footer(place)
    return None


# ---------------------------------------------------------------------------------------- the view


class _View(io.RawIOBase):
    """A file with another footer, read-only."""

    def __init__(self, place: Path | pa.Buffer, plainer: _Plainer) -> None:
        self.half_floats = plainer.half_floats
        self._data, self._border, self._end = _source(place), plainer.start, plainer.footer
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        return self._border + len(self._end)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size()}[whence]
        self._at = start + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        stop = self.size() if size is None or size < 0 else min(self._at + size, self.size())
        found = b""
        if self._at < self._border:
            self._data.seek(self._at)
            found = self._data.read(min(stop, self._border) - self._at)
        if stop > self._border:
            found += self._end[max(self._at - self._border, 0) : stop - self._border]
        self._at += len(found)
        return found

    def close(self) -> None:
        if not self.closed:
            self._data.close()
        super().close()


def _source(place: Path | pa.Buffer) -> pa.NativeFile:
    return pa.OSFile(str(place)) if isinstance(place, Path) else pa.BufferReader(place)


# ---------------------------------------------------------------------------------------- its footer


@dataclass(frozen=True, slots=True)
class _Plainer:
    """A footer that pyarrow reads, from the byte ``start`` of the file to its end."""

    start: int
    footer: bytes
    half_floats: frozenset[str]


def _plainer_footer(place: Path | pa.Buffer) -> _Plainer | None:
    """Take out of a footer what pyarrow does not know; None where there is nothing of it."""
    with _source(place) as file:
        size = file.size()
        file.seek(max(size - _TAIL, 0))
        tail = file.read(_TAIL)
        start = size - _TAIL - int.from_bytes(tail[:4], "little")
        if tail[4:] != _MAGIC or start < len(_MAGIC):
            return None
        file.seek(start)
        footer = file.read(size - _TAIL - start)
    try:
        told = list(_unknown_types(footer))
    except (IndexError, StopIteration):
        return None  # a damaged one
    cut, at = b"", 0
    for _, _, first, last in told:
        cut, at = cut + footer[at:first], last
    cut = (cut + footer[at:]).replace(_NOTE, _NO_NOTE)
    if cut == footer:
        return None
    halves = frozenset(name for name, kind, _, _ in told if kind == _HALF_FLOAT)
    return _Plainer(start, cut + len(cut).to_bytes(4, "little") + _MAGIC, halves)


def _unknown_types(footer: bytes) -> Iterator[tuple[str, int, int, int]]:
    """Yield the columns with a logical type that pyarrow does not know: name, type, and where it stands.

    It is the last field of its column's, so that nothing behind counts from it.
    """
    thrift = _Thrift(footer)
    for number, kind, _ in thrift.fields():
        if number != _SCHEMA_FIELD:
            thrift.skip(kind)
            continue
        for _ in range(thrift.list_header()[0]):
            name = ""
            for part, inner, begin in thrift.fields():
                if part == _NAME_FIELD:
                    name = thrift.text()
                elif part == _LOGICAL_TYPE_FIELD:
                    logical = thrift.only_field()
                    if logical not in _KNOWN_LOGICAL_TYPES:
                        yield name, logical, begin, thrift.at
                else:
                    thrift.skip(inner)
        return


class _Thrift:
    """Walks through Thrift's compact protocol.

    https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
    """

    def __init__(self, data: bytes) -> None:
        self._data, self.at = data, 0

    def fields(self) -> Iterator[tuple[int, int, int]]:
        """Yield number, kind and begin of each field of a struct; each is to be passed before the next is asked for."""
        number = 0
        while True:
            begin, header = self.at, self._byte()
            if not header:
                return
            number = number + (header >> 4) if header >> 4 else self._integer()
            yield number, header & 15, begin

    def only_field(self) -> int:
        """Pass a union and return which of its fields it has; 0 for none."""
        found = 0
        for number, kind, _ in self.fields():
            found = number
            self.skip(kind)
        return found

    def text(self) -> str:
        size = self._varint()
        self.at += size
        return self._data[self.at - size : self.at].decode("utf-8", "replace")

    def list_header(self) -> tuple[int, int]:
        header = self._byte()
        return (self._varint() if header >> 4 == 15 else header >> 4), header & 15

    def skip(self, kind: int) -> None:
        """Pass a value of a struct's field."""
        if kind in {4, 5, 6}:
            self._varint()
        elif kind == 8:
            self.text()
        elif kind in {9, 10}:
            size, inner = self.list_header()
            for _ in range(size):
                self.skip(3 if inner in {1, 2} else inner)
        elif kind == 12:
            for _, inner, _ in self.fields():
                self.skip(inner)
        else:  # a truth is in its header, a byte and a double have their sizes; there is no map in a footer
            self.at += {3: 1, 7: 8}.get(kind, 0)

    def _byte(self) -> int:
        self.at += 1
        return self._data[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _integer(self) -> int:
        """Return a signed integer, which is written zigzag."""
        value = self._varint()
        return value >> 1 ^ -(value & 1)
