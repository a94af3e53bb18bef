"""Evaluate: how often a model's nearest products are the right ones, on products it never saw."""

import streamlit as st

from app import navigation, services, words
from app.components import charts, job_panel, model_picker
from backend.requests import EvaluateRequest

st.title("Evaluate")
st.caption("Each product of the test split is asked about; a neighbour with the same label counts as right.")

model = model_picker.choose()
if model is None:
    st.stop()

if model.index is None:
    st.info("This model has no index yet; without one there is nothing to search.", icon=":material/account_tree:")
    navigation.link("deploy", "Build its index")
elif st.button("Evaluate", type="primary", icon=":material/analytics:"):
    job_panel.submit(EvaluateRequest(model=model.name))
job_panel.show_latest("evaluate")

scores = model_picker.scores(model)
if not scores:
    st.caption("Not evaluated yet.")
with st.container(horizontal=True):
    for title, value in scores.items():
        st.metric(title, words.percent(value, digits=1), border=True, help=model_picker.METRIC_HELP[title])

rated = [other for other in services.models() if model_picker.scores(other)][: model_picker.COMPARED]
if len(rated) > 1:
    st.subheader("The newest models side by side")
    charts.table([model_picker.score_row(other) for other in rated], key="rated")
if rated:
    bars = charts.metric_bars({other.name: model_picker.scores(other) for other in rated})
    charts.show(bars, key="scores", alt="Test metrics, one group of bars a metric, one bar a model")
