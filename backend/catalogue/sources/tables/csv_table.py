"""CSV files as people save them: any usual separator and encoding, a row that is off here and there.

A row is found again by the byte it starts at, so that pictures in the table (base64) are read without its other rows.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from backend.catalogue.items import REJECTED_COLUMNS
from backend.catalogue.loading.load_warnings import warning
from backend.catalogue.sources.pictures.files import PICTURE_SUFFIXES
from backend.catalogue.sources.tables.csv_lines import NEXT, Lines, Record, dialect_of, records
from backend.catalogue.sources.tables.files import require_size, whole
from backend.catalogue.sources.tables.rows import Row, is_inline_picture
from backend.catalogue.sources.tables.streams import as_utf8, with_newlines
from backend.errors import CatalogueError
from backend.files.sheet_text import unguarded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from backend.catalogue.sources.tables.files import TableFile

_UNNAMED = re.compile(r"column [0-9]+")
MORE = "more values"  # what a row has beyond the columns of its table


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A CSV file, or one in a zip."""

    file: TableFile

    def columns(self) -> Mapping[str, bool]:
        """Columns by name; none of them is known to hold encoded pictures before its cells are read.

        Raises:
            CatalogueError: The file is empty, or has no line with names.
        """
        with whole(self.file.name), self.file.open() as stream:
            return dict.fromkeys(self._header(stream)[1], False)

    def rows(self, image: str | None) -> Iterator[Row]:  # noqa: ARG002 - one cannot pass over a column of a CSV
        """Stream all rows; one with too few or too many values comes with a problem.

        Raises:
            CatalogueError: As :meth:`columns`, or the file cannot be read to its end.
        """
        with whole(self.file.name), self.file.open() as stream:
            lines, names = self._header(stream)
            is_ours = tuple(names) == REJECTED_COLUMNS
            for position, found in enumerate(records(lines, len(names))):
                if found.values and is_ours:
                    found.values = [unguarded(value) for value in found.values]
                yield _row(position, found, names)

    def cheap_positions(self) -> list[int]:
        """Every row is found at once."""
        return []

    def cells(self, locators: Sequence[str], image: str) -> dict[str, Any]:
        """Return the texts in the column ``image``; the file is read once, forwards.

        Raises:
            DatasetUnavailable: The file is gone.
            CatalogueError: It cannot be read any more.
        """
        found: dict[str, Any] = {}
        with whole(self.file.name), self.file.open() as stream:
            lines, names = self._header(stream)
            column = names.index(image) if image in names else len(names)  # the file has changed
            for locator in sorted(set(locators), key=start_of):
                lines.seek(start_of(locator))
                record = next(records(lines, len(names)), None)
                if record is not None and record.values is not None and column < len(record.values):
                    found[locator] = record.values[column]
        return found

    def _header(self, stream: IO[bytes]) -> tuple[Lines, list[str]]:
        """Read up to the first row of values; return the lines from there on, and the names of the columns."""
        stream = as_utf8(stream)
        dialect = dialect_of(self.file.name, stream)
        stream.seek(0)
        lines = Lines(with_newlines(stream) if dialect.ends_in_cr else stream, dialect.delimiter)
        lines.seek(dialect.start)
        first = next(records(lines), None)
        if first is None or first.values is None:
            raise CatalogueError(f"{self.file.name} has no rows that can be read.", next_step=NEXT)
        require_size(self.file.name, columns=len(first.values))
        if any(is_inline_picture(value) or value.lower().endswith(tuple(PICTURE_SUFFIXES)) for value in first.values):
            raise CatalogueError(
                f"The first line of {self.file.name} does not contain the column names.", next_step=NEXT
            )
        return lines, unique_names([value.strip() for value in first.values])


def _row(position: int, record: Record, names: Sequence[str]) -> Row:
    values, locator = record.values, f"/#{record.start}"
    if values is None:
        return Row(position, {}, locator, _unreadable(record))
    found = dict(zip(names, values))  # noqa: B905 - surplus or lacking values are looked at below
    if len(values) != len(names) and not _is_padding(values[len(names) :], names[len(values) :]):
        more = {MORE: " ".join(values[len(names) :])} if len(values) > len(names) else {}
        why = f"bad_row: It has {len(values)} values, but there are {len(names)} columns."
        return Row(position, {**found, **more}, locator, why, spilt=tuple(values[len(names) :]))
    problem = None if any(map(str.strip, values)) else "empty_row: It has no values."
    return Row(position, found, locator, problem, (), None, (warning("open_quote"),) if record.mended else ())


def _unreadable(record: Record) -> str:
    if record.lost < 2:
        return f"bad_row: Line {record.line:,} cannot be read as CSV; check its quotes."
    return (
        f"bad_row: A quote in line {record.line:,} is never closed; {record.lost:,} lines up to line "
        f"{record.line + record.lost - 1:,} cannot be read."
    )


def _is_padding(surplus: Sequence[str], lacking: Sequence[str]) -> bool:
    """Tell whether what a row has more or less than the header says nothing: empty values, columns without a name."""
    return not any(map(str.strip, surplus)) and all(_UNNAMED.fullmatch(name) for name in lacking)


def start_of(locator: str) -> int:
    """Return the byte, or the number, that a row's locator names."""
    return int(locator.rpartition("#")[2])


def unique_names(names: Sequence[str]) -> list[str]:
    """Give a column without a name its number, and a name that comes again a number behind it."""
    seen: Counter[str] = Counter()
    unique = []
    for number, name in enumerate(names, start=1):
        shown = name or f"column {number}"  # as _UNNAMED knows them
        seen[shown] += 1
        unique.append(shown if seen[shown] == 1 else f"{shown} ({seen[shown]})")
    return unique
