"""Parquet files by any writer, opened so that pyarrow 14 can read them.

Newer writers keep a note on Arrow's types in the end of a file (its footer), and pyarrow refuses a whole file for one
type in it that it does not know: string views, which polars and deltalake write, are ordinary byte arrays in the file.
Half floats are two bytes with a logical type that it does not know either. Where a footer cannot be read as it is, the
file is read through a view whose footer has neither; the data are untouched.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from backend.catalogue.sources.parquet.bounds import require_short_end
from backend.catalogue.sources.parquet.footer import PlainFooter, plain_footer
from backend.errors import CatalogueError
from backend.files.positioned import Positioned

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow.dataset as ds

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


def open_parquet(place: Path | pa.Buffer, *, buffer_size: int = 0, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
    """Open a file for reading; use it as a context manager. Texts of ``dictionaries`` come once, with an index for each row.

    Raises:
        FileNotFoundError: There is no such file.
        pyarrow.ArrowException, OSError: It is no Parquet file, or cannot be read here.
    """
    return pq.ParquetFile(readable(place), buffer_size=buffer_size, read_dictionary=list(dictionaries) or None)


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
    import pyarrow.dataset as ds  # brings pandas, which only this needs

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
            f"{name} uses a feature of Parquet that is not supported: {error}",
            next_step="Save it again with plain columns and Snappy compression, e.g. with pandas.",
        )
    return CatalogueError(f"{name} is not a Parquet file, or it is damaged.", next_step="Export it again, then retry.")


def _is_two_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_fixed_size_binary(kind) and kind.byte_width == 2)


def _plainer(place: Path | pa.Buffer) -> PlainFooter | None:
    """Return the footer that a file needs to be read here; None where its own will do, or nothing helps."""
    if not isinstance(place, Path):
        return _plainer_of(place)
    facts = place.stat()
    return _plainer_of_file(place, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=_KEPT)
def _plainer_of_file(path: Path, _modified_ns: int, _size: int) -> PlainFooter | None:
    return _plainer_of(path)


def _plainer_of(place: Path | pa.Buffer) -> PlainFooter | None:
    with _source(place) as file:
        require_short_end(file)
    try:
        pq.read_metadata(place)
    except FileNotFoundError:
        raise
    except UNREADABLE:
        with _source(place) as file:
            return plain_footer(file)
    return None


# ---------------------------------------------------------------------------------------- the view


class _View(Positioned):
    """A file with another footer, read-only."""

    def __init__(self, place: Path | pa.Buffer, plainer: PlainFooter) -> None:
        self.half_floats = plainer.half_floats
        self._data, self._border, self._end = _source(place), plainer.start, plainer.footer
        self._at = 0

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
