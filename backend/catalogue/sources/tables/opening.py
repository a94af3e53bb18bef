"""Which table a file is, by how it begins rather than by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from backend.catalogue.sources.parquet.table import ParquetTable
from backend.catalogue.sources.tables.csv_table import CsvTable
from backend.catalogue.sources.tables.excel_table import ExcelTable
from backend.catalogue.sources.tables.files import whole
from backend.catalogue.sources.tables.json_table import JsonTable
from backend.catalogue.sources.tables.streams import as_utf8
from backend.catalogue.sources.tables.xml_table import XmlTable

if TYPE_CHECKING:
    from backend.catalogue.sources.tables.files import RowTable, TableFile

# What a request calls a table; "csv" is any file that is read from its start: CSV, JSON, XML, a workbook.
TableKind = Literal["csv", "parquet", "delta"]
_ZIP_MAGIC = b"PK\x03\x04"
_LOOKED_AT = 256


def opened_table(file: TableFile, kind: TableKind, version: int | None) -> RowTable:
    """Return the table in a file.

    Raises:
        DatasetUnavailable: It is gone.
        CatalogueError: It cannot be opened.
    """
    if kind != "csv":
        return ParquetTable(file, kind, version)
    with whole(file.name), file.open() as stream:
        start = as_utf8(stream).read(_LOOKED_AT)
    if start.startswith(_ZIP_MAGIC):
        return ExcelTable(file)
    sign = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if sign == b"<":
        return XmlTable(file)
    return JsonTable(file) if sign in {b"{", b"["} else CsvTable(file)
