"""A shop's table given back: its own rows and columns, cells mended, and a column that says what was changed and why.

A cell is mended as a load reads it: what cannot be read is emptied, and texts lose markup, entities and invisible characters.
Ids, pictures and whatever nothing is read from stay as they are, so that the shop recognises its products.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from backend.bundles.bundle import workplace
from backend.catalogue.fields import TEXTS
from backend.catalogue.sources.profiles.known import BY_NAME
from backend.catalogue.sources.tables.amounts import PARSED
from backend.catalogue.sources.tables.reading import reading_of
from backend.catalogue.sources.tables.values import plain_text
from backend.errors import CatalogueError
from backend.files.storage import disk_watched

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import TextIO

    import pyarrow as pa

    from backend.catalogue.sources.tables.listing import TableSource
    from backend.catalogue.sources.tables.rows import Row
    from backend.progress import Progress

CHANGES = "Twinset changes"
_SHOWN = 60  # letters of a value
_STEP = 1000  # rows from one report to the next
# Of pictures that are fine, but not here.
_NOT_HERE = frozenset({"address", "not_fetched"})


@dataclass(slots=True)
class Mended:
    """What was written.

    Attributes:
        rows: Rows of the table.
        changed: Those with a cell that was mended.
        cells: Such cells.
        left_out: Those that a load would reject.
    """

    rows: int = 0
    changed: int = 0
    cells: int = 0
    left_out: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the fields as JSON values."""
        return asdict(self)


def save_mended(source: TableSource, path: Path, progress: Progress) -> Mended:
    """Write a table as :func:`write_mended` does, in UTF-8, in place of what is at ``path``; row by row, as a whole or not at all.

    Raises:
        StorageFull, StorageFailed: The disk refuses.
        Cancelled: The user asked to stop.
        DatasetUnavailable, CatalogueError: As :func:`write_mended`.
    """
    with disk_watched("try again"), workplace(path, "export") as place:
        with (place / path.name).open("w", encoding="utf-8-sig", newline="") as file:
            done = write_mended(source, file, progress)
        (place / path.name).replace(path)
    return done


def write_mended(source: TableSource, file: TextIO, progress: Progress) -> Mended:
    """Write a table as CSV with its own columns, mended, and :data:`CHANGES` behind them.

    Args:
        source: The table.
        file: Where it goes; opened with ``newline=""``.
        progress: Told the rows written, asked whether to stop.

    Raises:
        DatasetUnavailable: There is no such file.
        CatalogueError: It cannot be read, has no rows, or its pictures are in it.
    """
    header, listed = _header(source), source.listed()
    notes, reading = _Notes.of(listed), reading_of(listed)
    mapping = {field: column for field, column in source.columns if column in header}
    readers = BY_NAME[source.profile].readers if source.profile else {}
    texts = [column for field, column in mapping.items() if field in {*TEXTS, "label"} and field not in readers]
    done, writer = Mended(), csv.writer(file)
    writer.writerow([*header, CHANGES])
    for row in source.rows():
        cells = {name: _cell(row.values.get(name)) for name in header}
        problem, warnings = notes.about(row)
        said = [*_gathered(cells, row), *_emptied(cells, warnings, mapping), *_cleaned(cells, texts)]
        reason = _left_out(problem)
        done.rows += 1
        done.changed += bool(said)
        done.cells += len(said)
        done.left_out += reason is not None
        writer.writerow([*cells.values(), "; ".join([*said, *([reason] if reason else [])])])
        if done.rows % _STEP == 0:
            progress.check_cancelled()
            progress.report(done.rows, max(done.rows, reading.rows if reading else 0), unit="rows", note="Writing")
    return done


@dataclass(frozen=True, slots=True)
class _Notes:
    """What a load says of rows, by their position: why it rejects one, and its warnings; and which rows it knows at all."""

    noted: Mapping[int, tuple[str | None, str | None]]
    known: frozenset[int]

    @classmethod
    def of(cls, listed: pa.Table) -> _Notes:
        """Keep what there is to be said; of most rows, nothing."""
        said = listed.filter(pc.or_(listed["reason"].is_valid(), listed["warning"].is_valid()))
        columns = [said[name].to_pylist() for name in ("position", "reason", "warning")]
        noted = {position: (reason, warning) for position, reason, warning in zip(*columns, strict=True)}
        return cls(noted, frozenset(listed["position"].to_pylist()))

    def about(self, row: Row) -> tuple[str | None, str | None]:
        """Return why a row is rejected, and its warnings; a row that became no product of its own keeps its problem."""
        return self.noted.get(row.position, (None if row.position in self.known else row.problem, None))


def _header(source: TableSource) -> list[str]:
    made = BY_NAME[source.profile].adds if source.profile else ()
    found = {name: holds for name, holds in source.available().items() if name not in made}
    if any(found.values()):
        raise CatalogueError(
            f"{source.name} contains the pictures themselves, which a CSV cannot hold.",
            next_step="Correct the table where it was made.",
        )
    return list(found)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _gathered(cells: dict[str, str], row: Row) -> Iterator[str]:
    """Put what a row has beyond its columns into the last one, where commas without quotes parted it."""
    if row.spilt:
        last = list(cells)[-1]
        yield f"{last}: has what came behind it, in quotes"
        cells[last] = ",".join([cells[last], *row.spilt])


def _emptied(cells: dict[str, str], warnings: str | None, mapping: Mapping[str, str]) -> Iterator[str]:
    """Empty the cells that nothing can be made of; yields what they had."""
    codes = {code: field for field, code in PARSED.items()}
    for line in (warnings or "").splitlines():
        code, _, value = line.partition(": ")
        column = mapping.get(codes.get(code, "")) or (_holding(cells, value) if code in codes else None)
        if column is not None and cells[column].strip():
            yield f"{column}: “{cells[column].strip()[:_SHOWN]}” cannot be read and is removed"
            cells[column] = ""
        elif code in codes:  # it was made of several columns, which stay
            yield f"{codes[code].replace('_', ' ')}: “{value}” cannot be read"


def _holding(cells: dict[str, str], value: str) -> str | None:
    """Return the one column with a value that a profile made of several columns; None where that is not certain."""
    found = [name for name, cell in cells.items() if " ".join(cell.split()) == value]
    return found[0] if value and len(found) == 1 else None


def _cleaned(cells: dict[str, str], columns: list[str]) -> Iterator[str]:
    """Clean the texts that people read; yields what they had."""
    for column in dict.fromkeys(columns):
        before = cells[column].strip()
        after = plain_text(before) or ""
        if after != before:
            yield f"{column}: was “{before[:_SHOWN]}”"
            cells[column] = after


def _left_out(reason: str | None) -> str | None:
    code, _, sentence = (reason or "").partition(":")
    return f"not loaded: {sentence.strip()}" if code and code not in _NOT_HERE else None
