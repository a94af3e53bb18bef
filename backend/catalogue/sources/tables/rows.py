"""Rows of a table, and what they say about products: values cleaned, prices read, faults named; no file is opened."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from backend.catalogue.loading.load_warnings import warning
from backend.catalogue.sources.pictures.files import format_reason
from backend.catalogue.sources.pictures.names import UNNAMED, Place, composed, several
from backend.catalogue.sources.sources import ENTRY_SCHEMA
from backend.catalogue.sources.tables.amounts import PARSED, Amounts, Meant, meaning
from backend.catalogue.sources.tables.values import id_of, is_rounded, plain_id, text_of, without_nan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    _Step = tuple[str, str, Callable[[Any], Any]]  # field, column, what makes the one's value of the other's cell

_JSON = json.JSONEncoder(ensure_ascii=False, default=str)  # of what orjson has no way to write
_EMPTY: dict[str, Any] = dict.fromkeys(ENTRY_SCHEMA.names)
LONGEST_LABEL = 200  # letters; what is longer is a description, and every array of labels would be as wide
# Text that is an encoded picture: a data address, or base64 that begins as a PNG, JPEG or WEBP does, or is very long.
_INLINE = re.compile(r"data:|(?:iVBORw0KGgo|/9j/|UklGR)[A-Za-z0-9+/\s=]+\Z|[A-Za-z0-9+/_\-\s]{200}[^.]*\Z")


class Row(NamedTuple):
    """One row as its table gives it.

    Attributes:
        position: Number of the row, from zero.
        values: Value by column, without encoded pictures: text, numbers, null.
        locator: Where the row is, for a picture that is in the table itself.
        problem: Why the row cannot be used, as ``code: sentence``.
        spilt: What it has beyond the columns of its table.
        pictures: The pictures of the product, its main one first, where more than one cell has them.
        warnings: What was mended about it, as entries carry it.
        source: The row as it was before a profile filled in what rows above it say; None where it is as it was.
    """

    position: int
    values: Mapping[str, Any]
    locator: str
    problem: str | None = None
    spilt: tuple[str, ...] = ()
    pictures: tuple[str, ...] | None = None
    warnings: tuple[str, ...] = ()
    source: Mapping[str, Any] | None = None

    def changed(self, values: Mapping[str, Any], pictures: tuple[str, ...] | None) -> Row:
        """Return the row with other values and pictures; it knows what it was."""
        was = self.values if self.source is None else self.source
        return Row(self.position, values, self.locator, self.problem, self.spilt, pictures, self.warnings, was)


@dataclass(frozen=True, slots=True)
class RowReading:
    """How to read rows as entries.

    Attributes:
        mapping: Column by field.
        is_inside: Whether the column ``image`` holds encoded pictures, not text.
        locate: Finds the picture that a text in that column names, or the pictures that several name.
        readers: What makes the value of a field out of what its column has, where that is not the text itself.
        takes_pictures: Whether the pictures of a row count, where it has several cells for them.
        amounts: What was seen of numbers that only the rest of their column explains.
    """

    mapping: Mapping[str, str]
    is_inside: bool
    locate: Callable[[str], Place]
    readers: Mapping[str, Callable[[str], str | None]] = field(default_factory=dict)
    takes_pictures: bool = True
    amounts: Amounts = field(default_factory=Amounts)
    texts: Sequence[_Step] = field(init=False, repr=False)
    parsed: Sequence[_Step] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        named = [(name, column) for name, column in self.mapping.items() if name not in {"product_id", "image"}]
        steps = [(name, column, meaning(name, self.readers.get(name))) for name, column in named]
        object.__setattr__(self, "texts", [step for step in steps if step[0] not in PARSED])
        object.__setattr__(self, "parsed", [step for step in steps if step[0] in PARSED])

    def entry(self, row: Row) -> dict[str, Any]:
        """Return the row as values of ``sources.ENTRY_SCHEMA``, in its order; what is amiss in an optional column empties that."""
        named = row.pictures[0] if row.pictures and self.takes_pictures else self._cell(row, "image")
        is_inline = not self.is_inside and row.pictures is None and is_inline_picture(named)
        place = self._place(row, named, is_inline=is_inline)
        warnings = [*row.warnings, warning(place.warning)] if place.warning else list(row.warnings)
        warnings += [warning("further_unread", part.rpartition("/")[2] or part) for part in place.lacking]
        entry = _EMPTY.copy()
        self._read(row, entry, warnings)
        entry["product_id"] = self._id(row, place, None if is_inline else named, warnings)
        entry["reason"] = row.problem or place.reason
        entry["source_row"] = _as_json(row, self.mapping["image"] if is_inline else None)
        entry["locator"] = place.locator
        entry["more_pictures"] = list(place.more) or None
        entry["position"] = row.position
        entry["warning"] = "\n".join(warnings) or None
        return entry

    def _read(self, row: Row, entry: dict[str, Any], warnings: list[str]) -> None:
        """Put what the mapped columns say into an entry; what cannot be read is left out and noted."""
        cell, currency = row.values.get, None
        for name, column, mean in self.texts:
            entry[name] = mean(cell(column))
        for name, column, mean in self.parsed:
            found: Meant | None = mean(cell(column))
            if found is None:
                continue
            text, entry[name], stated, is_telling = found
            currency = currency or stated
            if is_telling:
                self.amounts.see(row.position, name, text)
            if entry[name] is None:
                warnings.append(warning(PARSED[name], text))
        entry["currency"] = entry["currency"] or currency
        label = entry["label"]
        if label is not None and len(label) > LONGEST_LABEL:
            warnings.append(warning("long_label", label))
            entry["label"] = label[:LONGEST_LABEL].rstrip()

    def _cell(self, row: Row, field: str) -> str | None:
        """Return what the column of a field has, as the field's reader takes it."""
        column = self.mapping.get(field)
        read = id_of if field == "product_id" else text_of
        text = read(row.values.get(column)) if column is not None else None
        if text is not None and field in self.readers:
            return self.readers[field](text)
        return text

    def _id(self, row: Row, place: Place, named: str | None, warnings: list[str]) -> str | None:
        """Where no column has ids, the picture's path is one, still with its suffix."""
        if "product_id" not in self.mapping:
            return composed(place.path or named or f"row-{row.position:07d}")
        text = self._cell(row, "product_id")
        if text is not None and is_rounded(text):
            warnings.append(warning("rounded_id", text))
        return text and plain_id(text)

    def _place(self, row: Row, named: str | None, *, is_inline: bool) -> Place:
        if self.is_inside or is_inline:
            return Place(row.locator)
        if row.pictures and self.takes_pictures:
            return self._usable(several(self.locate, row.pictures), row.pictures[0])
        if named is None:
            return Place(reason=None if "image" not in self.mapping else UNNAMED)
        return self._usable(self.locate(named), named)

    def _usable(self, place: Place, named: str) -> Place:
        reason = place.reason or format_reason(place.path or named)
        return place if place.reason == reason else place._replace(reason=reason)


def _as_json(row: Row, hidden: str | None) -> str:
    """Write a row as its source gave it, without an encoded picture."""
    values = row.values if row.source is None else row.source
    if hidden is not None:
        values = {name: value for name, value in values.items() if name != hidden}
    try:
        return orjson.dumps(values, default=str, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except TypeError:
        return _JSON.encode({name: without_nan(value) for name, value in values.items()})


def is_inline_picture(text: str | None) -> bool:
    """Tell whether a text is an encoded picture rather than the path of one."""
    return text is not None and _INLINE.match(text) is not None
