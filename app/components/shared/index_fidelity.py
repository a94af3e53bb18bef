"""How much of the exact answer a model's index gives and how fast, the exact kind beside the approximate one."""

from __future__ import annotations

import streamlit as st

from app import notices, words
from app.components.jobs import panel
from app.components.shared import charts
from app.services import common, retrieval
from backend.flow.requests import FidelityRequest, IndexRequest

KINDS = {"exact": "Exact", "approximate": "Approximate"}


def render(model_name: str) -> None:
    """Show what was measured of a model's index, and offer to measure it; nothing where it has no index yet."""
    model = next((one for one in common.models() if one.name == model_name), None)
    if model is None or model.index is None:
        return
    with notices.guarded():
        report = retrieval.fidelity(model)
        if report is None:
            st.caption("Not measured yet: the share of true nearest neighbours that the index finds, and its latency.")
        else:
            rows = [
                {
                    "Kind": KINDS[arm.kind] + (" (in use)" if arm.is_served else ""),
                    f"True neighbours found of {report.k}": words.percent(arm.fidelity, digits=2),
                    "Median latency": f"{arm.p50_ms:.2f} ms",
                    "p95 latency": f"{arm.p95_ms:.2f} ms",
                }
                for arm in report.arms
            ]
            charts.table(rows, key="fidelity")
            st.caption(f"{words.count(report.queries, 'query', 'queries')} on {words.count(report.size, 'product')}.")
        _show_buttons(model_name, model.index.kind)
        panel.show_latest("fidelity", page="deploy")


def _show_buttons(model_name: str, kind: str) -> None:
    other = "approximate" if kind == "exact" else "exact"
    with st.container(horizontal=True):
        if st.button("Measure the search", icon=":material/speed:"):
            panel.submit(FidelityRequest(model=model_name))
        if st.button(
            f"Rebuild as {other}",
            icon=":material/account_tree:",
            help="Approximate search pays off from about 100,000 products on; it misses about one neighbour in 300.",
        ):
            panel.submit(IndexRequest(model=model_name, index_kind="approximate" if kind == "exact" else "exact"))
