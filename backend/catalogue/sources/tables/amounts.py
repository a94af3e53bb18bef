"""Values that are more than text, read once for each text; and numbers that only the rest of their column explains."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from backend.catalogue.loading.load_warnings import warning
from backend.catalogue.sources.tables.terms import currency_of, parse_availability, parse_currency
from backend.catalogue.sources.tables.values import (
    has_decimal_comma,
    is_ambiguous,
    parse_price,
    parse_split,
    parse_stock,
    plain_text,
    text_of,
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
_KEPT = 8_192  # texts
_SELDOM_AGAIN = frozenset({"title", "url"})


class Meant(NamedTuple):
    """What the text of a field that is parsed means.

    Attributes:
        text: The text.
        value: What it means; None where it cannot be read.
        currency: The one that an amount of money states.
        is_telling: Whether it says something about the other numbers of its column, or has to be told by them.
    """

    text: str
    value: Any
    currency: str | None = None
    is_telling: bool = False


def meaning(name: str, read: Callable[[str], str | None] | None) -> Callable[[Any], Any]:
    """Return what makes the value of a field of what a cell has, once for each text where texts come again.

    Of a field that is parsed it is :class:`Meant`, of any other one the text as people read it; null where the cell has
    nothing.
    """

    def of(value: Any) -> Any:
        text = text_of(value)
        if text is not None and read is not None:
            text = read(text)
        if text is None:
            return None
        if name not in _PARSERS:
            return plain_text(text)
        try:
            value = _PARSERS[name](text)
        except ValueError:
            value = None
        if name not in AMOUNTS:
            return Meant(text, value)
        is_telling = has_decimal_comma(text) or is_ambiguous(text)
        return Meant(text, value, None if name == "stock" else currency_of(text), is_telling)

    if name in _SELDOM_AGAIN:
        return of
    kept = lru_cache(maxsize=_KEPT)(of)
    return lambda value: kept(value) if type(value) is str else of(value)


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
        if is_ambiguous(text):
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
