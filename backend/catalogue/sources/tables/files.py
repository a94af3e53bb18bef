"""The file that a table is in: on disk, or a member of a zip with the pictures beside it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Protocol

from backend.catalogue.sources.pictures.files import gone
from backend.catalogue.sources.pictures.zipped import DAMAGE, is_encrypted, opened_zip
from backend.catalogue.sources.tables.streams import GZIP_MAGIC, unpacked_gzip
from backend.catalogue.sources.zip_bounds import open_member, unpacked
from backend.errors import CatalogueError
from backend.files.plain_files import open_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from backend.catalogue.sources.tables.rows import Row

PARQUET_MAGIC = b"PAR1"
_READ_FROM_THE_START = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".xml")
TABLE_SUFFIXES = (*_READ_FROM_THE_START, *(f"{one}.gz" for one in _READ_FROM_THE_START), ".parquet", ".xlsx")
# A Parquet file is read from its end, so that one in a zip has to be held in memory.
MAX_MEMBER_BYTES = 512_000_000


# A row without a picture takes some kB while it is loaded, and a column is a choice on the page.
MAX_ROWS, MAX_COLUMNS = 5_000_000, 2_000


def require_size(name: str, *, rows: int = 0, columns: int = 0) -> None:
    """Refuse a table with more rows or columns than are loaded at once.

    Raises:
        CatalogueError: It has.
    """
    if rows > MAX_ROWS:
        raise CatalogueError(
            f"{name} has {rows:,} rows or more; at most {MAX_ROWS:,} can be loaded at once.",
            next_step="Split the table into smaller files, then load one after the other.",
        )
    if columns > MAX_COLUMNS:
        raise CatalogueError(
            f"{name} has {columns:,} columns; at most {MAX_COLUMNS:,} are allowed.",
            next_step="Remove columns that do not describe the products.",
        )


class RowTable(Protocol):
    """A table that gives its rows without the pictures in them, and these pictures on demand."""

    def columns(self) -> Mapping[str, bool]:
        """Columns by name, and whether they hold encoded pictures."""

    def rows(self, image: str | None) -> Iterator[Row]:
        """Stream all rows; ``image`` is the column with the pictures."""

    def cheap_positions(self) -> list[int]:
        """Positions at which reading a picture costs least; empty where it makes no difference."""

    def cells(self, locators: Sequence[str], image: str) -> dict[str, Any]:
        """Return what the rows at these locators have in the column ``image``; a row that is gone is left out."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file with a table.

    Attributes:
        path: The file, or the zip that it is in.
        member: Its name in the zip; empty where it is a file of its own.
    """

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.member).name or self.path.name

    def open(self) -> IO[bytes]:
        """Open it for reading from the start, unpacked; a member can be sought in, forwards quickly.

        Raises:
            DatasetUnavailable: It is gone.
            CatalogueError: It cannot be opened.
        """
        try:
            stream = self._open_member() if self.member else open_plain(self.path.resolve())
            is_packed = stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            stream.seek(0)
            return unpacked_gzip(self.name, stream) if is_packed else stream
        except FileNotFoundError:
            raise gone(self.path) from None
        except OSError as error:
            raise CatalogueError(f"{self.path} cannot be read: {error.strerror}.", next_step=_CHECK) from error

    def parquet(self) -> Any:
        """Return what pyarrow reads it from: the path, or the bytes of the member, kept for the next part.

        Raises:
            DatasetUnavailable: It is gone.
            CatalogueError: It cannot be read.
        """
        if not self.member:
            return self.path
        try:
            return _member_bytes(self, self.path.stat().st_mtime_ns)
        except FileNotFoundError:
            raise gone(self.path) from None

    def _open_member(self) -> IO[bytes]:
        archive = opened_zip(self.path)
        info = archive.members.get(self.member)
        if info is None:
            raise CatalogueError(f"{self.path.name} no longer contains {self.member}.", next_step=_CHECK)
        if is_encrypted(info):
            raise CatalogueError(f"{self.member} is locked with a password.", next_step="Make the zip without one.")
        if info.file_size > MAX_MEMBER_BYTES:
            raise CatalogueError(
                f"{self.member} is {info.file_size / 1e6:,.0f} MB, too large inside a zip.",
                next_step="Unpack the zip on the server and load the table there.",
            )
        try:
            return open_member(archive.handle, info)
        except (*DAMAGE, NotImplementedError) as error:
            raise damaged(self.name) from error


_CHECK = "Check the file and its permissions."


@lru_cache(maxsize=1)
def _member_bytes(file: TableFile, _modified_ns: int) -> Any:
    import pyarrow as pa

    with whole(file.name), file.open() as stream:
        start = stream.read(len(PARQUET_MAGIC))
        if start != PARQUET_MAGIC:
            raise CatalogueError(
                f"{file.name} is not a Parquet file, or it is damaged.", next_step="Export it again, then retry."
            )
        found = bytearray(start)
        for piece in unpacked(stream, MAX_MEMBER_BYTES):
            found += piece
        return pa.py_buffer(found)


def damaged(name: str) -> CatalogueError:
    """Say that a table cannot be read to its end."""
    return CatalogueError(f"{name} is damaged.", next_step="Save or export it again, then retry.")


@contextmanager
def whole(name: str) -> Iterator[None]:
    """Say that a table is damaged when reading it inside fails."""
    try:
        yield
    except DAMAGE as error:
        raise damaged(name) from error


def base_of(member: str) -> str:
    """Return the folder in the zip that a member is in; empty for the top."""
    return member.rpartition("/")[0]
