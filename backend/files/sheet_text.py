"""Text in tables for spreadsheets, which run what begins as a formula does, whoever wrote it."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_MARK = "'"  # spreadsheets take what is behind it as text


def guarded(value: object) -> object:
    """Return a cell as it may be in a table that people open: text that would be run is marked as text.

    Text that looks as if it was marked already gets another mark, so that :func:`unguarded` gives every text back.
    """
    is_risky = isinstance(value, str) and value.lstrip(_MARK).startswith(_STARTS)
    return f"{_MARK}{value}" if is_risky else value


def as_csv(rows: Iterable[Iterable[object]], *, is_for_people: bool = True) -> str:
    """Return rows as CSV; what is None is empty. For people, every text is :func:`guarded`; a program gets it as it is."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows(map(guarded, row) if is_for_people else row for row in rows)
    return text.getvalue()


def unguarded(value: str) -> str:
    """Return the text that :func:`guarded` was given."""
    return value[1:] if value.startswith(_MARK) and value.lstrip(_MARK).startswith(_STARTS) else value
