"""Which products may be answered: only what the catalogue has columns for is offered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import words
from app.services import common
from backend.catalogue.fields import PRODUCT_FIELDS
from backend.errors import CatalogueError

if TYPE_CHECKING:
    from backend.bundles.bundle import CatalogueRef

READ_THROUGH = 50  # values; of more, one is searched for
LONGEST = 80  # letters of a value that are shown
TITLES = {"label": "Kind", **{one.name: one.title for one in PRODUCT_FIELDS}}


def show(catalogue: CatalogueRef) -> dict[str, Any]:
    """Show the filters behind a button, and return those that are set, as the endpoint takes them."""
    try:
        facets = common.facets(catalogue.name, catalogue.version)
    except CatalogueError:  # the endpoint's catalogue need not be on this machine; then there is nothing to offer
        return {}
    filters: dict[str, Any] = {}
    with st.popover("Filters", icon=":material/tune:"):
        for name, values in facets.values.items():
            chosen = _values(name, values, more=facets.more.get(name, 0))
            if chosen:
                filters[name] = chosen
        for name, limits in facets.ranges.items():
            filters |= _range(name, limits)
        if facets.has_stock and st.toggle("Only in stock", key="filter_in_stock"):
            filters["in_stock"] = True
    return filters


def _values(name: str, values: list[str], *, more: int) -> list[str]:
    """Let the user choose from a column's values; of very many, the rare ones are typed in full."""
    is_long = len(values) > READ_THROUGH
    return st.multiselect(
        TITLES[name],
        values,
        key=f"filter_{name}",
        format_func=lambda value: value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…",
        placeholder=f"Type to search {words.count(len(values) + more)}" if is_long else "Any",
        accept_new_options=more > 0,
        help=f"{words.count(more)} rarer values are not listed; type the full name." if more else None,
    )


def _range(name: str, limits: tuple[float, float]) -> dict[str, float]:
    if limits[0] >= limits[1]:
        return {}
    low, high = st.slider(TITLES[name], *limits, value=limits, key=f"filter_{name}")
    chosen = ((f"{name}_min", low, limits[0]), (f"{name}_max", high, limits[1]))
    return {name: value for name, value, limit in chosen if value != limit}
