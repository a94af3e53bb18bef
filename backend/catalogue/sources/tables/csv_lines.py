"""The lines of a CSV file and the rows in them: which separator cuts them, and where a quote ends that nobody closed.

A row may run over several lines as long as it parses strictly and has as many values as the header. Otherwise a quote
was left open: it ends where the next line parses with the right number of values, and what lies between is one row that
says so. Where the first of its lines alone has the right number of values, that row is read and counted as mended.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

from backend.catalogue.sources.pictures.files import MAX_PICTURE_BYTES
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_CELL = 2 * MAX_PICTURE_BYTES  # base64 is a third longer than what it encodes
BLANKS = " "  # the separator of lists in which any number of blanks separates
NEXT = "Save it as CSV in UTF-8 with the column names in the first line."
_DELIMITERS = ",;\t|"
_BOM = b"\xef\xbb\xbf"
_SAMPLE_BYTES, _SAMPLE_ROWS = 1 << 18, 20
_MAX_SEPARATORS = 1_000_000  # in a line; each value takes some bytes of memory, be it empty
_MOST_LINES, _LEAST_LINES = (
    200_000,
    20,
)  # of one row: the first that is not to be had lowers it, so that time stays linear
_QUOTED = re.compile(rb'"[^"]*"')
_COUNT = re.compile(r"\s*\d+\s*")
# UTF-8 that was read as Windows letters and saved as UTF-8 once more: M\u00c3\u00b6we.
_TWICE = re.compile(
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]{1,3}"
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is cut into rows: the byte that its header starts at, and the separator of values."""

    start: int
    delimiter: str
    ends_in_cr: bool = False


class Record:
    """One row: where it starts, its values (null where they cannot be told), and what was amiss.

    Attributes:
        start: Byte of its first line.
        line: Number of that line, from one.
        values: Its values.
        lost: Lines that belong to no row, swallowed by a quote that nobody closed; 0 where all is well.
        mended: Whether an open quote was ended.
    """

    __slots__ = ("line", "lost", "mended", "start", "values")

    def __init__(self, start: int, line: int, values: list[str] | None, lost: int = 0, *, mended: bool = False) -> None:
        self.start, self.line, self.values, self.lost, self.mended = start, line, values, lost, mended


class Lines:
    """Lines of a file as text, from a byte on, which can be given back."""

    def __init__(self, stream: IO[bytes], delimiter: str) -> None:
        self._stream, self.delimiter = stream, delimiter
        self._back: deque[tuple[int, str]] = deque()
        self._offset = self.number = 0
        self.taken: list[tuple[int, str]] = []
        self.most = _MOST_LINES

    def seek(self, offset: int) -> None:
        """Go on at a byte; what was given back is forgotten."""
        self._stream.seek(offset)
        self._offset = offset
        self._back.clear()
        self.taken.clear()

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        if len(self.taken) >= self.most:
            raise csv.Error("a row of too many lines")
        at, text = self._back.popleft() if self._back else self._read()
        self.taken.append((at, text))
        self.number += 1
        return text

    def give_back(self, kept: int) -> None:
        """Give back all lines that were taken but the first ``kept``."""
        self._back.extendleft(reversed(self.taken[kept:]))
        self.number -= len(self.taken) - kept
        del self.taken[kept:]

    def _read(self) -> tuple[int, str]:
        line = self._stream.readline(MAX_CELL)
        if not line:
            raise StopIteration
        at, self._offset = self._offset, self._offset + len(line)
        if len(line) > _MAX_SEPARATORS and line.count(self.delimiter.encode()) > _MAX_SEPARATORS:
            self.taken.append((at, ""))
            raise csv.Error("a row with too many values")
        return at, decoded(line)


