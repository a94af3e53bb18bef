"""Act two: what was seen of the photo, how sure the answer is, how often it was right, and what is refused."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, notices, words
from app.components.shared import product_grid
from app.components.shared.product_grid import Card
from app.components.shared.scripted import ASSETS
from app.components.story import cards, state
from app.services import story
from backend.serving.answers import NOT_CLOSE

if TYPE_CHECKING:
    from app.components.story.state import Visit
    from app.services.common import Serving
    from backend.serving.client import Answer

_SEEN = 240  # pixels
_STRANGE = {"car": "A car", "landscape": "A mountain lake", "house": "A house"}  # pictures in assets/story


def show(visit: Visit, found: Answer, served: Serving) -> None:
    """Show why the answer can be trusted; then, at a click, what happens where there is nothing to find."""
    st.header("Know when to trust it")
    if visit.strange:
        _show_refusal(visit.strange, served)
        return
    saw, sure, right = st.columns(3, gap="medium")
    with saw:
        st.markdown("**What it saw**")
        if found.seen:  # a plain MLflow server does not say
            st.image(found.seen, width=_SEEN)
        st.caption("Only the picture counts, not the name or the price.")
    with sure:
        _show_sureness(found)
    with right, notices.guarded():
        _show_measured(served)
    st.subheader("Now show it something that is not for sale here")
    pictures = [Card(name, _picture(name), title) for name, title in _STRANGE.items()]
    product_grid.show(pictures, key="story_strange", action="Find similar", on_pick=state.show_strange)


def _show_sureness(found: Answer) -> None:
    st.markdown("**How sure it is**")
    counts = Counter(one.closeness or "" for one in found.neighbours)
    if not found.neighbours or "" in counts:
        st.caption("With so few products, it does not say how close they are.")
        return
    best = found.neighbours[0].closeness or ""
    with st.container(key="story_sure"):
        st.markdown(f"### {words.plain(best.capitalize())}")
    told = ", ".join(f"{number:d} {words.plain(name)}" for name, number in counts.items())
    st.caption(f"That is the first result. In all, {told}.")


def _show_measured(served: Serving) -> None:
    st.markdown("**How often it is right**")
    row = story.measured(served)
    if row is None:
        st.caption("Not measured yet. It takes a few minutes.")
        navigation.link("evaluate", "Measure it")
        return
    rate = row.rates["precision_at_1"]
    with st.container(key="story_right"):
        st.markdown(f"### {rate.value * 100:.0f} of 100")
    st.caption(
        f"The first result was of the same kind for {rate.value * 100:.0f} of 100 products that it had never seen. Tested "
        f"with {words.count(row.queries, 'product')}, so it is very likely between {rate.low * 100:.0f} and "
        f"{rate.high * 100:.0f}."
    )


def _show_refusal(name: str, served: Serving) -> None:
    side, main = st.columns([3, 8], gap="medium")
    with side:
        st.container(key="story_photo").image(_picture(name), caption=_STRANGE[name], width="stretch")
        st.button("Another picture", icon=":material/restart_alt:", on_click=state.show_strange, args=("",))
    with main, notices.guarded(), st.spinner("Looking for similar products"):
        found = story.answer_to_strange(_picture(name), served)
        if found.has_nothing_close:
            st.subheader("“Nothing close.”")
            st.markdown("It says so, instead of passing off the nearest products as similar:")
        else:
            _show_not_refused(found)
        product_grid.show(cards.of_answer(found.neighbours), key="story_refused")


def _show_not_refused(found: Answer) -> None:
    """Say the truth also where it is not what the act is for."""
    best = found.neighbours[0].closeness if found.neighbours else None
    if best is None:
        st.subheader("No answer to that here")
        st.markdown("With so few products, it does not say how close they are. These are the nearest ones:")
    elif best != NOT_CLOSE:
        st.subheader("This one it did not refuse")
        st.markdown(f"It calls the first result *{words.plain(best)}*. No judgement is right every time:")


def _picture(name: str) -> bytes:
    return (ASSETS / "story" / f"{name}.png").read_bytes()
