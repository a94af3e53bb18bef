"""Looking through a catalogue: a paged grid of products with filters, and the rows that were rejected."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, services, state, words
from app.components import charts, product_grid

if TYPE_CHECKING:
    from backend.catalogue.items import CatalogueSummary

PAGE_SIZE = 24
REJECTED_SHOWN = 500


def show_products(summary: CatalogueSummary) -> None:
    """Show one page of products, filtered by split, label and a search; a click looks for similar ones."""
    columns = st.columns([2, 1, 1])
    search = columns[0].text_input("Search", placeholder="Title or product id", key="browse_search")
    splits = [split for split in charts.SPLIT_TITLES if summary.by_split.get(split)]
    split = columns[1].selectbox(
        "Split",
        splits,
        index=None,
        placeholder="All",
        format_func=charts.SPLIT_TITLES.__getitem__,
        key="browse_split",
    )
    labels = sorted(summary.by_label)
    label = columns[2].selectbox("Label", labels, index=None, placeholder="All", key="browse_label")

    # The pager's key holds the choice: another choice starts at its first page.
    page_key = f"page-{summary.name}-{summary.version}-{split}-{label}-{search}"
    page = state.page(page_key)
    found, total = services.products(
        summary.name,
        summary.version,
        offset=(page - 1) * PAGE_SIZE,
        limit=PAGE_SIZE,
        split=split,
        label=label,
        search=search.strip(),
    )
    if not found:
        st.info("No product matches. Try fewer letters or another label.", icon=":material/search_off:")
        return
    st.caption(f"{words.count(total, 'product')}; click one to find similar products")
    cards = map(product_grid.product_card, found)
    picked = product_grid.show(cards, key="catalogue_grid", action="Find similar")
    st.pagination(math.ceil(total / PAGE_SIZE), key=page_key)
    if picked:
        st.switch_page(navigation.page("recommend"), query_params={state.PRODUCT: picked})


def show_rejected(summary: CatalogueSummary) -> None:
    """Show the rows that were not taken in, with the reason."""
    if not summary.quarantined:
        st.success("Every row of the source was taken in.", icon=":material/check:")
        return
    rows = services.rejected(summary.name, summary.version, limit=REJECTED_SHOWN)
    st.caption(f"{words.count(len(rows))} of {words.count(summary.quarantined, 'row')}")
    charts.table([{name.replace("_", " ").capitalize(): value for name, value in row.items()} for row in rows])
