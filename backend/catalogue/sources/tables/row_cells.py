"""The cells of rows that are found by their number: of tables that are read from their start each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from backend.catalogue.sources.tables.rows import Row


def cells_by_number(rows: Iterable[Row], locators: Sequence[str], column: str) -> dict[str, Any]:
    """Return what the rows at these locators have in a column; the rows are read up to the last of them."""
    wanted = set(locators)
    found: dict[str, Any] = {}
    for row in rows if wanted else ():
        if row.locator in wanted:
            wanted.remove(row.locator)
            if column in row.values:
                found[row.locator] = row.values[column]
            if not wanted:
                break
    return found
