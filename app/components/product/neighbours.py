"""What looks like a product, as shoppers get it now: answered by the endpoint, with the published rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import streamlit as st

from app.components.product.state import open_product
from app.components.search import answer_view, rule_panel
from app.components.shared import endpoint_card, product_grid
from app.services import common, rules
from app.words import plain

if TYPE_CHECKING:
    from backend.catalogue.items import Product
    from backend.serving.client import Answer

SHOWN = 12


def answer(catalogue: str, product: Product) -> Answer | None:
    """Return the answer about a product; None where nobody answers from its catalogue, which is said.

    Raises:
        EndpointError: The endpoint could not answer.
    """
    served = endpoint_card.current()
    if served is None:
        return None
    if served.catalogue.name != catalogue:
        st.info(f"The search in use is for the catalogue {plain(served.catalogue.name)}.", icon=":material/search_off:")
        return None
    with st.spinner("Looking for similar products"):
        # One more than is shown: the product is the nearest to itself.
        asked = common.recommend(product.image, k=SHOWN + 1, filters={}, revision=rules.revision(catalogue, None))
    return asked.answer


def show(catalogue: str, product: Product, found: Answer) -> None:
    """Show the neighbours; a click opens that product."""
    answer_view.show_verdict(found)
    used = rule_panel.Ruled(catalogue, None, is_preview=False, revision="").used(found)
    others = [one for one in found.neighbours if one.product_id != product.product_id][:SHOWN]
    cards = (product_grid.neighbour_card(one, moved=rule_panel.moved(one, used)) for one in others)
    cards = (replace(card, rank=None) for card in cards)  # the product itself would be the first
    product_grid.show(cards, key="product_neighbours", action="Show this product", on_pick=open_product)
