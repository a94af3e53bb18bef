"""A second table beside the first one, that has more of its products: found by its header, not by its name."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from backend.catalogue.sources.pictures.files import is_clutter
from backend.catalogue.sources.pictures.zipped import opened_zip
from backend.catalogue.sources.tables.files import TABLE_SUFFIXES, TableFile, base_of, require_size
from backend.catalogue.sources.tables.opening import opened_table
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_FOLDERS = ("", "images/", "images/metadata/", "metadata/")  # where it may be, from the first table on
_MOST_LOOKED_AT = 30


def joined(file: TableFile, header: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """Return the rows of the table beside another one that has exactly this header, by the value of its first column.

    Raises:
        CatalogueError: It has more rows than are read at once.
    """
    for other in _others(file):
        try:
            table = opened_table(other, "csv", None)
            if list(table.columns()) != list(header):
                continue
            found: dict[str, Mapping[str, Any]] = {}
            for count, row in enumerate(table.rows(None), start=1):
                require_size(other.name, rows=count)
                if row.problem is None:
                    found.setdefault(str(row.values[header[0]]).strip(), row.values)
        except CatalogueError:  # another table, which nobody asked for
            continue
        return found
    return {}


def _others(file: TableFile) -> Iterator[TableFile]:
    suffixes = tuple(suffix for suffix in TABLE_SUFFIXES if suffix != ".parquet")
    if file.member:
        start = base_of(file.member)
        folders = {f"{start}/{folder}".strip("/") for folder in _FOLDERS}
        names = [name for name in opened_zip(file.path).members if base_of(name) in folders and name != file.member]
        others = [TableFile(file.path, name) for name in sorted(names)]
    else:
        root = file.path.parent
        paths = [path for folder in _FOLDERS if (root / folder).is_dir() for path in sorted((root / folder).iterdir())]
        inside = [path for path in paths if path != file.path and path.resolve().is_relative_to(root.resolve())]
        others = [TableFile(path) for path in inside if path.is_file()]
    named = [
        one for one in others if one.name.lower().endswith(suffixes) and not is_clutter(PurePosixPath(one.name).name)
    ]
    yield from named[:_MOST_LOOKED_AT]
