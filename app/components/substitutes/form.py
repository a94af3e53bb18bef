"""Which products need a substitute, and what a substitute may be."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import streamlit as st

from app import notices, words
from app.components.jobs import panel
from app.services import common, substitutes
from backend.flow.requests import ReadinessRequest, SubstitutesRequest
from backend.retrieval.rules.rule import NAMED_BY

if TYPE_CHECKING:
    from app.services.substitutes import Stock
    from backend.flow.index_requests import Selection

_SELECTIONS: dict[Selection, str] = {
    "sold out": "Sold out",
    "new": "New since a date",
    "list": "A list of ids",
    "filter": "A filter",
    "photos": "Photos",
}
_SAME = {name: name.capitalize() for name in NAMED_BY}
_MOST_PRICE, _MOST_UPSELL, _MOST_K = 200, 200, 20


def show(catalogue: str, stock: Stock) -> None:
    """Show the form, and start the search for substitutes."""
    chosen: Selection = st.segmented_control(
        "Find substitutes for",
        list(_SELECTIONS),
        default="sold out" if stock.is_stated else "new",
        format_func=_SELECTIONS.__getitem__,
        key="substitutes_for",
        required=True,
    )
    what = _what(catalogue, chosen, stock)
    limits = _limits(stock)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        k = st.number_input("Candidates for each", 1, _MOST_K, 5, key="substitutes_k", width=180)
        may_start = what is not None
        if st.button(
            "Find substitutes", type="primary", icon=":material/search:", disabled=not may_start, key="substitutes_find"
        ):
            with notices.guarded():
                panel.submit(SubstitutesRequest(selection=chosen, k=int(k), **_kept(what or {}), **limits))
            st.rerun()
        if stock.is_stated and st.button("Measure readiness", icon=":material/monitoring:", key="readiness_measure"):
            panel.submit(ReadinessRequest(**limits))
            st.rerun()


def _what(catalogue: str, chosen: Selection, stock: Stock) -> dict[str, Any] | None:
    """Show what a selection needs to know; None where it is not complete, or selects nothing."""
    if chosen == "sold out":
        if not stock.sold_out:
            st.info("No product is sold out. Choose another selection.", icon=":material/inventory:")
            return None
        st.caption(f"{words.count(stock.sold_out, 'product')} of {stock.products:,} sold out.")
        return {}
    if chosen == "new":
        week = substitutes.today().date() - timedelta(days=7)
        return {"since": st.date_input("New since", week, key="substitutes_since", width=200).isoformat()}
    if chosen == "list":
        text = st.text_area("Product ids, one per line", key="substitutes_ids", height=120)
        ids = [line for line in text.splitlines() if line.strip()]
        return {"ids": ids} if ids else None
    return _filters(catalogue) if chosen == "filter" else _photos()


def _filters(catalogue: str) -> dict[str, Any] | None:
    facets = common.facets(catalogue, common.snapshot(catalogue).version)
    if not facets.values:
        st.info("The products have nothing to filter by.", icon=":material/filter_alt_off:")
        return None
    with st.container(horizontal=True):
        found = {
            name: st.multiselect(words.plain(name.capitalize()), values, key=f"substitutes_by_{name}", width=240)
            for name, values in facets.values.items()
        }
    filters = {name: values for name, values in found.items() if values}
    return {"filters": filters} if filters else None


def _photos() -> dict[str, Any] | None:
    uploaded = st.file_uploader(
        "A zip file of photos, or a table that names photos",
        ["zip", "csv", "xlsx", "parquet"],
        key="substitutes_photos",
    )
    if uploaded is None:
        st.caption("Photos have no price: all substitutes in stock that look like a photo are found.")
        return None
    return {"path": uploaded}


def _kept(what: dict[str, Any]) -> dict[str, Any]:
    """Return what a selection needs to know with its upload kept: once, where it is started, and not with every click."""
    uploaded = what.get("path")
    return what if uploaded is None else {**what, "path": str(substitutes.keep_photos(uploaded.name, uploaded))}


def _limits(stock: Stock) -> dict[str, Any]:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        any_price = st.toggle("Any price", key="substitutes_any_price")
        price = st.number_input(
            "Price within ± %", 0, _MOST_PRICE, 15, key="substitutes_price", width=160, disabled=any_price
        )
        least = st.number_input(
            "At least % of the price",
            0,
            _MOST_UPSELL,
            0,
            key="substitutes_least",
            width=190,
            help="85 and more leaves out cheap substitutes; 0 sets no limit.",
        )
        same = st.multiselect(
            "Same",
            list(_SAME),
            format_func=_SAME.__getitem__,
            key="substitutes_same",
            width=260,
            placeholder="Any kind",
        )
    unknown = not stock.is_stated
    if stock.is_stated and stock.unknown:
        unknown = st.toggle(
            f"Count {words.count(stock.unknown, 'product')} with unknown stock as in stock", key="substitutes_unknown"
        )
    return {
        "price": None if any_price else float(price),
        "at_least": float(least),
        "same": list(same),
        "unknown": unknown,
    }
