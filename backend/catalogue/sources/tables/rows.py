"""Rows of a table, and what they say about products: values cleaned, prices read, faults named; no file is opened."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from backend.catalogue.fields import TEXTS
from backend.catalogue.loading.load_warnings import warning
from backend.catalogue.sources.pictures.files import format_reason
from backend.catalogue.sources.pictures.names import UNNAMED, Place, composed, several
from backend.catalogue.sources.tables.amounts import AMOUNTS, Amounts, parsed, stated_currency
from backend.catalogue.sources.tables.amounts import PARSED as _PARSED
from backend.catalogue.sources.tables.values import is_rounded, plain_id, plain_text, text_of, without_nan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_JSON = json.JSONEncoder(ensure_ascii=False, default=str)
_TEXTS = ("label", *TEXTS)
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

    def entry(self, row: Row) -> dict[str, Any]:
        """Return the row as values of ``sources.ENTRY_SCHEMA``; what is amiss in an optional column empties that."""
        named = self._cell(row, "image")
        is_inline = not self.is_inside and row.pictures is None and is_inline_picture(named)
        place = self._place(row, named, is_inline=is_inline)
        warnings = [*row.warnings, *([warning(place.warning)] if place.warning else [])]
        hidden = self.mapping["image"] if is_inline else None
        shown = {
            name: value if type(value) is str else without_nan(value)
            for name, value in (row.values if row.source is None else row.source).items()
            if name != hidden
        }
        entry: dict[str, Any] = {field: self._text(row, field) for field in _TEXTS}
        entry["label"] = _label(entry["label"], warnings)
        entry["product_id"] = self._id(row, place, None if is_inline else named, warnings)
        for name in _PARSED:
            if name in self.mapping:
                entry[name] = self._parsed(row, name, warnings)
        if not entry["currency"]:
            entry["currency"] = self._stated_currency(row)
        return entry | {
            "reason": row.problem or place.reason,
            "source_row": _JSON.encode(shown),
            "locator": place.locator,
            "more_pictures": list(place.more) or None,
            "position": row.position,
            "warning": "\n".join(warnings) or None,
        }

    def _parsed(self, row: Row, name: str, warnings: list[str]) -> Any:
        text = self._cell(row, name)
        if text is None:
            return None
        if name in AMOUNTS:
            self.amounts.see(row.position, name, text)
        try:
            return parsed(name, text)
        except ValueError:
            warnings.append(warning(_PARSED[name], text))
            return None

    def _stated_currency(self, row: Row) -> str | None:
        amounts = (self._cell(row, field) for field in ("price", "sale_price"))
        return next((code for text in amounts if text and (code := stated_currency(text))), None)

    def _cell(self, row: Row, field: str) -> str | None:
        """Return what the column of a field has, as the field's reader takes it."""
        column = self.mapping.get(field)
        text = text_of(row.values.get(column)) if column is not None else None
        if text is not None and field in self.readers:
            return self.readers[field](text)
        return text

    def _text(self, row: Row, field: str) -> str | None:
        text = self._cell(row, field)
        return text and plain_text(text)

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
        return place if place.reason else place._replace(reason=format_reason(place.path or named))


def _label(label: str | None, warnings: list[str]) -> str | None:
    if label is None or len(label) <= LONGEST_LABEL:
        return label
    warnings.append(warning("long_label", label))
    return label[:LONGEST_LABEL].rstrip()


def is_inline_picture(text: str | None) -> bool:
    """Tell whether a text is an encoded picture rather than the path of one."""
    return text is not None and _INLINE.match(text) is not None
