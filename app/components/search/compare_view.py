"""What is found for a part of the photo, beside what is found for all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import state
from app.components.search import answer_view
from app.components.shared import product_grid

if TYPE_CHECKING:
    from backend.serving.client import Answer

_NARROW = 150  # pixels: on a phone, too, both are beside each other


def show(part: Answer, whole: Answer) -> None:
    """Show both answers side by side; a click on a product asks about it."""
    both = st.grid(2, min_column_width=_NARROW, gap="small")
    for title, key, answer in (("Chosen part", "part", part), ("Whole photo", "whole", whole)):
        with both.container():
            st.markdown(f"**{title}**")
            answer_view.show_verdict(answer)
            cards = map(product_grid.neighbour_card, answer.neighbours)
            product_grid.show(cards, key=f"neighbours_{key}", action="Find similar", on_pick=state.ask_about_product)
