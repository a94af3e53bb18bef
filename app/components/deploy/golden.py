"""Golden queries: answers that a merchandiser approved and that every new champion must give again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import navigation, notices, words
from app.components.shared import product_grid
from app.components.shared.product_grid import Card
from app.services import deploy

if TYPE_CHECKING:
    from backend.registry.golden import GoldenQuery
    from backend.serving.client import Answer

EXPECTED = 3  # products expected again unless the user chooses others


def show() -> None:
    """Show the golden queries, and let the user give one up."""
    st.caption("Before a version becomes champion, it must give the approved answers to these pictures.")
    queries = deploy.golden_queries()
    if not queries:
        st.info(
            "No answer has been approved yet. Search for a photo on the Find similar page and approve its answer there.",
            icon=":material/workspace_premium:",
        )
        navigation.link("recommend", "Find similar products")
        return
    product_grid.show(map(_card, queries), key="golden_grid")
    by_id = {query.id: query for query in queries}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "Golden query", list(by_id), key="golden", format_func=lambda one: by_id[one].name, width=360
        )
        if st.button("Remove it", icon=":material/delete:"):
            deploy.give_up(chosen)
            st.rerun()


def _card(query: GoldenQuery) -> Card:
    expected = f"Among the first {query.k}: {', '.join(query.products)}" if query.products else ""
    nearest = f"Nearest product: {' or '.join(query.labels)}" if query.labels else ""
    approved = f"{query.catalogue} · approved {words.moment(query.approved_at)}"
    never = f"Not similar: {', '.join(query.forbidden)}" if query.forbidden else ""
    return Card(query.id, query.image, query.name, tuple(line for line in (expected, nearest, never, approved) if line))


def show_approval(name: str, image: bytes, answer: Answer) -> None:
    """Let a merchandiser approve the answer that is shown; nothing where the endpoint names no catalogue."""
    if not answer.catalogue or not answer.neighbours:
        return
    with st.popover("Approve", icon=":material/workspace_premium:"), notices.guarded():
        known = deploy.golden_query_of(image)
        st.caption(
            "Twinset must give this answer again after every change." if known is None else "This picture is approved."
        )
        ids = [one.product_id for one in answer.neighbours]
        titles = {one.product_id: f"{one.rank}. {one.title or one.product_id}" for one in answer.neighbours}
        expected = st.multiselect(
            "Products that must appear",
            ids,
            default=ids[:EXPECTED],
            format_func=titles.__getitem__,
            key="golden_products",
        )
        labels = sorted({one.label for one in answer.neighbours if one.label})
        wanted = (
            st.multiselect("Allowed kinds of the nearest product", labels, key="golden_labels", placeholder="Any")
            if labels
            else []
        )
        called = st.text_input("Name", value=name, key="golden_name", max_chars=80).strip()
        if st.button("Approve this answer", type="primary", key="golden_approve"):
            deploy.approve(called or name, image, answer, expected, wanted, len(ids))
            st.toast("Approved. Twinset must give this answer after every change.", icon=":material/check:")
