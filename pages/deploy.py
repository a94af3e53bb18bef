"""Deploy: which model answers, who may ask it, and how."""

import streamlit as st

from app import notices
from app.components.deploy import endpoint, golden, models, tokens, versions
from app.components.jobs import panel
from app.components.shared import endpoint_card, freshness

st.title("Deploy")
st.caption("To serve a model, build its index and make it the champion.")

st.subheader("Now serving")
served = endpoint_card.current()
if served is not None:
    endpoint_card.show_figures(served)
    endpoint.show_health()
    freshness.show(served, page="deploy")

st.subheader("Models")
models.show()
panel.show_latest("deploy", "promote", "rollback", "rebuild", page="deploy")

views = {
    "Versions": versions.show,
    "Golden queries": golden.show,
    "Tokens": tokens.show,
    "Try it": endpoint.show_try,
    "From your program": endpoint_card.show_recipes,
}
tabs = st.tabs(list(views), key="view", bind="query-params")
for tab, show in zip(tabs, views.values(), strict=True):
    if tab.open:
        with tab, notices.guarded():
            show()
