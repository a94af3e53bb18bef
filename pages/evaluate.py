"""Evaluate: how often a model's nearest products are the right ones, on products it never saw."""

from functools import partial

import streamlit as st

from app.components.evaluate import calibration, compare, form, pairs, queries, state, tables
from app.components.jobs import panel
from app.components.shared import model_picker

st.title("Evaluate")
st.caption("Each product of the test split is a query; a neighbour with the same label counts as correct.")

# 1. Which model, and what to measure of it.
model = model_picker.choose()
if model is None:
    st.stop()
if model.index is None:
    state.show_no_index()
elif (request := form.show(model)) is not None:
    panel.submit(request)
panel.show_latest("evaluate", page="evaluate")

# 2. What was found.
report = state.report(model)
if report is None:
    st.stop()
views = {
    "Overview": partial(tables.show_overview, report),
    "Labels": partial(tables.show_labels, report),
    "Mistakes": partial(pairs.show, model, report),
    "Worst": partial(queries.show, model, report),
    "Changed pictures": partial(tables.show_robustness, report),
    "Unseen classes": partial(tables.show_unseen, report),
    "Match or not": partial(calibration.show, report),
    "Two models": partial(compare.show, model, report),
}
tabs = st.tabs(list(views), key="view", bind="query-params")
for tab, show in zip(tabs, views.values(), strict=True):
    if tab.open:
        with tab:
            show()
