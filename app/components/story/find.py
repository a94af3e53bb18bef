"""Act one: a photo of the visitor's, or one of six examples, and the products that look like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import notices, words
from app.components.search import answer_view, photo_ways
from app.components.search.query_panel import TYPES
from app.components.shared import product_grid
from app.components.story import cards, state
from app.services import common, story
from backend.imaging.pixels import FORMATS_READ

if TYPE_CHECKING:
    from app.components.story.state import Visit
    from app.services.common import Serving
    from backend.serving.client import Answer


def show(visit: Visit, served: Serving) -> None:
    """Show the ways to a photo; once there is one, its answer."""
    st.header("Find it by its photo")
    if visit.asked is None:
        _choose(served)
        return
    side, main = st.columns([3, 8], gap="medium")
    with side:
        show_photo(visit)
        st.button("Another photo", icon=":material/restart_alt:", on_click=state.ask, args=(None,))
    with main, notices.guarded():
        found = answered(visit)
        st.markdown(f"The most similar of {words.count(found.gallery_size, 'product')}")
        answer_view.show_verdict(found)
        product_grid.show(cards.of_answer(found.neighbours), key="story_found")


def answered(visit: Visit) -> Answer:
    """Return the answer of act one, which is asked for once in a visit; errors are those of a question."""
    if visit.found is None:
        assert visit.asked is not None  # noqa: S101 - the page asks for a photo first
        with st.spinner("Looking for similar products"):
            visit.found = story.answer(visit.asked.image, without=visit.asked.product_id)
    return visit.found


def show_photo(visit: Visit) -> None:
    """Show the photo of act one."""
    if visit.asked is not None and (picture := product_grid.shown(visit.asked.image)):
        st.container(key="story_photo").image(picture, caption="The photo", width="stretch")


def _choose(served: Serving) -> None:
    st.markdown("Use a photo of your own, or click one of the examples.")
    with st.container(key="story_upload"):
        st.file_uploader(
            "Your photo",
            type=TYPES,
            key=state.UPLOADER,
            on_change=state.ask_about_upload,
            max_upload_size=common.settings().max_upload_mb,
            help=f"{FORMATS_READ}. {_what_becomes_of_it()}",
        )
    photo_ways.show("story_upload", TYPES)
    products = {one.product_id: one for one in story.examples(served)}
    if not products:
        st.caption("There are no examples here; use a photo of your own.")
        return
    product_grid.show(
        cards.of_products(products.values()),
        key="story_examples",
        action="Find similar",
        on_pick=lambda name: state.ask(state.Asked(products[name].image, name)),
    )


def _what_becomes_of_it() -> str:
    days = common.settings().keep_questions_photos_days
    kept = f"is kept with the question for {words.count(days, 'day')}" if days else "is not stored"
    return f"The photo is used only for this search and {kept}."
