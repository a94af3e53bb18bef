"""Tables as sources: CSV, Parquet and Delta, with the pictures in them, beside them, or beside them in a zip."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from backend.catalogue.sources.mapping import check_columns
from backend.catalogue.sources.pictures.files import MAX_PICTURE_BYTES, PictureFolder, product_ids, too_large
from backend.catalogue.sources.pictures.zipped import PictureZip
from backend.catalogue.sources.profiles.known import BY_NAME
from backend.catalogue.sources.profiles.profile import Layout, plain_names
from backend.catalogue.sources.sources import ENTRY_SCHEMA, Picture, entry_table
from backend.catalogue.sources.tables.beside import joined
from backend.catalogue.sources.tables.files import TableFile, base_of, require_size
from backend.catalogue.sources.tables.opening import TableKind, opened_table
from backend.catalogue.sources.tables.reading import Reading, Values, counted, counting
from backend.catalogue.sources.tables.rows import RowReading
from backend.errors import CatalogueError, DatasetUnavailable, ImageRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from backend.catalogue.fetch.finding import AddressBook
    from backend.catalogue.sources.pictures.names import Place
    from backend.catalogue.sources.tables.files import RowTable
    from backend.catalogue.sources.tables.rows import Row

_CHUNK_ROWS = 8192
_BASE64_OF_MAX = MAX_PICTURE_BYTES * 4 // 3 + 4


@dataclass(frozen=True, slots=True)
class TableSource:
    """The products of a table, which every executor must see at the same path.

    Attributes:
        path: A CSV or Parquet file, a folder of Parquet files, a Delta table, or the zip that ``member`` is in.
        columns: Pairs of product field and column; :mod:`backend.catalogue.sources.mapping` guesses and checks them.
        kind: What the table is.
        version: Version of a Delta table; the newest when left out.
        name: What the column ``source`` says; the file's name when left out.
        member: Name of the table in the zip ``path``; its pictures are then in the zip too.
        notes: Sentences for the user about how the table was chosen and read.
        addresses: Finds the pictures that were fetched from the web; without one, an address is a reason.
        profile: The system whose export it is, see :mod:`backend.catalogue.sources.profiles.known`; empty for none.
    """

    path: Path
    columns: tuple[tuple[str, str], ...]
    kind: TableKind
    version: int | None = None
    name: str = ""
    member: str = ""
    notes: tuple[str, ...] = ()
    addresses: AddressBook | None = None
    profile: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path.absolute())
        object.__setattr__(self, "name", self.name or self.path.name)

    def available(self) -> dict[str, bool]:
        """Return the columns of the table and those that its profile makes, and whether they hold encoded pictures.

        Raises:
            DatasetUnavailable: There is no such file.
            CatalogueError: It cannot be read as what it should be.
        """
        if not self.path.exists():
            raise DatasetUnavailable(f"{self.path} does not exist.", next_step="Check the path.")
        made = dict.fromkeys(BY_NAME[self.profile].adds, False) if self.profile else {}
        return {**made, **self._table().columns()}

    def entries(self) -> pa.Table:
        """List the rows, in their order, without reading a picture.

        Raises:
            DatasetUnavailable: There is no such file.
            CatalogueError: It cannot be read, has no rows, or the mapping does not fit it.
        """
        available = self.available()
        check_columns(dict(self.columns), available)
        return self._listed(available)

    def listed(self) -> pa.Table:
        """List the rows as :meth:`entries` does, though no column may be chosen for the pictures yet.

        Raises:
            CatalogueError: As :meth:`entries`.
        """
        available = self.available()
        check_columns({"image": next(iter(available)), **dict(self.columns)}, available)
        return self._listed(available)

    def remarks(self) -> tuple[str, ...]:
        """Say what was guessed about the table or the zip that it is in."""
        files = self._files()
        return (*self.notes, *(files.remarks() if isinstance(files, PictureZip) else ()))

    def rows(self) -> Iterator[Row]:
        """Stream the rows as the table gives them, without pictures; errors are those of :meth:`available`."""
        return self._table().rows(None)

    def finder(self) -> Callable[[str], Place]:
        """Return what finds the picture that a row names."""
        local = self._files().finder()
        return self.addresses.finder(local) if self.addresses else local

    def read(self, entries: pa.RecordBatch) -> list[Picture]:
        """Return the pictures of these rows: out of the table, or the files that it names.

        Raises:
            DatasetUnavailable: The table is gone.
            CatalogueError: It cannot be read any more.
        """
        files = self._files()
        locators = entries.column("locator").to_pylist()
        inside = [locator for locator in locators if is_inside(locator)]
        cells = self._table().cells(inside, dict(self.columns)["image"]) if inside else {}
        local, find = files.reader(), files.finder()
        read = self.addresses.reader(local) if self.addresses else local
        return [
            _picture(cells.get(locator), find, read) if locator is None or is_inside(locator) else read(locator)
            for locator in locators
        ]

    def sample(self, entries: pa.Table, limit: int) -> list[int]:
        """Choose at most ``limit`` entries over the whole table, by number, that are read quickly.

        In a large Parquet table they are the first ones of its row groups: what is before a picture is read too.
        """
        even = spread(entries.num_rows, limit)
        cheap = self._table().cheap_positions()
        if not cheap:
            return even
        starts = np.searchsorted(entries["position"].to_numpy(), cheap)  # deleted rows have no entry
        chosen: list[int] = []
        for owner, picks in groupby(np.searchsorted(starts, even, side="right") - 1):
            chosen += range(starts[owner], starts[owner] + len(list(picks)))
        return chosen

    def _listed(self, available: Mapping[str, bool]) -> pa.Table:
        mapping, values = dict(self.columns), Values(dict(self.columns))
        image, profile, finder = mapping.get("image"), BY_NAME.get(self.profile), self.finder()
        reading = Reading(self.profile, profile.title if profile else "")
        layout = self._layout(available, reading, finder)
        reads = RowReading(
            mapping,
            is_inside=bool(image and available[image]),
            locate=finder,
            readers=profile.readers_for(mapping, layout.names) if profile else {},
            takes_pictures=profile is None or profile.mapping(layout.names).get("image") == image,
        )
        rows = self._seen(profile.read(layout) if profile else layout.rows(), values)
        found = (tuple(entry.values()) for entry in map(reads.entry, rows))
        chunks, count = [ENTRY_SCHEMA.empty_table()], 0
        while chunk := list(islice(found, _CHUNK_ROWS)):
            chunks.append(entry_table(dict(zip(ENTRY_SCHEMA.names, zip(*chunk, strict=True), strict=True))))
            count += len(chunk)
            require_size(self.name, rows=count)
        table = reads.amounts.settle(pa.concat_tables(chunks).combine_chunks())
        if table.num_rows == 0:
            raise CatalogueError(f"{self.name} has no rows.", next_step="Choose another table.")
        reading.columns = values.as_columns()
        reading.pictures = len(values.pictures)
        return counted(reading, table if "product_id" in mapping else _with_path_ids(table), layout.tally)

    def _layout(self, available: Mapping[str, bool], reading: Reading, finder: Callable[[str], Place]) -> Layout:
        table, image, file = self._table(), dict(self.columns).get("image"), TableFile(self.path, self.member)
        return Layout(
            rows=lambda: counting(table.rows(image), reading),
            names=plain_names(available),
            joined=lambda header: joined(file, header),
            find=finder,
            file=file.name,
        )

    def _seen(self, rows: Iterator[Row], values: Values) -> Iterator[Row]:
        for row in rows:
            values.see(row)
            yield row

    def _table(self) -> RowTable:
        file = TableFile(self.path, self.member)
        return opened_table(file, self.kind, self.version)

    def _files(self) -> PictureFolder | PictureZip:
        """Return the pictures beside the table: in the folder that it is in, or that it is."""
        if self.member:
            return PictureZip(self.path, base_of(self.member))
        return PictureFolder(self.path if self.path.is_dir() else self.path.parent)


def is_inside(locator: str | None) -> bool:
    """Tell whether a locator is that of a row, whose picture is in the table; an address may begin with two slashes."""
    return locator is not None and locator.startswith("/") and not locator.startswith("//")


def spread(total: int, limit: int) -> list[int]:
    """Return at most ``limit`` numbers from 0 to ``total`` - 1, evenly apart, both ends among them."""
    return np.linspace(0, total - 1, num=min(limit, total)).round().astype(np.int64).tolist()  # type: ignore[no-any-return]


def _with_path_ids(table: pa.Table) -> pa.Table:
    ids = pa.array(product_ids(table["product_id"].to_pylist()), pa.string())
    return table.set_column(table.schema.get_field_index("product_id"), "product_id", ids)


def _picture(cell: Any, find: Callable[[str], Place], read: Callable[[str], Picture]) -> Picture:
    """Make a picture of what a cell holds: bytes, base64, or a struct of bytes and the path of a file."""
    if isinstance(cell, dict):
        if cell["bytes"] is not None or not cell.get("path"):
            return _picture(cell["bytes"], find, read)
        place = find(cell["path"])
        return _rejected(place.reason) if place.reason else read(str(place.locator))
    if isinstance(cell, bytes):
        return too_large(len(cell)) or cell
    return _decoded(cell) if isinstance(cell, str) else cell


def _rejected(reason: str) -> ImageRejected:
    code, _, sentence = reason.partition(":")
    return ImageRejected(sentence.strip(), code=code, next_step="Put the file next to the table.")


def _decoded(text: str) -> Picture:
    """Decode base64, with or without a ``data:`` address before it, in its usual or its web alphabet."""
    if len(text) > 2 * _BASE64_OF_MAX:
        return too_large(len(text) * 3 // 4)
    encoded = text.partition(",")[2] if text.lstrip().startswith("data:") else text
    plain = "".join(encoded.split()).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        found = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return ImageRejected(
            "The picture in the table is not valid base64.", code="bad_base64", next_step="Export the table again."
        )
    return too_large(len(found)) or found