def decoded(line: bytes) -> str:
    """Return a line as text: UTF-8, or Windows letters where it is none; what was encoded twice is mended."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", "replace")  # what a spreadsheet on Windows writes
    return text if text.isascii() or ("\u00c3" not in text and "\u00c2" not in text) else _TWICE.sub(_once, text)


def _once(found: re.Match[str]) -> str:
    try:
        return found[0].encode("cp1252").decode("utf-8")
    except UnicodeError:
        return found[0]


def records(lines: Lines, width: int = 0) -> Iterator[Record]:
    """Yield the rows from where the lines are; blank ones are passed over.

    Args:
        lines: They are read forwards, each once or twice.
        width: Number of values that a row has; 0 where that is not known yet.
    """
    if lines.delimiter == BLANKS:
        yield from _by_blanks(lines)
        return
    reader = _reader(lines, lines.delimiter, strict=True)
    while True:
        lines.taken.clear()
        values = _next(reader)
        if not lines.taken:
            return
        if values is None or (len(lines.taken) > 1 and width and not _fits(values, width)):
            reader = _reader(lines, lines.delimiter, strict=True)
            yield _ended(lines, width)
        elif values:
            yield Record(lines.taken[0][0], lines.number - len(lines.taken) + 1, values)


def _next(reader: Iterator[list[str]]) -> list[str] | None:
    """Return the next row as it parses strictly; None where it does not, or there is none."""
    try:
        return next(reader)
    except (StopIteration, csv.Error):
        return None


def _fits(values: Sequence[str], width: int) -> bool:
    return len(values) == width or (len(values) > width and not any(map(str.strip, values[width:])))


def _ended(lines: Lines, width: int) -> Record:
    """Read a row that does not parse strictly, or runs over lines and has the wrong number of values."""
    lines.most = max(_LEAST_LINES, lines.most // 10) if len(lines.taken) > _LEAST_LINES else lines.most
    (at, first), number = lines.taken[0], lines.number - len(lines.taken) + 1
    for is_open in (False, True):
        values = _alone(first, lines.delimiter, is_open=is_open)
        if values and (_fits(values, width) or (not width and len(lines.taken) == 1)):
            lines.give_back(1)
            return Record(at, number, [value.strip('"') for value in values] if is_open else values, mended=is_open)
    if (values := _loosely(lines, width)) is not None:
        return Record(at, number, values, mended=True)
    following = (_strictly(text, lines.delimiter, width) for _, text in lines.taken[1:])
    lost = next((count for count, is_row in enumerate(following, start=1) if is_row), len(lines.taken))
    lines.give_back(lost)
    return Record(at, number, None, lost)


def _loosely(lines: Lines, width: int) -> list[str] | None:
    """Read a row with quotes inside its values that runs over a few lines, no one of which is a row itself."""
    if not width or not 1 < len(lines.taken) <= _LEAST_LINES:
        return None
    texts = [text for _, text in lines.taken]
    if any(_strictly(text, lines.delimiter, width) for text in texts[1:]):
        return None
    with suppress(csv.Error, StopIteration):
        rows = list(_reader(texts, lines.delimiter))
        if len(rows) == 1 and _fits(rows[0], width):
            return rows[0]
    return None


def _alone(text: str, delimiter: str, *, is_open: bool) -> list[str] | None:
    quoting: Literal[0, 3] = csv.QUOTE_NONE if is_open else csv.QUOTE_MINIMAL
    try:
        return next(csv.reader([text], delimiter=delimiter, quoting=quoting), None)
    except csv.Error:
        return None


def _strictly(text: str, delimiter: str, width: int) -> bool:
    try:
        return len(next(csv.reader([text], delimiter=delimiter, strict=True), [])) == width
    except csv.Error:
        return False


def _by_blanks(lines: Lines) -> Iterator[Record]:
    for text in lines:
        at = lines.taken[0][0]
        lines.taken.clear()
        if values := text.split():
            yield Record(at, lines.number, values)


def _reader(lines: Iterable[str], delimiter: str, *, strict: bool = False) -> Iterator[list[str]]:
    csv.field_size_limit(MAX_CELL)  # of the whole process: its own limit is too small for a picture
    return csv.reader(lines, delimiter=delimiter, strict=strict)


def dialect_of(name: str, stream: IO[bytes]) -> Dialect:
    """Find the header and the separator that cuts the first rows most evenly.

    A first line for spreadsheets (``sep=;``), comments above the header and a line with nothing but a count are passed
    over.

    Raises:
        CatalogueError: The file is empty.
    """
    sample = stream.read(_SAMPLE_BYTES)
    start = len(_BOM) if sample.startswith(_BOM) else 0
    bare = _QUOTED.sub(b"", sample)
    if ends_in_cr := b"\r" in bare and b"\n" not in bare:
        sample = sample.replace(b"\r", b"\n")
    if not sample[start:].strip():
        raise CatalogueError(f"{name} is empty.", next_step="Choose another file.")
    whole = sample if len(sample) < _SAMPLE_BYTES else sample[: sample.rfind(b"\n") + 1] or sample
    lines = whole[start:].splitlines(keepends=True)
    if lines[0][:4].lower() == b"sep=":
        return Dialect(start + len(lines[0]), decoded(lines[0][4:5]) or ",", ends_in_cr)
    above = _above(lines)
    texts = [decoded(line) for line in lines[above:]]
    delimiter = max(_DELIMITERS, key=lambda one: _evenness(texts, one))
    if _evenness(texts, delimiter) <= 0 and _is_cut_by_blanks(texts):
        delimiter = BLANKS
    return Dialect(start + sum(map(len, lines[:above])), delimiter, ends_in_cr)


def _above(lines: Sequence[bytes]) -> int:
    """Count the lines above the header: comments, or a count; a header may begin with the sign of a comment."""
    above = next((at for at, line in enumerate(lines) if not line.startswith(b"#")), len(lines))
    if above == len(lines) or (above == 1 and _looks_alike(lines[0], lines[1])):
        return 0
    return above + bool(len(lines) > above + 1 and _COUNT.fullmatch(decoded(lines[above])))


def _looks_alike(first: bytes, second: bytes) -> bool:
    """Tell whether two lines are cut into as many values by one of the separators, and more than one."""
    return any(0 < first.count(one) == second.count(one) for one in (b",", b";", b"\t", b"|"))


def _evenness(lines: Sequence[str], delimiter: str) -> int:
    rows: list[list[str]] = []
    reader = _reader(lines, delimiter)
    with suppress(csv.Error):  # judged by the rows before it
        rows.extend(row for row, _ in zip(reader, range(_SAMPLE_ROWS), strict=False))
    width = len(rows[0]) if rows else 0
    even = sum(len(row) == width or (len(row) > width and not any(row[width:])) for row in rows)
    return even * (width - 1)


def _is_cut_by_blanks(lines: Sequence[str]) -> bool:
    widths = {len(line.split()) for line in lines[:_SAMPLE_ROWS] if line.strip()}
    return len(widths) == 1 and widths.pop() > 2
