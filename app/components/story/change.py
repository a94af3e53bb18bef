"""Act three: the visitor puts a product first and sees what that changes, on this screen only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, words
from app.components.shared import product_grid
from app.components.story import state
from app.services import story
from backend.merchandising.merging import places_changed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.components.story.state import Visit
    from backend.serving.client import Answer, AnswerNeighbour

_NARROW = 150  # pixels: on a phone, too, both are beside each other


def show(visit: Visit, found: Answer) -> None:
    """Show the results to choose from; once one is chosen, the answer before and after."""
    st.header("Change it with one click")
    if visit.pinned:
        _show_difference(visit.pinned, found)
    elif len(found.neighbours) > 1:
        _choose(found)
    else:
        st.info("There are too few products to change their order.", icon=":material/reorder:")


def _choose(found: Answer) -> None:
    st.markdown("Which product should customers see first? Click it.")
    first, *others = map(product_grid.neighbour_card, found.neighbours)
    side, main = st.columns([1, 3], gap="medium")
    with side:
        st.markdown("**First now**")
        product_grid.show([first], key="story_first")
    with main:
        st.markdown("**Instead of it**")
        product_grid.show(others, key="story_choice", action="Put first", on_pick=state.pin)


def _show_difference(pinned: str, found: Answer) -> None:
    after = story.pinned(found, pinned)
    moved = places_changed([one.product_id for one in found.neighbours], [one.product_id for one in after])
    st.markdown(f"{moved:d} of {words.count(len(after), 'result')} change.")
    both = st.grid(2, min_column_width=_NARROW, gap="medium")
    for title, neighbours in (("Before", found.neighbours), ("After", after)):
        with both.container():
            st.markdown(f"**{title}**")
            _show_side(title, neighbours, pinned)
    st.caption("On this screen only: nothing was saved, and shoppers see no difference.")
    with st.container(horizontal=True):
        st.button("Another product", icon=":material/restart_alt:", on_click=state.pin, args=("",))
        navigation.link("rules", "Pin it for shoppers in Rules")


def _show_side(title: str, neighbours: Sequence[AnswerNeighbour], pinned: str) -> None:
    mark = "Moves to place 1" if title == "Before" else "Pinned"
    cards = [product_grid.neighbour_card(one, moved=mark if one.product_id == pinned else "") for one in neighbours]
    product_grid.show(cards, key=f"story_{title.lower()}")
