"""CSV files as people save them: any usual separator, UTF-8 or Windows letters, a row that is off here and there.

A row is found again by the byte it starts at, so that pictures in the table (base64) are read without its other rows.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from backend.catalogue.items import REJECTED_COLUMNS
from backend.catalogue.sources.pictures.files import MAX_PICTURE_BYTES, PICTURE_SUFFIXES
from backend.catalogue.sources.tables.files import require_size, whole
from backend.catalogue.sources.tables.rows import Row, is_inline_picture
from backend.errors import CatalogueError
from backend.files.sheet_text import unguarded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from backend.catalogue.sources.tables.files import TableFile

_DELIMITERS = ",;\t|"
_BOM = b"\xef\xbb\xbf"
_SAMPLE_BYTES, _SAMPLE_ROWS = 1 << 18, 20
_MAX_CELL = 2 * MAX_PICTURE_BYTES  # base64 is a third longer than what it encodes
_MAX_SEPARATORS = 1_000_000  # in a line; each value takes some bytes of memory, be it empty
_NOTHING: tuple[int, list[str] | None] = (0, None)
_UNNAMED = re.compile(r"column [0-9]+")
_QUOTED = re.compile(rb'"[^"]*"')
_NEXT = "Save it as CSV in UTF-8 with the column names in the first line."


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
            for position, (start, values) in enumerate(_records(lines)):
                cells = [unguarded(value) for value in values] if values and is_ours else values
                yield _row(position, f"/#{start}", names, cells)

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
            for locator in sorted(set(locators), key=_start_of):
                lines.seek(_start_of(locator))
                _, values = next(_records(lines), _NOTHING)
                if values is not None and column < len(values):
                    found[locator] = values[column]
        return found

    def _header(self, stream: IO[bytes]) -> tuple[_Lines, list[str]]:
        """Read up to the first row of values; return the lines from there on, and the names of the columns."""
        start, delimiter, ends_in_cr = _dialect(self.file)
        lines = _Lines(io.BufferedReader(_WithNewlines(stream)) if ends_in_cr else stream, delimiter)
        lines.seek(start)
        _, values = next(_records(lines), _NOTHING)
        if values is None:
            raise CatalogueError(f"{self.file.name} has no rows that can be read.", next_step=_NEXT)
        require_size(self.file.name, columns=len(values))
        if any(is_inline_picture(value) or value.lower().endswith(tuple(PICTURE_SUFFIXES)) for value in values):
            raise CatalogueError(
                f"The first line of {self.file.name} does not contain the column names.", next_step=_NEXT
            )
        return lines, _unique([value.strip() for value in values])


class _WithNewlines(io.RawIOBase):
    """A file whose lines end as those of old Macs, by carriage returns alone; every byte stays where it is."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(data)] = data
        return len(data)


class _Lines:
    """Lines of a file as text, from a byte on; ``offset`` is the byte that the next one starts at."""

    def __init__(self, stream: IO[bytes], delimiter: str) -> None:
        self._stream = stream
        self.delimiter = delimiter
        self.offset = 0

    def seek(self, offset: int) -> None:
        self._stream.seek(offset)
        self.offset = offset

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(_MAX_CELL)
        if not line:
            raise StopIteration
        self.offset += len(line)
        if len(line) > _MAX_SEPARATORS and line.count(self.delimiter.encode()) > _MAX_SEPARATORS:
            raise csv.Error("a row with too many values")
        return _decoded(line)


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")  # what a spreadsheet on Windows writes


def _records(lines: _Lines) -> Iterator[tuple[int, list[str] | None]]:
    """Yield the byte that each row starts at, and its values, null where they cannot be told; blank lines are passed over."""
    reader = _reader(lines, lines.delimiter)
    while True:
        start = lines.offset
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield start, None
            continue
        if values:
            yield start, values


def _reader(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    csv.field_size_limit(_MAX_CELL)  # of the whole process: its own limit is too small for a picture
    return csv.reader(lines, delimiter=delimiter)


def _row(position: int, locator: str, names: Sequence[str], values: list[str] | None) -> Row:
    if values is None:
        return Row(position, {}, locator, "bad_row: Its line cannot be read as CSV; check its quotes.")
    found = dict(zip(names, values, strict=False))
    if len(values) != len(names) and not _is_padding(values[len(names) :], names[len(values) :]):
        more = {"more values": " ".join(values[len(names) :])} if len(values) > len(names) else {}
        problem = f"bad_row: It has {len(values)} values, but there are {len(names)} columns."
        return Row(position, {**found, **more}, locator, problem)
    return Row(position, found, locator, None if any(map(str.strip, values)) else "empty_row: It has no values.")


def _is_padding(surplus: Sequence[str], lacking: Sequence[str]) -> bool:
    """Tell whether what a row has more or less than the header says nothing: empty values, columns without a name."""
    return not any(map(str.strip, surplus)) and all(_UNNAMED.fullmatch(name) for name in lacking)


def _start_of(locator: str) -> int:
    return int(locator.rpartition("#")[2])


def _dialect(file: TableFile) -> tuple[int, str, bool]:
    """Return the byte that the header starts at, the separator that cuts the first rows most evenly, and whether lines
    end in carriage returns alone.

    Raises:
        CatalogueError: The file is empty, or in UTF-16.
    """
    with file.open() as stream:
        sample = stream.read(_SAMPLE_BYTES)
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CatalogueError(f"{file.name} is saved as Unicode (UTF-16).", next_step=_NEXT)
    start = len(_BOM) if sample.startswith(_BOM) else 0
    bare = _QUOTED.sub(b"", sample)
    if ends_in_cr := b"\r" in bare and b"\n" not in bare:
        sample = sample.replace(b"\r", b"\n")
    first, _, rest = sample[start:].partition(b"\n")
    if first[:4].lower() == b"sep=":  # a line for spreadsheets
        return start + len(first) + 1, _decoded(first[4:5]) or ",", ends_in_cr
    if not sample[start:].strip():
        raise CatalogueError(f"{file.name} is empty.", next_step="Choose another file.")
    lines = (first + b"\n" + rest[: rest.rfind(b"\n") + 1]) if len(sample) == _SAMPLE_BYTES else sample[start:]
    texts = [_decoded(line) for line in lines.splitlines(keepends=True)]
    return start, max(_DELIMITERS, key=lambda delimiter: _evenness(texts, delimiter)), ends_in_cr


def _evenness(lines: Sequence[str], delimiter: str) -> int:
    rows: list[list[str]] = []
    reader = _reader(lines, delimiter)
    with suppress(csv.Error):  # judged by the rows before it
        rows.extend(row for row, _ in zip(reader, range(_SAMPLE_ROWS), strict=False))
    width = len(rows[0]) if rows else 0
    even = sum(len(row) == width or (len(row) > width and not any(row[width:])) for row in rows)
    return even * (width - 1)


def _unique(names: Sequence[str]) -> list[str]:
    """Give a column without a name its number, and a name that comes again a number behind it."""
    seen: Counter[str] = Counter()
    unique = []
    for number, name in enumerate(names, start=1):
        shown = name or f"column {number}"  # as _UNNAMED knows them
        seen[shown] += 1
        unique.append(shown if seen[shown] == 1 else f"{shown} ({seen[shown]})")
    return unique
