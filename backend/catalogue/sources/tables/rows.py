"""Rows of a table, and what they say about products: values cleaned, prices read, faults named; no file is opened."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from backend.catalogue.fields import TEXTS
from backend.catalogue.items import SPLITS
from backend.catalogue.loading.load_warnings import warning
from backend.catalogue.sources.pictures.files import format_reason
from backend.catalogue.sources.pictures.names import UNNAMED, Place, composed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_JSON = json.JSONEncoder(ensure_ascii=False, default=str)
_TEXTS = ("label", *TEXTS)
LONGEST_LABEL = 200  # letters; what is longer is a description, and every array of labels would be as wide
_MAX_STOCK = 2**31 - 1
_SPLITS = {
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "testing": "test",
    "gallery": "gallery-only",
}
# Words by which exports say that there is no value, in lower case.
_NOTHING = frozenset(
    {
        "",
        "null",
        "(null)",
        "<null>",
        "nan",
        "nat",
        "n/a",
        "na",
        "<na>",
        "#n/a",
        "#na",
        "#nv",
        "n.a.",
        "none",
        "nil",
        "\\n",
    }
    | {
        "undefined",
        "empty",
        "(empty)",
        "<empty>",
        "-",
        "--",
        "–",
        "—",
        "#value!",
        "#ref!",
        "#null!",
        "#name?",
        "#div/0!",
    }
)
_LONGEST_WORD = max(map(len, _NOTHING))
# A currency before or behind an amount, in letters: EUR, Rs., kr
_CURRENCY = r"[^\W\d_]{1,4}\.?"
# A dash in place of the cents (12.–), or behind them (1,299/-)
_DASH = r"(?:(?<=[.,])[-–—]+|/[-–—])?"
_AMOUNT = re.compile(rf"(?:{_CURRENCY})?(?P<number>[+-]?[0-9][0-9.,]*|[+-]?[.,][0-9]+){_DASH}(?:{_CURRENCY})?")
# "From" before an amount, in the languages of shops.
_FROM = re.compile(
    r"(?:from|starting (?:at|from)|as low as|ab|à partir de|a partir de|a partire da|dès|desde|da|vanaf|från|fra|od)"
    r"\s*:?(?![^\W\d_])",
    re.IGNORECASE,
)
# Thousands as most write them, and with commas as India does: 12,34,567.
_GROUPED = {
    ",": re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}"),
    ".": re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+"),
}
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
        shown = {
            name: value if type(value) is str else _without_nan(value)
            for name, value in row.values.items()
            if name != hidden
        }
        return {
            **{field: self._text(row, field) for field in _TEXTS},
            "label": self._label(row, warnings),
            "product_id": self._id(row, place, None if is_inline else named),
            **{field: self._parsed(row, field, warnings) for field in _PARSED},
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


def text_of(value: Any) -> str | None:
    """Return a value as stripped, composed text; null where it is empty, no number, or a word for nothing."""
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= _LONGEST_WORD and text.lower() in _NOTHING:
            return None
        return text if text.isascii() else composed(text)
    value = _without_nan(value)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # whole numbers become floats in a column that has gaps
    return str(value)


def _without_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def parse_split(text: str) -> str:
    """Return the split that a text means.

    Raises:
        ValueError: It means none.
    """
    plain = re.sub(r"[\s_]+", "-", text.lower())
    split = _SPLITS.get(plain, plain)
    if split not in SPLITS:
        raise ValueError(text)
    return split


def parse_price(text: str) -> float:
    """Read an amount of money: currency signs and a "from" are dropped, a decimal comma is understood.

    A single comma before exactly three digits separates thousands; a single dot is always a decimal point.

    Raises:
        ValueError: It is no amount, or a negative one.

    Example:
        >>> [parse_price(text) for text in ("1,299.00", "12,50 €", "£7", "1.299,95 EUR", "₹1,23,456", "ab 9,90 €")]
        [1299.0, 12.5, 7.0, 1299.95, 123456.0, 9.9]
    """
    start = _FROM.match(text)
    value = float(_plain_number(text[start.end() :] if start else text))
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


# What is dropped from an amount: signs of currencies, blanks, control characters, and apostrophes between thousands.
_MARKS = frozenset({"Sc", "Zs", "Cc", "Cf"})
_ASCII_MARKS = dict.fromkeys(
    code for code in range(128) if chr(code) == "'" or unicodedata.category(chr(code)) in _MARKS
)
_PARSED: dict[str, tuple[Callable[[str], Any], str]] = {
    "split": (parse_split, "unknown_split"),
    "price": (parse_price, "bad_price"),
    "stock": (parse_stock, "bad_stock"),
}


def _plain_number(text: str) -> str:
    """Return the number in a text as Python writes it."""
    try:
        return str(float(text)) if "_" not in text and text.isascii() else _unmarked(text)
    except ValueError:
        return _unmarked(text)


def _unmarked(text: str) -> str:
    bare = text.translate(_ASCII_MARKS)
    if not bare.isascii():
        bare = "".join(mark for mark in bare if mark != "’" and unicodedata.category(mark) not in _MARKS)
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
