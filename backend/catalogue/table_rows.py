"""Rows of a table, and what they say about products: values cleaned, prices read, faults named; no file is opened."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from backend.catalogue.picture_files import Place, format_reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_JSON = json.JSONEncoder(ensure_ascii=False, default=str)
_TEXTS = ("label", "title", "category", "brand", "colour")
_MAX_STOCK = 2**31 - 1
_SPLITS = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "testing": "test",
    "gallery": "gallery-only",
}
# A currency before or behind an amount, in letters: EUR, Rs., kr
_CURRENCY = r"[^\W\d_]{1,4}\.?"
_AMOUNT = re.compile(rf"(?:{_CURRENCY})?(?P<number>[+-]?[0-9][0-9.,]*|[+-]?[.,][0-9]+)(?:{_CURRENCY})?")
_GROUPED = {mark: re.compile(rf"[0-9]{{1,3}}(?:{re.escape(mark)}[0-9]{{3}})+") for mark in ",."}
# Text that is an encoded picture: a data address, or base64 that begins as a PNG, JPEG or WEBP does, or is very long.
_INLINE = re.compile(r"data:|(?:iVBORw0KGgo|/9j/|UklGR)[A-Za-z0-9+/\s=]+\Z|[A-Za-z0-9+/_\-\s]{200}[^.]*\Z")


class Row(NamedTuple):
    """One row as its table gives it.

    Attributes:
        position: Number of the row, from zero.
        values: Value by column, without encoded pictures: text, numbers, null.
        locator: Where the row lies, for a picture that is in the table itself.
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
        """Return the row as values of ``sources.ENTRY_SCHEMA``; the first of its faults is the reason."""
        named = self._text(row, "image")
        is_inline = not self.is_inside and is_inline_picture(named)
        place = self._place(row, named, is_inline=is_inline)
        price, price_fault = _parsed(parse_price, self._text(row, "price"), _PRICE_FAULT)
        stock, stock_fault = _parsed(parse_stock, self._text(row, "stock"), _STOCK_FAULT)
        hidden = self.mapping["image"] if is_inline else None
        shown = {name: _without_nan(value) for name, value in row.values.items() if name != hidden}
        return {
            **{field: self._text(row, field) for field in _TEXTS},
            "product_id": self._id(row, place, None if is_inline else named),
            "split": parse_split(self._text(row, "split")),
            "price": price,
            "stock": stock,
            "reason": row.problem or place.reason or price_fault or stock_fault,
            "source_row": _JSON.encode(shown),
            "locator": place.locator,
            "position": row.position,
        }

    def _text(self, row: Row, field: str) -> str | None:
        column = self.mapping.get(field)
        return None if column is None else text_of(row.values.get(column))

    def _id(self, row: Row, place: Place, named: str | None) -> str | None:
        """Where no column has ids, the picture's path is one, still with its suffix."""
        if "product_id" in self.mapping:
            return self._text(row, "product_id")
        return place.path or named or f"row-{row.position:07d}"

    def _place(self, row: Row, named: str | None, *, is_inline: bool) -> Place:
        if self.is_inside or is_inline:
            return Place(row.locator)
        if named is None:
            return Place()
        place = self.locate(named)
        return place if place.reason else place._replace(reason=format_reason(named))


def is_inline_picture(text: str | None) -> bool:
    """Tell whether a text is an encoded picture rather than the path of one."""
    return text is not None and _INLINE.match(text) is not None


def text_of(value: Any) -> str | None:
    """Return a value as stripped text; null where it is empty, or no number."""
    if isinstance(value, str):
        return value.strip() or None
    value = _without_nan(value)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # whole numbers become floats in a column that has gaps
    return str(value)


def _without_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def parse_split(text: str | None) -> str | None:
    """Return the split that a text means; one that it cannot mean stays as it is, for the caller to reject."""
    if text is None:
        return None
    plain = re.sub(r"[\s_]+", "-", text.lower())
    return _SPLITS.get(plain, plain)


def parse_price(text: str) -> float:
    """Read an amount of money: currency signs are dropped, a decimal comma is understood.

    A single comma before exactly three digits separates thousands; a single dot is always a decimal point.

    Raises:
        ValueError: It is no amount, or a negative one.

    Example:
        >>> [parse_price(text) for text in ("1,299.00", "12,50 €", "£7", "1.299,95 EUR")]
        [1299.0, 12.5, 7.0, 1299.95]
    """
    value = float(_plain_number(text))
    if value < 0 or not math.isfinite(value):
        raise ValueError(text)
    return value


def parse_stock(text: str) -> int:
    """Read a whole number that is not negative.

    Raises:
        ValueError: It is none, or larger than a table can hold.
    """
    value = float(_plain_number(text))
    if not value.is_integer() or not 0 <= value <= _MAX_STOCK:
        raise ValueError(text)
    return int(value)


_PRICE_FAULT = "bad_price: Its price {text!r} is no amount such as 12.50."
_STOCK_FAULT = "bad_stock: Its stock {text!r} is no whole number of 0 or more."


def _parsed(parse: Callable[[str], Any], text: str | None, fault: str) -> tuple[Any, str | None]:
    if text is None:
        return None, None
    try:
        return parse(text), None
    except ValueError:
        return None, fault.format(text=text[:40])


def _plain_number(text: str) -> str:
    """Return the number in a text as Python writes it."""
    try:
        return str(float(text)) if "_" not in text and text.isascii() else _unmarked(text)
    except ValueError:
        return _unmarked(text)


def _unmarked(text: str) -> str:
    bare = "".join(mark for mark in text if unicodedata.category(mark) not in {"Sc", "Zs", "Cc"} and mark not in "'’")
    found = _AMOUNT.fullmatch(bare.replace("\u2212", "-"))
    if found is None:
        raise ValueError(text)
    sign, number = re.fullmatch(r"([+-]?)(.*)", found["number"]).groups()  # type: ignore[union-attr]
    return sign + _with_point(number)


def _with_point(number: str) -> str:
    """Rewrite digits with commas and dots to digits with at most one point."""
    decimal = max(",.", key=number.rfind)
    thousands = "." if decimal == "," else ","
    whole, mark, fraction = number.rpartition(decimal)
    if not mark:
        return number
    if _GROUPED[decimal].fullmatch(number) and (decimal == "," or number.count(decimal) > 1) and number[0] != "0":
        return number.replace(decimal, "")  # marks of thousands only
    if decimal in whole or (thousands in whole and not _GROUPED[thousands].fullmatch(whole)):
        raise ValueError(number)
    return f"{whole.replace(thousands, '')}.{fraction}"
