"""Texts in the cells of a table, and the values that they mean: amounts, counts, currencies, words for what is in stock."""

from __future__ import annotations

import html
import math
import re
import unicodedata
from typing import Any

from backend.catalogue.items import SPLITS
from backend.catalogue.sources.pictures.names import composed

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
    [
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
        "#num!",
        "#bezug!",
        "#wert!",
        "#zahl!",
        "#ref",
        "#valeur!",
        "#nom?",
        "#valor!",
        "#ref!",
    ]
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


# Words for nothing to pay, and marks of footnotes behind an amount.
_FREE = frozenset({"free", "gratis", "kostenlos", "gratuit", "umsonst"})
_FOOTNOTES = "*†‡¹²³"
# From one amount to another: the lower one counts.
_TO = re.compile(r"\s+[-–—]\s+|(?<=[0-9])[-–—](?=[^\W\d_$€£]{0,3}[$€£]?[0-9])")
# What shows that commas are decimal marks, and what then is a whole number: 1.299
_DECIMAL_COMMA = re.compile(r"[0-9],[0-9]{1,2}(?![0-9])")
_DOTTED = re.compile(r"[^0-9]*[1-9][0-9]{0,2}\.[0-9]{3}[^0-9.,]*")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_BLANKS = re.compile("[ \u00a0]+")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,2000}>|<!--.{0,2000}?-->", re.DOTALL)
_NOISE = re.compile(r"[<&\u00a0\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]|^'")
_ROUNDED = re.compile(r"[0-9][.,][0-9]+E\+[0-9]+", re.IGNORECASE)
_MARKED = re.compile(r"'(?=[-=+@])")
_MARKED_ID = re.compile(r"'(?=[-=+@0-9])")


def plain_text(text: str) -> str | None:
    """Return a text as people read it: without markup, entities and invisible characters.

    Example:
        >>> plain_text("Cap &amp; <b>Co</b>")
        'Cap & Co'
    """
    is_plain = text.isascii() and "<" not in text and "&" not in text and text[:1] != "'"
    if is_plain or not _NOISE.search(text):
        return text
    found = html.unescape(_TAG.sub(" ", text)) if "<" in text or "&" in text else text
    found = _MARKED.sub("", _INVISIBLE.sub("", found), count=1)
    return _BLANKS.sub(" ", found).strip() or None


def plain_id(text: str) -> str:
    """Return an id without what a spreadsheet or an editor put into it: a mark before digits, invisible characters."""
    if text.isascii() and "'" not in text:
        return text
    return _MARKED_ID.sub("", _INVISIBLE.sub("", text), count=1)


def is_rounded(text: str) -> bool:
    """Tell whether a spreadsheet has rounded a long number, so that its last digits are lost: 4,71E+12."""
    return "+" in text and _ROUNDED.fullmatch(text) is not None


def has_decimal_comma(text: str) -> bool:
    """Tell whether a number shows that its column writes decimals behind a comma."""
    return "," in text and _DECIMAL_COMMA.search(text) is not None


def is_ambiguous(text: str) -> bool:
    """Tell whether only the rest of its column says if a number has thousands or decimals behind its dot: 1.299."""
    return "." in text and _DOTTED.fullmatch(text) is not None


def text_of(value: Any) -> str | None:
    """Return a value as stripped, composed text; null where it is empty, no number, or a word for nothing."""
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= _LONGEST_WORD and text.lower() in _NOTHING:
            return None
        return text if text.isascii() else composed(text)
    value = without_nan(value)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # whole numbers become floats in a column that has gaps
    return str(value)


def id_of(value: Any) -> str | None:
    """Return a value as :func:`text_of` does, but take "empty", which only a person writes, as the id that it may be."""
    text = value.strip() if isinstance(value, str) else ""
    return text if text.lower() == "empty" else text_of(value)


def without_nan(value: Any) -> Any:
    """Return a value; null in place of a number that is none."""
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


def parse_price(text: str, *, decimal_comma: bool = False) -> float:
    """Read an amount of money: currency signs and a "from" are dropped, a decimal comma is understood.

    A single comma before exactly three digits separates thousands; a single dot is a decimal point, unless its column
    has decimal commas. Of two amounts, from one to the other, the first counts.

    Raises:
        ValueError: It is no amount, or a negative one.

    Example:
        >>> [parse_price(text) for text in ("1,299.00", "12,50 €", "£7", "1.299,95 EUR", "₹1,23,456", "ab 9,90 €")]
        [1299.0, 12.5, 7.0, 1299.95, 123456.0, 9.9]
    """
    if text.lower() in _FREE:
        return 0.0
    text = text.rstrip(_FOOTNOTES)
    if len(ends := _TO.split(text, maxsplit=1)) == 2:
        return min(parse_price(end, decimal_comma=decimal_comma) for end in ends)
    start = _FROM.match(text)
    bare = text[start.end() :] if start else text
    value = float(_plain_number(bare.replace(".", "") if decimal_comma and is_ambiguous(bare) else bare))
    if value < 0 or not math.isfinite(value):
        raise ValueError(text)
    return value


def parse_stock(text: str, *, decimal_comma: bool = False) -> int:
    """Read a whole number that is not negative.

    Raises:
        ValueError: It is none, or larger than a table can hold.
    """
    value = float(_plain_number(text.replace(".", "") if decimal_comma and is_ambiguous(text) else text))
    if not value.is_integer() or not 0 <= value <= _MAX_STOCK:
        raise ValueError(text)
    return int(value)


# What is dropped from an amount: signs of currencies, blanks, control characters, and apostrophes between thousands.
_MARKS = frozenset({"Sc", "Zs", "Cc", "Cf"})
_ASCII_MARKS = dict.fromkeys(
    code for code in range(128) if chr(code) == "'" or unicodedata.category(chr(code)) in _MARKS
)


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
