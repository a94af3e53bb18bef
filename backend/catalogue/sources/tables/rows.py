"""Rows of a table, and what they say about products: values cleaned, prices read, faults named; no file is opened."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from backend.catalogue.fields import TEXTS
from backend.catalogue.loading.load_warnings import warning
from backend.catalogue.sources.pictures.files import format_reason
from backend.catalogue.sources.pictures.names import UNNAMED, Place, composed
from backend.catalogue.sources.tables.terms import currency_of, parse_availability, parse_currency
from backend.catalogue.sources.tables.values import parse_price, parse_split, parse_stock, text_of, without_nan

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
    """

    position: int
    values: Mapping[str, Any]
    locator: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class RowReading:
    """How to read rows as entries.

    Attributes:
        mapping: Column by field.
        is_inside: Whether the column ``image`` holds encoded pictures, not text.
        locate: Finds the file that a text in that column names.
    """

    mapping: Mapping[str, str]
    is_inside: bool
    locate: Callable[[str], Place]

    def entry(self, row: Row) -> dict[str, Any]:
        """Return the row as values of ``sources.ENTRY_SCHEMA``; what is amiss in an optional column empties that."""
        named = self._text(row, "image")
        is_inline = not self.is_inside and is_inline_picture(named)
        place = self._place(row, named, is_inline=is_inline)
        warnings = [warning(place.warning)] if place.warning else []
        hidden = self.mapping["image"] if is_inline else None
        parsed = {field: self._parsed(row, field, warnings) for field in _PARSED}
        parsed["currency"] = parsed["currency"] or self._stated_currency(row)
        shown = {
            name: value if type(value) is str else without_nan(value)
            for name, value in row.values.items()
            if name != hidden
        }
        return {
            **{field: self._text(row, field) for field in _TEXTS},
            "label": self._label(row, warnings),
            "product_id": self._id(row, place, None if is_inline else named),
            **parsed,
            "reason": row.problem or place.reason,
            "source_row": _JSON.encode(shown),
            "locator": place.locator,
            "position": row.position,
            "warning": "\n".join(warnings) or None,
        }

    def _parsed(self, row: Row, field: str, warnings: list[str]) -> Any:
        text = self._text(row, field)
        if text is None:
            return None
        parse, code = _PARSED[field]
        try:
            return parse(text)
        except ValueError:
            warnings.append(warning(code, text))
            return None

    def _stated_currency(self, row: Row) -> str | None:
        amounts = (self._text(row, field) for field in ("price", "sale_price"))
        return next((code for text in amounts if text and (code := currency_of(text))), None)

    def _label(self, row: Row, warnings: list[str]) -> str | None:
        label = self._text(row, "label")
        if label is None or len(label) <= LONGEST_LABEL:
            return label
        warnings.append(warning("long_label", label))
        return label[:LONGEST_LABEL].rstrip()

    def _text(self, row: Row, field: str) -> str | None:
        return text_of(row.values.get(self.mapping[field])) if field in self.mapping else None

    def _id(self, row: Row, place: Place, named: str | None) -> str | None:
        """Where no column has ids, the picture's path is one, still with its suffix."""
        if "product_id" in self.mapping:
            return self._text(row, "product_id")
        return composed(place.path or named or f"row-{row.position:07d}")

    def _place(self, row: Row, named: str | None, *, is_inline: bool) -> Place:
        if self.is_inside or is_inline:
            return Place(row.locator)
        if named is None:
            return Place(reason=None if "image" not in self.mapping else UNNAMED)
        place = self.locate(named)
        return place if place.reason else place._replace(reason=format_reason(place.path or named))


def is_inline_picture(text: str | None) -> bool:
    """Tell whether a text is an encoded picture rather than the path of one."""
    return text is not None and _INLINE.match(text) is not None


_PARSED: dict[str, tuple[Callable[[str], Any], str]] = {
    "split": (parse_split, "unknown_split"),
    "price": (parse_price, "bad_price"),
    "stock": (parse_stock, "bad_stock"),
    "currency": (parse_currency, "bad_currency"),
    "sale_price": (parse_price, "bad_sale_price"),
    "availability": (parse_availability, "bad_availability"),
}
