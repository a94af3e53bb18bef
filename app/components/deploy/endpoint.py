"""How the endpoint is, and a form to try it as any other program would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import notices, words
from app.components.search import answer_view, query_panel
from app.components.shared import charts, product_grid
from app.services import common, deploy

if TYPE_CHECKING:
    from backend.serving.client import Answer

TRY_K = 5


def show_health() -> None:
    """Show how long it runs, how much it answered, and how fast; nothing where the endpoint does not say."""
    if deploy.is_plain_mlflow():
        st.caption("A plain MLflow server is answering; it reports no details about itself. Send it a query below.")
        return
    with notices.guarded():
        found = deploy.health()
        if found is None:
            return
        with st.container(horizontal=True):
            st.metric("Running for", words.duration(found.uptime_s), border=True)
            st.metric("Questions", words.count(found.requests), border=True, help="Since the endpoint started")
            st.metric("Refused or failed", words.count(found.errors), border=True, help="Since the endpoint started")
            st.metric(
                "Latency, p50",
                _time(found.p50_ms),
                border=True,
                help="Median of the newest 1,000 answers",
            )
            st.metric(
                "Latency, p95",
                _time(found.p95_ms),
                border=True,
                help="95 % of the newest 1,000 answers were at least as fast",
            )


def _time(ms: float | None) -> str:
    return "–" if ms is None else f"{ms:,.1f} ms"


def show_try() -> None:
    """Let the user send a picture, and show the answer with what it took."""
    with st.form("try_it", border=True):
        photo = st.file_uploader(
            "Picture",
            type=query_panel.TYPES,
            key="try_photo",
            max_upload_size=common.settings().max_upload_mb,
        )
        k = st.number_input("How many", 1, 50, TRY_K, key="try_k", width=160)
        sent = st.form_submit_button("Ask", type="primary", icon=":material/send:")
    if not sent:
        return
    if photo is None:
        st.info("Choose a picture first.", icon=":material/image:")
        return
    with notices.guarded():
        answer, seconds = deploy.ask(photo.getvalue(), int(k))
        _show_answer(answer, seconds)


def _show_answer(answer: Answer, seconds: float) -> None:
    inside = f", {words.duration(answer.timings_ms['total'] / 1e3)} of it in the endpoint" if answer.timings_ms else ""
    st.caption(f"Answered in {words.duration(seconds)}{inside}.")
    answer_view.show_verdict(answer)
    product_grid.show(map(product_grid.neighbour_card, answer.neighbours), key="try_grid")
    rows = [
        {
            "Rank": one.rank,
            "Product": one.product_id,
            "Label": words.label(one.label),
            "Similarity": f"{one.similarity:.4f}",
            "Distance": f"{one.distance:.4f}",
        }
        for one in answer.neighbours
    ]
    charts.table(rows, key="try_table")
