"""Excel workbooks (.xlsx): the first sheet that has rows, read only, by python-calamine."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any
from zipfile import ZipFile

from backend.catalogue.sources.pictures.zipped import DAMAGE
from backend.catalogue.sources.tables.csv_table import unique_names
from backend.catalogue.sources.tables.files import MAX_MEMBER_BYTES, damaged, require_size
from backend.catalogue.sources.tables.row_cells import cells_by_number
from backend.catalogue.sources.tables.rows import Row
from backend.catalogue.sources.zip_bounds import is_zip, open_bounded
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from backend.catalogue.sources.tables.files import TableFile

_BOOK, _SHEETS = "xl/workbook.xml", "xl/worksheets/"
# The reader holds a sheet as a rectangle, however few of its cells have a value.
_MOST_CELLS = 40_000_000
_CELL = re.compile(rb'<c\b[^>]*?\br="([A-Z]{1,3})([0-9]{1,7})"')
_PIECE, _OVERLAP = 1 << 20, 200
_NEXT = "Delete what lies far from the table, or save the sheet as CSV in UTF-8."


def is_workbook(path: Path) -> bool:
    """Tell whether a file is a workbook, going by its members."""
    if not is_zip(path):
        return False
    try:
        with open_bounded(path) as archive:
            return _BOOK in archive.namelist()
    except (*DAMAGE, CatalogueError):  # whoever opens it as a zip says why
        return False


@dataclass(frozen=True, slots=True)
class ExcelTable:
    """The first sheet with rows of a workbook."""

    file: TableFile

    def columns(self) -> Mapping[str, bool]:
        """Names in the first row that has several values.

        Raises:
            CatalogueError: It cannot be read, or there is no such row.
        """
        names, _ = self._sheet()
        return dict.fromkeys(names, False)

    def rows(self, image: str | None) -> Iterator[Row]:  # noqa: ARG002 - a sheet is read as a whole
        """Give all rows; errors are those of :meth:`columns`."""
        names, cells = self._sheet()
        for position, values in enumerate(cells):
            found = {name: None if value == "" else value for name, value in zip(names, values, strict=False)}
            has_any = any(value is not None for value in found.values())
            yield Row(position, found, f"/#{position}", None if has_any else "empty_row: It has no values.")

    def cheap_positions(self) -> list[int]:
        """Every row costs the same."""
        return []

    def cells(self, locators: Sequence[str], image: str) -> dict[str, Any]:
        """Return what these rows have in the column ``image``."""
        return cells_by_number(self.rows(image), locators, image)

    def _sheet(self) -> tuple[list[str], list[list[Any]]]:
        """Return the names of the columns and the cells below them, up to the last row with a value."""
        from python_calamine import CalamineError, CalamineWorkbook

        try:
            with self.file.open() as stream:
                data = io.BytesIO(stream.read(MAX_MEMBER_BYTES))
                _require_bounded(self.file, data)
                data.seek(0)
                book = CalamineWorkbook.from_filelike(data)
                for name in book.sheet_names:
                    rows = book.get_sheet_by_name(name).to_python()
                    header = next((at for at, row in enumerate(rows) if sum(cell != "" for cell in row) > 1), None)
                    if header is not None:
                        names = unique_names([str(cell).strip() for cell in rows[header]])
                        require_size(self.file.name, columns=len(names), rows=len(rows))
                        return names, rows[header + 1 :]
        except (*DAMAGE, CalamineError) as error:
            raise damaged(self.file.name) from error
        raise CatalogueError(f"{self.file.name} has no sheet with a table.", next_step=_NEXT)


def _require_bounded(file: TableFile, data: IO[bytes]) -> None:
    """Refuse a workbook that unpacks to far more than it has, or whose cells lie far apart."""
    archive = ZipFile(data) if file.member or not is_zip(file.path) else open_bounded(file.path)
    with archive:
        if sum(info.file_size for info in archive.infolist()) > MAX_MEMBER_BYTES:
            raise CatalogueError(f"{file.name} unpacks to more than is read at once.", next_step=_NEXT)
        for info in archive.infolist():
            if info.filename.startswith(_SHEETS) and info.filename.endswith(".xml"):
                with archive.open(info) as sheet:
                    rows, columns = _extent(sheet)
                if rows * columns > _MOST_CELLS:
                    raise CatalogueError(
                        f"A sheet of {file.name} reaches to row {rows:,} and column {columns:,}: too large to read.",
                        next_step=_NEXT,
                    )


def _extent(sheet: IO[bytes]) -> tuple[int, int]:
    rows = columns = 0
    piece = b""
    while more := sheet.read(_PIECE):
        piece = piece[-_OVERLAP:] + more
        for letters, number in _CELL.findall(piece):
            rows, columns = max(rows, int(number)), max(columns, _column(letters))
    return rows, columns


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number
