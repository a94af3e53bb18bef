"""Values that are more than text, read once for each text; and numbers that only the rest of their column explains."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from backend.catalogue.loading.load_warnings import warning
from backend.catalogue.sources.tables.terms import currency_of, parse_availability, parse_currency
from backend.catalogue.sources.tables.values import (
    has_decimal_comma,
    is_ambiguous,
    parse_price,
    parse_split,
    parse_stock,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_WITH_COMMA: dict[str, Callable[..., Any]] = {"price": parse_price, "sale_price": parse_price, "stock": parse_stock}
_PARSERS: dict[str, Callable[[str], Any]] = {
    "split": parse_split,
    "price": parse_price,
    "sale_price": parse_price,
    "stock": parse_stock,
    "currency": parse_currency,
    "availability": parse_availability,
}
# The warning of each field whose text cannot be read.
PARSED = {name: "unknown_split" if name == "split" else f"bad_{name}" for name in _PARSERS}
AMOUNTS = tuple(_WITH_COMMA)
_KEPT = 65_536  # texts


@lru_cache(maxsize=_KEPT)
def parsed(name: str, text: str) -> Any:
    """Return what a text means in a field.

    Raises:
        ValueError: It cannot be read.
    """
    return _PARSERS[name](text)


@lru_cache(maxsize=_KEPT)
def stated_currency(text: str) -> str | None:
    """Return the currency that an amount states; None where it states none."""
    return currency_of(text)


@dataclass(slots=True)
class Amounts:
    """Numbers of a table with three digits behind a single dot, which are thousands where commas mark the decimals.

    A column decides for itself; of stock figures, which are whole, the prices beside them decide, too.
    """

    with_comma: set[str] = field(default_factory=set)
    doubtful: list[tuple[int, str, str]] = field(default_factory=list)

    def see(self, position: int, name: str, text: str) -> None:
        """Note what the text of a field says about its column, or has to be told by it."""
        if name not in self.with_comma and has_decimal_comma(text):
            self.with_comma.add(name)
        if "." in text and is_ambiguous(text):
            self.doubtful.append((position, name, text))

    def settle(self, entries: pa.Table) -> pa.Table:
        """Return the entries with what their columns have told; rows are found by their position."""
        settled = [found for found in self.doubtful if self._is_decided(found[1])]
        if not settled:
            return entries
        rows = dict(zip(entries["position"].to_pylist(), range(entries.num_rows), strict=True))
        columns = {name: entries[name].to_pylist() for name in (*AMOUNTS, "warning")}
        for position, name, text in settled:
            if (at := rows.get(position)) is not None:
                columns[name][at] = _WITH_COMMA[name](text, decimal_comma=True)
                columns["warning"][at] = _without(columns["warning"][at], warning(PARSED[name], text))
        for name, values in columns.items():
            at = entries.schema.get_field_index(name)
            entries = entries.set_column(at, entries.schema.field(at), pa.array(values, entries.schema.field(at).type))
        return entries

    def _is_decided(self, name: str) -> bool:
        return name in self.with_comma or (name == "stock" and "price" in self.with_comma)


def _without(warnings: str | None, line: str) -> str | None:
    return "\n".join(one for one in (warnings or "").splitlines() if one != line) or None
