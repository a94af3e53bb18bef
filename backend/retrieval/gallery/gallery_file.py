"""The gallery's file, which may come from anywhere: judged by its metadata before a row of it is read.

Texts and pictures are read as what they are stored as, a dictionary and numbers, and counted before they are written out:
a few bytes of such numbers can name a long text a million times.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backend.bundles import bundle
from backend.catalogue.fields import LATER
from backend.catalogue.sources.parquet.bounds import sizes_of
from backend.errors import BundleError, CatalogueError
from backend.files.plain_files import open_plain
from backend.retrieval.gallery.gallery_rows import SCHEMA, with_fields
from backend.retrieval.indexes.kinds import load_vectors, no_index

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from backend.bundles.bundle import Manifest

REBUILD = "Build the index of this model again."
_TAIL = 8  # bytes: the length of the footer, and the mark of the format
_LONGEST_FOOTER = 8_000_000  # bytes; a million products have some 600,000
# Bytes that a column may take in memory: as much, and as much for each byte of the file.
_ALWAYS, _FOR_EACH = 16_000_000, 4
_TEXTS = frozenset({pa.string(), pa.binary()})


class GalleryFile:
    """A gallery that has been judged.

    Args:
        folder: The bundle.
        name: The file.
        schema: Its columns.

    Raises:
        RetrievalError: The bundle has no index yet.
        BundleError: The file is no gallery, or says more of itself than can be in it.
    """

    def __init__(self, folder: Path, name: str = bundle.GALLERY, schema: pa.Schema = SCHEMA) -> None:
        self._path, self._schema = folder / name, schema
        if not os.path.lexists(self._path):
            raise no_index(folder)
        try:
            self._n_bytes = _checked_size(self._path)
            facts = pq.read_metadata(self._path, memory_map=True)
            self._judge(facts)
            texts = [one.name for one in schema if one.type in _TEXTS and one.name in facts.schema.names]
            self._file = pq.ParquetFile(self._path, metadata=facts, memory_map=True, read_dictionary=texts)
        except (pa.ArrowException, CatalogueError, OSError, ValueError) as error:
            raise self._unreadable(error) from error

    @property
    def rows(self) -> int:
        """Number of products."""
        return int(self._file.metadata.num_rows)

    @property
    def group_sizes(self) -> list[int]:
        """Rows of each row group."""
        return [self._file.metadata.row_group(number).num_rows for number in range(self._file.num_row_groups)]

    def read(self, names: Sequence[str]) -> pa.Table:
        """Read some columns.

        Raises:
            BundleError: They cannot be read, or are larger than they can be.
        """
        return self._plain(lambda: self._file.read(list(names)), names)

    def read_group(self, number: int, names: Sequence[str]) -> pa.Table:
        """Read some columns of a row group; errors as for :meth:`read`."""
        return self._plain(lambda: self._file.read_row_group(number, columns=list(names)), names)

    def _judge(self, facts: pq.FileMetaData) -> None:
        """Compare what the file says of itself with what it has room for; raises ValueError."""
        schema = facts.schema.to_arrow_schema()
        written = [field.name for field in self._schema if field.name in schema.names or field.name not in LATER]
        if schema.names != written:
            raise ValueError(f"it has the columns {schema.names!r:.200}")
        if other := [name for name in written if schema.field(name).type != self._schema.field(name).type]:
            raise ValueError(f"{other[0]} has the wrong type")
        groups = [facts.row_group(number) for number in range(facts.num_row_groups)]
        # Every product has an id and a picture of its own, so that there cannot be more of them than bytes.
        if facts.num_rows != sum(group.num_rows for group in groups) or facts.num_rows > self._n_bytes:
            raise ValueError("it is too small for its number of products")
        if sizes_of(self._path, facts).unpacked > self._most_bytes:
            raise ValueError("its columns are larger than possible")

    @property
    def _most_bytes(self) -> int:
        return _ALWAYS + _FOR_EACH * self._n_bytes

    def _plain(self, read: Callable[[], pa.Table], names: Sequence[str]) -> pa.Table:
        try:
            table = with_fields(read(), names)
            return pa.table([_written_out(table[name], self._most_bytes) for name in names], names=list(names))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> BundleError:
        why = f"{error!s:.300}".partition("\n")[0]
        return BundleError(f"{self._path.name} of {self._path.parent.name} cannot be read: {why}.", next_step=REBUILD)


def _checked_size(path: Path) -> int:
    """Return the size of a plain file with a footer of a usual length; raises ValueError for another."""
    with open_plain(path) as stream:
        n_bytes = os.fstat(stream.fileno()).st_size
        stream.seek(max(0, n_bytes - _TAIL))
        tail = stream.read(_TAIL)
    if tail[4:] != b"PAR1" or int.from_bytes(tail[:4], "little") > min(_LONGEST_FOOTER, n_bytes):
        raise ValueError("it is not a gallery file")
    return n_bytes


def _written_out(column: pa.ChunkedArray, most: int) -> pa.ChunkedArray:
    """Return a column with its texts in place of the numbers that stand for them; ValueError where that is too much."""
    if not pa.types.is_dictionary(column.type):
        return column
    total = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
        total += pc.sum(lengths.cast(pa.int64())).as_py() or 0
    if total > most:
        raise ValueError("a column is larger than possible")
    return pa.chunked_array(
        [chunk.dictionary.take(chunk.indices) for chunk in column.chunks], type=column.type.value_type
    )


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Compare what the files of the index say of themselves with the manifest, before any of them is read, or hashed.

    Raises:
        BundleError: They do not fit, or one of them is none of ours.
        RetrievalError: The bundle has no index yet.
    """
    lacking = [name for name in (bundle.VECTORS, bundle.GALLERY) if not os.path.lexists(folder / name)]
    if lacking and manifest.index is not None:
        raise BundleError(f"{folder.name} is missing its file {lacking[0]}.", next_step=REBUILD)
    shape, rows = load_vectors(folder).shape, GalleryFile(folder).rows
    expected = (manifest.index.size if manifest.index else 0, manifest.embedding_size)
    if not shape == expected == (rows, shape[1]):
        raise BundleError(
            f"{folder.name} is inconsistent: its manifest has {expected[0]} items of {expected[1]} dimensions, the index "
            f"has {shape[0]} of {shape[1]}, the gallery {rows}.",
            next_step=REBUILD,
        )
