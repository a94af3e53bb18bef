"""Looking through the products of a catalogue: a paged grid with filters, and its labels and splits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import streamlit as st

from app import identity, navigation, state, words
from app.components.collections import adding
from app.components.jobs import panel
from app.components.loading import options
from app.components.shared import charts, product_grid
from app.services import catalogue, common
from backend.catalogue.items import USES
from backend.flow.requests import SplitsRequest
from backend.flow.roles import role_for
from backend.merchandising.collections.collection import MAX_PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from app.components.shared.product_grid import Card
    from backend.catalogue.items import CatalogueSummary, Product

PAGE_SIZE = 24


class _Wanted(NamedTuple):
    """Which products are wanted."""

    split: str | None
    label: str | None
    search: str
    is_withdrawn: bool


def show_products(summary: CatalogueSummary) -> None:
    """Show one page of products, filtered by split, label and a search; a click looks for similar ones."""
    wanted = _filters(summary)
    # The pager's key holds the choice: another choice starts at its first page.
    page_key = f"page-{summary.name}-{summary.version}-{hash(wanted)}"
    found, total = _found(summary, wanted, offset=(state.page(page_key) - 1) * PAGE_SIZE)
    if not found:
        st.info("No matching products. Try a shorter search or another choice.", icon=":material/search_off:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"{words.count(total, 'product')}; click one to find similar products", width="content")
        if not wanted.is_withdrawn and total <= MAX_PRODUCTS:
            ids = common.snapshot(summary.name, summary.version).ids(wanted.split, wanted.label, wanted.search)
            adding.offer(ids, f"Add {words.count(total, 'product')} to a collection", key="catalogue_collect")
    find_similar(map(product_grid.product_card, found), key="catalogue_grid", small=adding.SMALL, details=summary.name)
    adding.show(summary.name)
    st.pagination(math.ceil(total / PAGE_SIZE), key=page_key)


def find_similar(
    cards: Iterable[Card], *, key: str, small: Mapping[str, Callable[[str], None]] | None = None, details: str = ""
) -> None:
    """Show products as a grid; a click looks for similar ones, a small button opens the page of one of ``details``."""
    picked = product_grid.show(cards, key=key, action="Find similar", small=small, details=details)
    if picked:
        st.switch_page(navigation.page("recommend"), query_params={state.PRODUCT: picked})


def show_labels(summary: CatalogueSummary, *, is_newest: bool) -> None:
    """Show how many products each label has, by split, and let the user draw the splits again."""
    st.markdown("**Products by label**")  # not in the figure: on a phone its legend needs the room
    figure = charts.class_counts(summary)
    charts.show(figure, key="labels", alt="Products per label, by use")
    if not is_newest:
        st.caption("Product uses can only be changed in the newest version.")
        return
    with st.expander(options.REDRAW, icon=":material/shuffle:", key="redraw"):
        request = _redraw(summary)
    if request is not None:
        panel.submit(request)
        st.rerun()


def _filters(summary: CatalogueSummary) -> _Wanted:
    columns = st.columns([2, 1, 1])
    search = columns[0].text_input("Search", placeholder="Title or product id", key="browse_search")
    splits = [split for split in USES if summary.by_split.get(split)]
    split = columns[1].selectbox(
        "Used for",
        splits,
        index=None,
        placeholder="All",
        format_func=USES.__getitem__,
        key="browse_split",
    )
    labels = sorted(summary.by_label) if summary.labels else []
    label = (
        columns[2].selectbox(
            "Label", labels, index=None, placeholder="All", format_func=words.label, key="browse_label"
        )
        if labels
        else None
    )
    is_withdrawn = bool(summary.withdrawn) and st.toggle("Only withdrawn products", key="browse_withdrawn")
    return _Wanted(split, label, search.strip(), is_withdrawn)


def _found(summary: CatalogueSummary, wanted: _Wanted, *, offset: int) -> tuple[list[Product], int]:
    ask = catalogue.withdrawn if wanted.is_withdrawn else common.products
    found: tuple[list[Product], int] = ask(
        summary.name,
        summary.version,
        offset=offset,
        limit=PAGE_SIZE,
        split=wanted.split,
        label=wanted.label,
        search=wanted.search,
    )
    return found


def _redraw(summary: CatalogueSummary) -> SplitsRequest | None:
    st.markdown(
        "Chooses a new use for every labelled product, in the same shares for every label. This creates a new "
        "version; what Twinset has already learned does not change."
    )
    with st.form("redraw_form", border=False):
        with st.grid(min_column_width=230):
            test = options.test_share("redraw_test")
            validation = options.validation_share("redraw_validation")
            seed = options.seed("redraw_seed")
        unseen = st.multiselect(
            options.UNSEEN,
            summary.labels,
            key="redraw_unseen",
            help=options.UNSEEN_HELP,
        )
        if st.form_submit_button(
            options.REDRAW,
            **identity.only_for(role_for("splits")),
            icon=":material/shuffle:",
        ):
            return SplitsRequest(
                catalogue=summary.name,
                action="redraw",
                validation_share=validation,
                test_share=test,
                seed=seed,
                unseen=tuple(unseen),
            )
    return None
