"""How results are shown to a person: fields as lines, what repeats as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

_INDENT = "  "


def as_lines(result: dict[str, Any]) -> str:
    """Show a result: one line a field, lists of records and records of records as indented tables."""
    return "\n".join(line for name, value in result.items() for line in _field(name, value))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Show records of the same fields, the fields' names on top; a field that no record says is left out."""
    from tabulate import tabulate

    every = dict.fromkeys(name for row in rows for name in row)
    names = [name for name in every if any(_is_said(row.get(name)) for row in rows)]
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    return str(tabulate(cells, headers=names, tablefmt="plain", disable_numparse=True))


def indented(text: str) -> list[str]:
    """Return the lines of a text, two spaces to the right."""
    return [f"{_INDENT}{line}".rstrip() for line in text.splitlines()]


def _field(name: str, value: Any) -> list[str]:
    if isinstance(value, list | tuple) and value:
        records = all(isinstance(item, dict) for item in value)
        return [f"{name}:", *(indented(table(value)) if records else (f"{_INDENT}{_cell(item)}" for item in value))]
    if isinstance(value, dict) and value and all(isinstance(item, dict) for item in value.values()):
        return [f"{name}:", *indented(table([{"": key, **item} for key, item in value.items()]))]
    return [f"{name}: {_cell(value)}".rstrip()]


def _is_said(value: Any) -> bool:
    """Tell whether there is something to show; zero and no are."""
    return bool(value) or value == 0


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name}={_cell(item)}" for name, item in value.items() if _is_said(item))
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value))
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
