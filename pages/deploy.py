"""Deploy: which model answers, who may ask it, and how."""

import streamlit as st

from app import notices
from app.components import (
    deploy_endpoint,
    deploy_golden,
    deploy_models,
    deploy_tokens,
    deploy_versions,
    endpoint_card,
    freshness,
    job_panel,
)

st.title("Deploy")
st.caption("A model answers once its index is built and it is made the champion.")

st.subheader("What answers now")
served = endpoint_card.current()
if served is not None:
    endpoint_card.show_figures(served)
    deploy_endpoint.show_health()
    freshness.show(served, page="deploy")

st.subheader("Models")
deploy_models.show()
job_panel.show_latest("deploy", "promote", "rollback", "rebuild", page="deploy")

views = {
    "Versions": deploy_versions.show,
    "Golden queries": deploy_golden.show,
    "Tokens": deploy_tokens.show,
    "Try it": deploy_endpoint.show_try,
    "From your program": endpoint_card.show_recipes,
}
tabs = st.tabs(list(views), key="view", bind="query-params")
for tab, show in zip(tabs, views.values(), strict=True):
    if tab.open:
        with tab, notices.guarded():
            show()
