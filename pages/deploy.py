"""Deploy: which model answers, and how to ask it."""

import streamlit as st

from app import services
from app.components import charts, endpoint_card, freshness, index_fidelity, job_panel, model_picker
from backend.requests import DeployRequest, IndexRequest

st.title("Deploy")
st.caption("A model answers once its index is built and it is made the champion.")

st.subheader("What answers now")
served = endpoint_card.current()
if served is not None:
    endpoint_card.show_figures(served)
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
            help="Registers the model; the endpoint takes it up at once, without a pause.",
        )
    if build:
        job_panel.submit(IndexRequest(model=model.name))
    if deploy:
        job_panel.submit(DeployRequest(model=model.name))
    index_fidelity.render(model.name)
    job_panel.show_latest("index")
    job_panel.show_latest("deploy")

st.subheader("Ask from your own program")
endpoint_card.show_recipes()
