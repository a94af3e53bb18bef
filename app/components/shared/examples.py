"""Before there is a question: items of the catalogue to start from, found by search or just looked through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import notices, state
from app.components.shared import product_grid
from app.services import common
from backend.errors import CatalogueNotFound

if TYPE_CHECKING:
    from backend.bundles.bundle import CatalogueRef
    from backend.catalogue.items import Product

SHOWN = 12


def show(catalogue: CatalogueRef) -> None:
    """Show some items of the catalogue that answers; a click asks about that item."""
    st.subheader("Or start from the catalogue")
    fields = "Title, label or product id" if common.has_labels(catalogue) else "Title or product id"
    search = st.text_input("Search the catalogue", placeholder=fields, label_visibility="collapsed", key="search")
    with notices.guarded():
        try:
            found = _spread(catalogue, search.strip())
        except CatalogueNotFound:
            # The endpoint may be another machine's: its catalogue need not be here, and photos work all the same.
            st.caption("The searched catalogue is not on this machine; upload a photo instead.")
            return
        if not found:
            st.info("No matching products. Try a shorter search.", icon=":material/search_off:")
            return
        cards = map(product_grid.product_card, found)
        product_grid.show(cards, key="examples", action="Find similar", on_pick=state.ask_about_product)


def _spread(catalogue: CatalogueRef, search: str) -> list[Product]:
    """The first matches of a search; without one, items spread over all labels."""
    if search:
        return common.products(catalogue.name, catalogue.version, offset=0, limit=SHOWN, search=search)[0]
    return common.examples(catalogue.name, catalogue.version, SHOWN)
