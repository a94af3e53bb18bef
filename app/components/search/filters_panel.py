"""Which products may be answered: only what the catalogue has columns for is offered. What is set is in the address line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from app import notices, words
from app.components.search import state as question
from app.services import common
from app.services.shop import collections
from backend.catalogue.fields import PRODUCT_FIELDS
from backend.errors import CatalogueError, CatalogueNotFound
from backend.retrieval.filters import COLLECTION

if TYPE_CHECKING:
    from backend.bundles.bundle import CatalogueRef

READ_THROUGH = 50  # values; of more, one is searched for
LONGEST = 80  # letters of a value that are shown
TITLES = {"label": "Kind", COLLECTION: "Collection", **{one.name: one.title for one in PRODUCT_FIELDS}}
_IN_STOCK = "in_stock"


def show(catalogue: CatalogueRef) -> dict[str, Any]:
    """Show the filters behind a button, and return those that are set, as the endpoint takes them."""
    chosen, _ = question.filters()
    try:
        facets = common.facets(catalogue.name, catalogue.version)
    except CatalogueError:  # the endpoint's catalogue need not be on this machine; then there is nothing to offer
        return chosen
    with st.popover("Filters", icon=":material/tune:"):
        for name, values in facets.values.items():
            _values(name, values, chosen.get(name, ()), more=facets.more.get(name, 0))
        for name, limits in facets.ranges.items():
            _range(name, limits, chosen)
        if facets.has_stock:
            key = question.shown("filter_in_stock", chosen.get(_IN_STOCK, False))
            st.toggle("Only in stock", key=key, on_change=_set_stock)
        with notices.guarded():
            names = sorted(one.name for one in collections.found(catalogue.name).collections)
            if names or COLLECTION in chosen:
                _values(COLLECTION, names, chosen.get(COLLECTION, ()), more=0)
    return _at_version(catalogue.name, chosen) if COLLECTION in chosen else chosen


def _at_version(catalogue: str, chosen: dict[str, Any]) -> dict[str, Any]:
    """Return the filters with each collection at its version: a question that was answered before one changed is another one."""
    named = []
    with notices.guarded():
        seen = collections.found(catalogue)
        for name in chosen[COLLECTION]:
            try:
                named.append(f"{seen.get(name).id}@{seen.version}")
            except CatalogueNotFound as error:
                st.caption(f":material/info: {words.prose(error.message)} It is left out.")
    rest = {name: value for name, value in chosen.items() if name != COLLECTION}
    return {**rest, COLLECTION: tuple(named)} if named else rest


def show_chips() -> None:
    """Show every filter that is set, each with a click to remove it; and those of the link that cannot be used."""
    chosen, wrong = question.filters()
    if chosen:
        with st.container(horizontal=True, vertical_alignment="center", key="filter_chips"):
            for name, value in chosen.items():
                for one in value if isinstance(value, tuple) else (value,):
                    st.button(
                        _said(name, one),
                        icon=":material/close:",
                        key=f"unfilter-{name}-{one}",
                        help="Remove this filter",
                        on_click=question.unfilter,
                        args=(name, one),
                    )
    if wrong:
        st.caption(f":material/info: Left out, because they cannot be used: {words.plain(', '.join(wrong))}.")


def _said(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "In stock" if value else "Not in stock"
    column, _, end = name.rpartition("_")
    if isinstance(value, float):
        return f"{words.plain(TITLES[column])} {'from' if end == 'min' else 'up to'} {value:,.2f}"
    return f"{words.plain(TITLES.get(name, 'Product'))}: {words.plain(_short(value))}"


def _short(value: str) -> str:
    return value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"


def _values(name: str, values: list[str], chosen: tuple[str, ...], *, more: int) -> None:
    """Let the user choose from a column's values; of very many, the rare ones are typed in full."""
    is_long = len(values) > READ_THROUGH
    st.multiselect(
        TITLES[name],
        list(dict.fromkeys([*values, *chosen])),
        key=question.shown(f"filter_{name}", list(chosen)),
        format_func=_short,
        placeholder=f"Type to search {words.count(len(values) + more)}" if is_long else "Any",
        accept_new_options=more > 0,
        help=f"{words.count(more)} rarer values are not listed; type the full name." if more else None,
        on_change=_set_values,
        args=(name,),
    )


def _range(name: str, limits: tuple[float, float], chosen: dict[str, Any]) -> None:
    low, high = limits
    if low >= high:
        return
    least, most = (min(max(chosen.get(f"{name}_{end}", at), low), high) for end, at in (("min", low), ("max", high)))
    key = question.shown(f"filter_{name}", (min(least, most), most))
    st.slider(TITLES[name], low, high, key=key, on_change=_set_range, args=(name, limits))


def _set_values(name: str) -> None:
    question.filter_by(**{name: question.has_changed(f"filter_{name}")})


def _set_range(name: str, limits: tuple[float, float]) -> None:
    chosen = zip(("min", "max"), question.has_changed(f"filter_{name}"), limits, strict=True)
    question.filter_by(**{f"{name}_{end}": None if value == limit else value for end, value, limit in chosen})


def _set_stock() -> None:
    question.filter_by(in_stock=question.has_changed("filter_in_stock") or None)
