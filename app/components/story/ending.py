"""The end: one figure about the visitor's own products, which is counted while the acts are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, notices, words
from app.components.story import state
from app.services import story

if TYPE_CHECKING:
    from concurrent.futures import Future

    from app.services.common import Serving
    from app.services.story import Figure

_POLL_S = 0.5


def show(served: Serving) -> None:
    """Show the figure once it is counted, and the way to one's own."""
    with st.container(key="story_end", horizontal_alignment="center"):
        st.header("What it means for these products")
        counting = story.counting(served)
        if counting is None:
            st.markdown("These products are on another machine, where this page cannot count them.")
        else:
            done, name = counting.done(), served.catalogue.name
            st.fragment(_show, run_every=None if done else _POLL_S)(counting, name, was_done=done)
        with st.container(horizontal=True, horizontal_alignment="center", vertical_alignment="center"):
            navigation.link("catalogue", "Try with your own products")
            st.button("Start again", icon=":material/restart_alt:", on_click=state.ask, args=(None,))


def _show(counting: Future[Figure], catalogue: str, *, was_done: bool) -> None:
    with notices.guarded():
        if not counting.done():
            st.info("The products are being counted.", icon=":material/hourglass:")
            return
        if not was_done:
            st.rerun()  # so that the page asks no more
        figure = counting.result()
        with st.container(key="story_figure"):
            st.markdown(f"# {words.count(figure.number)} of {words.count(figure.of)}")
        st.markdown(f"### {words.plain(figure.says)}")
        st.caption(f"Counted in the catalogue {words.plain(catalogue)}, version {figure.version:d}.")
