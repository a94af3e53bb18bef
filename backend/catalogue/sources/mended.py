"""A shop's table given back: its own rows and columns, cells mended, and a column that says what was changed and why.

A cell is mended as a load reads it: what cannot be read is emptied, and texts lose markup, entities and invisible characters.
Ids, pictures and whatever nothing is read from stay as they are, so that the shop recognises its products.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from backend.catalogue.fields import TEXTS
from backend.catalogue.sources.profiles.known import BY_NAME
from backend.catalogue.sources.tables.amounts import PARSED
from backend.catalogue.sources.tables.values import plain_text
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO

    from backend.catalogue.sources.tables.listing import TableSource
    from backend.catalogue.sources.tables.rows import Row

CHANGES = "Twinset changes"
_SHOWN = 60  # letters of a value
# Of pictures that are fine, but not here.
_NOT_HERE = frozenset({"address", "not_fetched"})


@dataclass(slots=True)
class Mended:
    """What was written.

    Attributes:
        rows: Rows of the table.
        changed: Those with a cell that was mended.
        left_out: Those that a load would reject.
    """

    rows: int = 0
    changed: int = 0
    left_out: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the fields as JSON values."""
        return asdict(self)


def write_mended(source: TableSource, file: TextIO) -> Mended:
    """Write a table as CSV with its own columns, mended, and :data:`CHANGES` behind them.

    Args:
        source: The table.
        file: Where it goes; opened with ``newline=""``.

    Raises:
        DatasetUnavailable: There is no such file.
        CatalogueError: It cannot be read, has no rows, or its pictures are in it.
    """
    header = _header(source)
    entries = source.listed().select(["position", "reason", "warning"]).to_pylist()
    known = {entry["position"]: entry for entry in entries}
    mapping = {field: column for field, column in source.columns if column in header}
    readers = BY_NAME[source.profile].readers if source.profile else {}
    texts = [column for field, column in mapping.items() if field in {*TEXTS, "label"} and field not in readers]
    done, writer = Mended(), csv.writer(file)
    writer.writerow([*header, CHANGES])
    for row in source.rows():
        cells = {name: _cell(row.values.get(name)) for name in header}
        entry = known.get(row.position, {"reason": row.problem, "warning": None})
        said = [*_gathered(cells, row), *_emptied(cells, entry["warning"], mapping), *_cleaned(cells, texts)]
        reason = _left_out(entry["reason"])
        done.rows += 1
        done.changed += bool(said)
        done.left_out += reason is not None
        writer.writerow([*cells.values(), "; ".join([*said, *([reason] if reason else [])])])
    return done


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
        column = mapping.get(codes.get(code, ""))
        if column is not None and cells[column].strip():
            yield f"{column}: “{cells[column].strip()[:_SHOWN]}” cannot be read and is removed"
            cells[column] = ""
        elif code in codes:  # it was made of several columns, which stay
            yield f"{codes[code].replace('_', ' ')}: “{value}” cannot be read"


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
