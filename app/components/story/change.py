"""Act three: the visitor puts a product first and sees what that changes, on this screen only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, words
from app.components.shared import product_grid
from app.components.story import cards, state
from app.services import story
from backend.merchandising.merging import places_changed

if TYPE_CHECKING:
    from app.components.story.state import Visit
    from backend.serving.client import Answer

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
    first, *others = cards.of_answer(found.neighbours)
    side, main = st.columns([1, 4], gap="medium")
    with side:
        st.markdown("**First now**")
        product_grid.show([first], key="story_first")
    with main:
        st.markdown("**Instead of it**")
        product_grid.show(others, key="story_choice", action="Put first", on_pick=state.pin)


def _show_difference(pinned: str, found: Answer) -> None:
    after = story.pinned(found, pinned)
    moved = places_changed([one.product_id for one in found.neighbours], [one.product_id for one in after])
    st.markdown(
        f"{moved:d} of {words.count(len(after), 'result')} change, on this screen only: nothing was saved, and shoppers see no "
        "difference."
    )
    both = st.grid(2, min_column_width=_NARROW, gap="medium")
    sides = (("Before", found.neighbours, "Moves to place 1"), ("After", after, "Pinned"))
    for title, neighbours, mark in sides:
        with both.container():
            st.markdown(f"**{title}**")
            shown = cards.of_answer(neighbours, marked=pinned, mark=mark)
            product_grid.show(shown, key=f"story_{title.lower()}")
    with st.container(horizontal=True):
        st.button("Another product", icon=":material/restart_alt:", on_click=state.pin, args=("",))
        navigation.link("rules", "Pin it for shoppers in Rules")
