"""What was read of a table: its layout, what each column was taken for, and what became of every row."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from backend.catalogue.sources.pictures.names import pictures_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from backend.catalogue.sources.tables.rows import Row

_KEY = b"twinset.reading"
_SHOWN = 3  # values of a column
_LOOKED_AT = 500  # rows that they are taken from
_LONGEST = 200  # letters of a value
_LONGEST_CELL = 20_000  # letters of one that names pictures; a longer one is a picture


@dataclass(slots=True)
class Reading:
    """What became of the rows of a table.

    Attributes:
        profile: The system whose export it is; empty for none that is known.
        title: What that is called.
        columns: By field, its column and the first three values in it.
        rows: Rows of the table.
        products: Products, whose variants count once.
        variants: Rows that can be loaded or are rejected, each a product of its own or a variant of one.
        pictures: Pictures that they name, each once.
        other_rows: Rows that became no product of their own, by what they are.
        warnings: What was emptied or guessed, by kind, of rejected rows, too.
    """

    profile: str = ""
    title: str = ""
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: int = 0
    products: int = 0
    variants: int = 0
    pictures: int = 0
    other_rows: dict[str, int] = field(default_factory=dict)
    warnings: dict[str, int] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """What was recognised, in numbers; empty for a table that is no known export."""
        if not self.profile:
            return ""
        counted = [(self.products, "product"), (self.variants, "variant"), (self.pictures, "picture")]
        if self.variants == self.products:
            del counted[1]
        told = ", ".join(f"{count:,} {word}{'' if count == 1 else 's'}" for count, word in counted)
        return f"{self.title}: {told}."

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


class Values:
    """Gathers the first values of the columns that fields are read from, while rows pass."""

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._mapping, self._image = mapping, mapping.get("image", "")
        self._found: dict[str, list[str]] = {field: [] for field in mapping}
        self._left = _LOOKED_AT
        self.pictures: set[str] = set()

    def see(self, row: Row) -> None:
        """Take the pictures that a row names, and what it has until there is enough of every column."""
        if row.pictures is not None:
            self.pictures.update(row.pictures)
        elif isinstance(named := row.values.get(self._image), str) and 0 < len(named) < _LONGEST_CELL:
            self.pictures.update(pictures_in(named))
        if self._left <= 0 or row.problem is not None:
            return
        self._left -= 1
        for field, column in self._mapping.items():  # noqa: F402 - what it is everywhere else
            value = row.values.get(column)
            shown = "" if value is None or isinstance(value, bytes | dict) else _short(" ".join(str(value).split()))
            if shown and len(self._found[field]) < _SHOWN and shown not in self._found[field]:
                self._found[field].append(shown)

    def as_columns(self) -> dict[str, dict[str, Any]]:
        """Return the column of each field and the values found in it."""
        return {field: {"column": column, "values": self._found[field]} for field, column in self._mapping.items()}


def _short(text: str) -> str:
    """Cut a long value: an address at its start, where those of a shop are the same, any other at its end.

    The mark by which spreadsheets take a number as text is left out.
    """
    text = text.removeprefix("'")
    if len(text) <= _LONGEST:
        return text
    return f"…{text[1 - _LONGEST :]}" if "://" in text[:_LONGEST] else f"{text[: _LONGEST - 1]}…"


def counted(reading: Reading, entries: pa.Table, tally: Counter[str]) -> pa.Table:
    """Count what was read, and return the entries with it."""
    groups = pc.coalesce(entries["group_id"], entries["product_id"])
    reading.products = len(set(groups.to_pylist()))
    reading.variants = entries.num_rows
    reading.other_rows = {name: count for name, count in sorted(tally.items()) if count}
    lines = (line for cell in entries["warning"].drop_null().to_pylist() for line in cell.splitlines())
    reading.warnings = dict(sorted(Counter(line.partition(":")[0] for line in lines).items()))
    known = entries.schema.metadata or {}
    return entries.replace_schema_metadata({**known, _KEY: json.dumps(reading.as_dict()).encode()})


def reading_of(entries: pa.Table) -> Reading | None:
    """Return what was read of the table that entries are from; None for other sources."""
    found = (entries.schema.metadata or {}).get(_KEY)
    return None if found is None else Reading(**json.loads(found))


def counting(rows: Iterator[Row], reading: Reading) -> Iterator[Row]:
    """Count rows while they pass."""
    reading.rows = 0
    for reading.rows, row in enumerate(rows, start=1):
        yield row
