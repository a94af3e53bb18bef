"""Deploy: which model answers, who may ask it, and how."""

import streamlit as st

from app import notices, services
from app.components import (
    charts,
    deploy_endpoint,
    deploy_golden,
    deploy_tokens,
    deploy_versions,
    endpoint_card,
    freshness,
    index_fidelity,
    job_panel,
    model_picker,
)
from backend.requests import DeployRequest, IndexRequest

st.title("Deploy")
st.caption("A model answers once its index is built and it is made the champion.")

st.subheader("What answers now")
served = endpoint_card.current()
if served is not None:
    endpoint_card.show_figures(served)
    deploy_endpoint.show_health()
    freshness.show(served.catalogue, served.model, page="deploy")

st.subheader("Models")
model = model_picker.choose()
if model is not None:
    charts.table([model_picker.as_row(other) for other in services.models()], key="models")
    with st.container(horizontal=True):
        build = st.button(
            "Build the index" if model.index is None else "Build the index again",
            type="primary" if model.index is None else "secondary",
            icon=":material/account_tree:",
            help="Computes what the model sees in every product of its catalogue, so that they can be searched.",
        )
        deploy = st.button(
            "Deploy as champion",
            type="secondary" if model.index is None else "primary",
            icon=":material/rocket_launch:",
            disabled=model.index is None,
            help="Registers the model; if it is no worse than the champion, the endpoint takes it up without a pause.",
        )
    if build:
        job_panel.submit(IndexRequest(model=model.name))
    if deploy:
        job_panel.submit(DeployRequest(model=model.name))
    index_fidelity.render(model.name)
    job_panel.show_latest("index")
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
